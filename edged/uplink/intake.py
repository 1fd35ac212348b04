"""Taking messages in: verified against the fleet's authority and their topic, before any database is held.

What collector and partner do alike; takes time as an argument, does no I/O but to log a defect.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edged import log
from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import topics
from edged.uplink.envelope import OpenedEnvelope, open_envelope
from edged.uplink.gaps import OpenedGap, open_gap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from edged.uplink.roles import TrustAnchor

BATCH: Final = 100
"""Messages in one transaction: spreads the cost of a sync over many, and bounds what is verified meanwhile."""

LATE: Final = timedelta(days=90)
"""How long after its certificate expired a device's envelopes are still taken, if they were committed before.

A box may be offline for weeks while its certificate is replaced, and what it said until then was true when it
said it. Not for ever: whoever gets hold of an old key could sign with old dates.
"""


DEFECT: Final = "intake.defect"
"""The code of a message over which our own check stumbled."""


class Incoming(msgspec.Struct, frozen=True):
    """A message as it came off the broker: nothing in it is to be believed."""

    topic: str
    payload: bytes
    lane: str | None = None
    """What the sender says of its freshness: "live" or "backlog"."""


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


def check(
    messages: Sequence[Incoming], *, anchor: TrustAnchor, now: datetime, audience: str | None = None
) -> list[Checked]:
    """Verify `messages` (envelopes and gap records) against the authority and their topics: arithmetic alone.

    With `audience`, what is for anybody else is refused.
    """
    return [_check(message, anchor, now, audience) for message in messages]


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
    except Exception as error:  # noqa: BLE001 - one message would end every worker it comes to, one after the other
        log.get("intake").error("a check failed; please report this", exc_info=error)
        return Checked(message, None, DEFECT)
    return Checked(message, opened)


_OPENERS: Final[dict[str, tuple[str, Callable[..., OpenedEnvelope | OpenedGap]]]] = {
    "verdict": ("envelope", open_envelope),
    "gap": ("gap", open_gap),
}
