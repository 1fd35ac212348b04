"""The frame of a biometric data group: CBEFF templates around records (Doc 9303-10 §4.7.2, ISO/IEC 7816-11)."""

from __future__ import annotations

from typing import Final

from edged.core.emrtd import tlv
from edged.errors import DecodeError

MAX_INSTANCES: Final = 9
"""Biometric information templates in one data group (Doc 9303-10 §4.7.2.1)."""

_GROUP: Final = 0x7F61
_COUNT: Final = 0x02
_TEMPLATE: Final = 0x7F60
_DATA: Final = 0x5F2E
_DATA_CONSTRUCTED: Final = 0x7F2E
"""Holds data objects: a record of ISO/IEC 39794."""
_PROTECTED: Final = 0x7D
"""Templates under secure messaging: encrypted for somebody else (ISO/IEC 7816-11 §5)."""


def biometric_records(file: bytes | memoryview, tag: int, what: str) -> list[memoryview]:
    """The biometric data blocks of a data group, in order; `tag` is the file's.

    The number announced isn't believed: the templates are counted.

    Raises `DecodeError` (`what`, "tlv.…" | "biometric.malformed" | "biometric.too_many" | "biometric.encrypted").
    """
    group = tlv.find(tlv.only(file, tag, what), _GROUP, what)
    if group is None:
        raise DecodeError(what, "biometric.malformed")
    records: list[memoryview] = []
    for part in tlv.iterate(group, what):
        if part.tag == _PROTECTED:
            raise DecodeError(what, "biometric.encrypted")
        if part.tag == _COUNT:
            continue
        if part.tag != _TEMPLATE:
            raise DecodeError(what, "biometric.malformed")
        if len(records) == MAX_INSTANCES:
            raise DecodeError(what, "biometric.too_many")
        records.append(_record(part.value, what))
    if not records:
        raise DecodeError(what, "biometric.malformed")
    return records


def _record(template: memoryview, what: str) -> memoryview:
    for part in tlv.iterate(template, what):
        if part.tag in (_DATA, _DATA_CONSTRUCTED):
            return part.value
        if part.tag == _PROTECTED:
            raise DecodeError(what, "biometric.encrypted")
    raise DecodeError(what, "biometric.malformed")
