"""The framing of a TFRecord file: length, masked CRC-32C of the length, data, masked CRC-32C of the data.

Source: tensorflow/core/lib/io/record_writer.cc.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from mien.core.files import atomic_path
from mien.core.paths import unreadable

_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")
_HEAD = _LENGTH.size + _CRC.size


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated right by 15 bits plus a constant, so that a CRC of data that holds CRCs stays useful."""
    import google_crc32c  # loaded here, as only TFRecord files need it

    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(path: Path) -> Iterator[tuple[int, bytes, str]]:
    """Offset, data and fault of each record; the fault is empty when the data is as it was written.

    After a damaged length the rest cannot be found, and reading ends with that fault.

    Raises:
        MienError: the file cannot be opened.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            while (offset := file.tell()) < size:
                data, fault, lost = _next(file, size)
                yield offset, data, fault
                if lost:
                    return
    except OSError as error:
        raise unreadable(path, error) from None


def _next(file: BinaryIO, size: int) -> tuple[bytes, str, bool]:
    """Data, fault, and whether the next record cannot be found."""
    head = file.read(_HEAD)
    if len(head) < _HEAD:
        return b"", "the file ends inside a record", True
    if _CRC.unpack(head[_LENGTH.size :])[0] != masked_crc(head[: _LENGTH.size]):
        return b"", "damaged length: the rest of the file cannot be read", True
    (length,) = _LENGTH.unpack(head[: _LENGTH.size])
    if length > size - file.tell() - _CRC.size:
        return b"", "the file ends inside a record", True
    data = file.read(length)
    good = _CRC.unpack(file.read(_CRC.size))[0] == masked_crc(data)
    return data, "" if good else "checksum of the data is wrong", False


def read_at(path: Path, offset: int) -> bytes:
    """The data of the record at `offset`, which `read_records` has found good."""
    with path.open("rb") as file:
        file.seek(offset)
        (length,) = _LENGTH.unpack(file.read(_HEAD)[: _LENGTH.size])
        return file.read(length)


def framed(data: bytes) -> bytes:
    """One record as it stands in a file."""
    length = _LENGTH.pack(len(data))
    return b"".join((length, _CRC.pack(masked_crc(length)), data, _CRC.pack(masked_crc(data))))


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Write records atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.writelines(framed(data) for data in records)
