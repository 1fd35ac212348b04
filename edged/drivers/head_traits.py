"""What a head says of itself when a session begins, in the words of firmware/PROTOCOL.md §4. Sans-IO."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class ResetCause(IntEnum):
    """Why the head started."""

    UNKNOWN = 0
    POWER = 1
    PIN = 2
    WATCHDOG = 3
    BROWN_OUT = 4
    SOFTWARE = 5
    UPDATE = 6


class WelcomeFlag(IntFlag):
    """What a head says of itself."""

    SIMULATED = 1
    ON_TRIAL = 2
    BOOT_LOADER = 4


class Capability(IntFlag):
    """What a board has."""

    WHITE = 1 << 0
    IR_850 = 1 << 1
    IR_940 = 1 << 2
    UV_365 = 1 << 3
    STROBE = 1 << 4
    BUZZER = 1 << 5
    COVER = 1 << 6
    PRESENCE = 1 << 7
    TEMPERATURE = 1 << 8
    UPDATE = 1 << 9
