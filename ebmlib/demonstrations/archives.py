"""Untrusted files of arrays: ``.npy``, ``.npz``, ``.mat``, in bounded memory, without pickle.

Every header is checked against the size of the file before an array of its size is made; an archive
that would inflate beyond :data:`MAX_BYTES` is refused first. Every error that a damaged file raises
in a parser becomes an InputError of one sentence.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from ebmlib.demonstrations import matlab
from ebmlib.demonstrations.containers import other_kind_of_file
from ebmlib.demonstrations.polyline import FloatArray, as_float_array
from ebmlib.errors import InputError

MAX_BYTES = 256 * 2**20
MAX_MEMBERS = 10_000
MAX_HEADER = 10_000  # bytes; NumPy's own limit


def load_npy(name: str) -> FloatArray:
    """The array of an ``.npy`` file as float64.

    Raises:
        InputError: it is damaged, too large, or does not hold numbers.
    """
    with _opened(name) as file:
        return _array(file, os.fstat(file.fileno()).st_size, name)


def load_npz(name: str) -> dict[str, FloatArray]:
    """The arrays of an ``.npz`` file as float64, by their names, in file order.

    Raises:
        InputError: it is damaged, encrypted, too large, or holds anything but numbers.
    """
    arrays = {}
    with _opened(name) as file:
        try:
            archive = zipfile.ZipFile(file)
            members = archive.infolist()
        except Exception as error:  # damaged bytes may raise any error
            raise _not_plain(name, "it is not a zip archive, or it is damaged") from error
        if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_BYTES:
            raise _not_plain(name, f"it inflates to more than {MAX_BYTES} bytes")
        for member in members:
            key = member.filename.removesuffix(".npy")
            label = f"{key[:60]!r} in {name}"
            if member.flag_bits & 1:
                raise _not_plain(name, "it is encrypted")
            if key == member.filename:
                raise _not_plain(name, f"{key[:60]!r} in it is not an array")
            try:
                with archive.open(member) as stream:
                    arrays[key] = _array(stream, member.file_size, label)
                    stream.read(1)  # the end, where the checksum is compared
            except InputError:
                raise
            except Exception as error:  # damaged bytes may raise any error
                raise _not_plain(name, f"{key[:60]!r} in it is damaged") from error
    return arrays


def load_mat(name: str) -> Mapping[str, Any]:
    """The variables of a MATLAB file (up to version 7), cells as lists, structures as dictionaries.

    Raises:
        InputError: it is damaged, too large, or of version 7.3.
    """
    with _opened(name) as file:
        data = file.read()
    return matlab.variables(data, name, MAX_BYTES)


def _opened(name: str) -> IO[bytes]:
    """The opened file, checked for its size and its first bytes.

    Raises:
        OSError: it cannot be opened. InputError: it is too large, or a file of another kind.
    """
    file = open(name, "rb")
    size = os.fstat(file.fileno()).st_size
    head = file.read(512)
    file.seek(0)
    problem = other_kind_of_file(head)
    if size > MAX_BYTES:
        problem = f"has {size} bytes; files of up to {MAX_BYTES} are read"
    if problem:
        file.close()
        raise InputError(f"{name} {problem}.")
    return file


def _array(stream: IO[bytes], size: int, label: str) -> FloatArray:
    """One array in NumPy's format from a stream of ``size`` bytes."""
    try:
        head = stream.read(8)
        wide = head[6:7] != b"\1"  # how the length of the header is written
        head += stream.read(4 if wide else 2)
        (length,) = struct.unpack("<I" if wide else "<H", head[8:])
        if length > MAX_HEADER:
            raise ValueError(f"a header of {length} bytes")
        text = io.BytesIO(head + stream.read(length))
        version = np.lib.format.read_magic(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a header written by Python 2
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(text)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(text)
    except Exception as error:  # damaged bytes may raise any error
        raise _not_plain(label, "its header is damaged") from error
    if dtype.hasobject:
        raise _not_plain(label, "it holds Python objects; save arrays of numbers")
    if dtype.kind not in "biuf":
        raise _not_plain(label, f"it holds entries of type {str(dtype)[:40]}")
    count = 1
    for length in shape:
        count *= length
    if any(length < 0 for length in shape) or count * dtype.itemsize > min(size, MAX_BYTES):
        raise _not_plain(label, f"its header promises {count} numbers, more than it holds")
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise _not_plain(label, "it ends too early")
    flat = np.frombuffer(data, dtype=dtype)
    return as_float_array(flat.reshape(shape, order="F" if fortran else "C"), label)


def _not_plain(label: str, why: str) -> InputError:
    return InputError(f"{label} is not a file of plain numeric arrays: {why}.")
