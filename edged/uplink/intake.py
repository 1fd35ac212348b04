"""Taking envelopes in: verified against the fleet's authority and their topic, then placed, a batch at a time.

What collector and partner do alike. Verifying is arithmetic and comes first; the database is held only while
placing, in one transaction, so that a batch is acknowledged when all of it is on the disk.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import topics
from edged.uplink.envelope import OpenedEnvelope, open_envelope
from edged.uplink.gaps import OpenedGap, open_gap
from edged.uplink.streams import Alarm, Outcome, RefusedAs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edged.uplink.roles import TrustAnchor
    from edged.uplink.streams import Hole, ReceiverLedger, StreamStore

BATCH: Final = 100
"""Messages in one transaction: spreads the cost of a sync over many, and bounds what is verified meanwhile."""

LATE: Final = timedelta(days=90)
"""How long after its certificate expired a device's envelopes are still taken, if they were committed before.

A box may be offline for weeks while its certificate is replaced, and what it said until then was true when it
said it. Not for ever: whoever gets hold of an old key could sign with old dates.
"""


class Incoming(msgspec.Struct, frozen=True):
    """A message as it came off the broker: nothing in it is to be believed."""

    topic: str
    payload: bytes
    lane: str | None = None
    """What the sender says of its freshness: "live" or "backlog"."""


class ReceivingStore:
    """What the archive and a partner's inbox have in common. Synchronous, of one thread; see `StreamStore`."""

    def __init__(self, store: StreamStore, anchor: TrustAnchor) -> None:
        self._store = store
        self._anchor = anchor

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def holes(self) -> list[Hole]:
        """What is missing below the highest number of each stream."""
        return self._store.holes()

    def alarms(self) -> list[Alarm]:
        """Everything that was refused."""
        return self._store.alarms()

    def ledger(self) -> ReceiverLedger:
        """Every stream, number by number."""
        return self._store.ledger()


class Checked(msgspec.Struct, frozen=True):
    """One message, verified or refused; no database has been asked yet."""

    incoming: Incoming
    found: OpenedEnvelope | OpenedGap | None
    """What it holds; None where `code` says why it is refused."""
    code: str | None = None

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the whole message."""
        return self.found.sha256 if self.found else hashlib.sha256(self.incoming.payload).hexdigest()


class Taken(msgspec.Struct, frozen=True):
    """What became of one message. `opened` is None where the signature doesn't hold."""

    incoming: Incoming
    outcome: Outcome
    opened: OpenedEnvelope | None
    alarm: Alarm | None


def check(
    messages: Sequence[Incoming], *, anchor: TrustAnchor, now: datetime, audience: str | None = None
) -> list[Checked]:
    """Verify `messages` (envelopes and gap records) against the authority and their topics: arithmetic alone.

    With `audience`, what is for anybody else is refused.
    """
    return [_check(message, anchor, now, audience) for message in messages]


def take(
    store: StreamStore,
    messages: Sequence[Incoming],
    *,
    anchor: TrustAnchor,
    now: datetime,
    body: Callable[[Incoming, OpenedEnvelope], str],
    audience: str | None = None,
    hand: Callable[[OpenedEnvelope], bool] = lambda _: False,
) -> list[Taken]:
    """Verify and place `messages`; when this returns, what it says is on the disk. Raises `StateError`.

    `body` is what to keep of a good one; `hand` whether to keep it for handing on. With `audience`,
    envelopes for anybody else are refused.
    """
    checked = check(messages, anchor=anchor, now=now, audience=audience)
    with store.batch():
        return [_place(store, one, now, body, hand) for one in checked]


def _check(message: Incoming, anchor: TrustAnchor, now: datetime, audience: str | None) -> Checked:
    try:
        place = topics.parse_stream(message.topic, anchor.fleet)
        if audience not in (None, place.audience):
            return Checked(message, None, f"{_OPENERS[place.kind][0]}.wrong_audience")
        opened = _OPENERS[place.kind][1](
            message.payload,
            anchor=anchor,
            at=now,
            audience=place.audience,
            device=place.device,
            late=LATE,
        )
    except (DecodeError, SignatureRefusedError) as error:
        return Checked(message, None, error.code)
    return Checked(message, opened)


_OPENERS: Final[dict[str, tuple[str, Callable[..., OpenedEnvelope | OpenedGap]]]] = {
    "verdict": ("envelope", open_envelope),
    "gap": ("gap", open_gap),
}


def _place(
    store: StreamStore,
    checked: Checked,
    now: datetime,
    body: Callable[[Incoming, OpenedEnvelope], str],
    hand: Callable[[OpenedEnvelope], bool],
) -> Taken:
    message, found = checked.incoming, checked.found
    if not isinstance(found, OpenedEnvelope):
        code = checked.code or "topic.not_ours"
        alarm = store.raise_alarm(code, message.topic, now=now, sha256=checked.sha256)
        return Taken(message, RefusedAs(code), None, alarm)
    outcome = store.place(found, body(message, found), now=now, hand=hand(found))
    if not isinstance(outcome, RefusedAs):
        return Taken(message, outcome, found, None)
    # The device has signed this: two stories of one device, side by side, are the proof.
    evidence = message.payload.decode("ascii")
    alarm = store.raise_alarm(outcome.code, message.topic, now=now, opened=found, evidence=evidence)
    return Taken(message, outcome, found, alarm)
