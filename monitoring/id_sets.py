"""Sets of ids in few bytes: passes read the same listings again and again, mostly many in a row. Pure.

Written as numbers in turn, how many ids are left out and how many follow each other, from 0 on, and then compressed:
1-500 and 502 are "1 500 1 1". No byte at all is the empty set.
"""

import zlib
from collections.abc import Iterable


def encode(ids: Iterable[int]) -> bytes:
    """The ids, whatever their order, each once. Raises ValueError for a negative one."""
    numbers: list[int] = []
    after = 0  # the id behind the last one
    for each in sorted(set(ids)):
        if each < 0:
            raise ValueError("an id cannot be negative")
        if numbers and each == after:
            numbers[-1] += 1
        else:
            numbers += [each - after, 1]
        after = each + 1
    return zlib.compress(" ".join(map(str, numbers)).encode()) if numbers else b""


def decode(stored: bytes) -> list[int]:
    """The ids in order. Raises ValueError for what encode() does not write."""
    try:
        numbers = [int(text) for text in zlib.decompress(stored).split()] if stored else []
    except zlib.error as error:
        raise ValueError("not a set of ids") from error
    ids: list[int] = []
    after = 0
    for left_out, count in zip(numbers[::2], numbers[1::2], strict=True):
        first = after + left_out
        after = first + count
        ids.extend(range(first, after))
    return ids
