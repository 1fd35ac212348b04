"""What is wrong with a message, step by step: the verifiers' own answer, and behind it what an integrator can do.

Every message is judged by the same functions that judge it in service; their code says which step failed, and those
before it hold. Nothing here prints what a message claims about anybody. Takes time as an argument, does no I/O.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from edged.errors import DecodeError, SignatureRefusedError
from edged.partner.explaining import Hint, expected_kinds, explain, safe
from edged.partner.unwrapping import Unwrapped, Wrapping, unwrap
from edged.uplink import sign, topics
from edged.uplink.envelope import TYP_VERDICT, open_envelope
from edged.uplink.gaps import TYP_GAP, open_gap
from edged.uplink.names import Principal, Role
from edged.uplink.receipts import TYP_RECEIPT, open_receipt
from edged.uplink.record_reply import TYP_RECORD_REPLY, open_record_reply
from edged.uplink.replay import TYP_END, TYP_REQUEST, open_end, open_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edged.uplink.roles import TrustAnchor

Step = Literal["found", "form", "header", "kind", "certificate", "role", "signature", "content", "names"]

STEPS: Final[tuple[Step, ...]] = (
    "found",
    "form",
    "header",
    "kind",
    "certificate",
    "role",
    "signature",
    "content",
    "names",
)
"""In the order in which messages are judged."""

_STEP_OF: Final[dict[str, Step]] = {
    "jws.too_large": "form",
    "jws.malformed": "form",
    "jws.header_refused": "header",
    "jws.wrong_algorithm": "header",
    "jws.wrong_type": "kind",
    "jws.no_certificate": "certificate",
    "jws.too_many_certificates": "certificate",
    "cert.wrong_role": "role",
    "jws.signature_wrong": "signature",
    "envelope.malformed": "content",
    "envelope.broken_stream": "content",
    "envelope.live_from_demo": "content",
    "envelope.live_from_simulated": "content",
    "gap.malformed": "content",
    "receipt.malformed": "content",
    "replay.malformed": "content",
    "record_reply.malformed": "content",
    "record_reply.too_large": "form",
}
"""Which step a refusal belongs to; of other codes those of certificates are the certificate's, the rest the names'."""

KIND_OF: Final = {
    TYP_VERDICT: "verdict",
    TYP_GAP: "gap",
    TYP_RECEIPT: "receipt",
    TYP_RECORD_REPLY: "record_reply",
    TYP_REQUEST: "replay_request",
    TYP_END: "replay_end",
}


NOT_LATE: Final = timedelta(0)
"""As `edged verify` has it: what counts is the moment that is asked about."""


class Report(msgspec.Struct, frozen=True):
    """How a message was judged. `failed` is the first step that failed, `code` why; None when all hold."""

    kind: str | None
    failed: Step | None
    code: str | None
    hints: tuple[Hint, ...]
    wrappings: tuple[Wrapping, ...]
    """What was around the message: a mistake of its own, even where all the rest holds."""
    reached: tuple[Step, ...]
    """Steps that hold."""
    signed_by: str | None = None
    sha256: str | None = None
    place: str | None = None
    """Which message of its kind it is: stream and number, device, or request."""

    @property
    def good(self) -> bool:
        """Whether the message, exactly as it was given, is one to rely on."""
        return self.failed is None and not self.wrappings


def check(
    data: bytes,
    *,
    anchor: TrustAnchor,
    at: datetime,
    arrived: datetime | None = None,
    audience: str | None = None,
    topic: str | None = None,
) -> Report:
    """Judge what somebody calls a message. `topic`: what it came on, unless that stands beside it in `data`.

    `arrived`: when it came, by the word of who asks (`sign.verify`).
    """
    unwrapped = unwrap(data)
    named = tuple(Wrapping(one.code, safe(one.field) if one.field else "") for one in unwrapped.wrappings)
    unwrapped = msgspec.structs.replace(unwrapped, wrappings=named)
    topic = topic or unwrapped.topic
    if unwrapped.message is None:
        return _refused(unwrapped, None, "found", unwrapped.code or "check.no_message", ())
    message = unwrapped.message
    kind: str | None = None
    try:
        kind = KIND_OF.get(sign.claimed_type(message))
        wanted = expected_kinds(topic, anchor.fleet)
        if kind is None or (wanted and kind not in wanted):
            raise SignatureRefusedError("jws.wrong_type")
        parties = _parties(message, kind, topic, anchor, audience)
        opened = _open(kind, message, _Moment(anchor, at, arrived), *parties)
    except DecodeError as error:
        return _refused(unwrapped, kind, "names", error.code, (Hint("check.topics"),))
    except SignatureRefusedError as error:
        step = _STEP_OF.get(error.code) or ("certificate" if error.code.startswith("cert.") else "names")
        hints = explain(message, error, step=step, kind=kind, topic=topic, anchor=anchor)
        return _refused(unwrapped, kind, step, error.code, hints)
    hints = (Hint("check.topic_would_say_more"),) if topic is None else ()
    return Report(kind, None, None, hints, unwrapped.wrappings, STEPS, *opened)


def _refused(
    unwrapped: Unwrapped, kind: str | None, step: Step, code: str, hints: tuple[Hint, ...]
) -> Report:
    return Report(kind, step, code, hints, unwrapped.wrappings, STEPS[: STEPS.index(step)])


def _parties(
    message: bytes, kind: str, topic: str | None, anchor: TrustAnchor, audience: str | None
) -> tuple[str | None, str | None]:
    """(audience, device) that the message has to be of: from the topic, else what the caller or it itself says."""
    device: str | None = None
    if topic is not None:
        if kind in ("verdict", "gap") and not _is_answer(topic, anchor.fleet):
            place = topics.parse_stream(topic, anchor.fleet)
            return _same(audience, place.audience), place.device
        if kind == "receipt":
            device = topic.split("/")[3]
        elif kind == "record_reply":
            device = topic.split("/")[3]
            audience = _same(audience, topics.parse_record(topic, anchor.fleet, device))
        elif kind == "replay_request":
            audience = _same(audience, topics.parse_replay_request(topic, anchor.fleet))
        else:
            audience = _same(audience, topic.split("/")[4])
    claimed = _claimed(message)
    if kind == "receipt":
        device = device or claimed("device")
    elif kind == "record_reply":
        device = device or claimed("device")
        audience = audience or claimed("iss")
    elif kind == "replay_request":
        audience = audience or claimed("iss")
    elif kind == "replay_end":
        audience = audience or claimed("audience")
    return audience, device


def _same(wanted: str | None, found: str) -> str:
    if wanted not in (None, found):
        raise SignatureRefusedError("envelope.wrong_audience")
    return found


def _is_answer(topic: str, fleet: str) -> bool:
    levels = topic.split("/")
    return len(levels) == 6 and topic.startswith(f"{topics.PREFIX}/{fleet}/replay/")


def _claimed(message: bytes) -> Callable[[str], str]:
    try:
        payload = msgspec.json.decode(sign.unverified_payload(message))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        payload = None

    def claimed(name: str) -> str:
        value = payload.get(name) if isinstance(payload, dict) else None
        return value if isinstance(value, str) else ""

    return claimed


class _Moment(NamedTuple):
    """By whose word, and for when, a message is judged."""

    anchor: TrustAnchor
    at: datetime
    arrived: datetime | None


def _open(
    kind: str, message: bytes, judged: _Moment, audience: str | None, device: str | None
) -> tuple[str, str, str]:
    """(who signed, SHA-256, which one it is) of a message that holds. Raises `SignatureRefusedError`."""
    anchor, at, arrived = judged
    sha256 = hashlib.sha256(message).hexdigest()
    match kind:
        case "verdict":
            verdict = open_envelope(
                message, anchor=anchor, at=at, audience=audience, device=device, arrived=arrived
            ).payload
            place = f"{verdict.iss} {verdict.log_id} {verdict.seq}"
            return _uri(verdict.fleet, Role.DEVICE, verdict.iss), sha256, place
        case "gap":
            opened = open_gap(
                message,
                anchor=anchor,
                at=at,
                audience=audience,
                device=device,
                late=NOT_LATE,
                arrived=arrived,
            )
            gap = opened.payload
            place = f"{gap.iss} {gap.log_id} {gap.first}-{'…' if gap.last is None else gap.last}"
            return _uri(gap.fleet, Role.DEVICE, gap.iss), sha256, place
        case "receipt":
            receipt = open_receipt(message, anchor=anchor, at=at, device=device or "")
            return _uri(receipt.fleet, Role.COLLECTOR, receipt.iss), sha256, receipt.device
        case "record_reply":
            reply = open_record_reply(message, anchor=anchor, at=at, device=device or "", audience=audience)
            return _uri(reply.fleet, Role.AUDIENCE, reply.iss), sha256, f"{reply.device} {reply.record_id}"
        case "replay_request":
            request = open_request(message, anchor=anchor, at=at, audience=audience or "").request
            return _uri(request.fleet, Role.AUDIENCE, request.iss), sha256, request.request
        case _:
            end = open_end(message, anchor=anchor, at=at, audience=audience or "")
            return _uri(end.fleet, Role.COLLECTOR, end.iss), sha256, end.request


def _uri(fleet: str, role: Role, name: str) -> str:
    return Principal(fleet, role, name).uri
