"""Reads what the scripts pack: one MessagePack array or map of whole numbers, 0 or more, and nothing else."""

from typing import Final

from ratelimit.store.errors import StoreFault

# https://github.com/msgpack/msgpack/blob/master/spec.md, November 2026: first byte -> bytes of the number behind.
_UNSIGNED: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


def unpack_numbers(packed: bytes) -> list[int]:
    """An array.

    Raises:
        StoreFault: it is something else.
    """
    size, start, is_map = _head(packed)
    if is_map and size:
        raise StoreFault("packed: a map where an array belongs")
    return _numbers(packed, start, size)


def unpack_tally(packed: bytes) -> dict[int, int]:
    """A Lua table of numbers: a map, or an array (indexes from 1 on) where there are no gaps.

    Raises:
        StoreFault: it is something else.
    """
    size, start, is_map = _head(packed)
    if not is_map:
        return dict(enumerate(_numbers(packed, start, size), start=1))
    numbers = _numbers(packed, start, 2 * size)
    return dict(zip(numbers[::2], numbers[1::2], strict=True))


def _head(packed: bytes) -> tuple[int, int, bool]:
    """Entries, where they begin, and whether each is a pair."""
    first = packed[0] if packed else 0
    if first & 0xE0 == 0x80:
        return first & 0x0F, 1, first & 0xF0 == 0x80
    if first in (0xDC, 0xDE):
        return int.from_bytes(packed[1:3], "big"), 3, first == 0xDE
    raise StoreFault("packed: neither an array nor a map")


def _numbers(packed: bytes, start: int, count: int) -> list[int]:
    numbers: list[int] = []
    at = start
    end = len(packed)
    while at < end:
        number = packed[at]
        at += 1
        if number >= 0x80:
            size = _UNSIGNED.get(number)
            if size is None or at + size > end:
                raise StoreFault("packed: not a whole number")
            number = int.from_bytes(packed[at : at + size], "big")
            at += size
        numbers.append(number)
    if len(numbers) != count:
        raise StoreFault(f"packed: {len(numbers)} numbers instead of {count}")
    return numbers
