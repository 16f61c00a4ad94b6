"""Rounding of amounts that are not negative, and the units of a line. Integers in, integers out."""

MODES = ("half_up", "half_down", "half_even", "up", "down")


def divide(dividend: int, divisor: int, mode: str) -> int:
    """dividend / divisor, rounded; both not negative."""
    quotient, rest = divmod(dividend, divisor)
    if not rest or mode == "down":
        return quotient
    if mode == "half_up":
        return quotient + (2 * rest >= divisor)
    if mode == "half_down":
        return quotient + (2 * rest > divisor)
    if mode == "half_even":
        return quotient + (2 * rest + (quotient & 1) > divisor)
    return quotient + 1


def unit_blocks(amount: int, quantity: int, first: int) -> list[tuple[int, int]]:
    """The line's first units as (amount of one, how many): the first (amount mod quantity) are a minor unit dearer."""
    unit, dearer = divmod(amount, quantity)
    if not first:
        return []
    if not dearer:
        return [(unit, first)]
    return [(unit + 1, first)] if first <= dearer else [(unit + 1, dearer), (unit, first - dearer)]
