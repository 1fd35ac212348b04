"""What else a counter does: press the head's own button, swipe, read an ID card, hand fields over, give a slip."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from edged import messages
from edged.demo.hand import Hand
from edged.demo.holder import Teller, give_slip
from edged.demo.present import Difference, Shown
from edged.emulator.id_cards import id_cards
from edged.specimens import shipped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edged.control import ControlClient
    from edged.demo.present import Presenter
    from edged.demo.stage import Stage

WAIT_S: Final = 30.0
"""For one act to come to its outcome: several times what it takes on a slow, busy machine."""

_PAGE: Final = "passport"
"""The shipped specimen that is pressed and swiped."""
_CARD: Final = "resident-2023"


class Acts:
    """Performs them one after another; each comes to a row of the table. Nobody gave them a reference."""

    def __init__(
        self, stage: Stage, presenter: Presenter, lang: str, until_clear: Callable[[], Awaitable[None]]
    ) -> None:
        self._stage = stage
        self._presenter = presenter
        self._lang = lang
        self._until_clear = until_clear
        self._taken: list[Difference] = []
        self._page = next(specimen for specimen in shipped() if specimen.name == _PAGE)

    async def perform(self, control: ControlClient) -> list[Shown]:
        """All that this stage has the devices for. Raises `TimeoutError` when the box falls silent."""
        acts: list[tuple[str, Callable[[ControlClient], Awaitable[dict[str, Any]]]]] = []
        if self._stage.head.board is not None:
            acts.append(("button", self._button))
        acts += [("swipe", self._swipe), ("id_card", self._id_card), ("teller", self._teller)]
        rows = [await self._shown(name, act, control) for name, act in acts]
        rows[-1].differences.extend(self._taken)
        rows[-1].differences.extend(await give_slip(self._stage, self._presenter, control))
        return rows

    async def _shown(
        self, name: str, act: Callable[[ControlClient], Awaitable[dict[str, Any]]], control: ControlClient
    ) -> Shown:
        shown = Shown(name.replace("_", "-"), messages.text(f"demo.act_{name}", self._lang), "")
        self._presenter.document(0, 0, shown)
        await self._until_clear()
        async with asyncio.timeout(WAIT_S):
            answer = {name: value for name, value in (await act(control)).items() if name != "event"}
        shown.answered(answer)
        if shown.result != "successful":
            shown.differences.append(Difference("result", shown.result, "successful"))
        self._presenter.ended(shown, answer)
        return shown

    async def _button(self, control: ControlClient) -> dict[str, Any]:
        """The button's pin goes down, the firmware debounces it and tells the daemon, which scans."""
        async with Hand(self._stage.glass, self._stage.head) as hand:
            await hand.place(self._page.sides)
            began = time.monotonic()
            pressing = asyncio.ensure_future(hand.press())  # a finger stays longer than the daemon takes
            await self._event(control, "pressed")
            self._presenter.note("demo.button_took", ms=f"{(time.monotonic() - began) * 1000:.0f}")
            await pressing
            answer = await self._event(control, "outcome")
            await hand.remove()
            return answer

    async def _swipe(self, control: ControlClient) -> dict[str, Any]:
        assert self._page.expected is not None
        assert self._page.expected.lines is not None
        await self._stage.readers.swipe.swipe(self._page.expected.lines)
        return await self._event(control, "outcome")

    async def _id_card(self, control: ControlClient) -> dict[str, Any]:
        module = self._stage.readers.module
        module.lay(id_cards()[_CARD])
        scanning = asyncio.ensure_future(control.call("scan", scene="bank"))
        answer = await self._event(control, "outcome")
        await scanning
        module.lift()
        return answer

    async def _teller(self, control: ControlClient) -> dict[str, Any]:
        """The teller's application asks for an inspection and takes the fields its policy allows: once."""
        async with Hand(self._stage.glass, self._stage.head) as hand, Teller(self._stage.handover) as teller:
            await hand.place(self._page.sides)
            asking = asyncio.ensure_future(teller.ask("inspect", scene="bank", operator="teller-7"))
            answer = await self._event(control, "outcome")
            inspected = await asking
            taken = await teller.ask("take", inspection=inspected["result"]["inspection"])
            again = await teller.ask("take", inspection=inspected["result"]["inspection"])
            await hand.remove()
        names = sorted(taken["result"]["fields"])
        self._presenter.note("demo.teller_took", fields=", ".join(names))
        refused = again.get("error", {}).get("code", "")
        self._presenter.note("demo.teller_again", reason=refused)
        expected = sorted(inspected["result"]["handover"]["fields"])
        self._taken = [
            Difference(name, found, wanted)
            for name, found, wanted in (
                ("fields", ", ".join(names), ", ".join(expected)),
                ("again", refused, "handover.taken_already"),
            )
            if found != wanted
        ]
        return answer

    async def _event(self, control: ControlClient, wanted: str) -> dict[str, Any]:
        """The next event of this name; the stages before it are told."""
        async for event in control.events():
            if event["event"] == "stage":
                self._presenter.stage(event["stage"], event["ms"])
            if event["event"] == wanted:
                return dict(event)
        raise TimeoutError
