"""Conversations with emulated chips: exchanges that ask, and cards that answer or hold their answers back."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import TYPE_CHECKING

from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.steps import Exchange, FileProgress, Phase, PhaseBegan, ask
from edged.errors import ChipError
from edged.testing.stories import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Sequence

READ = Command(0xB0, 0, 0, ne=16)
"""READ BINARY of 16 octets."""


def digest(apdu: bytes) -> bytes:
    """An answer that depends on every octet that was sent."""
    return hashlib.sha256(apdu).digest()[:16] + b"\x90\x00"


def talk(commands: Sequence[Command], seen: list[ChipError] | None = None) -> Exchange[list[Response]]:
    """Ask every command; returns the answers. What is thrown in goes to `seen` and on."""
    yield PhaseBegan(Phase.DATA)
    answers = []
    try:
        for number, command in enumerate(commands):
            answers.append((yield from ask(command)))
            yield FileProgress("dg1", number + 1, len(commands))
    except ChipError as error:
        if seen is not None:
            seen.append(error)
        raise
    return answers


def salvage(commands: Sequence[Command]) -> Exchange[tuple[int, str | None]]:
    """Ask every command; returns how many were answered, and why not all of them."""
    yield PhaseBegan(Phase.DATA)
    answered = 0
    try:
        for command in commands:
            yield from ask(command)
            answered += 1
    except ChipError as error:
        return answered, error.code
    return answered, None


class Holding:
    """A card that keeps its answer to the nth command back until it is let go."""

    def __init__(self, nth: int = 1) -> None:
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self._left = nth

    def __call__(self, apdu: bytes) -> bytes:
        """The answer, in the card's own thread."""
        self._left -= 1
        if self._left == 0:
            self.asked.set()
            assert self.let_go.wait(PATIENCE_S)
        return digest(apdu)

    async def is_asked(self) -> None:
        """Wait until it was."""
        assert await asyncio.to_thread(self.asked.wait, PATIENCE_S)
