"""Diagnostics: one bounded file with what a technician asks a box for, and nothing personal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon knows of itself; all of it is scrubbed before it leaves."""

    status: Mapping[str, Any]
    settings: Any
    """`BoxSettings` in force."""
