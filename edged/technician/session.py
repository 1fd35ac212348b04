"""An acceptance from its first step to the signed report: kept as it goes, so that it can be broken off and resumed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edged import __version__, clock
from edged.technician import camera_steps, head_steps, other_steps
from edged.technician.walk import Walk, accepted, walk
from edged.uplink.acceptance import Acceptance, AcceptedDevice, Step, result_of, seal_acceptance
from edged.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from edged.config import BoxSettings
    from edged.devices import Devices
    from edged.technician.person import Person
    from edged.technician.walk import Task
    from edged.uplink.sign import Signer

PROGRESS: Final = "progress.json"
REPORT: Final = "acceptance.jws"
READABLE: Final = "acceptance.md"

MAX_PROGRESS: Final = 256 * 1024
"""Bytes: `MAX_STEPS` steps with all their measures are a quarter of it."""


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What has been done, and of what: steps of another box, version or device are not this one's."""

    box: str
    software: str
    config_version: str
    devices: dict[str, AcceptedDevice]
    steps: tuple[Step, ...]


def tasks(devices: Devices, only: Iterable[str] = ()) -> tuple[Task, ...]:
    """Every step of these devices, in the order in which a person does them; `only`: of these devices, or these steps.

    Raises `KeyError` with a name that none is of.
    """
    every = (*head_steps.tasks(devices), *camera_steps.tasks(devices), *other_steps.tasks(devices))
    wanted = tuple(only)
    for name in wanted:
        if all(name not in (task.name, task.device) for task in every):
            raise KeyError(name)
    return tuple(task for task in every if not wanted or task.name in wanted or task.device in wanted)


def resumed(
    directory: Path, box: str, config_version: str, now: dict[str, AcceptedDevice]
) -> tuple[Step, ...]:
    """Steps that have passed before on this very box, with these very devices; none of a file that is no progress."""
    try:
        with (directory / PROGRESS).open("rb") as file:
            found = msgspec.json.decode(file.read(MAX_PROGRESS), type=Progress)
    except (OSError, msgspec.DecodeError):
        return ()
    if (found.box, found.software, found.config_version) != (box, __version__, config_version):
        return ()
    return tuple(
        step for step in found.steps if found.devices.get(of := step.name.partition("/")[0]) == now.get(of)
    )


async def accept(
    settings: BoxSettings,
    signer: Signer,
    devices: Devices,
    person: Person,
    *,
    directory: Path,
    technician: str | None = None,
    only: Iterable[str] = (),
    again: bool = False,
    done: Callable[[Step], None] = lambda _: None,
) -> tuple[Acceptance, str]:
    """Walk through the devices; the report, and the report signed. Every step is kept in `directory` as it ends.

    Raises `KeyError` (`tasks`), `OutputError`, `SignatureRefusedError`.
    """
    wanted = tasks(devices, only)
    before = accepted(devices.by_name())
    kept = () if again else resumed(directory, signer.principal.name, settings.version, before)
    steps: list[Step] = []

    def keep(step: Step) -> None:
        steps.append(step)
        _keep(
            directory,
            _progress(settings, signer, accepted(devices.by_name()), [*steps, *_not_in(kept, steps)]),
        )
        done(step)

    today = datetime.now(UTC).astimezone().date()
    async with Walk(devices, person, directory, today) as place:
        await walk(place, wanted, kept, keep)
    report = _report(settings, signer, accepted(devices.by_name()), steps, technician)
    return report, seal_acceptance(report, signer)


def _not_in(kept: Iterable[Step], steps: Iterable[Step]) -> list[Step]:
    """What was kept of before and hasn't come up again yet."""
    names = {step.name for step in steps}
    return [step for step in kept if step.name not in names]


def _progress(
    settings: BoxSettings, signer: Signer, devices: dict[str, AcceptedDevice], steps: list[Step]
) -> Progress:
    return Progress(signer.principal.name, __version__, settings.version, devices, tuple(steps))


def _keep(directory: Path, progress: Progress) -> None:
    with whole_file(directory / PROGRESS) as file:
        file.write(msgspec.json.encode(progress))


def _report(
    settings: BoxSettings,
    signer: Signer,
    devices: dict[str, AcceptedDevice],
    steps: list[Step],
    technician: str | None,
) -> Acceptance:
    synchronised = not settings.clock.require_synchronised or clock.synchronised()
    now = clock.read_clock(datetime.now(UTC), last_commit=None, last_receipt=None, synchronised=synchronised)
    return Acceptance(
        iss=signer.principal.name,
        fleet=signer.principal.fleet,
        iat=int(now.now.timestamp()),
        clock="trusted" if now.trusted else "not_trusted",
        technician=technician,
        software=__version__,
        config_version=settings.version,
        result=result_of(steps),
        simulated=any(device.provenance.simulated for device in devices.values()),
        devices=devices,
        steps=tuple(steps),
    )
