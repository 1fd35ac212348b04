"""The specimens of vectors/mrz.json, for every test that wants real lines."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

_VECTORS = json.loads((Path(__file__).parent / "vectors" / "mrz.json").read_text(encoding="utf-8"))

SPECIMENS: list[dict[str, Any]] = _VECTORS["specimens"]
TODAY = datetime.date.fromisoformat(_VECTORS["today"])


def specimen(name: str) -> list[str]:
    """The lines of the specimen whose name begins so."""
    (found,) = [entry["lines"] for entry in SPECIMENS if entry["name"].startswith(name)]
    return list(found)


RUSSIAN_PASSPORT = {
    "document_code": "PN",
    "issuing_state": "RUS",
    "nationality": "RUS",
    "surname": "WUKINA",
    "given_names": "7LI8 6DUARDOVNA",
    "document_number": "450123456",
    "birth_date": "700120",
    "sex": "F",
    "expiry_date": "",
    "optional_data": "7150620770001",
}
"""Fields of an internal passport, its names in the Latin letters and digits that stand for Cyrillic ones."""
