"""MATLAB files: checked element by element, then read by SciPy.

SciPy's reader trusts the file, and a damaged one can crash the interpreter. So the structure
(MAT-file level 5: elements of a tag and data, matrices of flags, dimensions, name and parts) is
checked first; a file that is inconsistent, too large, or holds objects is refused.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from ebmlib.errors import InputError

_INT8, _UINT8, _UINT16, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 2, 4, 5, 6, 14, 15
_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_TEXT = {1: 1, 2: 1, 4: 2, 16: 1, 17: 2, 18: 4}
_CELL, _STRUCT, _CHAR, _NUMBERS = 1, 2, 4, range(6, 16)
_MAX_DEPTH = 20


class _DamagedError(ValueError):
    """A file whose elements are inconsistent."""


def variables(data: bytes, name: str, most: int) -> Mapping[str, Any]:
    """The variables of a file, cells as arrays or lists, structures as dictionaries.

    Args:
        data: the file's bytes.
        name: its name, for messages.
        most: bytes that it may have when inflated.

    Raises:
        InputError: it is damaged, too large, of another version than 5 to 7, or holds objects.
    """
    if data[:8] == b"\x89HDF\r\n\x1a\n" or b"MATLAB 7.3" in data[:116]:
        raise InputError(f"{name} is a MATLAB file of version 7.3; save it with save(..., '-v7').")
    try:
        _check(data, most)
        import scipy.io  # slow to load, and rarely needed

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a duplicate name: the last one counts, as in MATLAB
            loaded = scipy.io.loadmat(io.BytesIO(data), simplify_cells=True)
    except Exception as error:  # damaged bytes may raise any error
        why = str(error) if isinstance(error, _DamagedError) else "it is damaged"
        raise InputError(f"{name} is not a MATLAB file of plain arrays: {why}.") from error
    return {key: value for key, value in loaded.items() if not key.startswith("__")}


def _check(data: bytes, most: int) -> None:
    """Raise unless the whole file is consistent and inflates to at most ``most`` bytes."""
    if len(data) < 128 or data[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise _DamagedError("it does not begin like a file of version 5 to 7")
    order = "<" if data[126:128] == b"IM" else ">"
    total = 0
    for kind, content in _elements(data[128:], order, top=True):
        if kind == _COMPRESSED:
            inflater = zlib.decompressobj()
            content = inflater.decompress(content, most - total + 1)
            if not inflater.eof and len(content) <= most - total:
                raise _DamagedError("it ends too early")
            total += len(content)
            if total > most:
                raise _DamagedError(f"it inflates to more than {most} bytes")
            inner = list(_elements(content, order))
        else:
            total += len(content)
            inner = [(kind, content)]
        if len(inner) != 1 or inner[0][0] != _MATRIX:
            raise _DamagedError("it holds something other than arrays")
        _check_matrix(inner[0][1], order, _MAX_DEPTH)


def _elements(data: bytes, order: str, top: bool = False) -> Iterator[tuple[int, bytes]]:
    """The elements that follow one another in ``data``: their types and contents."""
    place = 0
    while place < len(data):
        if place + 8 > len(data):
            raise _DamagedError("it ends too early")
        kind, length = struct.unpack(f"{order}II", data[place : place + 8])
        start = place + 8
        if kind >> 16:  # a small element: its length and content are in the tag
            kind, length, start = kind & 0xFFFF, kind >> 16, place + 4
            if length > 4:
                raise _DamagedError("an element is longer than its tag allows")
            place += 8
        else:
            padded = length if top and kind == _COMPRESSED else length + (-length % 8)
            place = start + padded
        if start + length > len(data):
            raise _DamagedError("it ends too early")
        yield kind, data[start : start + length]


def _check_matrix(data: bytes, order: str, depth: int) -> None:
    if not data:
        return  # an empty field
    if depth == 0:
        raise _DamagedError("it is nested too deeply")
    parts = list(_elements(data, order))
    kinds = [kind for kind, _ in parts[:3]]
    if kinds != [_UINT32, _INT32, _INT8] or len(parts[0][1]) != 8 or len(parts[1][1]) % 4:
        raise _DamagedError("an array has no flags, dimensions or name")
    flags = struct.unpack(f"{order}I", parts[0][1][:4])[0]
    shape = struct.unpack(f"{order}{len(parts[1][1]) // 4}i", parts[1][1])
    if not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise _DamagedError("an array has impossible dimensions")
    count, kind, rest = math.prod(shape), flags & 0xFF, parts[3:]
    if kind in _NUMBERS or kind == _CHAR:
        sizes = _TEXT if kind == _CHAR else _SIZES
        if len(rest) != (2 if flags & 0x0800 else 1):
            raise _DamagedError("an array has missing or spare parts")
        for part, content in rest:
            exact = part in sizes and len(content) == count * sizes[part]
            if not exact and not (part == 16 and kind == _CHAR and len(content) <= 4 * count):
                raise _DamagedError("an array is longer or shorter than its dimensions")
    elif kind == _CELL:
        _check_all(rest, count, order, depth)
    elif kind == _STRUCT:
        if len(rest) < 2 or rest[0][0] != _INT32 or len(rest[0][1]) != 4 or rest[1][0] != _INT8:
            raise _DamagedError("a structure has no names")
        width = struct.unpack(f"{order}i", rest[0][1])[0]
        if width < 1 or len(rest[1][1]) % width:
            raise _DamagedError("a structure has impossible names")
        _check_all(rest[2:], count * (len(rest[1][1]) // width), order, depth)
    else:
        raise _DamagedError("it holds objects, functions or sparse arrays")


def _check_all(parts: list[tuple[int, bytes]], count: int, order: str, depth: int) -> None:
    if len(parts) != count or any(kind != _MATRIX for kind, _ in parts):
        raise _DamagedError("a cell or structure has missing or spare parts")
    for _, content in parts:
        _check_matrix(content, order, depth - 1)
