"""The LDS security object: the hash of every data group, which the document signer signs (Doc 9303-10 §4.6.2).

Nothing here verifies a signature. Hashes of data groups count as identity: who guesses what DG1 says can check it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd import der, tlv
from edged.core.emrtd.files import ElementaryFile, data_group
from edged.errors import DecodeError
from edged.identity import withheld

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SOD_BYTES: Final = 64 * 1024
"""Real ones have 1 to 4 kB, with a chain of certificates in it 10."""
LDS_SECURITY_OBJECT: Final = frozenset(
    ("2.23.136.1.1.1", "1.3.27.1.1.1", "1.2.528.1.1006.1.20.1", "1.2.840.113549.1.7.1")
)
"""Content types that EF.SODs in the field give their security object: ICAO's; its draft's (Belgium, France); Sdu's;
id-data (China)."""

_HASHES: Final = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_WHAT: Final = "sod"


@withheld
class SecurityObject(NamedTuple):
    """What the document signer vouches for.

    Attributes:
        version: 0, or 1 with version information.
        hash_oid: the hash algorithm, dotted.
        hash_name: its name in `hashlib`; None for one that no document has (nothing can be compared then).
        hashes: by data group number, 1 to 16, in the order given.
        lds_version: as EF.COM has it ("0107", "010800" without a fixed form), None in version 0.
        unicode_version: likewise ("040000").
    """

    version: int
    hash_oid: str
    hash_name: str | None
    hashes: Mapping[int, bytes]
    lds_version: str | None
    unicode_version: str | None

    @property
    def files(self) -> tuple[ElementaryFile, ...]:
        """The data groups that the document has, by number."""
        found = (data_group(number) for number in sorted(self.hashes))
        return tuple(file for file in found if file is not None)


def parse_security_object(content: bytes | memoryview) -> SecurityObject:
    """The LDSSecurityObject that `content` is, without what it may be wrapped in.

    Raises `DecodeError` ("sod", "tlv.…" | "sod.malformed" | "sod.repeated").
    """
    if len(content) > MAX_SOD_BYTES:
        raise DecodeError(_WHAT, "sod.malformed")
    parts = list(tlv.iterate(tlv.only(content, der.SEQUENCE, _WHAT), _WHAT))
    if not 3 <= len(parts) <= 4 or [part.tag for part in parts[:3]] != [
        der.INTEGER,
        der.SEQUENCE,
        der.SEQUENCE,
    ]:
        raise DecodeError(_WHAT, "sod.malformed")
    version = _small(parts[0].value)
    # Parameters are NULL, or absent: both are about.
    hash_oid = der.oid(tlv.read_one(parts[1].value, _WHAT), _WHAT)
    hash_name = _HASHES.get(hash_oid)
    hashes = _hashes(parts[2].value, hash_name)
    versions = _versions(parts[3]) if len(parts) == 4 else (None, None)
    return SecurityObject(version, hash_oid, hash_name, hashes, *versions)


def signed_data_of_sod(ef_sod: bytes | memoryview) -> memoryview:
    """The CMS ContentInfo in an EF.SOD. Raises `DecodeError` ("sod", "tlv.…" | "sod.malformed")."""
    if len(ef_sod) > MAX_SOD_BYTES:
        raise DecodeError(_WHAT, "sod.malformed")
    assert ElementaryFile.SOD.tag is not None
    return tlv.only(ef_sod, ElementaryFile.SOD.tag, _WHAT)


def sod_content(ef_sod: bytes | memoryview) -> bytes:
    """What an EF.SOD's signature is about (eContent), unverified: an LDS security object as it was signed.

    Raises `DecodeError` ("sod", "tlv.…" | "pki.…" | "sod.malformed" | "sod.other_content").
    """
    from edged.core.emrtd import cms

    signed = cms.parse_signed_data(bytes(signed_data_of_sod(ef_sod)), what=_WHAT)
    if signed.content is None or signed.content_type not in LDS_SECURITY_OBJECT:
        raise DecodeError(_WHAT, "sod.other_content")
    return signed.content


def security_object_of_sod(ef_sod: bytes | memoryview) -> SecurityObject:
    """The security object in an EF.SOD, unverified. Raises `DecodeError` as `sod_content` and the parser do."""
    return parse_security_object(sod_content(ef_sod))


def hash_matches(listed: SecurityObject, number: int, octets: bytes | memoryview) -> bool | None:
    """Whether a data group, exactly as read, has the hash listed for it.

    None when that can't be said: no hash is listed, or an unknown algorithm's.
    """
    expected = listed.hashes.get(number)
    if expected is None or listed.hash_name is None:
        return None
    found = hashlib.new(listed.hash_name, octets, usedforsecurity=False).digest()
    return hmac.compare_digest(found, expected)


def _hashes(value: memoryview, hash_name: str | None) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for entry in tlv.iterate(value, _WHAT):
        pair = list(tlv.iterate(entry.value, _WHAT))
        if entry.tag != der.SEQUENCE or [part.tag for part in pair] != [der.INTEGER, der.OCTET_STRING]:
            raise DecodeError(_WHAT, "sod.malformed")
        number, digest = _small(pair[0].value), bytes(pair[1].value)
        if data_group(number) is None:
            raise DecodeError(_WHAT, "sod.malformed")
        if number in found:  # which of them holds?
            raise DecodeError(_WHAT, "sod.repeated")
        if hash_name is not None and len(digest) != hashlib.new(hash_name, usedforsecurity=False).digest_size:
            raise DecodeError(_WHAT, "sod.malformed")
        found[number] = digest
    if not found:
        raise DecodeError(_WHAT, "sod.malformed")
    return found


def _versions(info: tlv.DataObject) -> tuple[str, str]:
    parts = list(tlv.iterate(info.value, _WHAT))
    if info.tag != der.SEQUENCE or len(parts) != 2:
        raise DecodeError(_WHAT, "sod.malformed")
    lds, unicode = (digits(part.value, _WHAT, "sod.malformed") for part in parts)
    return lds, unicode


def digits(value: memoryview, what: str, code: str) -> str:
    """A version: up to eight digits. Raises `DecodeError` (`what`, `code`) for anything else."""
    text = bytes(value[:9]).decode("latin-1")
    if not (text.isascii() and text.isdigit() and len(text) <= 8):
        raise DecodeError(what, code)
    return text


def _small(value: memoryview) -> int:
    if not 1 <= len(value) <= 2:
        raise DecodeError(_WHAT, "sod.malformed")
    return int.from_bytes(value, "big", signed=True)
