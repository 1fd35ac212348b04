"""The box's book of slips: issued, copied, withdrawn, replaced; every change on the disk and in the journal.

Each output of a slip is a copy: `copy` counts it, and the number is printed and signed. What the journal says is
numbers and words, never what is on a slip. Signing may take a token long: it is done in a thread, outside of
transactions.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

from edged.errors import SlipError
from edged.journal import slips
from edged.slip import claims, cose
from edged.slip.facts import NUMBER_ALPHABET, NUMBER_CHARACTERS
from edged.slip.signing import SignedSlip, sign_slip
from edged.uplink.slip_status import MAX_LISTED, MAX_UNTIL, Superseded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from edged.config import SlipSettings
    from edged.journal.database import Journal
    from edged.journal.slips import SlipRow
    from edged.slip.facts import SlipFacts
    from edged.uplink.database import DatabaseThread
    from edged.uplink.sign import Signer

Output = Literal["print", "pdf", "png", "screen"]
"""What a copy was made for."""

WithdrawalReason = Literal["wrong_document", "wrong_person", "judged_again", "lost", "other"]
"""Words, because a sentence might name somebody."""

MAX_COPIES: Final = 255
"""The slip has a byte for it."""

KEPT_AFTER_S: Final = 30 * 86_400
"""How long the number of an expired slip is still known."""

TIDY_S: Final = 600.0
"""Between two looks whether the time for copies of a slip is over."""


class Ended(msgspec.Struct, frozen=True):
    """What the box's list of slips says."""

    withdrawn: dict[str, int]
    superseded: dict[str, Superseded]


def new_number() -> str:
    """A number for a new slip: 60 random bits."""
    return "".join(secrets.choice(NUMBER_ALPHABET) for _ in range(NUMBER_CHARACTERS))


class SlipBook:
    """The slips of one box.

    `signer` and `settings` say what is in force now: keys are renewed and settings pushed.

    Attributes:
        changed: set whenever a slip has ceased to hold: the published list must be made anew.
    """

    def __init__(
        self,
        journal: DatabaseThread[Journal],
        *,
        signer: Callable[[], Signer],
        settings: Callable[[], SlipSettings],
    ) -> None:
        self._journal = journal
        self._signer = signer
        self._settings = settings
        self.changed = asyncio.Event()

    async def issue(self, facts: SlipFacts, *, now: datetime) -> SignedSlip:
        """Sign a new slip and keep it for copies; the one that it supersedes holds no more, if it is one of this box.

        Raises `SlipError` (`slip.number_taken`, codes of `sign_slip`), `CertificateError`, `StateError`.
        """
        settings = self._settings()
        signed = await asyncio.to_thread(sign_slip, facts, self._signer(), settings.url)
        at = int(now.timestamp())

        def write(journal: Journal) -> bool:
            _tidy(journal, at, clock_trusted=facts.clock_trusted)
            keep_until = at + int(settings.reprint_h * 3600)
            number = facts.number
            if not slips.add(
                journal, number, signed.cose, issued=at, expires=facts.expires, keep_until=keep_until
            ):
                raise SlipError("slip.number_taken")
            journal.append("slip.issued", number, {"kind": str(facts.kind), "scene": facts.scene}, now)
            old = None if facts.supersedes is None else slips.find(journal, facts.supersedes)
            if old is None or old.status != "valid":
                return False
            return _supersede(journal, old, number, now)

        if await self._journal.write(write):
            self.changed.set()
        return signed

    async def copy(self, number: str, output: Output, *, now: datetime) -> SignedSlip:
        """Another copy of a slip, with its own number on it, signed; it is counted before it is made.

        Raises `SlipError`: `slip.no_such_slip`, `slip.not_kept`, `slip.holds_no_more`, `slip.expired`,
        `slip.too_many_copies`, codes of `sign_slip`; `CertificateError`, `StateError`.
        """
        at = int(now.timestamp())

        def write(journal: Journal) -> tuple[bytes, int]:
            row = _held(journal, number)
            if row.status != "valid":
                raise SlipError("slip.holds_no_more")
            if row.expires < at:
                raise SlipError("slip.expired")
            if row.cose is None or row.keep_until < at:
                raise SlipError("slip.not_kept")
            if row.copies >= MAX_COPIES:
                raise SlipError("slip.too_many_copies", most=str(MAX_COPIES))
            slips.count_copy(journal, number)
            journal.append("slip.printed", number, {"copy": row.copies + 1, "output": output}, now)
            return row.cose, row.copies + 1

        signed, copy = await self._journal.write(write)
        facts = claims.decode(cose.parse(signed).payload)
        if copy == facts.copy:
            return SignedSlip(facts, signed)
        again = msgspec.structs.replace(facts, copy=copy)
        return await asyncio.to_thread(sign_slip, again, self._signer(), self._settings().url)

    async def withdraw(self, number: str, reason: str, *, now: datetime, operator: str | None = None) -> None:
        """From now on the slip counts for nothing. Twice is once. `operator`: a pseudonym.

        Raises `SlipError`: `slip.no_such_slip`, `slip.bad_reason`, `slip.too_many_withdrawn`; `StateError`.
        """
        reasons = get_args(WithdrawalReason)
        if reason not in reasons:
            raise SlipError("slip.bad_reason", reasons=", ".join(reasons))
        at = int(now.timestamp())

        def write(journal: Journal) -> None:
            row = _held(journal, number)
            if row.status == "withdrawn":
                return
            _check_room(journal, "withdrawn", at)
            slips.end(journal, number, "withdrawn", now=at, by=row.superseded_by)
            detail = {"reason": reason} | ({} if operator is None else {"operator": operator})
            journal.append("slip.withdrawn", number, detail, now)

        await self._journal.write(write)
        self.changed.set()

    async def supersede(self, old: str, new: str, *, now: datetime) -> None:
        """`new`, a slip of this box, stands in place of `old`; nothing changes for one that holds no more.

        Raises `SlipError` (`slip.no_such_slip`, `slip.too_many_withdrawn`), `StateError`.
        """

        def write(journal: Journal) -> bool:
            row, _ = _held(journal, old), _held(journal, new)
            return row.status == "valid" and old != new and _supersede(journal, row, new, now)

        if await self._journal.write(write):
            self.changed.set()

    async def listed(self, limit: int = slips.MAX_ROWS) -> list[SlipRow]:
        """The newest slips first, without what they say. Raises `StateError`."""
        rows = await self._journal.run(lambda journal: slips.newest(journal, limit))
        return [msgspec.structs.replace(row, cose=None) for row in rows]

    async def latest(self) -> str:
        """The number of the newest slip. Raises `SlipError` (`slip.no_such_slip`), `StateError`."""
        rows = await self.listed(1)
        if not rows:
            raise SlipError("slip.no_such_slip")
        return rows[0].number

    async def ended(self, now: datetime) -> Ended:
        """What the published list says: slips that hold no more and would not have expired. Raises `StateError`.

        A slip that was issued while the clock was far ahead would be listed for longer than a list may say, and all
        others with it not at all: it is listed for as long as one may, from now on each time anew.
        """
        at = int(now.timestamp())
        last = at + int(MAX_UNTIL.total_seconds())

        def read(journal: Journal) -> Ended:
            replaced = slips.ended(journal, "superseded", at)
            return Ended(
                {row.number: min(row.expires, last) for row in slips.ended(journal, "withdrawn", at)},
                {row.number: Superseded(row.superseded_by or "", min(row.expires, last)) for row in replaced},
            )

        return await self._journal.run(read)

    async def tidy(self, now: datetime, *, clock_trusted: bool) -> None:
        """Erase what is kept no longer. Raises `StateError`."""
        at = int(now.timestamp())
        await self._journal.write(lambda journal: _tidy(journal, at, clock_trusted=clock_trusted))

    async def keep_tidy(self, time_and_trust: Callable[[], Awaitable[tuple[datetime, bool]]]) -> None:
        """Do so now and then, until cancelled: what time it is, and whether to believe it. Raises `StateError`."""
        while True:
            now, trusted = await time_and_trust()
            await self.tidy(now, clock_trusted=trusted)
            await asyncio.sleep(TIDY_S)


def _held(journal: Journal, number: str) -> SlipRow:
    row = slips.find(journal, number)
    if row is None:
        raise SlipError("slip.no_such_slip")
    return row


def _supersede(journal: Journal, old: SlipRow, new: str, now: datetime) -> bool:
    at = int(now.timestamp())
    _check_room(journal, "superseded", at)
    slips.end(journal, old.number, "superseded", now=at, by=new)
    journal.append("slip.superseded", old.number, {"by": new}, now)
    return True


def _check_room(journal: Journal, status: slips.Status, at: int) -> None:
    if len(slips.ended(journal, status, at)) >= MAX_LISTED:
        raise SlipError("slip.too_many_withdrawn", most=str(MAX_LISTED))


def _tidy(journal: Journal, at: int, *, clock_trusted: bool) -> None:
    """A clock in doubt may end the time for copies too early, but not forget which slips were withdrawn."""
    slips.forget(journal, now=at, expired_before=at - KEPT_AFTER_S if clock_trusted else None)
