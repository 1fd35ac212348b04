"""Firmware images of the reader head (firmware/BOOT.md §1): built by the release engineer, verified by tool and box.

The head verifies again, with the key built into its boot loader; what is refused here is refused there, minutes later.
"""

from __future__ import annotations

import hashlib
import re
import struct
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from edged.errors import DecodeError, SignatureRefusedError

MAGIC: Final = b"EHI1"
FORMAT: Final = 1
HEADER: Final = 192
"""Octets that are signed."""
SIGNATURE: Final = 64
PREFIX: Final = HEADER + SIGNATURE
"""Where the payload begins."""
UNIT: Final = 16
"""The payload is padded to a multiple of so many octets."""
MAX_IMAGE: Final = 4 << 20
"""More than any microcontroller of ours has flash."""
BOARD: Final = 24
POINT: Final = 65
"""Octets of an uncompressed public key of P-256."""

_HEADER: Final = struct.Struct("<4sHH24sIIII32s112x")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,22}")
_VERSION: Final = re.compile(r"(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,4})")
_WHAT: Final = "head image"


class Version(NamedTuple):
    """Of a firmware: compared as numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> Version:
        """From "1.2.3". Raises `DecodeError` (`head_image.bad_version`)."""
        found = _VERSION.fullmatch(text)
        version = cls(*map(int, found.groups())) if found else cls(256, 0, 0)
        if version.major > 0xFF or version.minor > 0xFF or version.patch > 0xFFFF:
            raise DecodeError(_WHAT, "head_image.bad_version")
        return version

    @classmethod
    def of_number(cls, number: int) -> Version:
        """As a header and WELCOME have it, read as one little-endian number."""
        return cls(number & 0xFF, number >> 8 & 0xFF, number >> 16)

    @property
    def number(self) -> int:
        """The four octets as one little-endian number."""
        return self.major | self.minor << 8 | self.patch << 16


class HeadImage(NamedTuple):
    """What an image says of itself, its payload's digest already compared."""

    board: str
    version: Version
    security_version: int
    load_address: int
    size: int
    """Of the whole file."""
    sha256: bytes
    """Of the whole file: what UPDATE_BEGIN announces."""


def build(
    payload: bytes,
    *,
    board: str,
    version: Version,
    security_version: int,
    load_address: int,
    key: ec.EllipticCurvePrivateKey,
) -> bytes:
    """The signed image. Raises `DecodeError`: `head_image.bad_board`, `.bad_number`, `.bad_payload`."""
    if not _NAME.fullmatch(board):
        raise DecodeError(_WHAT, "head_image.bad_board")
    if not (0 <= security_version < 1 << 32 and 0 <= load_address < 1 << 32):
        raise DecodeError(_WHAT, "head_image.bad_number")
    padded = payload + b"\xff" * (-len(payload) % UNIT)
    if not 0 < len(padded) <= MAX_IMAGE - PREFIX:
        raise DecodeError(_WHAT, "head_image.bad_payload")
    digest = hashlib.sha256(padded).digest()
    header = _HEADER.pack(
        MAGIC,
        FORMAT,
        PREFIX,
        board.encode(),
        version.number,
        security_version,
        len(padded),
        load_address,
        digest,
    )
    r, s = utils.decode_dss_signature(key.sign(header, ec.ECDSA(hashes.SHA256())))
    return header + r.to_bytes(32, "big") + s.to_bytes(32, "big") + padded


def parse(data: bytes) -> HeadImage:
    """What is in an image; its signature is not looked at.

    Raises `DecodeError`: `head_image.not_an_image`, `head_image.incomplete` (cut off, or with something behind it),
    `head_image.wrong_digest`.
    """
    if len(data) > MAX_IMAGE or len(data) < PREFIX or data[: len(MAGIC)] != MAGIC:
        raise DecodeError(_WHAT, "head_image.not_an_image")
    _, form, prefix, name, version, security, size, load, digest = _HEADER.unpack_from(data)
    board = name.rstrip(b"\0").decode("ascii", "replace")
    if (
        (form, prefix) != (FORMAT, PREFIX)
        or any(data[_HEADER.size - 112 : HEADER])
        or not _NAME.fullmatch(board)
        or size == 0
        or size % UNIT
    ):
        raise DecodeError(_WHAT, "head_image.not_an_image")
    if len(data) != PREFIX + size:
        raise DecodeError(_WHAT, "head_image.incomplete")
    if hashlib.sha256(memoryview(data)[PREFIX:]).digest() != digest:
        raise DecodeError(_WHAT, "head_image.wrong_digest")
    return HeadImage(
        board, Version.of_number(version), security, load, len(data), hashlib.sha256(data).digest()
    )


def verify(data: bytes, key: ec.EllipticCurvePublicKey) -> HeadImage:
    """`parse`, and its signature. Raises as `parse`, and `SignatureRefusedError` (`head_image.wrong_signature`)."""
    image = parse(data)
    r, s = data[HEADER : HEADER + 32], data[HEADER + 32 : PREFIX]
    signature = utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    try:
        key.verify(signature, data[:HEADER], ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise SignatureRefusedError("head_image.wrong_signature") from None
    return image


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as a boot loader holds it: 65 octets."""
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def key_of_point(octets: bytes) -> ec.EllipticCurvePublicKey:
    """The key in 65 octets. Raises `DecodeError` (`head_image.bad_key`)."""
    try:
        if len(octets) != POINT:
            raise ValueError
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
    except ValueError:
        raise DecodeError(_WHAT, "head_image.bad_key") from None
