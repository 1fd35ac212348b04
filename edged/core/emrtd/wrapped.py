"""DG14 and DG15: ASN.1 in a file's tag (Doc 9303-10 §4.7.14, §4.7.15). Others read what is inside."""

from __future__ import annotations

from edged.core.emrtd import tlv
from edged.core.emrtd.files import ElementaryFile


def security_infos_of_dg14(dg14: bytes | memoryview) -> bytes:
    """The SecurityInfos (a DER SET) in DG14. Raises `DecodeError` ("dg14", "tlv.…")."""
    return _inside(dg14, ElementaryFile.DG14, "dg14")


def public_key_of_dg15(dg15: bytes | memoryview) -> bytes:
    """The SubjectPublicKeyInfo (DER) of active authentication. Raises `DecodeError` ("dg15", "tlv.…")."""
    return _inside(dg15, ElementaryFile.DG15, "dg15")


def _inside(file: bytes | memoryview, which: ElementaryFile, what: str) -> bytes:
    assert which.tag is not None
    value = tlv.only(file, which.tag, what)
    tlv.only(value, tlv.read_header(value, what)[0], what)  # one whole object, whichever
    return bytes(value)
