"""The main job from end to end: documents on the glass, presses of scan, verdicts at partners, the ledger.

Everything it tells comes from the parties' own sockets, outputs and stores.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.control import ControlClient
from edged.demo.acts import Acts
from edged.demo.hand import Hand
from edged.demo.head import Board
from edged.demo.ledger import Ledger, read_ledger
from edged.demo.party import PartyError
from edged.demo.present import Difference, Presenter, Shown, title
from edged.demo.stage import Stage
from edged.drafting import OF_ANY_STATE
from edged.errors import ControlError, DeviceGoneError, StateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import date
    from pathlib import Path

    from edged.specimens import Specimen

START_TIMEOUT_S = 30.0
SETTLE_TIMEOUT_S = 30.0
"""After the last document: longer than any backoff of the demo's parties."""
VERDICT_WAIT_S = 2.0
"""How long a partner's verdict is waited for before the next document; a killed broker may take longer."""
MAX_PRESSES = 4
"""How often a document is scanned when the box goes away under it, or is busy with somebody else's scan."""
READY_TIMEOUT_S = 20.0
"""How long somebody else's scan is let finish: longer than the box waits for a document or its turning."""
PRESS_TIMEOUT_S = 90.0
"""For one press with all that it waits for; longer than the box's own limits for an inspection together."""
_WATCH_S = 1.0
"""How often `--watch` looks whether everybody is well."""


@dataclass(frozen=True)
class Plan:
    """What the demo shall show."""

    specimens: Sequence[Specimen]
    fixed_today: date | None
    lang: str
    kill: Sequence[str] = ()
    """Parties that are killed (kill -9), one after another, spread over the documents."""
    practice: bool = True
    """Whether to end with a practice scan, which partners must never see."""
    watch: bool = False
    board: Board = Board.HOST
    """What runs the head's firmware."""
    acts: bool = True
    """Whether the head's button, the swipe reader and the ID-card module are shown as well."""

    @property
    def chips(self) -> bool:
        """Whether any document has a chip."""
        return any(specimen.chip is not None for specimen in self.specimens)


class Show:
    """One run of the demo in `directory`."""

    def __init__(self, plan: Plan, directory: Path, presenter: Presenter) -> None:
        self._plan = plan
        self._presenter = presenter
        self._rows: list[Shown] = []
        self._reported = 0  # envelopes, in the box's answers
        self._box_log = directory / "box" / "log"
        self._verdicts: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._arrived = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stage = Stage(
            directory,
            fixed_today=plan.fixed_today,
            on_verdict=self._on_verdict,
            on_restart=lambda party: self._note_party("demo.restarted", party),
            chips=plan.chips,
            board=plan.board,
            readers=plan.acts,
        )

    def stop(self) -> None:
        """End `--watch`."""
        self._stopped.set()

    async def run(self) -> bool:
        """Show everything; whether the ledger balanced and every document came to what was expected."""
        began = time.monotonic()
        async with self._stage:
            self._control = await self._connect()
            self._presenter.listening(self._stage.places)
            if self._stage.chip is not None and self._stage.chip.missing is not None:
                self._presenter.note("demo.chip_simulated", reason=self._stage.chip.missing)
            if self._stage.head.missing is not None:
                self._presenter.note("demo.head_simulated", reason=self._stage.head.missing)
            await self._documents()
            if self._plan.acts:
                await self._act()
            if self._plan.practice and self._plan.specimens:
                await self._practise(self._plan.specimens[0])
            self._presenter.note("demo.settling")
            await self._settle()
            if self._plan.watch:
                self._presenter.note("demo.watching", control=self._stage.control)
                await self._watch()
                self._presenter.note("demo.stopping")
                await self._settle()
            seconds = time.monotonic() - began
            await self._control.__aexit__(None, None, None)
        ledger = await asyncio.to_thread(self._ledger)  # after everybody has stopped in order
        passed = ledger.balanced and not any(row.differences for row in self._rows)
        self._presenter.summary(self._rows, ledger, seconds, passed)
        return passed

    async def _watch(self) -> None:
        """Until `stop`, or until a party is given up."""
        following = asyncio.create_task(self._stage.head.follow(self._stage.glass), name="follow the glass")
        try:
            while not self._stopped.is_set():
                self._stage.check()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_WATCH_S):
                        await self._stopped.wait()
        finally:
            following.cancel()
            await asyncio.wait([following])

    async def _act(self) -> None:
        acts = Acts(self._stage, self._presenter, self._plan.lang, self._until_clear)
        try:
            rows = await acts.perform(self._control)
        except TimeoutError as error:
            raise self._box_silent() from error
        self._rows += rows
        self._reported += sum(row.envelopes for row in rows)

    async def _documents(self) -> None:
        specimens = self._plan.specimens
        kills = {
            (number + 1) * len(specimens) // (len(self._plan.kill) + 1): party
            for number, party in enumerate(self._plan.kill)
        }
        for number, specimen in enumerate(specimens):
            if number in kills:
                self._note_party("demo.killed", kills[number])
                self._stage.kill(kills[number])
            shown = Shown(specimen.name, title(specimen, self._plan.lang), f"demo-{number + 1:04d}")
            self._rows.append(shown)
            self._presenter.document(number + 1, len(specimens), shown)
            answer = await self._inspect(specimen, shown)
            shown.answered(answer)
            await self._tell_verdicts(shown, answer)
            shown.differences.extend(_differences(specimen, shown))
            self._presenter.ended(shown, answer)
            for partner, verdict in self._verdicts.get(shown.reference, ()):
                self._presenter.verified(partner, verdict)
            self._stage.check()

    async def _inspect(self, specimen: Specimen, shown: Shown) -> dict[str, Any]:
        """Scan one document, again if the box goes away under it or is busy."""
        while True:
            shown.presses += 1
            last = shown.presses == MAX_PRESSES
            try:
                answer = await self._press(specimen, shown.reference)
            except (ControlError, DeviceGoneError, PartyError) as error:
                if last:
                    raise
                self._presenter.note("demo.pressed_again", reason=error.code)
                self._stage.check()
                await self._control.__aexit__(None, None, None)
                self._control = await self._connect()
            else:
                if answer["outcome"] != "refused" or last:
                    return answer
                self._presenter.note("demo.refused_again", reason=answer["reason"]["code"])

    async def _press(self, specimen: Specimen, reference: str, *, training: bool = False) -> dict[str, Any]:
        """One press of scan and all that the box asks for. Raises `PartyError` when the box falls silent."""
        try:
            async with asyncio.timeout(PRESS_TIMEOUT_S):
                answer = await self._scan(specimen, reference, training=training)
        except TimeoutError as error:
            raise self._box_silent() from error
        self._reported += answer["envelopes"]
        return answer

    async def _scan(self, specimen: Specimen, reference: str, *, training: bool) -> dict[str, Any]:
        async with Hand(self._stage.glass, self._stage.head) as hand:
            await hand.remove()  # what an attempt left there that the box's death cut short
            await self._until_ready()
            await self._lay_chip(specimen)
            await hand.place(specimen.sides)
            turned = 0
            scanning = asyncio.ensure_future(
                self._control.call(
                    "scan",
                    scene=specimen.scene,
                    reference=reference,
                    purpose=specimen.purpose.replace(" ", "-"),
                    training=training,
                )
            )
            try:
                async for event in self._events_before(scanning):
                    if event["event"] == "stage":
                        self._presenter.stage(event["stage"], event["ms"])
                    if event.get("indication") == "turn_over":
                        if turned + 1 < len(specimen.sides):
                            turned += 1
                            await hand.turn()
                        else:
                            await self._control.call("complete")
                answer: dict[str, Any] = await scanning
            finally:
                scanning.cancel()
                await asyncio.gather(scanning, return_exceptions=True)
            await hand.remove()
            if self._stage.chip is not None:
                await self._stage.chip.lift()  # now, because a PC/SC service takes its time to notice
            return answer

    async def _lay_chip(self, specimen: Specimen) -> None:
        """Lay down the document's chip, or take away the last one's, and wait until the box sees it so."""
        chip = self._stage.chip
        if chip is None:
            return
        await chip.lift()
        await self._until_chip(present=False)
        if specimen.chip is not None:
            await chip.lay(specimen.chip)
            await self._until_chip(present=True)

    async def _until_clear(self) -> None:
        """Until nothing is inspected, nothing lies in the window and no chip on the reader."""
        await self._until_ready()
        if self._stage.chip is not None:
            await self._stage.chip.lift()
            await self._until_chip(present=False)

    async def _until_chip(self, *, present: bool) -> None:
        """Wait until the box sees a chip, or sees none: a PC/SC service looks a few times a second."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while (await self._control.call("status"))["chip"]["present"] != present:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise PartyError("demo.party_silent", party="demo.party_chip", log=str(self._box_log)) from error

    async def _events_before(self, answer: asyncio.Future[Any]) -> AsyncIterator[dict[str, Any]]:
        """Events of the box until `answer` is there and all that came before it is told.

        An answer ends it, no event does: a refused press has no outcome, and an outcome may be of an inspection
        that somebody else asked for.
        """
        events = self._control.events()
        while True:
            following = asyncio.ensure_future(anext(events, None))
            try:
                # An event that is there already wins over an answer that is: its task takes its step first.
                await asyncio.wait((following, answer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.wait([following])
            event = None if following.cancelled() else following.result()
            if event is None:
                return
            yield event

    async def _until_ready(self) -> None:
        """Let an inspection end that isn't ours, for a while; then forget what the box told about it."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while (  # noqa: ASYNC110 - another process
            await self._control.call("status")
        )["state"] != "ready" and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        now = asyncio.get_running_loop().create_future()
        now.set_result(None)
        async for _ in self._events_before(now):
            pass

    def _box_silent(self) -> PartyError:
        return PartyError("demo.party_silent", party="demo.party_box", log=str(self._box_log))

    async def _practise(self, specimen: Specimen) -> None:
        """A practice scan: it goes to the centre alone, which the ledger of the partners' streams shows."""
        with contextlib.suppress(ControlError, DeviceGoneError, PartyError):
            answer = await self._press(specimen, "demo-practice", training=True)
            if answer["outcome"] == "committed":
                self._presenter.note("demo.training")

    async def _connect(self) -> ControlClient:
        """The box's control socket, when it is up. Raises `PartyError` when it doesn't come up."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while True:
                    self._stage.check()
                    try:
                        client = await ControlClient(self._stage.control).__aenter__()
                        await client.call("subscribe")
                    except ControlError:
                        await asyncio.sleep(0.02)
                    else:
                        return client
        except TimeoutError as error:
            raise self._box_silent() from error

    def _on_verdict(self, partner: str, verdict: dict[str, Any]) -> None:
        self._verdicts.setdefault(verdict["reference"] or "", []).append((partner, verdict))
        self._arrived.set()

    async def _tell_verdicts(self, shown: Shown, answer: dict[str, Any]) -> None:
        """Wait a little for the partners who get an envelope of this inspection (all but the centre's)."""
        expected = answer["envelopes"] - 1
        deadline = time.monotonic() + VERDICT_WAIT_S
        while len(self._verdicts.get(shown.reference, ())) < expected:
            self._arrived.clear()
            left = deadline - time.monotonic()
            if left <= 0:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._arrived.wait()
        for partner, verdict in self._verdicts.get(shown.reference, ()):
            shown.verified_by.append(partner)
            shown.format = verdict["document"]["format"]

    async def _settle(self) -> None:
        """Wait until nothing is pending anywhere, or long enough to call it lost."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while time.monotonic() < deadline:
            self._stage.check()
            with contextlib.suppress(StateError):  # a party that was killed may be replaying its log
                if (await asyncio.to_thread(self._ledger)).balanced:
                    break
            await asyncio.sleep(0.1)
        self._catch_up()

    def _catch_up(self) -> None:
        """Verdicts that came after their document had been told."""
        for row in self._rows:
            if not row.reference:
                continue  # nobody gave it one: whose verdict is whose isn't to be told
            for partner, verdict in self._verdicts.get(row.reference, ()):
                if partner not in row.verified_by:
                    row.verified_by.append(partner)
                    row.format = verdict["document"]["format"]

    def _ledger(self) -> Ledger:
        return read_ledger(*self._stage.databases, reported=self._reported)

    def _note_party(self, code: str, party: str) -> None:
        self._presenter.note(code, party=f"demo.party_{party}")


def _differences(specimen: Specimen, shown: Shown) -> list[Difference]:
    expected = specimen.expected
    if expected is None:  # anything may come of it, as long as it was looked at
        refused = shown.outcome == "refused"
        return [Difference("outcome", shown.outcome, "committed")] if refused else []
    compared: list[tuple[str, str | None, str | None]] = [
        ("outcome", expected.outcome, shown.outcome),
        ("result", expected.result, shown.result),
        ("reason", expected.reason, shown.reason),
    ]
    # A partner that may not know the issuing state isn't told a format that only one state has.
    if shown.verified_by and (shown.format is not None or expected.format in OF_ANY_STATE):
        compared.append(("format", expected.format, shown.format))
    if specimen.chip is not None and specimen.chip.reason is not None:
        compared.append(("reason", specimen.chip.reason, shown.chip_reason))
    compared.extend((name, result, shown.checks.get(name)) for name, result in expected.checks.items())
    return [Difference(name, found, wanted) for name, wanted, found in compared if found != wanted]
