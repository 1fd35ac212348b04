"""Commands as a box takes them: verified, limited, journalled, obeyed one at a time, answered on the fixed topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from edged.verdict import Kind, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.pushed.diagnostics import Facts


class Checked(msgspec.Struct, frozen=True):
    """One check of a test inspection."""

    name: str
    result: Result
    code: str | None = None
    """Why, as a code of the message catalogue."""


class TestScan(msgspec.Struct, frozen=True):
    """What a test inspection came to: outcomes and codes, nothing that was read."""

    kind: Literal[Kind.TEST]
    result: Result
    checks: tuple[Checked, ...]
    envelopes: int
    """Committed, every one of them with kind `test`."""
    ms: int
    """From the press to the commit, milliseconds."""


class Commanded(Protocol):
    """The daemon as commands see it. Every method raises `CodedError` for what it can't do now; its code is the answer."""

    async def status(self) -> Mapping[str, Any]:
        """How the box is, as `edged status` shows it."""

    async def scan(self, kind: Literal[Kind.TEST]) -> TestScan:
        """One inspection of a shipped specimen, never of what lies on the glass: nobody at the counter has asked for
        it, and its holder hasn't agreed. Raises `command.inspection_running` while a document is being inspected.
        """

    async def restart(self) -> None:
        """End the daemon in order, to be started again; called when the answer is on its way. May not return."""

    async def rotate_key(self) -> Mapping[str, Any]:
        """Make a new signing key and have it certified; what happened (serial, not_after)."""

    async def identify(self, seconds: int) -> None:
        """Blink and beep for so long, then as before. Raises `command.inspection_running`; a press ends it at once."""

    async def facts(self) -> Facts:
        """What diagnostics are made of, beside the log."""
