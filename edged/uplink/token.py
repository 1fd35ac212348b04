"""The enrolment token: what an installer types, scans or carries on a stick, once, to make a box one of the fleet.

    box-17@enrol.example.net:8443
    7K3Q9A-0MZ2RT-…            nine groups of six

It says who the box is to be and where to ask, and carries two things of 100 bits each. The *secret* proves to the
service that the box may have that name. The *voucher* proves the service to the box: a hash of the fleet's first TUF
root, and of how old its offline metadata may be, so that whoever sits between can pass off neither another fleet nor
this fleet as it was before a stolen authority was replaced (`voucher`).

Groups are Crockford's base32 (no I, L, O, U; small letters, and the letters I, L, O for the digits they look like, are
forgiven). The sixth character of a group checks its five and the group's place; the last group checks everything, the
first line too. A typing error is told at once, with its group. Does no I/O.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from typing import Final

import msgspec

from edged.errors import DecodeError
from edged.uplink.names import valid_name

SCHEME: Final = "edged-enrol:"
"""Beginning of a token in one line, as in a QR code."""

FILE_NAME: Final = "edged-enrol.txt"
"""What the token is called on a USB stick."""

MAX_TEXT: Final = 1024
"""Longest text that may be a token: the longest names and host are under 400 characters; a file may have line ends."""

BITS: Final = 100
"""Of the secret, and of the voucher: out of reach of any search (NIST SP 800-57 asks 112 of keys that last for years,
a token lasts for days and is guessed online alone)."""

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FORGIVEN: Final = str.maketrans("ILO", "110")
_DATA: Final = 5  # characters of a group before its check character: 25 bits
_PART: Final = 4  # groups of the secret, and of the voucher
_GROUPS: Final = 2 * _PART + 1
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_MAX_HOST: Final = 253  # RFC 1035 §2.3.4
_LINE: Final = re.compile(r"(?P<device>[^@/]+)[@/](?P<host>\[[0-9a-f:.]+\]|[^:/\s]+):(?P<port>[0-9]{1,5})")

OLDEST: Final = 100_000
"""Highest version of offline metadata a voucher is looked for in; a ceremony a day for centuries."""


class Token(msgspec.Struct, frozen=True):
    """A token, as read or as made. `repr` doesn't show the secret.

    Raises `ValueError` where a name, host or port can't be, or a part isn't 100 bits in this alphabet.
    """

    device: str
    host: str
    """A DNS name or an IP address, in small letters, without brackets."""
    port: int
    secret: str
    """Twenty characters: the password of HTTP Basic, in this very spelling."""
    voucher: str
    """Twenty characters: `voucher()` of what the service must show."""

    def __post_init__(self) -> None:
        parts_fit = all(
            len(part) == _PART * _DATA and set(part) <= set(_ALPHABET) for part in (self.secret, self.voucher)
        )
        if not (valid_name(self.device) and _valid_host(self.host) and 0 < self.port < 1 << 16 and parts_fit):
            raise ValueError("not what a token can say")

    def __repr__(self) -> str:
        return f"Token({self.address_line})"

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def address_line(self) -> str:
        """The first line: `device@host:port`."""
        return f"{self.device}@{self.address}"

    @property
    def groups(self) -> tuple[str, ...]:
        """The nine groups of six characters."""
        data = self.secret + self.voucher + _seal(self)
        pieces = [data[start : start + _DATA] for start in range(0, len(data), _DATA)]
        return tuple(piece + _check(piece, number) for number, piece in enumerate(pieces))

    def text(self) -> str:
        """Two lines, as a person types it and as it stands in a file."""
        return f"{self.address_line}\n{'-'.join(self.groups)}\n"

    def line(self) -> str:
        """One line without spaces."""
        return f"{SCHEME}{self.device}/{self.address}/{'-'.join(self.groups)}"

    def qr(self) -> str:
        """What a QR code carries: `line` in capitals, which QR codes hold in two thirds of the room."""
        return self.line().upper()

    def secret_sha256(self) -> str:
        """What the admin's state keeps of the secret."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def make(device: str, host: str, port: int, vouched: str) -> Token:
    """A new token. `vouched` is `voucher(…)`. Raises `ValueError`."""
    return Token(device, host, port, _base32(secrets.randbits(BITS), _PART * _DATA), vouched)


def voucher(first_root: bytes, oldest: int) -> str:
    """What a token says of the fleet: its `1.root.json`, byte by byte, and the oldest `targets` metadata it may show.

    `targets` vouches for the X.509 authorities (`fleet/authority.json`), and is replaced by an offline ceremony when
    an authority's key is lost. A token made after that doesn't fit what was before, so a thief of the old key can't
    show himself to a new box as the enrolment service.
    """
    digest = hashlib.sha256(
        b"edged-enrol-1\0" + hashlib.sha256(first_root).digest() + oldest.to_bytes(8)
    ).digest()
    return _base32(int.from_bytes(digest) >> (8 * len(digest) - BITS), _PART * _DATA)


def vouches(token: Token, first_root: bytes, targets_version: int) -> bool:
    """Whether the token's fleet is that of `first_root`, and `targets_version` is no older than it allows."""
    return any(
        secrets.compare_digest(voucher(first_root, oldest), token.voucher)
        for oldest in range(1, min(targets_version, OLDEST) + 1)
    )


def parse(text: str) -> Token:
    """A token from any of its spellings.

    Raises `DecodeError`: `token.malformed` (not one at all), `token.address` (the first line), `token.group`
    (`detail` is the number of the group, from 1), `token.length` (`detail`: how many characters were found of 54),
    `token.mistyped` (every group fits for itself and not all together: the first line is wrong).
    """
    stripped = text.lstrip("\ufeff").strip()
    if len(text) > MAX_TEXT or not stripped.isascii():
        raise DecodeError("token", "token.malformed")
    if stripped[: len(SCHEME)].lower() == SCHEME:
        stripped = stripped[len(SCHEME) :].lstrip()
    address = _LINE.match(stripped.lower())
    if address is None:
        raise DecodeError("token", "token.malformed")
    rest = stripped[address.end() :]
    if not rest or not (rest[0] == "/" or rest[0].isspace()):
        raise DecodeError("token", "token.malformed")
    data = _data(rest[1:])
    try:
        token = Token(
            address["device"],
            address["host"].strip("[]"),
            int(address["port"]),
            data[: _PART * _DATA],
            data[_PART * _DATA : 2 * _PART * _DATA],
        )
    except ValueError:
        raise DecodeError("token", "token.address") from None
    if not secrets.compare_digest(_seal(token), data[2 * _PART * _DATA :]):
        raise DecodeError("token", "token.mistyped")
    return token


def _data(text: str) -> str:
    """The groups' characters without their checks. Raises `DecodeError`."""
    characters = "".join(text.replace("-", " ").split()).upper().translate(_FORGIVEN)
    whole = _GROUPS * (_DATA + 1)
    for number in range(_GROUPS):
        group = characters[number * (_DATA + 1) : (number + 1) * (_DATA + 1)]
        if len(group) < _DATA + 1:
            raise DecodeError("token", "token.length", f"{len(characters)}/{whole}")
        if not set(group) <= set(_ALPHABET) or _check(group[:_DATA], number) != group[_DATA]:
            raise DecodeError("token", "token.group", str(number + 1))
    if len(characters) > whole:
        raise DecodeError("token", "token.length", f"{len(characters)}/{whole}")
    return "".join(
        characters[number * (_DATA + 1) : number * (_DATA + 1) + _DATA] for number in range(_GROUPS)
    )


def _check(group: str, number: int) -> str:
    """The check character: a polynomial over GF(32), whose weights all differ.

    So one wrong character, two swapped ones and two swapped groups are always found, anything else in 31 of 32 cases.
    """
    value = number + 1
    for character in group:
        value = _doubled(value) ^ _ALPHABET.index(character)
    return _ALPHABET[_doubled(value)]


def _doubled(value: int) -> int:
    """Times x in GF(2)[x]/(x⁵+x²+1), where x generates all 31 elements but nought."""
    value <<= 1
    return value ^ 0b100101 if value & 0b100000 else value


def _seal(token: Token) -> str:
    """Twenty-five bits over everything, the first line included."""
    everything = f"{token.address_line}\n{token.secret}{token.voucher}"
    return _base32(int.from_bytes(hashlib.sha256(everything.encode()).digest()[:4]) >> 7, _DATA)


def _base32(value: int, length: int) -> str:
    return "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(length)))


def _valid_host(host: str) -> bool:
    try:
        return str(ipaddress.ip_address(host)) == host
    except ValueError:
        return len(host) <= _MAX_HOST and _HOST.fullmatch(host) is not None
