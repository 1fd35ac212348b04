"""Doing what an order says: what a daemon offers for it, and what becomes of its answer. Never raises for a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, assert_never

import msgspec

from edged import log
from edged.errors import CodedError
from edged.pushed import diagnostics
from edged.uplink.command import MAX_RESULT, OK, CommandName, Order
from edged.verdict import Kind, Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.pushed.diagnostics import Facts

LONGEST_S: Final[Mapping[CommandName, float]] = {
    "scan": 60.0,
    "status": 20.0,
    "diagnostics": 60.0,
    "restart": 120.0,  # the running inspection ends first
    "rotate-key": 120.0,  # over a bad line to the enrolment service
    "identify": 75.0,  # what was asked for, a minute at most, and the head's own delay
    "collect-logs": 20.0,
}
"""A command that takes longer is given up, so that the next one is heard."""


class CheckedOne(msgspec.Struct, frozen=True):
    """One check of a test inspection."""

    name: str
    result: Result
    code: str | None = None
    """Why, as a code of the message catalogue."""


class Trial(msgspec.Struct, frozen=True):
    """What a test inspection came to: outcomes and codes, nothing that was read."""

    kind: Kind
    result: Result
    checks: tuple[CheckedOne, ...]
    envelopes: int
    """Committed, every one of them with kind `test`."""
    ms: int
    """From the press to the commit, milliseconds."""

    @classmethod
    def of(cls, verdict: Verdict, *, envelopes: int, ms: int) -> Trial:
        """What may be said of a verdict: a code each, and no parameters."""
        checks = tuple(
            CheckedOne(check.name, check.result, check.reasons[0].code if check.reasons else None)
            for check in verdict.checks
        )
        return cls(verdict.kind, verdict.result, checks, envelopes, ms)


class Commanded(Protocol):
    """The daemon as commands see it. Whatever can't be done now raises `CodedError`; its code is the answer."""

    async def status(self) -> Mapping[str, Any]:
        """How the box is, as `edged status` shows it."""

    async def scan(self, kind: Literal[Kind.TEST]) -> Trial:
        """One inspection of a shipped specimen, whose envelopes say `kind`.

        Never of what lies on the glass: nobody at the counter asked for it. Raises `inspection.busy` while a document
        is being inspected.
        """

    async def restart(self) -> None:
        """End the daemon in order, to be started again; called when the answer is on its way. May not return."""

    async def rotate_key(self) -> Mapping[str, Any]:
        """Make a new signing key and have it certified; what came of it (`serial`, `not_after`)."""

    async def identify(self, seconds: int) -> None:
        """Blink and beep for so long, then as before. Raises `inspection.busy`; a press ends it at once."""

    async def facts(self) -> Facts:
        """What diagnostics are made of, beside the log."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of an order: `ok` or why not, and what there is to say."""

    code: str
    result: dict[str, Any]
    attachment: bytes | None = None


async def obey(order: Order, commanded: Commanded) -> Outcome:
    """Do it, within its time."""
    try:
        async with asyncio.timeout(LONGEST_S[order.name]):
            outcome = await _do(order, commanded)
    except TimeoutError:
        return Outcome("command.took_too_long", {})
    except CodedError as error:
        return Outcome(error.code, {})
    except Exception as error:  # noqa: BLE001 - one command that fails must not end the box's ear for the next
        log.get("commands").error("a command failed; please report this", name=order.name, exc_info=error)
        return Outcome("command.failed", {})
    if len(msgspec.json.encode(outcome.result)) > MAX_RESULT:
        return Outcome("reply.too_large", {})
    return outcome


async def _do(order: Order, commanded: Commanded) -> Outcome:
    match order.name:
        case "status":
            return Outcome(OK, _plain(await commanded.status()))
        case "scan":
            return _trial(await commanded.scan(Kind.TEST))
        case "restart":
            await commanded.restart()
            return Outcome(OK, {})
        case "rotate-key":
            return Outcome(OK, _plain(await commanded.rotate_key()))
        case "identify":
            await commanded.identify(order.args["seconds"])
            return Outcome(OK, {"seconds": order.args["seconds"]})
        case "diagnostics":
            facts = await commanded.facts()
            return _file(await asyncio.to_thread(diagnostics.bundle, facts, lines=order.args["lines"]))
        case "collect-logs":
            return _file(
                await asyncio.to_thread(
                    diagnostics.log_lines, lines=order.args["lines"], since=order.args["since"]
                )
            )
    assert_never(order.name)


def _plain(said: Mapping[str, Any]) -> dict[str, Any]:
    """What may leave of it: plain values alone, as in a log line."""
    plain: dict[str, Any] = log.scrubbed(said)
    return plain


def _trial(trial: Trial) -> Outcome:
    """A remote hand gets test verdicts alone: whatever said otherwise isn't told any further."""
    if trial.kind is not Kind.TEST:
        log.get("commands").critical("a commanded inspection was not a test; please report this")
        return Outcome("command.failed", {})
    return Outcome(OK, msgspec.to_builtins(trial))


def _file(attachment: bytes) -> Outcome:
    return Outcome(OK, {"bytes": len(attachment)}, attachment)
