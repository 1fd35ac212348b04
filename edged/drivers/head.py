"""Our own reader head as the daemon sees it: `edged.drivers.Head` over the link of firmware/PROTOCOL.md."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from edged import log
from edged.drivers.facts import DeviceFacts
from edged.drivers.head_client import HeadClient
from edged.drivers.head_events import Action, Button, Cover, Document, Exposed, FaultChanged, Lamp, Presence
from edged.drivers.head_exposing import BUSY_S, Exposing, MeasuredWindow
from edged.drivers.head_facts import HeadFacts
from edged.drivers.head_light_messages import Dark, LightUp, Step
from edged.drivers.head_link import LinkFact, Lost, Opened, Told
from edged.drivers.head_messages import (
    Beep,
    CoverState,
    HeadStatus,
    Indicate,
    Pattern,
    ReadCounters,
    ReadStatus,
    Shown,
)
from edged.drivers.head_presses import STALE_MS
from edged.drivers.head_refusals import COVER, FAULTS, PASSED
from edged.drivers.head_traits import Capability, WelcomeFlag
from edged.drivers.head_transport import DEVICE, Transport, transport_of
from edged.drivers.head_usb import UsbTransport
from edged.errors import DeviceError, DeviceGoneError, HeadRefusedError
from edged.events import (
    ButtonPressed,
    DeviceBack,
    DeviceGone,
    DocumentPlaced,
    DocumentRemoved,
    DocumentTurned,
    HeadEvent,
    Indication,
    Light,
    TroubleBegan,
    TroubleOver,
)
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from types import TracebackType

    from edged.device_settings import HeadSettings

LOOK_S: Final = 2.0
"""Entering waits so long for a head that is there; one that isn't is told by `events` and `trouble`."""

LIGHT_ANSWER_S: Final = 1.0
"""By then a lamp that was asked for is on, or the line is lost."""

BRIGHTNESS: Final = 100
"""Per cent, of a lamp that a camera wants."""

MAX_EVENTS: Final = 1024
"""Events that nobody has taken; more is a head that went mad, and what comes then is dropped."""

MAX_HELD: Final = 16
"""Presses that wait until the head is back; as many as wait in a head."""

LAMPS: Final = {
    Light.WHITE: ((Capability.WHITE, Lamp.WHITE),),
    Light.IR: ((Capability.IR_850, Lamp.IR_850), (Capability.IR_940, Lamp.IR_940)),
    Light.UV: ((Capability.UV_365, Lamp.UV_365),),
}
"""Which lamp is which light: the first that the board has."""

SHOWN: Final = {
    Indication.READY: Shown.READY,
    Indication.PLACE_DOCUMENT: Shown.PLACE_DOCUMENT,
    Indication.READING: Shown.READING,
    Indication.TURN_OVER: Shown.TURN_OVER,
    Indication.REMOVE: Shown.REMOVE,
    Indication.SUCCESSFUL: Shown.SUCCESS,
    Indication.FAILED: Shown.FAILED,
    Indication.UNDETERMINED: Shown.LOOK_AT_SCREEN,
    Indication.ABORTED: Shown.READ_AGAIN,
    Indication.OFFLINE: Shown.OFFLINE,
    Indication.FAULT: Shown.FAULT,
}


class LinkedHead:
    """The head behind a transport. One that isn't there is no reason not to be entered.

    Attributes:
        client: for what isn't the daemon's everyday business: limits, the update of the firmware.
    """

    def __init__(self, transport: Transport) -> None:
        self.client = HeadClient(transport)
        self._transport = transport
        self._answers = False
        self._present = False
        self._shown = Shown.OFF
        self._unfit: str | None = None
        self._lit: tuple[Lamp, float] | None = None
        self._troubles: set[str] = set()
        self._told: set[str] = set()
        self._held: deque[Told] = deque(maxlen=MAX_HELD)
        self._happened: asyncio.Queue[HeadEvent] = asyncio.Queue()
        self._looked = asyncio.Event()
        self._settling: asyncio.Task[None] | None = None
        self._exposing = Exposing(self.client)
        self._log = log.get(DEVICE)

    # --- who it is ---

    @property
    def provenance(self) -> Provenance:
        """The head that answered last; simulated when it says so, or nothing else can be at this port."""
        known = self.client.known
        return Provenance(
            driver=self._transport.driver,
            identity=known.unique_id.hex() if known else None,
            simulated=self._transport.simulated
            or (known is not None and WelcomeFlag.SIMULATED in known.flags),
        )

    @property
    def trouble(self) -> Reason | None:
        """Why the head doesn't answer, or can't be used as it is, and what to do; None when all is well."""
        if self.client.trouble is not None:
            return self.client.trouble
        welcome = self.client.welcome
        if welcome is not None and WelcomeFlag.BOOT_LOADER in welcome.flags:
            return Reason("reader_head.no_application")
        if self._unfit is not None:
            return Reason(self._unfit)
        hinders = self._troubles - PASSED
        return Reason(min(hinders)) if hinders else None

    @property
    def identity(self) -> HeadFacts | None:
        """What the head that answered last said of itself; None when none ever has."""
        known = self.client.known
        return None if known is None else HeadFacts.of(known)

    def facts(self) -> DeviceFacts:
        """For `edged devices`: as it is known now, nothing is asked."""
        counts = self.client.counts
        known = self.identity
        return DeviceFacts(
            present=self._answers,
            model=known.board if known else None,
            port=self._transport.name,
            versions=known.versions if known else {},
            counters={
                "sessions": counts.sessions,
                "damaged": counts.damaged,
                "resent": counts.repeated,
                "stale_presses": counts.stale_presses,
                **({"boots": known.boots} if known else {}),
            },
            trouble=self.trouble,
        )

    async def status(self) -> HeadStatus:
        """How the head is now. Raises `DeviceError`."""
        return await self.client.request(ReadStatus())

    async def counters(self) -> dict[int, int]:
        """What the head has counted, by `Counter`. Raises `DeviceError`."""
        return await self.client.request(ReadCounters())

    @property
    def document_present(self) -> bool:
        """Whether something lies in the window, as the head said last."""
        return self._present

    @property
    def lights(self) -> frozenset[Light]:
        """White, and what the board has lamps for."""
        return frozenset(light for light in Light if light is Light.WHITE or self._lamp(light) is not None)

    async def __aenter__(self) -> Self:
        self.client.on_fact = self._learn
        self.client.on_trouble = self._trouble_changed
        await self.client.__aenter__()
        try:
            async with asyncio.timeout(LOOK_S):
                await self._looked.wait()
        except TimeoutError:
            pass
        except BaseException:
            await self.client.__aexit__(None, None, None)
            raise
        if not self._answers:
            self._tell(DeviceGone(DEVICE))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.__aexit__(kind, error, trace)

    async def events(self) -> AsyncIterator[HeadEvent]:
        """What happens at the head, in order."""
        while True:
            yield await self._happened.get()

    # --- what it does ---

    async def illuminate(self, light: Light, milliseconds: int) -> None:
        """Light the window; infrared is 850 nm, or 940 where the board has no other. Raises `DeviceError`."""
        lamp = self._lamp(light)
        if lamp is None:
            raise DeviceError(DEVICE, "reader_head.no_such_lamp")
        now = asyncio.get_running_loop().time()
        if self._lit is not None and self._lit[0] is not lamp and now < self._lit[1]:
            await self.client.request(Dark())  # the head lights one lamp at a time
        # Whoever asked may not wait for the answer.
        self._lit = lamp, now + LIGHT_ANSWER_S + milliseconds / 1000
        await self.client.request_when_free(LightUp(lamp, BRIGHTNESS, milliseconds), BUSY_S)
        self._lit = lamp, asyncio.get_running_loop().time() + milliseconds / 1000

    async def dark(self) -> None:
        """All lamps off. Raises `DeviceError`."""
        await self.client.request(Dark())

    async def expose(
        self, steps: Sequence[Step], on_step: Callable[[MeasuredWindow], None] = lambda _: None
    ) -> tuple[MeasuredWindow, ...]:
        """Light and strobe step by step; returns the windows as the head measured them, the last one perhaps cut short.

        `on_step` is told each as it comes. Raises `DeviceError`.
        """
        return await self._exposing.expose(tuple(steps), on_step)

    def lamp(self, light: Light) -> Lamp | None:
        """The lamp that is this light on the board; None when it has none, or none has answered yet."""
        return self._lamp(light)

    async def indicate(self, indication: Indication) -> None:
        """Show the clerk where things stand; a head that comes back shows it by itself. Raises `DeviceError`."""
        self._shown = SHOWN[indication]
        await self.client.request(Indicate(self._shown))

    async def beep(self) -> None:
        """Sound the buzzer once. Raises `DeviceError`."""
        await self.client.request(Beep(Pattern.SHORT))

    # --- what happens ---

    def _lamp(self, light: Light) -> Lamp | None:
        known = self.client.known
        capabilities = known.capabilities if known else Capability(0)
        return next((lamp for needs, lamp in LAMPS[light] if needs in capabilities), None)

    def _learn(self, fact: LinkFact) -> None:
        match fact:
            case Opened():
                self._lit = self._unfit = None
                self._settling = asyncio.create_task(self._settle(), name="head settling")
            case Lost(code):
                self._lose(code)
            case Told(event=Exposed() as exposed, at=at):
                self._exposing.told(exposed, at)
            case Told():
                self._heard(fact)
            case _:
                pass

    def _heard(self, told: Told) -> None:
        match told.event:
            case Button(action=Action.PRESSED):
                if self._answers:
                    self._tell(ButtonPressed())
                else:
                    self._held.append(told)  # until the station knows that the head is back
            case Document(presence=presence):
                self._presence(presence)
            case Cover(opened=opened):
                self._trouble(COVER, begins=opened)
            case FaultChanged(fault=fault, raised=raised):
                self._trouble(FAULTS[fault], begins=raised)
            case _:
                pass

    def _presence(self, presence: Presence) -> None:
        before, self._present = self._present, presence is not Presence.OUT
        if not self._answers:
            return  # the station compares when the head is back
        if presence is Presence.TURNED:
            self._tell(DocumentTurned())
        elif self._present != before:
            self._tell(DocumentPlaced() if self._present else DocumentRemoved())

    async def _settle(self) -> None:
        """A session has begun: learn how the head is, show what it should show, then say that it is back."""
        try:
            status = await self.client.request(ReadStatus())
            self._present = status.document_present
            self._troubles = {FAULTS[fault] for fault in status.faults}
            if status.cover is CoverState.OPEN:
                self._troubles.add(COVER)
            welcome = self.client.welcome
            if welcome is None or WelcomeFlag.BOOT_LOADER in welcome.flags:
                self._looked.set()
                return
            with suppress(HeadRefusedError):  # a board that can't show it can do the rest
                await self.client.request(Indicate(self._shown))
        except DeviceGoneError:
            return  # the next session begins anew
        except DeviceError as error:
            self._log.warning("the head doesn't say how it is", exc_info=error)
            self._unfit = error.code
            self._looked.set()
            return
        self._back()

    def _back(self) -> None:
        self._answers = True
        if self._looked.is_set():
            self._tell(DeviceBack(DEVICE))
        self._looked.set()
        self._tell_troubles()
        now = asyncio.get_running_loop().time()
        held = tuple(self._held)
        self._held.clear()
        for told in held:
            if now - told.at <= STALE_MS / 1000:
                self._tell(ButtonPressed())

    def _lose(self, code: str) -> None:
        if self._settling is not None:
            self._settling.cancel()
        self._exposing.lost(code)
        if self._answers:
            self._answers = False
            self._told.clear()  # the station forgets what hindered a head that is gone
            self._tell(DeviceGone(DEVICE))

    def _trouble(self, code: str, *, begins: bool) -> None:
        (self._troubles.add if begins else self._troubles.discard)(code)
        if self._answers:
            self._tell_troubles()

    def _tell_troubles(self) -> None:
        began = self._troubles - self._told
        for code in sorted(began):
            self._tell(TroubleBegan(DEVICE, code))
        for code in sorted((self._told - self._troubles - PASSED) | (began & PASSED)):
            self._tell(TroubleOver(DEVICE, code))
        self._told = set(self._troubles)

    def _trouble_changed(self) -> None:
        if self.client.trouble is not None and self.client.trouble.code != "reader_head.gone":
            self._looked.set()

    def _tell(self, event: HeadEvent) -> None:
        if self._happened.qsize() < MAX_EVENTS:
            self._happened.put_nowait(event)


class SerialHead(LinkedHead):
    """The head at a serial port, or at the Unix socket of an emulated one (`unix:PATH`)."""

    def __init__(self, port: str) -> None:
        super().__init__(transport_of(port))


class UsbHead(LinkedHead):
    """The head on USB: `vendor:product[:serial number]`, or the only one there is."""

    def __init__(self, selector: str | None = None) -> None:
        super().__init__(UsbTransport(selector))


def open_head(settings: HeadSettings) -> LinkedHead:
    """The head that the boot file names: `driver` is serial or usb."""
    if settings.driver == "usb":
        return UsbHead(settings.usb)
    assert settings.port is not None  # edged.device_checks.check_head
    return SerialHead(settings.port)
