"""Carrying out pushes for a person: connected, with progress on the way, and what came of it at the end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from edged import log
from edged.commands._fleet_devices import endpoint
from edged.commands._fleet_outcomes import failure
from edged.commands._saying import printable, say, show_json, show_line
from edged.fleet.link import admin_link
from edged.fleet.rolling import Carrier
from edged.fleet.rollout import FAILED, Done, Pushed, Stop, Told, Wait

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from edged.errors import UplinkError
    from edged.fleet.pushing import Pusher
    from edged.fleet.rollout import Command, Event, Record, Rollout, Tally
    from edged.fleet.state import FleetState

BAR: Final = 24
"""Characters of a bar."""

_TERMINAL_S: Final = 0.2
_PLAIN_S: Final = 5.0


def carry_out(
    args: argparse.Namespace,
    state: FleetState,
    engine: Rollout,
    pusher: Pusher,
    *,
    save: Callable[[Record], None] = lambda _: None,
    stop_wanted: Callable[[], bool] = lambda: False,
) -> Stop | Done:
    """Push, wait, tell. Raises `UplinkError`, `StateError`, `CertificateError`, `ConfigError`."""
    log.configure("error")
    progress = Progress(args)

    async def go() -> tuple[Stop | Done, Exception | None]:
        async with admin_link(state, endpoint=endpoint(args, state), on_change=progress.line) as link:
            carrier = Carrier(
                engine,
                link=link,
                maker=pusher,
                save=save,
                on_step=progress.step,
                stop_wanted=stop_wanted,
            )
            return await carrier.run(), carrier.problem

    try:
        ended, problem = asyncio.run(go())
    finally:
        progress.close(engine)
    if problem is not None:
        raise problem
    return ended


def exit_code(engine: Rollout) -> int:
    """EX_OK when every box has applied it; EX_UNAVAILABLE when some failed; EX_TEMPFAIL when some aren't there yet."""
    states = {box.state for box in engine.record.boxes.values()}
    if states & FAILED:
        return os.EX_UNAVAILABLE
    return os.EX_OK if states == {"applied"} else os.EX_TEMPFAIL


def tally_line(args: argparse.Namespace, wave: int, waves: int, tally: Tally) -> str:
    """`wave 2/4  [######··················]  27/90 applied, 1 failed, 0 not there, 62 to go`."""
    done = BAR * (tally.size - tally.waiting - tally.in_hand) // tally.size
    return say(
        args,
        "rollout.wave",
        wave=wave + 1,
        waves=waves,
        bar="#" * done + "·" * (BAR - done),
        size=tally.size,
        applied=tally.applied,
        failed=tally.failed + tally.forgiven,
        unproven=tally.unproven,
        left=tally.in_hand + tally.waiting,
    )


class Progress:
    """How far it is, on standard error: bars or lines; with `--json` events on standard output."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._terminal = sys.stderr.isatty() and not args.json
        self._drawn = 0
        self._last = 0.0
        self._shown: dict[int, Tally] = {}
        self._told: dict[str, tuple[object, ...]] = {}
        self._soaks: float | None = None

    def line(self, error: UplinkError | None) -> None:
        """The connection was lost, or is back."""
        if error is not None and not self._args.json:
            self._write(say(self._args, "rollout.line_lost", reason=error.code))

    def step(self, engine: Rollout, events: Sequence[Event], command: Command) -> None:
        """What has happened; called after each look."""
        for event in events:
            if isinstance(event, Told | Pushed):
                self._tell(engine, event.device)
        now = time.monotonic()
        record = engine.record
        tallies = {wave: engine.tally(wave) for wave in range(record.wave + 1)}
        settled = tallies[record.wave].settled and tallies[record.wave] != self._shown.get(record.wave)
        due = now - self._last >= (_TERMINAL_S if self._terminal else _PLAIN_S)
        if tallies != self._shown and (due or settled or isinstance(command, Stop | Done)):
            self._show(engine, tallies)
            self._last = now
        if isinstance(command, Wait) and record.soaks_until is not None and self._soaks != record.soaks_until:
            self._soaks = record.soaks_until
            left = round(record.soaks_until - time.time())
            if left > 0 and not self._args.json:
                self._write(say(self._args, "rollout.soaks", seconds=left))

    def _tell(self, engine: Rollout, device: str) -> None:
        box = engine.record.boxes.get(device)
        if box is None or box.push is None:
            return
        found = (box.state, box.code, box.path, box.probe)
        if self._told.get(device) == found:
            return
        self._told[device] = found
        if self._args.json:
            show_json(
                {
                    "event": "box",
                    "device": device,
                    "wave": box.wave + 1,
                    "push": box.push,
                    "state": box.state,
                    "code": box.code,
                    "path": box.path,
                    "probe": box.probe,
                }
            )
        elif box.state in FAILED:
            self._write(failed_line(self._args, device, box.state, box.code, box.path, box.probe))

    def _show(self, engine: Rollout, tallies: dict[int, Tally]) -> None:
        lines = [
            tally_line(self._args, wave, engine.waves, tally)
            for wave, tally in tallies.items()
            if self._terminal or tally != self._shown.get(wave)
        ]
        news = [wave for wave, tally in tallies.items() if tally != self._shown.get(wave)]
        self._shown = tallies
        if self._args.json:
            for wave in news:
                show_json({"event": "wave", **tally_json(engine, wave)})
            return
        if self._terminal:
            self._clear()
            self._drawn = len(lines)
        sys.stderr.write("".join(f"{printable(one)}\n" for one in lines))
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._drawn:
            sys.stderr.write(f"\033[{self._drawn}F\033[J")
            self._drawn = 0

    def _write(self, text: str) -> None:
        """A line above the bars."""
        self._clear()
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()
        self._shown = {}

    def close(self, engine: Rollout) -> None:
        """Show the last state."""
        tallies = {wave: engine.tally(wave) for wave in range(engine.record.wave + 1)}
        if tallies != self._shown:
            self._show(engine, tallies)


def tally_json(engine: Rollout, wave: int) -> dict[str, object]:
    """A wave for machines."""
    tally = engine.tally(wave)
    return {
        "wave": wave + 1,
        "waves": engine.waves,
        "size": tally.size,
        "waiting": tally.waiting,
        "in_hand": tally.in_hand,
        "applied": tally.applied,
        "failed": tally.failed + tally.forgiven,
        "unproven": tally.unproven,
    }


def failed_line(
    args: argparse.Namespace, device: str, state: str, code: str | None, path: str | None, probe: str | None
) -> str:
    """`box-7: rolled back (probe head: …)`."""
    why = failure(args, code, path, probe)
    outcome = say(args, f"outcome.{state}")
    return f"{device}: {outcome} ({why})" if why else f"{device}: {outcome}"


def tell_failures(args: argparse.Namespace, engine: Rollout, most: int = 20) -> None:
    """The boxes that failed, on standard output."""
    failures = engine.failures()
    for name, box in list(failures.items())[:most]:
        show_line("  " + failed_line(args, name, box.state, box.code, box.path, box.probe))
    if len(failures) > most:
        show_line("  " + say(args, "rollout.more_failures", count=len(failures) - most))
