"""The web page that verifies slips, as files: the package's own, and what of the fleet is baked into them.

One source of truth: the page's sentences are the catalogue's, its words and their numbers the registry's. Pure but for the
package's data.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from edged import messages
from edged.errors import SlipError
from edged.slip import registry
from edged.slip.content import GROUPS
from edged.uplink.roles import TrustAnchor, load_chain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FLEET_FILE: Final = "fleet.json"
TEXTS_FILE: Final = "texts.json"

_AREAS: Final = ("slip.", "slip_page.", "result.", "document_class.", "scene.")
"""Of the catalogue: what the page and the lines of a slip are made of."""

_WORD: Final = "word."
_SHORT: Final = 3
"""Characters of an issuer, the one text of a slip's facts that becomes part of a sentence."""

_FILLED: Final = ("index.html", "sw.js")
_PLACEHOLDER: Final = re.compile(r"\{(version|slip_page\.[a-z_]+)\}")
_ADDRESS: Final = re.compile(r"https://[^\s#?\"<>]{1,400}", re.IGNORECASE)


class PageFleet(msgspec.Struct, frozen=True, kw_only=True):
    """`fleet.json`: whom the page believes."""

    format: Literal[1] = 1
    fleet: str
    demo: bool
    anchors: tuple[str, ...]
    """The fleet's root certificates: DER in base64."""
    revoked: tuple[str, ...]
    """SHA-256 of certificates that the fleet's offline keys have revoked."""
    address: str | None
    """Where the page lies, for people who compare it with the address bar."""


def fleet_of(roots_pem: bytes, revoked: Iterable[str] = (), address: str | None = None) -> PageFleet:
    """What is baked into a fleet's page.

    Raises `CertificateError` for roots that are none, `SlipError` (`slip_page.bad_address`).
    """
    if address is not None and not _ADDRESS.fullmatch(address):
        raise SlipError("slip_page.bad_address")
    anchor = TrustAnchor.from_pem(roots_pem)
    roots = load_chain(roots_pem)
    return PageFleet(
        fleet=anchor.fleet,
        demo=anchor.demo,
        anchors=tuple(base64.b64encode(root.public_bytes(Encoding.DER)).decode() for root in roots),
        revoked=tuple(sorted(set(revoked))),
        address=address,
    )


def files(fleet: PageFleet) -> dict[str, bytes]:
    """The whole page, name to content; the same input gives the same bytes."""
    found = {
        entry.name: entry.read_bytes()
        for entry in sorted(
            resources.files("edged.slip").joinpath("page").iterdir(), key=lambda one: one.name
        )
        if entry.is_file()
    }
    found[FLEET_FILE] = msgspec.json.encode(fleet)
    found[TEXTS_FILE] = msgspec.json.encode(texts())
    version = _version(found)
    for name in _FILLED:
        found[name] = _PLACEHOLDER.sub(
            lambda match: _filling(match[1], version), found[name].decode()
        ).encode()
    return found


def texts() -> dict[str, object]:
    """`texts.json`: sentences by code, a slip's words by their numbers, and which checks share a line."""
    catalogue = messages.catalogue()
    chosen = {code: dict(entry) for code, entry in catalogue.items() if _needed(code)}
    numbers = ("RESULTS", "KINDS", "SCENES", "CLASSES", "CHECKS", "READ", "TOLD")
    words: dict[str, object] = {
        name.lower(): {str(word): number for word, number in getattr(registry, name).items()}
        for name in numbers
    }
    return {
        "texts": chosen,
        "registry": words | {"max_checks": registry.MAX_CHECKS},
        "groups": {group: list(names) for group, names in GROUPS.items()},
    }


def _needed(code: str) -> bool:
    return code.startswith(_AREAS) or (code.startswith(_WORD) and code in _reachable_words())


def _reachable_words() -> frozenset[str]:
    """Entries for words that a text of a slip can be: `messages.text` translates whatever fills a sentence."""
    told = {
        text
        for code, entry in messages.catalogue().items()
        if code.startswith("slip.told_")
        for text in entry.values()
    }
    return frozenset(
        code
        for code in messages.catalogue()
        if code.startswith(_WORD) and (len(code) <= len(_WORD) + _SHORT or code.removeprefix(_WORD) in told)
    )


def _filling(name: str, version: str) -> str:
    if name == "version":
        return version
    zh, en = (messages.shipped(name, lang) for lang in ("zh-CN", "en"))
    return f"{zh} · {en}"


def _version(found: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(found.items()):
        digest.update(f"{name}\n{len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]
