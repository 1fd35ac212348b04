"""What the actions of `edged trust` share: where the store is, and words for what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.config import environment
from edged.core import countries
from edged.core.emrtd.issuing_states import ALPHA2, state_of

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

DEFAULT_DIRECTORY: Final = "/var/lib/edged/trust"
"""Where a box keeps its trust store."""

_OWN_CODES: Final = {code: state_of(code) for code in ("DE", "EU", "UN", "KS", "UT")}
"""Those whose MRZ has a code that ISO 3166-1 doesn't."""

_SHORT: Final = 16
"""Digits of a fingerprint that tell one certificate from all others in a list."""


def add_directory(parser: argparse.ArgumentParser) -> None:
    """`--trust DIR`, by default $EDGED_TRUST or the box's own store."""
    parser.add_argument(
        "--trust", type=Path, default=default_directory(), metavar="DIR", help="help.trust.directory"
    )


def default_directory() -> Path:
    """$EDGED_TRUST where set, otherwise the box's own store."""
    return Path(environment("EDGED_TRUST") or DEFAULT_DIRECTORY)


def state(code: str, lang: str) -> str:
    """A state by name and code: "Germany (DE)"."""
    mrz = state_of(code)
    return f"{countries.name(mrz, lang)} ({code})" if countries.known(mrz) else code or "–"


def country_of(text: str) -> str | None:
    """The code that certificates have for a state as people write it ("D", "DEU", "de" → "DE"); None for none."""
    code = text.strip().upper()
    if len(code) == len("DE") and code.isascii() and code.isalpha():
        return code
    return ALPHA2.get(code) or next((two for two, mrz in _OWN_CODES.items() if mrz == code), None)


def day(when: datetime | None) -> str:
    """A date, UTC; a dash for none."""
    return "–" if when is None else f"{when:%Y-%m-%d}"


def short(fingerprint: str) -> str:
    """The beginning of a fingerprint, enough to ask for it with."""
    return fingerprint[:_SHORT]


def spaced(fingerprint: str) -> str:
    """A whole fingerprint, in groups that can be compared by eye."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, len(fingerprint), 4))
