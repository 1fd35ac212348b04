"""LDIF (RFC 2849) as far as directories of trust data use it: the downloads of the ICAO PKD and of national ones.

Entries of attributes: folded lines, comments, base64. Values given by URL are refused (nothing is ever fetched), and
so are change records: a file of changes says what differs from a directory we don't have.
"""

from __future__ import annotations

import binascii
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 256 << 20
"""Of one file: the PKD's complete collection of document signers and CRLs is 80 MB."""

MAX_ENTRIES: Final = 200_000
"""The whole PKD has some 31 000."""

MAX_VALUE: Final = 8 << 20
"""Octets of one value as written: a national master list is 1 MB, a third more in base64."""

MAX_ATTRIBUTES: Final = 256
"""Of one entry; those of the PKD have a dozen."""

_ATTRIBUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)((?:;[A-Za-z0-9-]+)*):([:<]?) *")
_WHAT: Final = "ldif"


class Kind(StrEnum):
    """What an attribute of a trust directory holds."""

    MASTER_LIST = "master_list"
    CERTIFICATE = "certificate"
    DOCUMENT_SIGNER = "document_signer"
    CRL = "crl"


_KINDS: Final = {
    b"pkdmasterlistcontent": Kind.MASTER_LIST,
    b"cscamasterlistdata": Kind.MASTER_LIST,
    b"cscacertificatedata": Kind.CERTIFICATE,
    b"cacertificate": Kind.CERTIFICATE,
    b"usercertificate": Kind.CERTIFICATE,
    b"certificaterevocationlist": Kind.CRL,
}
"""By the attribute's name in lower case, options (`;binary`) left away (Doc 9303-12 §9 and the PKD's own schema)."""

_SIGNERS: Final = re.compile(rb"(?:^|,)\s*o=dsc\s*,", re.IGNORECASE)
"""The PKD's branch of document signers, tens of thousands of them."""


class Entry(NamedTuple):
    """One directory entry. `attributes` are (name in lower case, its options left away; value), in order."""

    dn: bytes
    attributes: tuple[tuple[bytes, bytes], ...]


class TrustObject(NamedTuple):
    """One value that matters: what it is, and its octets."""

    kind: Kind
    der: bytes


def looks_like(data: bytes) -> bool:
    """Whether the beginning of `data` is LDIF's: a version or a name, after comments and empty lines."""
    for line in data[:65536].split(b"\n"):
        bare = line.strip()
        if bare and not line.startswith((b"#", b" ")):
            return re.match(rb"(version|dn)::? *", bare, re.IGNORECASE) is not None
    return False


def trust_objects(data: bytes) -> Iterator[TrustObject]:
    """Master lists, certificates and CRLs of a directory, in order. Raises `DecodeError`, maybe after some."""
    for entry in entries(data):
        signer = _SIGNERS.search(entry.dn) is not None
        for name, value in entry.attributes:
            kind = _KINDS.get(name)
            if kind is not None and value:
                yield TrustObject(
                    Kind.DOCUMENT_SIGNER if signer and kind is Kind.CERTIFICATE else kind, value
                )


def entries(data: bytes) -> Iterator[Entry]:
    """Every entry, in order. Raises `DecodeError`, maybe after some entries."""
    if len(data) > MAX_BYTES:
        raise DecodeError(_WHAT, "ldif.too_large")
    count = 0
    for record in _records(data):
        attributes = record[1:] if record[0][0] == b"version" else record
        if not attributes:
            continue
        name, dn = attributes[0]
        if name != b"dn":
            raise DecodeError(_WHAT, "ldif.malformed")
        if any(name == b"changetype" for name, _ in attributes):
            raise DecodeError(_WHAT, "ldif.changes")
        count += 1
        if count > MAX_ENTRIES:
            raise DecodeError(_WHAT, "ldif.too_large")
        yield Entry(dn, tuple(attributes[1:]))


def _records(data: bytes) -> Iterator[list[tuple[bytes, bytes]]]:
    """Attributes between empty lines."""
    record: list[tuple[bytes, bytes]] = []
    for line in _logical_lines(data):
        if line:
            if len(record) == MAX_ATTRIBUTES:
                raise DecodeError(_WHAT, "ldif.too_large")
            record.append(_attribute(line))
        elif record:
            yield record
            record = []
    if record:
        yield record


def _logical_lines(data: bytes) -> Iterator[bytes]:
    """Lines unfolded, comments left away; empty ones stay, they part entries."""
    parts: list[bytes] = []
    size = 0
    for line in _lines(data):
        if line.startswith(b" ") and parts:
            size += len(line)
            if size > MAX_VALUE:
                raise DecodeError(_WHAT, "ldif.too_large")
            parts.append(line[1:])
            continue
        if parts and not parts[0].startswith(b"#"):
            yield b"".join(parts)
        parts, size = [line], len(line)
        if size > MAX_VALUE:
            raise DecodeError(_WHAT, "ldif.too_large")
    if parts and not parts[0].startswith(b"#"):
        yield b"".join(parts)


def _lines(data: bytes) -> Iterator[bytes]:
    """Physical lines without their ends, one at a time: a list of them would be several times the file."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        yield data[at : end - 1] if end > at and data[end - 1] == 0x0D else data[at:end]
        at = end + 1


def _attribute(line: bytes) -> tuple[bytes, bytes]:
    found = _ATTRIBUTE.match(line)
    if found is None:
        raise DecodeError(_WHAT, "ldif.malformed")
    value = line[found.end() :]
    match found[3]:
        case b":":
            try:
                value = binascii.a2b_base64(value, strict_mode=True) if value else b""
            except binascii.Error:
                raise DecodeError(_WHAT, "ldif.malformed") from None
        case b"<":
            raise DecodeError(_WHAT, "ldif.by_reference")
        case _:
            pass
    return found[1].lower(), value
