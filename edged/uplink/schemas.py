"""JSON Schemas (2020-12) of the signed payloads, made from the structs that the code itself decodes with.

`python -m edged.uplink.schemas docs/schemas` writes the published files; a test fails when they are stale.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from edged.privacy.policy import CEILING, WITHHELD
from edged.uplink.envelope import EnvelopePayload, Receipt

FILES: Final = ("verdict.schema.json", "receipt.schema.json")

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_VERDICT_FIELDS: Final = {
    "iss": "the device that signed: the name in its certificate and in the topic",
    "fleet": "the fleet the device belongs to",
    "log_id": "drawn when a box's database is made; with iss and audience it names the stream",
    "audience": "the organisation this envelope is for",
    "seq": "number in the stream, from 1 without holes",
    "prev": "hex SHA-256 of the envelope before it in the stream (the whole JWS, ASCII); null for the first",
    "jti": "random, unique to this envelope",
    "iat": "when it was committed, seconds since 1970-01-01 UTC",
    "clock": "whether the box's clock could be believed: iat and the expiry check rest on it",
    "kind": "live, or a test or training that says nothing about anybody",
    "scene": "what the document was read for",
    "reference": "the caller's own transaction reference, as it was given",
    "purpose": "the caller's own purpose, as it was given",
    "operator": "the caller's own name or pseudonym for the clerk, as it was given",
    "result": "follows from the mandatory checks alone",
    "checks": "every check, how much it counts in this scene, its outcome, and why",
    "document": "what kind of document was read",
    "claims": "what this audience's policy discloses, de-identified; null with a reason under withheld",
    "provenance": "device role (head, camera, chip) to the device that took the part",
    "config_version": "the operator's name of the configuration in force",
    "software_version": "the version of edged",
}

_RECEIPT_FIELDS: Final = {
    "iss": "the collector that signed: the name in its certificate",
    "fleet": "the fleet the collector belongs to",
    "device": "the device whose envelopes are stored",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "ranges": "runs of envelopes that are stored for good: only these may the device forget",
}

_CLAIM_VALUES: Final = {"age_over_18": "boolean"}


def verdict_schema() -> dict[str, Any]:
    """The schema of a verdict message's payload."""
    schema = _schema(EnvelopePayload, "EnvelopePayload", FILES[0], _VERDICT_FIELDS)
    payload = schema["$defs"]["EnvelopePayload"]
    names = [claim for claim, action in CEILING.items() if action is not None]
    claims = {claim: {"type": [_CLAIM_VALUES.get(claim, "string"), "null"]} for claim in names}
    codes = {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "propertyNames": {"enum": names},
    }
    payload["properties"]["claims"] = {
        "description": payload["properties"]["claims"]["description"],
        "type": "object",
        "properties": claims | {WITHHELD: codes},
        "additionalProperties": False,
    }
    return schema


def receipt_schema() -> dict[str, Any]:
    """The schema of a receipt's payload."""
    return _schema(Receipt, "Receipt", FILES[1], _RECEIPT_FIELDS)


def _schema(model: type, name: str, file: str, descriptions: dict[str, str]) -> dict[str, Any]:
    made = msgspec.json.schema(model)
    for schema in made["$defs"].values():
        schema["description"] = inspect.cleandoc(schema["description"])
    for field, schema in made["$defs"][name]["properties"].items():
        schema["description"] = descriptions[field]
    return {"$schema": _DIALECT, "$id": f"urn:edged:1:{file}", **made}


def write(directory: Path) -> None:
    """Write both schemas into `directory`."""
    for file, schema in zip(FILES, (verdict_schema(), receipt_schema()), strict=True):
        (directory / file).write_text(
            json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
