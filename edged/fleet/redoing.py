"""Which boxes a push is for: those that haven't got its content yet, and what others had before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from edged.fleet.rollout import IN_HAND, Limits, Rollout, begin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edged.fleet.compile import Compiled
    from edged.fleet.pushes import Pushes, PushRecord
    from edged.fleet.rollout import Record

RENEW_S: Final = 10 * 86_400
"""A push that is refused from so soon on, for its age, is made anew though its content is the same."""

AFTER_PROBATION_S: Final = 60.0
"""For the way back to the last good version, and the report of it."""

_TO_TAKE_BACK: Final = IN_HAND | {"applied", "withdrawn", "unreachable", "lost"}


def sha256(compiled: Compiled) -> str:
    """What identifies a document."""
    return hashlib.sha256(compiled.data).hexdigest()


def up_to_date(pushes: Pushes, documents: Mapping[str, Compiled], now: float) -> set[str]:
    """Boxes that have applied the very document already, in a push that holds for a while."""
    found = set()
    for name, compiled in documents.items():
        last = pushes.last(name)
        if (
            last is not None
            and last.version == compiled.document.version
            and last.outcome == "applied"
            and last.expires - now > RENEW_S
        ):
            found.add(name)
    return found


def before(pushes: Pushes, record: Record) -> dict[str, PushRecord]:
    """For each box that has, or may yet take, what a rollout pushed: the last push before it that was good.

    A box that refused it, or has gone back by itself, needs nothing.
    """
    found = {}
    for name in to_take_back(record):
        if (earlier := pushes.good(name, record.boxes[name].push or 0)) is not None:
            found[name] = earlier
    return found


def to_take_back(record: Record) -> list[str]:
    """Boxes that have, or may yet take, what a rollout pushed."""
    return [name for name, box in record.boxes.items() if box.push is not None and box.state in _TO_TAKE_BACK]


def at_one_go(
    documents: Mapping[str, Compiled],
    names: Iterable[str],
    *,
    version: str,
    by: str,
    limits: Limits,
    now: float,
) -> Rollout:
    """A rollout of a single wave that nothing stops: an ordinary push."""
    waves = [tuple(names)]
    digests = {name: sha256(documents[name]) for name in waves[0]}
    versions = {name: documents[name].document.version for name in waves[0]}
    return begin(
        waves,
        digests,
        identifier="push",
        version=version,
        by=by,
        limits=limits,
        now=now,
        versions=versions,
    )


def enough(patience_s: float, documents: Mapping[str, Compiled]) -> float:
    """`patience_s`, and more where a box has a longer probation: it says nothing before that has passed."""
    longest = max((one.document.probation_s for one in documents.values()), default=0.0)
    return max(patience_s, longest + AFTER_PROBATION_S)


def patient(patience_s: float, offline_s: float, at_once: int) -> Limits:
    """Limits that never stop anything."""
    return Limits(
        max_failure_share=1.0,
        max_unreachable=1.0,
        soak_s=0.0,
        patience_s=patience_s,
        offline_s=offline_s,
        at_once=at_once,
    )
