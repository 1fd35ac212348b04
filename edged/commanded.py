"""The box as its fleet's commands see it (`edged.pushed.obeying.Commanded`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edged.errors import CodedError, ControlError
from edged.pushed.diagnostics import Certificate, Facts
from edged.pushed.obeying import Trial
from edged.uplink.names import Usage
from edged.uplink.roles import load_chain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cryptography import x509

    from edged.box import Box
    from edged.managed import Managed
    from edged.verdict import Kind


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
        """What it asks of others.

        `stop` ends the daemon in order, whom the service manager starts again; `rotate` makes a new signing key;
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
        took = round((time.monotonic() - began) * 1000)
        return Trial.of(verdict, envelopes=tested.envelopes, ms=took)

    async def restart(self) -> None:
        """End the daemon in order, to be started again: when the running inspection has told its outcome."""
        await self._box.station.between_inspections(self._stopped)

    async def _stopped(self) -> None:
        """Within a break: the daemon refuses presses before another inspection may begin."""
        self._stop()

    async def rotate_key(self) -> Mapping[str, Any]:
        """A new signing key, certified."""
        return await self._rotate()

    async def identify(self, seconds: int) -> None:
        """Blink and beep for so long. Raises `inspection.busy`; a press ends it at once."""
        await self._box.station.identify(seconds)

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
            devices=msgspec.to_builtins(self._box.attached.provenance()),
            clock={"trusted": reading.trusted, "now": reading.now.isoformat(timespec="seconds")},
            push=self._push(),
            commands=self._refused(),
        )

    def _not_while_busy(self) -> None:
        if self._box.station.inspecting:
            raise ControlError("inspection.busy")


def _certificate(usage: Usage, leaf: x509.Certificate) -> Certificate:
    return Certificate(
        usage.value,
        f"{leaf.serial_number:x}",
        int(leaf.not_valid_before_utc.timestamp()),
        int(leaf.not_valid_after_utc.timestamp()),
    )
