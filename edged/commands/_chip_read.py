"""`edged chip read`: read the chip that lies on a reader, judge it, say how long each part took.

Prints no identity unless a person at a terminal asks for it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edged import log, messages, process
from edged.commands import _chip_checks, _chip_read_key
from edged.commands._saying import say, show, show_json
from edged.commands._trust_common import default_directory
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.inventory import FileEntry, describe, inventory
from edged.core.emrtd.security_object import security_object_of_sod
from edged.core.emrtd.steps import FileProgress, PhaseBegan
from edged.errors import DecodeError, DeviceGoneError
from edged.verdict import Result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.commands._chip_read_key import Opener
    from edged.core.emrtd.chip_reading import ChipReading
    from edged.core.emrtd.steps import Phase, Step
    from edged.core.emrtd.trust_anchors import TrustAnchors
    from edged.drivers import Chip
    from edged.uplink.envelope import Provenance
    from edged.verdict import Check

_FAILED: Final = 1
_UNDETERMINED: Final = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The reader, what opens the chip, whom to trust, what to print."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--reader", default="", metavar="NAME", help="help.chip.read.reader")
    where.add_argument("--socket", type=Path, metavar="PATH", help="help.chip.read.socket")
    where.add_argument("--list", action="store_true", help="help.chip.read.list")
    _chip_read_key.add_arguments(parser)
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="help.chip.read.wait")
    parser.add_argument("--trust", type=Path, metavar="DIR", help="help.chip.read.trust")
    parser.add_argument("--bac-after-failed-pace", action="store_true", help="help.chip.read.bac")
    parser.add_argument("--no-portrait", action="store_true", help="help.chip.read.no_portrait")
    parser.add_argument("--show-identity", action="store_true", help="help.chip.read.show_identity")
    parser.add_argument("--json", action="store_true", help="help.json")
    parser.epilog = "help.chip.read.more"


def run(args: argparse.Namespace) -> int:
    """EX_OK: genuine. 1: something failed. 2: undetermined, or not read to its end. EX_UNAVAILABLE: no reader."""
    log.configure("error")  # on standard error; what goes wrong here is told by the command itself
    process.forbid_core_dumps()
    if args.list:
        return _list(args)
    if args.show_identity and (args.json or not sys.stdout.isatty()):
        print(f"edged: {say(args, 'chipread.identity_needs_terminal')}", file=sys.stderr)
        return os.EX_USAGE
    now = datetime.now(UTC)
    anchors = _anchors(args)
    opener = _chip_read_key.take_key(args, now.date())
    read = asyncio.run(_read(args, opener))
    checks = _judge(read.reading, opener, anchors, now)
    outcome = next(check.result for check in checks if check.name == "chip")
    if args.json:
        show_json(_as_json(args, read, checks, outcome, len(anchors)))
    else:
        show(_report(args, read, checks, outcome, len(anchors)))
        if args.show_identity:
            from edged.commands._chip_read_identity import lines

            show(lines(read.reading, now.date(), args.lang))
    return {Result.SUCCESSFUL: os.EX_OK, Result.FAILED: _FAILED}.get(outcome, _UNDETERMINED)


def _anchors(args: argparse.Namespace) -> TrustAnchors:
    from edged.trust.loading import load_anchors

    return load_anchors(args.trust or default_directory())


def _judge(reading: ChipReading, opener: Opener, anchors: TrustAnchors, now: datetime) -> tuple[Check, ...]:
    from edged.core.emrtd.judging import judge_chip

    return judge_chip(
        reading, anchors=anchors, at=now, today=now.date(), printed=opener.mrz, printed_is_sure=True
    )


# --- reading ---------------------------------------------------------------------------------------------------


class _Read(NamedTuple):
    reading: ChipReading
    meter: _Meter
    provenance: Provenance


async def _read(args: argparse.Namespace, opener: Opener) -> _Read:
    """Wait for a chip and read it. Raises `DeviceError`, `ChipError`."""
    from edged.antenna import BUDGET_S
    from edged.core.emrtd.reader import ReadPlan, read_chip

    async with _reader(args) as chip:
        await _until_laid(args, chip)
        plan = ReadPlan(
            opener.key,
            bac_after_failed_pace=args.bac_after_failed_pace,
            portrait=not args.no_portrait,
            max_apdu=chip.max_apdu,
        )
        meter = _Meter(args)
        reading = await chip.read(read_chip(plan), watch=meter, budget_s=BUDGET_S)
        meter.end()
        return _Read(reading, meter, chip.provenance)


def _reader(args: argparse.Namespace) -> Chip:
    if args.socket is not None:
        from edged.drivers.simulated_chip import SimulatedChip

        return SimulatedChip(args.socket)
    from edged.drivers.pcsc import PcscChip

    return PcscChip(args.reader)


async def _until_laid(args: argparse.Namespace, chip: Chip) -> None:
    """Raises `DeviceGoneError` when there is no reader, and when `--wait` is over."""
    if chip.trouble is not None:
        raise DeviceGoneError("chip", chip.trouble.code)
    if chip.card_present:
        return
    print(say(args, "chipread.lay_it_down"), file=sys.stderr, flush=True)
    events = chip.events()
    try:
        async with asyncio.timeout(args.wait):
            while not chip.card_present:
                await anext(events)
                if chip.trouble is not None:
                    raise DeviceGoneError("chip", chip.trouble.code)
    except TimeoutError:
        raise DeviceGoneError("chip", "chipread.no_card") from None


class _Meter:
    """Counts octets and time by phase; shows how it goes when somebody is looking."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._live = sys.stderr.isatty()
        self._since = time.monotonic()
        self._phase: Phase | None = None
        self._so_far: dict[str, int] = {}
        self.octets: dict[Phase, int] = {}
        self.seconds: dict[Phase, float] = {}

    def __call__(self, step: Step) -> None:
        if isinstance(step, PhaseBegan):
            self.end()
            self._phase = step.phase
            self.octets.setdefault(step.phase, 0)
            if self._live:
                print(say(self._args, "chipread.phase", phase=step.phase.value), file=sys.stderr, flush=True)
        elif isinstance(step, FileProgress):
            if self._phase is not None:
                self.octets[self._phase] += max(0, step.octets - self._so_far.get(step.file, 0))
            self._so_far[step.file] = step.octets
            if self._live:
                self._show(step)

    def end(self) -> None:
        """The phase under way ends here."""
        now = time.monotonic()
        if self._phase is not None:
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._since = now

    def _show(self, step: FileProgress) -> None:
        """One line a file, written over as it grows."""
        done = step.octets >= step.total > 0
        total = step.total or "…"
        print(
            f"\r  {step.file}: {step.octets}/{total}",
            end="\n" if done else "",
            file=sys.stderr,
            flush=True,
        )


# --- words -----------------------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from edged.drivers.pcsc import list_readers

    readers = list_readers()
    if args.json:
        show_json({"readers": [reader._asdict() for reader in readers]})
    elif not readers:
        raise DeviceGoneError("chip", "chip.no_reader")
    else:
        show(
            f"{reader.name}: "
            + ", ".join(
                say(args, code)
                for code in (
                    f"chipread.reader_{reader.kind}",
                    *(("chipread.reader_simulated",) if reader.simulated else ()),
                    *(("chipread.reader_card",) if reader.card_present else ()),
                )
            )
            for reader in readers
        )
    return os.EX_OK


def _report(
    args: argparse.Namespace, read: _Read, checks: tuple[Check, ...], outcome: Result, anchors: int
) -> Iterator[str]:
    yield from _chip_checks.lines(args, checks)
    for entry in _files(read.reading):
        yield messages.reason(describe(entry), args.lang)
    for phase, seconds in read.meter.seconds.items():
        yield say(
            args,
            "chipread.took",
            phase=phase.value,
            octets=read.meter.octets[phase],
            ms=round(seconds * 1000),
        )
    if not anchors:
        yield say(args, "chipread.no_trust")
    if read.provenance.simulated:
        yield say(args, "chipread.simulated")
    yield say(args, "chipread.outcome", result=f"result.{outcome}")


def _files(reading: ChipReading) -> tuple[FileEntry, ...]:
    sod = reading.files.get(ElementaryFile.SOD)
    try:
        listed = None if sod is None else security_object_of_sod(sod)
    except DecodeError:
        listed = None
    return inventory(reading, listed)


def _as_json(
    args: argparse.Namespace, read: _Read, checks: tuple[Check, ...], outcome: Result, anchors: int
) -> dict[str, Any]:
    return {
        "result": outcome,
        "checks": _chip_checks.as_json(args, checks),
        "phases": [
            {"phase": phase.value, "octets": read.meter.octets[phase], "ms": round(seconds * 1000, 1)}
            for phase, seconds in read.meter.seconds.items()
        ],
        "files": {file.value: len(octets) for file, octets in read.reading.files.items()},
        "unread": {file.value: reason.code for file, reason in read.reading.unread.items()},
        "reader": read.provenance,
        "anchors": anchors,
    }
