"""A contactless link by the rules of ISO/IEC 14443-3 and -4: how long an APDU takes. Time is added up, nobody waits.

Type A, frames of 256 octets. A model, not a measurement: bits and gaps are the standard's, the chip's own time is a
round number.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SPEEDS: Final = (106, 424, 848)
"""kbit/s: what every chip does, and what most of today's agree on."""
CHIP_S: Final = 0.005
"""What the chip thinks about an APDU, whatever it is."""
BITS: Final = 9
"""Of an octet: eight and a parity bit."""
FRAME: Final = 256
BLOCK: Final = 3
"""Octets around what a frame carries: a control octet and a checksum of two."""
GAP_S: Final = 0.00038
"""Between two frames: guard times and the reader's turn-around."""


class Link(NamedTuple):
    """A link of so many kbit/s."""

    kbit: int

    def exchange_s(self, command: int, response: int) -> float:
        """A command of so many octets, the chip's time, a response of so many octets with its status word."""
        frames = [self._frames(command), self._frames(response)]
        octets = sum(each for each, _ in frames)
        return self.bits_s(octets) + sum(count for _, count in frames) * GAP_S + CHIP_S

    def bits_s(self, octets: int) -> float:
        """Nothing but the bits of so many octets."""
        return octets * BITS / (self.kbit * 1000)

    def clear_file_s(self, octets: int, longest: int) -> float:
        """A file in as few APDUs as can be, in clear: SELECT, then READ BINARY of `longest` octets at a time."""
        reads = [min(longest, octets - at) for at in range(0, octets, longest)]
        return self.exchange_s(7, 2) + sum(self.exchange_s(7, each + 2) for each in reads)

    @staticmethod
    def _frames(octets: int) -> tuple[int, int]:
        """Octets and frames that a chain takes: every block but the last is acknowledged by an empty one."""
        blocks = max(-(-octets // (FRAME - BLOCK)), 1)
        frames = 2 * blocks - 1
        return octets + BLOCK * frames, frames
