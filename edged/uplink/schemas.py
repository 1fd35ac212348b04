"""JSON Schemas (2020-12) of the signed payloads and of a push, made from the structs that the code itself decodes with.

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
from edged.uplink.acceptance import Acceptance
from edged.uplink.bundle import Bundle
from edged.uplink.command import Command, Reply
from edged.uplink.directory import DirectoryHead, DirectoryPage
from edged.uplink.envelope import EnvelopePayload
from edged.uplink.gaps import GapPayload
from edged.uplink.receipts import Receipt
from edged.uplink.replay import ReplayEnd, ReplayRequest
from edged.uplink.reported import Reported
from edged.uplink.slip_status import SlipList, SlipStatus
from edged.uplink.vouching import Vouch

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
    "policy": "which policy made the claims, and the hash of its canonical form",
    "consent": "whether the holder consented, and to which notice; null where the policy needs none",
    "encrypted": "the claims, sealed to the audience; then claims is empty",
    "record_id": "what the recipient's acceptance or correction of the record names",
    "record": "a full record, sealed to a recipient with a statutory duty",
    "slip": "number of the feedback slip offered with it; null for none",
}

_RECEIPT_FIELDS: Final = {
    "iss": "the collector that signed: the name in its certificate",
    "fleet": "the fleet the collector belongs to",
    "device": "the device whose envelopes are stored",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "ranges": "runs of envelopes that are stored for good: only these may the device forget",
    "gaps": "hex SHA-256 (of the whole JWS, ASCII) of gap records that are stored for good",
    "refused": "hex SHA-256 of messages that were not stored and, as things stand, never will be; and why",
}

_GAP_FIELDS: Final = {
    "iss": "the device that signed: the name in its certificate and in the topic",
    "fleet": "the fleet the device belongs to",
    "log_id": "with iss and audience it names the stream",
    "audience": "the organisation the envelopes were for",
    "first": "the first number that will not come",
    "last": "the last; null when nobody can tell: nothing from first on that isn't archived will come",
    "sha256": "hex SHA-256 over the raw hashes of those envelopes, in order; null when they can't be read",
    "reason": "pushed out by the box's bounds (too_many_bytes, too_old), refused for good, or unreadable",
    "code": "for refused: what broker or collector said, as a code of the message catalogue",
    "jti": "random, unique to this record",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "clock": "whether the box's clock could be believed",
    "software_version": "the version of edged",
}

_REQUEST_FIELDS: Final = {
    "iss": "the audience that asks: the name in its certificate and in the topic",
    "fleet": "the fleet it belongs to",
    "request": "the asker's own name for this request: the last level of the topic of the answer",
    "iat": "when it was signed, seconds since 1970-01-01 UTC; refused when far from the collector's clock",
    "spans": "runs of streams that are wanted; empty to ask which streams there are",
    "after": "without spans: list the streams after this one; null for the first",
    "limit": "how many envelopes and gap records the answer may have",
}

_END_FIELDS: Final = {
    "iss": "the collector that signed",
    "fleet": "the fleet it belongs to",
    "audience": "who had asked",
    "request": "the name of the request",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "request_sha256": "hex SHA-256 of the request (the whole JWS, ASCII)",
    "sent": "envelopes and gap records sent before this",
    "more": "what is left of the spans when limit ended the page: ask for these next",
    "streams": "for a request without spans: the streams there are",
    "more_streams": "whether there are streams after the last of those",
}

_BUNDLE_FIELDS: Final = {
    "format": "the version of this form",
    "metadata": "TUF metadata files by name (2.root.json, timestamp.json, …), as text: signed, byte for byte",
    "targets": "the small target files that the metadata vouches for, by target path, as text",
}

_REPORTED_FIELDS: Final = {
    "iss": "the device that signed: the name in its certificate and in the topic",
    "fleet": "the fleet the device belongs to",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "push": "which push this is about; 0 for none, or for one whose number couldn't be read",
    "outcome": "what became of it; applied, rejected and rolled_back are final",
    "running": "the operator's name of the configuration in force, as every envelope carries it",
    "running_push": "the push it came with; 0 for the boot file alone",
    "code": "why it was rejected or rolled back, as a code of the message catalogue",
    "path": "rejected: the path of the bad key in the document, or the metadata's role",
    "probe": "rolled back: the probe that failed",
    "fetched": "staged: per cent of the artefacts' bytes that have come",
    "software": "the version of edged that runs",
}

_COMMAND_FIELDS: Final = {
    "iss": "the admin that signed: the name in its certificate",
    "fleet": "the fleet the admin belongs to",
    "device": "the device that is told; equals the level of the topic",
    "id": "random, the admin's own name for this command: the last level of the answer's topic",
    "name": "what is to be done; equals the last level of the topic",
    "args": "what the command is given; whatever isn't given has its default",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "exp": "when it ends, an hour later at most: afterwards it is refused",
}

_REPLY_FIELDS: Final = {
    "iss": "the device that signed: the name in its certificate and in the topic",
    "fleet": "the fleet the device belongs to",
    "id": "the command's",
    "command_sha256": "hex SHA-256 of the command that is answered (the whole JWS, ASCII)",
    "name": "the command's",
    "iat": "when the command was answered by the device's own clock, which may be wrong",
    "code": "ok, or why not, as a code of the message catalogue",
    "result": "what there is to say; a restart says restarted false when it begins, and true when it is over",
    "part": "one piece of a file that is too large for a message; null without a file",
}

_VOUCH_FIELDS: Final = {
    "iss": "the collector that signed",
    "fleet": "the fleet it belongs to",
    "audience": "who had asked",
    "request": "the name of the request that is answered",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "received": "messages of the answer whose signer was revoked since, and when the archive got each",
}

_DIRECTORY_FIELDS: Final = {
    "iss": "the admin who signed: the name in its certificate",
    "fleet": "the fleet it is about",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "exp": "until when it says who belongs; whom it revokes stays revoked",
    "version": "greater than that of every directory before it: refuse a smaller one than you hold",
    "anchors": "hex SHA-256 of the DER of each certificate of the fleet's CA",
    "collectors": "who signs receipts and ends of replays",
    "audiences": "who gets verdicts, and signs requests",
    "admins": "who signs directories and commands",
    "certificates": "revoked certificates of others than boxes",
    "revoked": "revoked others than boxes",
    "devices": "how many boxes are on the pages",
    "pages": "hex SHA-256 of each page, in order: without all of them the directory isn't whole",
}

_ACCEPTANCE_FIELDS: Final = {
    "iss": "the device that signed: the name in its certificate",
    "fleet": "the fleet the device belongs to",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "clock": "whether the box's clock could be believed",
    "technician": "whoever tested, as they called themselves",
    "software": "the version of edged",
    "config_version": "the operator's name of the configuration in force",
    "result": "follows from the steps: failed when any did, incomplete when any was skipped, else passed",
    "simulated": "whether any device was: then nothing of it says anything about hardware",
    "devices": "device role (head, camera, chip, …) to the device that was tested",
    "steps": "every step in order: what was tested, how it ended, why, and what was measured",
}

_PAGE_FIELDS: Final = {
    "devices": "boxes, with their current signing keys",
    "certificates": "revoked certificates of boxes",
    "revoked": "revoked boxes",
    "former": "keys of boxes that sign no more, for slips that they signed; left out when there are none",
}

_SLIPS_FIELDS: Final = {
    "iss": "the device that signed: the name in its certificate and in the topic",
    "fleet": "the fleet the device belongs to",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "exp": "when a new one should have come; what this one says stays true",
    "withdrawn": "slips of this device that hold no more, and when each would have expired",
    "superseded": "slips of this device that others replaced",
}

_SLIP_STATUS_FIELDS: Final = {
    "iss": "the collector that signed: the name in its certificate",
    "fleet": "the fleet it is about",
    "iat": "when it was signed, seconds since 1970-01-01 UTC",
    "exp": "later than this nobody knows whether a slip that isn't listed still holds",
    "devices": "by the name of the device that signed a slip: when it was heard, and which of its slips hold no more",
}

_CLAIM_VALUES: Final = {"age_over_18": "boolean"}


def verdict_schema() -> dict[str, Any]:
    """The schema of a verdict message's payload."""
    schema = _schema(EnvelopePayload, _VERDICT_FILE, _VERDICT_FIELDS)
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


_OTHERS: Final[dict[str, tuple[type, dict[str, str]]]] = {
    "receipt.schema.json": (Receipt, _RECEIPT_FIELDS),
    "gap.schema.json": (GapPayload, _GAP_FIELDS),
    "replay-request.schema.json": (ReplayRequest, _REQUEST_FIELDS),
    "replay-end.schema.json": (ReplayEnd, _END_FIELDS),
    "bundle.schema.json": (Bundle, _BUNDLE_FIELDS),
    "reported.schema.json": (Reported, _REPORTED_FIELDS),
    "command.schema.json": (Command, _COMMAND_FIELDS),
    "reply.schema.json": (Reply, _REPLY_FIELDS),
    "replay-vouch.schema.json": (Vouch, _VOUCH_FIELDS),
    "directory.schema.json": (DirectoryHead, _DIRECTORY_FIELDS),
    "acceptance.schema.json": (Acceptance, _ACCEPTANCE_FIELDS),
    "directory-page.schema.json": (DirectoryPage, _PAGE_FIELDS),
    "slips.schema.json": (SlipList, _SLIPS_FIELDS),
    "slip-status.schema.json": (SlipStatus, _SLIP_STATUS_FIELDS),
}

_VERDICT_FILE: Final = "verdict.schema.json"

FILES: Final = (_VERDICT_FILE, *_OTHERS)


def _schema(model: type, file: str, descriptions: dict[str, str]) -> dict[str, Any]:
    made = msgspec.json.schema(model)
    for schema in made["$defs"].values():
        schema["description"] = inspect.cleandoc(schema["description"])
    for field, schema in made["$defs"][model.__name__]["properties"].items():
        schema["description"] = descriptions[field]
    return {"$schema": _DIALECT, "$id": f"urn:edged:1:{file}", **made}


def write(directory: Path) -> None:
    """Write all schemas into `directory`."""
    made = {_VERDICT_FILE: verdict_schema()}
    made |= {file: _schema(model, file, fields) for file, (model, fields) in _OTHERS.items()}
    for file, schema in made.items():
        (directory / file).write_text(
            json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
