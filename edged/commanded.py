"""The box as its fleet's commands see it (`edged.pushed.obeying.Commanded`)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from edged.errors import CodedError, ControlError, DeviceError
from edged.events import Indication
from edged.pushed.diagnostics import Certificate, Facts
from edged.pushed.obeying import CheckedOne, Trial
from edged.uplink.names import Usage
from edged.uplink.roles import load_chain
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cryptography import x509

    from edged.box import Box
    from edged.managed import Managed

BLINK_S: Final = 0.5
"""Half of a blink: slow enough to be seen across a hall, and no eye is hurt by it."""

BLINKS: Final = (Indication.UNDETERMINED, Indication.PLACE_DOCUMENT)
"""What is shown in turns: neither says anything of a document that a clerk could take for a result."""


class Obedient:
    """`edged.pushed.obeying.Commanded` for one `Box`."""

    def __init__(
        self,
        box: Box,
        managed: Managed,
        *,
        status: Callable[[], Awaitable[Mapping[str, Any]]],
        stop: Callable[[], None],
        rotate: Callable[[], Awaitable[Mapping[str, Any]]],
        push: Callable[[], Mapping[str, Any]],
        refused: Callable[[], Mapping[str, int]],
    ) -> None:
        """`stop` ends the daemon in order, whom the service manager starts again; `rotate` makes a new signing key;
        `push` says what was made of the last push, `refused` how many commands were refused for what.
        """
        self._box = box
        self._managed = managed
        self._status = status
        self._stop = stop
        self._rotate = rotate
        self._push = push
        self._refused = refused

    async def status(self) -> Mapping[str, Any]:
        """How the box is, as `edged status` shows it."""
        return await self._status()

    async def scan(self, kind: Literal[Kind.TEST]) -> Trial:
        """A shipped specimen through the box. Raises `inspection.busy` while a document is being inspected."""
        self._not_while_busy()
        began = time.monotonic()
        tested = await self._managed.tested()
        verdict = tested.verdict
        assert verdict.kind is kind
        if tested.code is not None:
            raise CodedError(tested.code)
        checks = tuple(
            CheckedOne(check.name, check.result, check.reasons[0].code if check.reasons else None)
            for check in verdict.checks
        )
        took = round((time.monotonic() - began) * 1000)
        return Trial(verdict.kind, verdict.result, checks, tested.envelopes, took)

    async def restart(self) -> None:
        """End the daemon in order, to be started again."""
        self._stop()

    async def rotate_key(self) -> Mapping[str, Any]:
        """A new signing key, certified."""
        return await self._rotate()

    async def identify(self, seconds: int) -> None:
        """Blink and beep for so long. Raises `inspection.busy`; a press ends it at once."""
        self._not_while_busy()
        until = time.monotonic() + seconds
        shown = 0
        while time.monotonic() < until and self._box.station.state == "ready":
            await self._box.station.between_inspections(lambda: self._blink(BLINKS[shown % len(BLINKS)]))
            shown += 1

    async def _blink(self, indication: Indication) -> None:
        """One half of a blink; the station shows again what it should when it is over."""
        if self._box.station.state != "ready":
            return  # somebody pressed while this waited
        try:
            await self._box.head.indicate(indication)
            await self._box.head.beep()
        except DeviceError as error:
            raise ControlError(error.code) from error
        await asyncio.sleep(BLINK_S)

    async def facts(self) -> Facts:
        """What diagnostics are made of."""
        held = self._box.held
        reading = await self._box.read_clock()
        tls = load_chain(held.tls_certificate)[0] if held.tls_certificate else None
        return Facts(
            status=await self._status(),
            settings=held.settings,
            certificates=[
                _certificate(usage, leaf)
                for usage, leaf in ((Usage.SIGNING, held.signer.chain[0]), (Usage.TLS, tls))
                if leaf is not None
            ],
            devices=msgspec.to_builtins(self._box.provenance()),
            clock={"trusted": reading.trusted, "now": reading.now.isoformat(timespec="seconds")},
            push=self._push(),
            commands=self._refused(),
        )

    def _not_while_busy(self) -> None:
        if self._box.station.state != "ready":
            raise ControlError("inspection.busy")


def _certificate(usage: Usage, leaf: x509.Certificate) -> Certificate:
    return Certificate(
        usage.value,
        f"{leaf.serial_number:x}",
        int(leaf.not_valid_before_utc.timestamp()),
        int(leaf.not_valid_after_utc.timestamp()),
    )
