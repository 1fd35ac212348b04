"""The slip's URL: what its QR code holds. `HTTPS://HOST/PATH#…`, upper case throughout for the alphanumeric mode.

The fragment is base45 with its two characters that no URL may have written as `%20` (space) and `%25` (per cent). It
never reaches a server. Phones lower the scheme and the host, people copy the fragment alone: both are understood.
"""

from __future__ import annotations

import re
from typing import Final

from edged.errors import DecodeError
from edged.slip import base45

CAPACITY: Final = 483
"""Characters of a QR code of version 13 at level M in alphanumeric mode (ISO/IEC 18004 Table 7)."""

MAX_SCANNED: Final = 2048
"""Characters of scanned text that are looked at at all: several times the longest slip, with the longest address."""

# Both are the verifying page's as well (`page/url.js`), where `\s` and letters of either case mean other characters.
_ADDRESS: Final = re.compile(r"https?://[!\"$-~]{1,400}", re.IGNORECASE | re.ASCII)
_SPACE: Final = re.compile(r"\A[\s\ufeff]+|[\s\ufeff]+\Z")
_FRAGMENT: Final = re.compile(r"(?:[0-9A-Z$*+\-./:]|%20|%25)+")


def fragment(cose: bytes) -> str:
    """The part behind the `#`."""
    return base45.encode(cose).replace("%", "%25").replace(" ", "%20")


def build(base: str, cose: bytes) -> str:
    """The whole URL: `base` (`https://host/path`, of `SlipSettings.url`) in upper case, and the slip."""
    return f"{base.upper()}#{fragment(cose)}"


def parse(text: str) -> bytes:
    """The signed slip in what was scanned, typed or copied: a whole URL, or its fragment alone (with or without `#`).

    White space around it is nothing. Raises `DecodeError`: `slip.not_a_slip` for any other text, `slip.malformed`.
    """
    if len(text) > MAX_SCANNED:
        raise DecodeError("slip", "slip.not_a_slip")
    stripped = _SPACE.sub("", text)
    before, hash_mark, behind = stripped.partition("#")
    if hash_mark:
        if before and not _ADDRESS.fullmatch(before):
            raise DecodeError("slip", "slip.not_a_slip")
        stripped = behind
    if not _FRAGMENT.fullmatch(stripped):
        raise DecodeError("slip", "slip.not_a_slip")
    return base45.decode(stripped.replace("%20", " ").replace("%25", "%"))


def is_address(text: str) -> bool:
    """Whether this is a web address at all, a slip's or another's, so that nobody takes it for a file's name."""
    return len(text) <= MAX_SCANNED and _ADDRESS.match(_SPACE.sub("", text)) is not None
