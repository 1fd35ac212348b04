"""An acceptance from its first step to the signed report: kept as it goes, so that it can be broken off and resumed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from edged import __version__, clock
from edged.errors import SignatureRefusedError
from edged.technician import camera_steps, head_steps, other_steps
from edged.technician.walk import Walk, accepted, walk
from edged.uplink import sign
from edged.uplink.acceptance import Acceptance, AcceptedDevice, Step, result_of, seal_acceptance
from edged.uplink.roles import Role, TrustAnchor
from edged.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from edged.config import BoxSettings
    from edged.devices import Devices
    from edged.technician.person import Person
    from edged.technician.walk import Task
    from edged.uplink.sign import Signer

PROGRESS: Final = "progress.jws"
TYP_PROGRESS: Final = "acceptance-progress+jws"
REPORT: Final = "acceptance.jws"
READABLE: Final = "acceptance.md"


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What has been done, and of what: steps of another box, version or device are not this one's.

    Signed by the box as the report is: it may lie in a directory that others write to, and a step that was never done
    must not get into a report by way of it.
    """

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
    directory: Path, signer: Signer, anchor: TrustAnchor, config_version: str, now: dict[str, AcceptedDevice]
) -> tuple[Step, ...]:
    """Steps that have passed before on this very box, with these very devices; none of what the box hasn't signed."""
    box = signer.principal.name
    try:
        with (directory / PROGRESS).open("rb") as file:
            compact = file.read(sign.MAX_COMPACT + 1)
        # As of the certificate's last moment: a box that has lost its clock goes on, too.
        verified = sign.verify(
            compact, typ=TYP_PROGRESS, anchor=anchor, role=Role.DEVICE, at=signer.not_after
        )
        found = msgspec.json.decode(verified.payload, type=Progress)
    except (OSError, SignatureRefusedError, msgspec.DecodeError):
        return ()
    if (verified.principal.name, found.box) != (box, box):
        return ()
    if (found.software, found.config_version) != (__version__, config_version):
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
    anchor = TrustAnchor.from_file(settings.identity.fleet_ca)
    kept = () if again else resumed(directory, signer, anchor, settings.version, before)
    steps: list[Step] = []

    today = datetime.now(UTC).astimezone().date()
    place = Walk(devices, person, directory, today)

    def keep(step: Step) -> None:
        steps.append(step)
        so_far = [_of_now(place, one) for one in (*steps, *_not_in(kept, steps))]
        _keep(directory, signer, _progress(settings, signer, accepted(devices.by_name()), so_far))
        done(step)

    async with place:
        await walk(place, wanted, kept, keep)
        steps = [_of_now(place, step) for step in steps]
    report = _report(settings, signer, accepted(devices.by_name()), steps, technician)
    return report, seal_acceptance(report, signer)


def _of_now(place: Walk, step: Step) -> Step:
    """A step of a device that was changed for another since says nothing of the one that the report names."""
    if step.outcome != "passed" or place.is_the_same(step.name.partition("/")[0]):
        return step
    return msgspec.structs.replace(step, outcome="failed", code="acceptance.changed")


def _not_in(kept: Iterable[Step], steps: Iterable[Step]) -> list[Step]:
    """What was kept of before and hasn't come up again yet."""
    names = {step.name for step in steps}
    return [step for step in kept if step.name not in names]


def _progress(
    settings: BoxSettings, signer: Signer, devices: dict[str, AcceptedDevice], steps: list[Step]
) -> Progress:
    return Progress(signer.principal.name, __version__, settings.version, devices, tuple(steps))


def _keep(directory: Path, signer: Signer, progress: Progress) -> None:
    signed = signer.sign(TYP_PROGRESS, msgspec.json.encode(progress))
    with whole_file(directory / PROGRESS) as file:
        file.write(signed.encode())


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
