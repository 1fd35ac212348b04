"""What a head says of itself, its slots and its counters, as `edged head status` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.drivers.head_facts import HeadFacts, dotted
from edged.drivers.head_messages import Counter, ReadCounters
from edged.drivers.head_traits import Capability
from edged.drivers.head_update_messages import NO_SLOT

if TYPE_CHECKING:
    from edged.drivers.head_client import HeadClient
    from edged.drivers.head_update_messages import SlotsResult


async def report(client: HeadClient) -> dict[str, Any]:
    """Ready for JSON; no slots for a head that can't be updated. Raises `DeviceError`."""
    counters = await client.request(ReadCounters())
    assert client.known is not None
    slots = await client.slots() if Capability.UPDATE in client.known.capabilities else None
    facts = HeadFacts.of(client.known)
    return {
        "board": facts.board,
        "unique_id": facts.unique_id,
        "firmware": facts.firmware,
        "security_version": facts.security_version,
        "boots": facts.boots,
        "reset_cause": facts.reset_cause.name.lower(),
        "simulated": facts.simulated,
        "on_trial": facts.on_trial,
        "boot_loader": facts.boot_loader,
        "slots": None if slots is None else _slots(slots),
        "counters": {_name(number): value for number, value in counters.items()},
    }


def _slots(found: SlotsResult) -> dict[str, Any]:
    return {
        "running": None if found.running == NO_SLOT else "AB"[found.running],
        "written": found.next_offset,
        **{
            name: {
                "state": slot.state.name.lower(),
                "version": dotted(slot.version),
                "security_version": slot.security_version,
            }
            for name, slot in zip("AB", found.slots, strict=True)
        },
    }


def _name(number: int) -> str:
    """A counter's name, or its number where this version doesn't know it."""
    return next((counter.name.lower() for counter in Counter if counter == number), str(number))
