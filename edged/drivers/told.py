"""What a device says of itself, whoever's driver it is: a property that raises or lies in its form must not stop a box.

Drivers from outside (docs/drivers.md) are other people's code. One that can't say what it is counts as simulated: no
verdict that it took part in passes for a real one.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from edged import log
from edged.drivers import codes
from edged.drivers.facts import Described, DeviceFacts
from edged.events import DeviceBack, DeviceGone
from edged.uplink.envelope import Provenance
from edged.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edged.events import Attached

UNKNOWN: Final = Provenance(driver="unknown", identity=None, simulated=True)
"""Of a device that doesn't say, or in no form that can be signed."""

PAUSES_S: Final = (1.0, 5.0, 30.0)
"""Before a driver whose events broke off is asked for them again."""

E = TypeVar("E")

_FAILED: Final = Reason(codes.FAILED)


def provenance_of(device: object) -> Provenance:
    """Its provenance, fit to be signed; `UNKNOWN` when it has none."""
    try:
        return msgspec.convert(msgspec.to_builtins(device.provenance), Provenance)  # type: ignore[attr-defined]
    except Exception as error:  # noqa: BLE001 - whatever another package's code raises
        _complain(device, "provenance", error)
        return UNKNOWN


def trouble_of(device: object) -> Reason | None:
    """Why it can't be used; None when it can, or its kind has no `trouble`."""
    try:
        found = getattr(device, "trouble", None)
        return None if found is None else msgspec.convert(msgspec.to_builtins(found), Reason)
    except Exception as error:  # noqa: BLE001 - as above
        _complain(device, "trouble", error)
        return _FAILED


def facts_of(device: object) -> DeviceFacts | None:
    """Its facts; None when its driver has none to tell."""
    if not isinstance(device, Described):
        return None
    try:
        return msgspec.convert(msgspec.to_builtins(device.facts()), DeviceFacts)
    except Exception as error:  # noqa: BLE001 - as above
        _complain(device, "facts", error)
        return DeviceFacts(trouble=_FAILED)


def is_true(device: object, what: str) -> bool:
    """Whether a property that is a bool is true; False when it raises."""
    try:
        return bool(getattr(device, what))
    except Exception as error:  # noqa: BLE001 - as above
        _complain(device, what, error)
        return False


async def events_of(events: Callable[[], AsyncIterator[E]], name: str) -> AsyncIterator[E | Attached]:
    """What a device tells, and goes on telling: where its driver raises, it is gone for a while and then asked anew.

    `name` is what the device is called; `events` is its method.
    """
    for pause_s in itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1])):
        try:
            async for event in events():
                yield event
        except Exception as error:  # noqa: BLE001 - as above
            _complain(getattr(events, "__self__", events), "events", error)
        else:
            return
        yield DeviceGone(name)
        await asyncio.sleep(pause_s)
        yield DeviceBack(name)


def _complain(device: object, what: str, error: Exception) -> None:
    """Only what it was: a driver's exception may quote what it has just read."""
    log.get("drivers").error(
        "a driver failed to say what it is; please report this to its maker",
        driver=type(device).__module__,
        asked=what,
        kind=type(error).__name__,
    )
