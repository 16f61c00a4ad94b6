"""How one discount is spread over lines (pricing contract 3.7 and 3.8). Lines come in the order of their ids."""

from collections.abc import Sequence


def _largest_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    whole = sum(weights)
    shares = [amount * weight // whole for weight in weights]
    missing = amount - sum(shares)
    if missing:
        order = sorted(range(len(weights)), key=lambda at: -(amount * weights[at] % whole))
        for at in order[:missing]:
            shares[at] += 1
    return shares


def spread(amount: int, weights: Sequence[int], rooms: Sequence[int], *, redistribute: bool) -> list[int]:
    """Shares of `amount` by weight, none above the line's room; lines without room are left out.

    What does not fit is lost, or with `redistribute` spread again over the lines that still have room. Where all
    weights are 0 the rooms left are the weights.
    """
    if len(rooms) == 1:
        return [min(amount, rooms[0])]
    taken = [0] * len(rooms)
    left = min(amount, sum(rooms)) if redistribute else amount
    while left > 0:
        spots = [at for at, room in enumerate(rooms) if room > taken[at]]
        if not spots:
            break
        by_weight = [weights[at] for at in spots]
        if not any(by_weight):
            by_weight = [rooms[at] - taken[at] for at in spots]
        for at, share in zip(spots, _largest_remainder(left, by_weight), strict=True):
            taken[at] = min(taken[at] + share, rooms[at])
        if not redistribute:
            break
        left = min(amount, sum(rooms)) - sum(taken)
    return taken


def _one_per_piece(
    amount: int, order: Sequence[int], pieces: Sequence[int], rooms: Sequence[int], taken: list[int]
) -> None:
    for at in order:
        extra = min(amount, pieces[at], rooms[at] - taken[at])
        taken[at] += extra
        amount -= extra


def spread_per_piece(amount: int, order: Sequence[int], pieces: Sequence[int], rooms: Sequence[int]) -> list[int]:
    """WooCommerce's way with an amount off the order: the same for every piece, whatever it costs."""
    taken = [0] * len(rooms)
    while amount > 0:
        open_spots = [at for at in order if rooms[at] > taken[at]]
        if not open_spots:
            break
        each = amount // sum(pieces[at] for at in open_spots)
        if not each:
            _one_per_piece(amount, open_spots, pieces, rooms, taken)
            break
        for at in open_spots:
            share = min(each * pieces[at], rooms[at] - taken[at])
            taken[at] += share
            amount -= share
    return taken


def top_up_per_piece(
    total: int, floors: Sequence[int], order: Sequence[int], pieces: Sequence[int], rooms: Sequence[int]
) -> list[int]:
    """WooCommerce's way with a percentage: each line rounded down, the rest one minor unit per piece in one pass."""
    taken = [min(share, room) for share, room in zip(floors, rooms, strict=True)]
    _one_per_piece(max(0, total - sum(taken)), order, pieces, rooms, taken)
    return taken
