"""EF.COM: which LDS version a chip follows and which data groups it says it has (Doc 9303-10 §4.6.1).

Nobody signs it: what counts is the security object's list. Where the two differ, somebody has to say why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd import tlv
from edged.core.emrtd.files import DATA_GROUP_OF_TAG, ElementaryFile
from edged.core.emrtd.security_object import digits
from edged.errors import DecodeError
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable


_LDS_VERSION: Final = 0x5F01
_UNICODE_VERSION: Final = 0x5F36
_TAG_LIST: Final = 0x5C
_MAX_TAGS: Final = 64
"""There are sixteen data groups."""
_WHAT: Final = "com"


class CommonData(NamedTuple):
    """What EF.COM says. Holds no identity.

    Attributes:
        lds_version: four digits ("0107" is 1.7, "0108" 1.8), None when left out.
        unicode_version: six digits ("040000"), None when left out.
        files: the data groups listed, by number, each once.
        unknown: how many of the tags listed are no data group's.
    """

    lds_version: str | None
    unicode_version: str | None
    files: tuple[ElementaryFile, ...]
    unknown: int


def parse_com(ef_com: bytes | memoryview) -> CommonData:
    """Raises `DecodeError` ("com", "tlv.…" | "com.malformed")."""
    assert ElementaryFile.COM.tag is not None
    lds = unicode = tags = None
    for part in tlv.iterate(tlv.only(ef_com, ElementaryFile.COM.tag, _WHAT), _WHAT):
        if part.tag == _LDS_VERSION:
            lds = digits(part.value, _WHAT, "com.malformed")
        elif part.tag == _UNICODE_VERSION:
            unicode = digits(part.value, _WHAT, "com.malformed")
        elif part.tag == _TAG_LIST and tags is None:
            tags = bytes(part.value)
    if tags is None or len(tags) > _MAX_TAGS:
        raise DecodeError(_WHAT, "com.malformed")
    known = {DATA_GROUP_OF_TAG[tag] for tag in tags if tag in DATA_GROUP_OF_TAG}
    unknown = sum(tag not in DATA_GROUP_OF_TAG for tag in tags)
    return CommonData(lds, unicode, _in_order(known), unknown)


def com_against_sod(common: CommonData, listed: Iterable[ElementaryFile]) -> tuple[Reason, ...]:
    """Why the two lists are not the same; empty when they are.

    A file that only EF.COM lists is vouched for by nobody; one that only the security object lists is kept back.
    """
    com, sod = set(common.files), set(listed)
    reasons = []
    if com - sod:
        reasons.append(Reason("com.lists_more", {"files": _names(com - sod)}))
    if sod - com:
        reasons.append(Reason("com.lists_less", {"files": _names(sod - com)}))
    return tuple(reasons)


def _in_order(files: Iterable[ElementaryFile]) -> tuple[ElementaryFile, ...]:
    return tuple(sorted(files, key=lambda file: file.number or 0))


def _names(files: Iterable[ElementaryFile]) -> str:
    return ", ".join(file.value for file in _in_order(files))
