"""What applications and the box say to each other: one JSON object a line. Sans-IO (`docs/integration.md`).

A request is `{"v": 1, "id": 1, "method": "take", "params": {…}}`, answered by `{"v": 1, "id": 1, "result": …}` or
`{"v": 1, "id": 1, "error": {"code": …}}`; after `subscribe` come `{"v": 1, "event": …}` lines as well. The one answer
that holds raw values is not made here: `edged.handover.answer`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec

from edged.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1

MAX_LINE_BYTES: Final = 4096
"""Of a request: four references of 64 characters and their names have under 1 KiB."""

T = TypeVar("T")

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Opaque = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:/-]{1,64}$(?!\n)")]
"""As at the control socket (`edged.control_methods`): names and sentences don't slip in by mistake."""

Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
"""No further than JavaScript counts exactly."""

_INSPECTION: Final = re.compile(r"[0-9a-f]{16}")


class Request(msgspec.Struct, frozen=True):
    """One line of an application."""

    v: int
    id: Number
    """Comes back with the answer."""
    method: Annotated[str, msgspec.Meta(max_length=32)]
    params: dict[str, Any] = {}


class Inspect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `inspect`."""

    scene: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    """None: the first that the application may ask for."""
    reference: Opaque | None = None
    purpose: Opaque | None = None
    operator: Opaque | None = None
    consent: bool = False
    """That the holder was shown the notice and consents."""
    notice: Sha256 | None = None
    """Which notice: its `sha256`, as `notice` and `edged privacy notice --json` say it."""
    supersedes: Opaque | None = None
    """Number of the slip of an earlier inspection that the slip of this one stands in place of."""
    training: bool = False


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `notice`."""

    scene: Annotated[str, msgspec.Meta(max_length=32)] | None = None
    """As of `inspect`."""


class Take(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `take`."""

    inspection: Annotated[str, msgspec.Meta(max_length=64)]


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of methods that have none."""


class _Numbered(msgspec.Struct, frozen=True):
    id: Number | None = None


def parse(line: bytes) -> Request:
    """The request in `line`.

    Raises `ControlError`: `handover.not_json`, `handover.not_a_request`, `handover.unknown_version`.
    """
    try:
        request = msgspec.json.decode(line, type=Request)
    except msgspec.ValidationError:
        raise ControlError("handover.not_a_request") from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise ControlError("handover.not_json") from None
    if request.v != VERSION:
        raise ControlError("handover.unknown_version")
    return request


def number_of(line: bytes) -> int | None:
    """The `id` of a line that may be no request, where it has one."""
    try:
        return msgspec.json.decode(line, type=_Numbered).id
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def params_of(request: Request, kind: type[T]) -> T:
    """The request's parameters. Raises `ControlError` (`handover.bad_parameter`)."""
    try:
        return msgspec.convert(request.params, kind)
    except (msgspec.ValidationError, RecursionError):
        raise ControlError("handover.bad_parameter") from None


def is_inspection(text: str) -> bool:
    """Whether this could be an inspection's id: anything else is never written down, whatever it is."""
    return _INSPECTION.fullmatch(text) is not None


def answer(number: int | None, result: Any) -> bytes:
    """The line of an answer without raw values."""
    return _line({"v": VERSION, "id": number, "result": result})


def refusal(number: int | None, code: str) -> bytes:
    """The line that refuses a request, or (without `number`) the connection."""
    return _line({"v": VERSION, "id": number, "error": {"code": code}})


def event(told: Mapping[str, Any]) -> bytes:
    """The line of an event."""
    return _line({"v": VERSION, **told})


def _line(message: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def inspected(outcome: Mapping[str, Any], handover: Mapping[str, Any] | None) -> dict[str, Any]:
    """The result of `inspect`: how it ended, names of the fields that lie ready, what the holder is told of it.

    `outcome` is the station's (`edged.telling.describe`). Of reasons their codes alone: parameters may name a state.
    """
    verdict = outcome.get("verdict")
    reason = outcome.get("reason")
    return {
        "inspection": outcome["inspection"],
        "outcome": outcome["outcome"],
        "reason": None if reason is None else reason["code"],
        "result": None if verdict is None else verdict["result"],
        "checks": [] if verdict is None else [_check(check) for check in verdict["checks"]],
        "handover": handover,
        "notice": outcome.get("notice"),
    }


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": check["name"],
        "class": check["check_class"],
        "result": check["result"],
        "reasons": [reason["code"] for reason in check.get("reasons", ())],
    }


_EVENTS: Final = {
    "pressed": ("inspection", "scene"),
    "stage": ("inspection", "stage", "ms"),
    "indication": ("indication",),
    "advice": ("inspection",),
    "outcome": ("inspection", "outcome"),
}
"""What an application is told of its own inspection, out of what the control socket's subscribers are."""


def progress(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """An event of the control socket as applications hear it; None for one that is not for them."""
    kind = told.get("event")
    if kind not in _EVENTS:
        return None
    said: dict[str, Any] = {"event": kind, **{name: told[name] for name in _EVENTS[kind] if name in told}}
    if kind == "advice":
        said["reason"] = told["reason"]["code"]
    return said
