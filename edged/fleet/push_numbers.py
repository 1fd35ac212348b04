"""Numbers of pushes: fleet-wide, only ever higher, and on disk before they are used.

A box refuses a push whose number isn't above the one it has. A number that is lost between (a command that was stopped)
is no harm; a number that two different pushes have is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.errors import StateError
from edged.fleet.state import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.fleet.state import FleetState

FILE: Final = "pushes/number"

LEAP: Final = 1_000_000
"""So many pushes another copy of the state can have made that this one hasn't heard of."""

HIGHEST: Final = 2**53 - 1
"""As `edged.uplink.reported` has it: what every JSON reader keeps exactly."""


def last(state: FleetState) -> int:
    """The highest number that was ever given out; 0 before the first. Raises `StateError` (`fleet.bad_number`)."""
    path = state.directory / FILE
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        # A number is in each box's file, too: a state without its counter goes on above them.
        return max((record.push for record in state.devices().values()), default=0)
    except UnicodeDecodeError:
        text = ""
    if not text.isdecimal() or int(text) > HIGHEST:
        raise StateError("fleet.bad_number", str(path))
    return int(text)


def ahead(state: FleetState, reported: Mapping[str, int]) -> dict[str, int]:
    """Boxes that report a push of a number that was never given out here, and which.

    A number further off than `LEAP` is no fleet's: that box isn't believed, or it alone could use up all numbers.
    Raises `StateError` (`fleet.bad_number`).
    """
    known = last(state)
    return {name: number for name, number in reported.items() if known < number <= known + LEAP}


def reserve(state: FleetState, count: int = 1, above: int = 0) -> range:
    """The next `count` numbers, all above `above` (what a box has reported, say), durably given out.

    Under `FleetState.changing()`. Raises `StateError` (`fleet.bad_number`) when there are none left.
    """
    first = max(last(state), above) + 1
    numbers = range(first, first + count)
    if count < 1 or numbers[-1] > HIGHEST:
        raise StateError("fleet.bad_number", f"{numbers}")
    write_text(state.directory / FILE, f"{numbers[-1]}\n")
    return numbers
