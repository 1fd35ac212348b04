"""What a conversation with a chip is made of, and how it is driven.

A protocol is a generator, an `Exchange`: it yields a `Command` and is sent the chip's `Response`; it yields facts for
whoever watches (`PhaseBegan`, `FileProgress`) and is sent None. What goes wrong outside (the card is taken away, a
phase takes too long) is thrown into it as a `ChipError`; a reader that can say something all the same returns it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from edged.core.emrtd.apdu import Command, Response
from edged.errors import ChipError, ChipOverrunError, DecodeError


class Phase(StrEnum):
    """Parts of a reading, in order: what time is told of and budgeted for."""

    SELECT = "select"
    ACCESS = "access"
    DATA = "data"
    AUTHENTICATION = "authentication"
    PORTRAIT = "portrait"


@dataclass(frozen=True)
class PhaseBegan:
    """What is exchanged from here on belongs to this phase."""

    phase: Phase


@dataclass(frozen=True)
class FileProgress:
    """So many octets of a file (its name as in `edged.core.emrtd.files`) are there; `total` is 0 while unknown."""

    file: str
    octets: int
    total: int


Step: TypeAlias = Command | PhaseBegan | FileProgress
T = TypeVar("T")
Exchange: TypeAlias = Generator[Step, Response | None, T]

Transmit: TypeAlias = Callable[[bytes], bytes]
"""Sends one command APDU and returns the response APDU; raises `ChipError` when that can't be done."""


def ask(command: Command) -> Exchange[Response]:
    """One command and its response."""
    response = yield command
    assert response is not None, "a command is answered by a response"
    return response


def drive(
    exchange: Exchange[T],
    transmit: Transmit,
    *,
    watch: Callable[[Step], None] = lambda _: None,
    budget_s: Mapping[Phase, float] | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> T:
    """Run an exchange to its end: blocking, in the thread of the caller.

    `watch` is told facts (never commands). A phase that has used up its budget has `ChipOverrunError` thrown into it
    before its next command. Raises what the exchange raises.
    """
    budgets = budget_s or {}
    phase: Phase | None = None
    ends: float | None = None
    step = _advance(exchange, None)
    while not isinstance(step, _Done):
        if isinstance(step, Command):
            if ends is not None and clock() > ends:
                ends = None
                assert phase is not None
                step = _throw(exchange, ChipOverrunError(phase.value))
                continue
            try:
                response = Response.decode(transmit(step.encode()))
            except DecodeError:
                step = _throw(exchange, ChipError("chip.not_an_answer"))
            except ChipError as error:
                step = _throw(exchange, error)
            else:
                step = _advance(exchange, response)
            continue
        if isinstance(step, PhaseBegan):
            phase = step.phase
            limit = budgets.get(phase)
            ends = None if limit is None else clock() + limit
        watch(step)
        step = _advance(exchange, None)
    value: T = step.value
    return value


@dataclass
class _Done:
    value: Any


def _advance(exchange: Exchange[T], response: Response | None) -> Step | _Done:
    try:
        return exchange.send(response)
    except StopIteration as stop:
        return _Done(stop.value)


def _throw(exchange: Exchange[T], error: ChipError) -> Step | _Done:
    try:
        return exchange.throw(error)
    except StopIteration as stop:
        return _Done(stop.value)
