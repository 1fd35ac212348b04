"""What an operator hands to an import: files told apart by content, directories and ZIP archives opened."""

from __future__ import annotations

import base64
import binascii
import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd import ldif, tlv
from edged.core.emrtd.ldif import Kind
from edged.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_BYTES: Final = ldif.MAX_BYTES
"""Of one file, and of what an archive unpacks to: the largest is the PKD's LDIF."""

MAX_FILES: Final = 10_000
"""In a directory or an archive: one file a certificate of every state is a tenth of that."""

MAX_PEM_BLOCKS: Final = 10_000

_SIGNED_DATA: Final = bytes.fromhex("06092A864886F70D010702")  # 1.2.840.113549.1.7.2 (RFC 5652 §5.1)
_HEAD: Final = 24  # octets before which a ContentInfo has said its type, however long its length is written
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{3,20})-----([^-]*)-----END \1-----")
_ZIP: Final = b"PK\x03\x04"
_TIMES: Final = (0x17, 0x18)
_WHAT: Final = "trust file"


class Item(NamedTuple):
    """One object to import, and the name of the file it came in, for reports."""

    kind: Kind
    der: bytes
    file: str


class Gathered(NamedTuple):
    """What files hold: objects, and names of files inside a directory or archive that are none."""

    items: tuple[Item, ...]
    skipped: tuple[str, ...]


def gather(path: Path) -> Gathered:
    """Everything in a file, a directory's files (not deeper) or a ZIP archive.

    Raises OSError for what can't be read, `DecodeError` (trustfile.…, ldif.…) for a file that is no trust data. In a
    directory or archive such a file is skipped: they come with read-me files.
    """
    if not path.is_dir():
        return _of_file(path.name, _read(path))
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if len(files) > MAX_FILES:
        raise DecodeError(_WHAT, "trustfile.too_many")
    return _together(((file.name, _read(file)) for file in files), _of_file)


def objects(data: bytes, name: str) -> tuple[Item, ...]:
    """The objects that one file's content is. Raises `DecodeError`."""
    if _SIGNED_DATA in data[:_HEAD]:
        return (Item(Kind.MASTER_LIST, data, name),)
    if data.startswith(b"\x30"):
        return (Item(_kind_of_der(data), data, name),)
    if b"-----BEGIN " in data[:65536]:
        return tuple(_pem(data, name))
    if ldif.looks_like(data):
        # Document signers, by the ten thousand, are only counted: their octets needn't be kept.
        return tuple(
            Item(found.kind, b"" if found.kind is Kind.DOCUMENT_SIGNER else found.der, name)
            for found in ldif.trust_objects(data)
        )
    raise DecodeError(_WHAT, "trustfile.unknown")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DecodeError(_WHAT, "trustfile.too_large")
    return data


def _of_file(name: str, data: bytes) -> Gathered:
    if data.startswith(_ZIP):
        return _together(_unpacked(name, data), lambda name, data: Gathered(objects(data, name), ()))
    return Gathered(objects(data, name), ())


def _together(files: Iterator[tuple[str, bytes]], read: Callable[[str, bytes], Gathered]) -> Gathered:
    items: list[Item] = []
    skipped: list[str] = []
    for name, data in files:
        try:
            found = read(name, data)
        except DecodeError:
            skipped.append(name)
            continue
        items += found.items
        skipped += found.skipped
    if not items:
        raise DecodeError(_WHAT, "trustfile.unknown")
    return Gathered(tuple(items), tuple(skipped))


def _unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    room = MAX_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > MAX_FILES:
                raise DecodeError(_WHAT, "trustfile.too_many")
            for member in members:
                with archive.open(member) as file:
                    content = file.read(room + 1)  # what a member's header says of its size proves nothing
                room -= len(content)
                if room < 0:
                    raise DecodeError(_WHAT, "trustfile.too_large")
                yield f"{name}/{member.filename}", content
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
    ) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression we lack; OSError: a header that leads nowhere.
        raise DecodeError(_WHAT, "trustfile.bad_archive") from error


def _pem(data: bytes, name: str) -> Iterator[Item]:
    count = 0
    for found in _PEM.finditer(data):
        count += 1
        if count > MAX_PEM_BLOCKS:
            raise DecodeError(_WHAT, "trustfile.too_many")
        try:
            der = base64.b64decode(b"".join(found[2].split()), validate=True)
        except binascii.Error:
            raise DecodeError(_WHAT, "trustfile.bad_pem") from None
        match found[1]:
            case b"CERTIFICATE" | b"X509 CERTIFICATE":
                yield Item(Kind.CERTIFICATE, der, name)
            case b"X509 CRL":
                yield Item(Kind.CRL, der, name)
            case b"CMS" | b"PKCS7":
                yield Item(Kind.MASTER_LIST, der, name)
            case _:
                raise DecodeError(_WHAT, "trustfile.unknown")
    if not count:
        raise DecodeError(_WHAT, "trustfile.bad_pem")


def _kind_of_der(data: bytes) -> Kind:
    """Certificate or CRL: after version, serial number and algorithm stand a certificate's validity, a CRL's time.

    RFC 5280 §4.1, §5.1: both are SEQUENCE { SEQUENCE { … }, … }.
    """
    try:
        outer = tlv.read_one(data, _WHAT)
        inner = tlv.read_one(outer.value, _WHAT)
        tags = [found.tag for found in tlv.iterate(inner.value, _WHAT)]
    except DecodeError:
        raise DecodeError(_WHAT, "trustfile.unknown") from None
    if inner.tag != 0x30:
        raise DecodeError(_WHAT, "trustfile.unknown")
    if tags[:1] == [0xA0] and tags[1:5] == [0x02, 0x30, 0x30, 0x30]:
        return Kind.CERTIFICATE
    if tags[:4] == [0x02, 0x30, 0x30, 0x30]:  # version 1 says no version
        return Kind.CERTIFICATE
    if tags[:1] == [0x02]:
        tags = tags[1:]
    if tags[:2] == [0x30, 0x30] and tags[2:3] and tags[2] in _TIMES:
        return Kind.CRL
    raise DecodeError(_WHAT, "trustfile.unknown")
