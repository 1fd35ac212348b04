"""PKCS#11 URIs (RFC 7512): which key in which token, through which module, with the PIN from which file.

    pkcs11:token=edged;object=verdicts?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/edged/pin

A PIN itself (`pin-value`) is refused: a boot file is no place for secrets. Does no I/O.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from edged.errors import DecodeError

SCHEME: Final = "pkcs11:"

MAX_URI: Final = 1024
"""A token's label has 32 characters, an object's a few dozen; paths are the rest."""

_FIELDS: Final[dict[str, str]] = {
    "token": "token",
    "manufacturer": "manufacturer",
    "model": "model",
    "serial": "serial",
    "object": "label",
    "id": "identifier",
}
"""Path attributes that are understood (RFC 7512 §2.3), and where they go."""

_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_ALLOWED: Final = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,/?|]|%[0-9A-Fa-f]{2})*")


class Pkcs11Uri(msgspec.Struct, frozen=True):
    """What a URI says."""

    module: Path
    """The vendor's shared library."""
    pin: Path | None = None
    """File with the PIN, mode 0600; None for a token that asks for none."""
    token: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    label: str | None = None
    identifier: bytes | None = None
    """CKA_ID. Best left out: renewal makes a key with another one, and the certificate tells which is in use."""


def parse(text: str) -> Pkcs11Uri:
    """The URI's parts.

    Raises `DecodeError`: `pkcs11.malformed` (`detail` names the attribute), `pkcs11.no_module`, `pkcs11.pin_in_uri`,
    `pkcs11.no_key_named`.
    """
    if len(text) > MAX_URI or not text.startswith(SCHEME):
        raise DecodeError("pkcs11", "pkcs11.malformed")
    path, _, query = text[len(SCHEME) :].partition("?")
    named = _attributes(path, ";")
    asked = _attributes(query, "&")
    if "pin-value" in asked:
        raise DecodeError("pkcs11", "pkcs11.pin_in_uri")
    if named.pop("type", b"private") != b"private":
        raise DecodeError("pkcs11", "pkcs11.malformed", "type")
    module, pin = asked.pop("module-path", b""), asked.pop("pin-source", None)
    unknown = [name for name in (*named, *asked) if name not in _FIELDS]
    if unknown:
        # RFC 7512 §2.3: what isn't understood could have told two keys apart.
        raise DecodeError("pkcs11", "pkcs11.malformed", _shown(unknown[0]))
    if not module.startswith(b"/"):
        raise DecodeError("pkcs11", "pkcs11.no_module")
    if not named.keys() & {"object", "id"}:
        raise DecodeError("pkcs11", "pkcs11.no_key_named")
    fields = {
        _FIELDS[name]: value if name == "id" else _text(value, name)
        for name, value in named.items()
        if name in _FIELDS
    }
    return Pkcs11Uri(
        module=Path(_text(module, "module-path")),
        pin=None if pin is None else _file(_text(pin, "pin-source")),
        **fields,  # type: ignore[arg-type]
    )


def _attributes(text: str, separator: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for piece in text.split(separator) if text else ():
        name, equals, value = piece.partition("=")
        if not equals or name in found or not _ALLOWED.fullmatch(value):
            raise DecodeError("pkcs11", "pkcs11.malformed", _shown(name))
        found[name] = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value).encode("latin-1")
    return found


def _text(value: bytes, name: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise DecodeError("pkcs11", "pkcs11.malformed", name) from None
    if not text or "\0" in text:
        raise DecodeError("pkcs11", "pkcs11.malformed", name)
    return text


def _file(source: str) -> Path:
    """`pin-source`: an absolute path, or a `file:` URI of one. Anything else (`|command`) isn't supported."""
    path = source.removeprefix("file:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path.startswith("/"):
        raise DecodeError("pkcs11", "pkcs11.malformed", "pin-source")
    return Path(path)


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[a-z-]{1,20}", name) else ""
