"""Answers to our requests: stored envelopes and gap records as their devices sent them, then a collector's signed end.

Before what a revoked signer sent there is a collector's word on when it came (`edged.uplink.vouching`).

They come on a topic that only collectors may write to, which proves nothing: a device's word is verified as if it had
come from the device, and an end as a collector's. Takes time as an argument, does no I/O.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import sign, topics
from edged.uplink.envelope import TYP_VERDICT, OpenedEnvelope, open_envelope
from edged.uplink.gaps import TYP_GAP, OpenedGap, open_gap
from edged.uplink.intake import Incoming
from edged.uplink.replay import TYP_END, ReplayEnd, open_end
from edged.uplink.vouching import TYP_VOUCH, Vouch, open_vouch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.uplink.roles import TrustAnchor

LATE: Final = timedelta(days=3650)
"""How long after its certificate expired a device's envelope is still taken out of an archive: as long as a fleet's
root lasts. The archive took it in time, and history has to outlive the certificates of a year. What was committed by a
clock that couldn't be believed can't be shown to be older than its certificate's end, and is refused after it."""


class Answered(msgspec.Struct, frozen=True):
    """One message of an answer, verified or refused."""

    incoming: Incoming
    request: str
    """The name of the request, from the topic."""
    found: OpenedEnvelope | OpenedGap | ReplayEnd | Vouch | None
    code: str | None = None
    """Why nothing is found in it."""

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the whole message."""
        return hashlib.sha256(self.incoming.payload).hexdigest()


def is_answer(topic: str, fleet: str, audience: str) -> bool:
    """Whether messages on `topic` answer something that `audience` has asked."""
    try:
        topics.parse_replay_answer(topic, fleet, audience)
    except DecodeError:
        return False
    return True


def open_answer(
    message: Incoming,
    *,
    anchor: TrustAnchor,
    now: datetime,
    audience: str,
    vouched: Mapping[str, int] = MappingProxyType({}),
) -> Answered:
    """Verify a message for which `is_answer` holds; whatever its bytes, this answers.

    `vouched`: SHA-256 of messages to the second at which a collector had got them, by its signed word.
    """
    request = topics.parse_replay_answer(message.topic, anchor.fleet, audience)
    at = vouched.get(hashlib.sha256(message.payload).hexdigest()) if vouched else None
    arrived = None if at is None else datetime.fromtimestamp(at, UTC)
    try:
        return Answered(message, request, _open(message.payload, request, anchor, now, audience, arrived))
    except SignatureRefusedError as error:
        return Answered(message, request, None, error.code)


def _open(
    payload: bytes,
    request: str,
    anchor: TrustAnchor,
    now: datetime,
    audience: str,
    arrived: datetime | None,
) -> OpenedEnvelope | OpenedGap | ReplayEnd | Vouch:
    match sign.claimed_type(payload):
        case str(typ) if typ == TYP_VERDICT:
            return open_envelope(
                payload, anchor=anchor, at=now, audience=audience, late=LATE, arrived=arrived
            )
        case str(typ) if typ == TYP_GAP:
            return open_gap(payload, anchor=anchor, at=now, audience=audience, late=LATE, arrived=arrived)
        case str(typ) if typ == TYP_END:
            end = open_end(payload, anchor=anchor, at=now, audience=audience)
            if end.request != request:
                raise SignatureRefusedError("replay.wrong_request")
            return end
        case str(typ) if typ == TYP_VOUCH:
            vouch = open_vouch(payload, anchor=anchor, at=now, audience=audience)
            if vouch.request != request:
                raise SignatureRefusedError("replay.wrong_request")
            return vouch
        case _:
            raise SignatureRefusedError("jws.wrong_type")
