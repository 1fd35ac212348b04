"""Why a signed payload isn't in the agreed form, or not for whom it should be: by the names of its fields alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged.uplink.envelope import EnvelopePayload
from edged.uplink.fields import encode
from edged.uplink.gaps import GapPayload
from edged.uplink.receipts import Receipt
from edged.uplink.record_reply import RecordReply
from edged.uplink.replay import ReplayEnd, ReplayRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS: Final[dict[str, type[msgspec.Struct]]] = {
    "verdict": EnvelopePayload,
    "gap": GapPayload,
    "receipt": Receipt,
    "record_reply": RecordReply,
    "replay_request": ReplayRequest,
    "replay_end": ReplayEnd,
}

_FIELD: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PATH: Final = re.compile(r" - at `\$([^`]*)`")


class Hint(msgspec.Struct, frozen=True):
    """One thing to know or do: a code of the catalogue, and what fills its sentence."""

    code: str
    params: dict[str, str | int] = {}


def explain_payload(payload: bytes, kind: str, code: str) -> Iterator[Hint]:
    """What is wrong with a payload that was refused with `code`."""
    if code.endswith(".malformed"):
        yield from _form(payload, MODELS[kind])
    elif code.endswith((".wrong_audience", ".wrong_issuer", ".wrong_device", ".wrong_fleet")):
        yield Hint("check.names")
    elif code == "replay.stale":
        yield Hint("check.clock")


def _form(payload: bytes, model: type[msgspec.Struct]) -> Iterator[Hint]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        yield Hint("check.payload_not_json")
        return
    if not isinstance(value, dict):
        yield Hint("check.payload_not_object")
        return
    fields = model.__struct_fields__
    required = [field.encode_name for field in msgspec.structs.fields(model) if field.required]
    if missing := [name for name in required if name not in value]:
        yield Hint("check.fields_missing", {"names": ", ".join(missing)})
    if unknown := sorted(value.keys() - set(fields)):
        names = [name if _FIELD.fullmatch(name) else "?" for name in unknown]
        yield Hint("check.fields_unknown", {"names": ", ".join(names)})
    try:
        decoded = msgspec.json.decode(payload, type=model)
    except msgspec.ValidationError as error:
        if not missing and not unknown:
            yield Hint("check.field_wrong", {"field": _path(str(error))})
        return
    except (msgspec.DecodeError, UnicodeDecodeError):
        yield Hint("check.payload_not_json")
        return
    canonical = encode(decoded)
    if canonical != payload:
        yield from _canonical(payload, canonical, value, fields)
    else:
        yield Hint("check.fields_contradict")


def _path(text: str) -> str:
    """Where a validator found fault, without what it found: names of fields and places in lists."""
    found = _PATH.search(text)
    if found is None:
        return "?"
    steps = re.findall(r"\.([a-z][a-z0-9_]{0,39})|(\[\d{0,6}(?:\.\.\.)?\])", found[1])
    return "".join(f".{name}" if name else place for name, place in steps).removeprefix(".") or "?"


def _canonical(
    payload: bytes, canonical: bytes, value: dict[str, Any], fields: tuple[str, ...]
) -> Iterator[Hint]:
    place = next(
        (i for i, (left, right) in enumerate(zip(payload, canonical, strict=False)) if left != right),
        min(len(payload), len(canonical)),
    )
    names = re.findall(rb'"([a-z][a-z0-9_]{0,39})":', canonical[:place])
    before = names[-1].decode() if names else fields[0]
    yield Hint("check.not_canonical", {"byte": place + 1, "field": before})
    if list(value) != (order := list(json.loads(canonical))):
        yield Hint("check.field_order", {"names": ", ".join(order)})
    elif re.search(rb"[,:{\[]\s+|\s+[}\]]", payload):
        yield Hint("check.spaces")
    elif rb"\u" in payload:
        yield Hint("check.escapes")
    elif len(re.findall(rb'"[a-z_]+":', payload)) > len(re.findall(rb'"[a-z_]+":', canonical)):
        yield Hint("check.field_twice")
