"""HTTP/1.1 (RFC 9112) as the enrolment service needs it: one request a connection, bounded, without chunks. No I/O."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edged.errors import DecodeError
from edged.uplink.est import MAX_REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http import HTTPStatus

MAX_HEAD: Final = 8 * 1024
"""Bytes of the request line and the headers together: a request of ours has some 300."""

MAX_HEADERS: Final = 64

END_OF_HEAD: Final = b"\r\n\r\n"

_REQUEST_LINE: Final = re.compile(rb"(GET|POST) (/[!-~]{0,255}) HTTP/1\.[01]")
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}):[ \t]*([\t -~]{0,4096}?)[ \t]*")


class Head(msgspec.Struct, frozen=True):
    """The request line and the headers, their names in small letters. `repr` shows no header: one is a password."""

    method: Literal["GET", "POST"]
    path: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Head({self.method} {self.path})"

    @property
    def length(self) -> int:
        """Bytes of the body. Raises `DecodeError` (`enrol.request_malformed`, `enrol.too_large`)."""
        if "transfer-encoding" in self.headers:
            raise DecodeError("request", "enrol.request_malformed")
        text = self.headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise DecodeError("request", "enrol.request_malformed")
        if int(text) > MAX_REQUEST:
            raise DecodeError("request", "enrol.too_large")
        return int(text)

    @property
    def basic(self) -> tuple[str, str] | None:
        """User and password of HTTP Basic (RFC 7617); None where there is nothing usable."""
        scheme, _, rest = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return (user, password) if colon else None

    @property
    def media_type(self) -> str:
        """The body's type without parameters, in small letters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_head(data: bytes) -> Head:
    """Everything before the body, the empty line included. Raises `DecodeError` (`enrol.request_malformed`)."""
    lines = data.removesuffix(END_OF_HEAD).split(b"\r\n")
    first = _REQUEST_LINE.fullmatch(lines[0])
    if len(data) > MAX_HEAD or first is None or len(lines) - 1 > MAX_HEADERS:
        raise DecodeError("request", "enrol.request_malformed")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        found = _HEADER.fullmatch(line)
        name = found[1].decode().lower() if found else ""
        if found is None or name in headers:  # a header given twice would be read in two ways
            raise DecodeError("request", "enrol.request_malformed")
        headers[name] = found[2].decode()
    method: Literal["GET", "POST"] = "GET" if first[1] == b"GET" else "POST"
    return Head(method, first[2].decode(), headers)


def answer(status: HTTPStatus, media_type: str, body: bytes, more: Mapping[str, str] | None = None) -> bytes:
    """A whole answer, after which the connection ends."""
    headers = {
        "Content-Type": media_type,
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Cache-Control": "no-store",
        **(more or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + body
