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
from edged.demo.hand import Hand
from edged.demo.ledger import Ledger, read_ledger
from edged.demo.present import Presenter, Shown, title
from edged.demo.stage import Stage
from edged.errors import ControlError, DeviceGoneError, StateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from edged.specimens import Specimen

START_TIMEOUT_S = 30.0
SETTLE_TIMEOUT_S = 30.0
"""After the last document: longer than any backoff of the demo's parties."""
VERDICT_WAIT_S = 2.0
"""How long a partner's verdict is waited for before the next document; a killed broker may take longer."""
MAX_PRESSES = 4
"""How often a document is scanned again when the box goes away under it."""
READY_TIMEOUT_S = 10.0


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


class Show:
    """One run of the demo in `directory`."""

    def __init__(self, plan: Plan, directory: Path, presenter: Presenter) -> None:
        self._plan = plan
        self._presenter = presenter
        self._rows: list[Shown] = []
        self._verdicts: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._arrived = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stage = Stage(
            directory,
            fixed_today=plan.fixed_today,
            on_verdict=self._on_verdict,
            on_restart=lambda party: self._note_party("demo.restarted", party),
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
            await self._documents()
            if self._plan.practice and self._plan.specimens:
                await self._practise(self._plan.specimens[0])
            self._presenter.note("demo.settling")
            await self._settle()
            if self._plan.watch:
                self._presenter.note("demo.watching", control=self._stage.control)
                await self._stopped.wait()
                self._presenter.note("demo.stopping")
                await self._settle()
            seconds = time.monotonic() - began
            await self._control.__aexit__(None, None, None)
        ledger = await asyncio.to_thread(self._ledger)  # after everybody has stopped in order
        passed = ledger.balanced and not any(row.differences for row in self._rows)
        self._presenter.summary(self._rows, ledger, seconds, passed)
        return passed

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
            _record(shown, answer)
            await self._tell_verdicts(shown, answer)
            shown.differences.extend(_differences(specimen, shown))
            self._presenter.ended(shown, answer)
            for partner, verdict in self._verdicts.get(shown.reference, ()):
                self._presenter.verified(partner, verdict)
            self._stage.check()

    async def _inspect(self, specimen: Specimen, shown: Shown) -> dict[str, Any]:
        """Scan one document, again if the box goes away under it."""
        while True:
            shown.presses += 1
            try:
                return await self._press(specimen, shown.reference)
            except (ControlError, DeviceGoneError) as error:
                if shown.presses == MAX_PRESSES:
                    raise
                self._presenter.note("demo.pressed_again", reason=error.code)
                self._stage.check()
                await self._control.__aexit__(None, None, None)
                self._control = await self._connect()

    async def _press(self, specimen: Specimen, reference: str, *, training: bool = False) -> dict[str, Any]:
        async with Hand(self._stage.glass) as hand:
            await hand.remove()  # what an attempt left there that the box's death cut short
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
                async for event in self._until(scanning):
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
            await hand.remove()
            await self._until_ready()
            return answer

    async def _until(self, scanning: asyncio.Future[Any]) -> Any:
        """Events of the box until the scan is answered and all that came before its end is told."""
        async for event in self._control.events():
            yield event
            if event["event"] == "outcome":
                return
            if scanning.done():  # refused: nothing more will come
                return

    async def _until_ready(self) -> None:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while (await self._control.call("status"))["state"] != "ready":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)

    async def _practise(self, specimen: Specimen) -> None:
        """A practice scan: it goes to the centre alone, which the ledger of the partners' streams shows."""
        with contextlib.suppress(ControlError, DeviceGoneError):
            await self._press(specimen, "demo-practice", training=True)
            self._presenter.note("demo.training")

    async def _connect(self) -> ControlClient:
        """The box's control socket, when it is up."""
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
            for partner, verdict in self._verdicts.get(row.reference, ()):
                if partner not in row.verified_by:
                    row.verified_by.append(partner)
                    row.format = verdict["document"]["format"]

    def _ledger(self) -> Ledger:
        return read_ledger(*self._stage.databases)

    def _note_party(self, code: str, party: str) -> None:
        self._presenter.note(code, party=f"demo.party_{party}")


def _record(shown: Shown, answer: dict[str, Any]) -> None:
    shown.outcome = answer["outcome"]
    shown.stages = answer["stages"]
    shown.envelopes, shown.octets = answer["envelopes"], answer["octets"]
    shown.reason = answer["reason"]["code"] if answer["reason"] else None
    if answer["verdict"] is not None:
        shown.result = answer["verdict"]["result"]
        shown.checks = {check["name"]: check["result"] for check in answer["verdict"]["checks"]}


def _differences(specimen: Specimen, shown: Shown) -> list[str]:
    """Where a document came to something else than its specimen's expectation; for people and machines."""
    expected = specimen.expected
    if expected is None:
        return []
    compared: list[tuple[str, str | None, str | None]] = [
        ("outcome", expected.outcome, shown.outcome),
        ("result", expected.result, shown.result),
        ("reason", expected.reason, shown.reason),
    ]
    if shown.verified_by:
        compared.append(("format", expected.format, shown.format))
    compared.extend((name, result, shown.checks.get(name)) for name, result in expected.checks.items())
    return [f"{name}: {is_} instead of {should}" for name, should, is_ in compared if is_ != should]
