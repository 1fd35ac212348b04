"""Whoever is asked and told during an acceptance: a technician at a terminal, a file of answers, or nobody."""

from __future__ import annotations

import asyncio
import threading
import tomllib
from typing import TYPE_CHECKING, Final, Protocol

from edged.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MAX_ANSWERS: Final = 64 * 1024
"""Bytes of a file of answers: a line a step."""

_WORDS: Final = {
    "y": True,
    "yes": True,
    "j": True,
    "是": True,
    "n": False,
    "no": False,
    "否": False,
    "s": None,
    "skip": None,
    "跳过": None,
}


class Person(Protocol):
    """Who answers. `hands`: whether somebody or something does what is told."""

    hands: bool

    async def tell(self, code: str, **params: str) -> None:
        """Something to do now, or to know."""
        ...

    async def ask(self, step: str, code: str, **params: str) -> bool | None:
        """Yes, no, or None: nobody can say."""
        ...


class Technician:
    """Somebody at a terminal. `show` prints a line, `read` waits for one (it blocks, and raises `EOFError`)."""

    hands = True

    def __init__(self, say: Callable[..., str], show: Callable[[str], None], read: Callable[[], str]) -> None:
        self._say = say
        self._show = show
        self._read = read
        self._line: asyncio.Future[str] | None = None

    async def tell(self, code: str, **params: str) -> None:
        """A line on the terminal."""
        self._show(self._say(code, **params))

    async def ask(self, step: str, code: str, **params: str) -> bool | None:  # noqa: ARG002 - a person sees the step
        """Ask until the answer is one."""
        while True:
            self._show(f"{self._say(code, **params)} {self._say('acceptance.yes_no_skip')}")
            word = (await self._next_line()).strip().lower()
            if word in _WORDS:
                return _WORDS[word]

    async def _next_line(self) -> str:
        """The next line that is typed. One reader: what waited for a question that was given up waits for this one."""
        if self._line is None or self._line.cancelled():
            self._line = _in_thread(self._read)
        line = await asyncio.shield(self._line)
        self._line = None
        return line


class Answers:
    """A file of answers, by step; what is told is done by whoever runs this: a test rig, a script."""

    hands = True

    def __init__(
        self, answers: Mapping[str, bool | None], tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._answers = answers
        self._tell = tell

    async def tell(self, code: str, **params: str) -> None:  # noqa: ARG002 - a script needs no sentence
        """The rig hears the code alone."""
        self._tell(code)

    async def ask(self, step: str, code: str, **params: str) -> bool | None:  # noqa: ARG002 - see `tell`
        """What the file says of the step; None for what it doesn't."""
        return self._answers.get(step)


class Nobody:
    """Nobody is there: steps that need hands or eyes are skipped."""

    hands = False

    async def tell(self, code: str, **params: str) -> None:
        """Nobody hears it."""

    async def ask(self, step: str, code: str, **params: str) -> bool | None:  # noqa: ARG002 - nobody hears it
        """Nobody can say."""
        return None


def read_answers(path: Path) -> dict[str, bool | None]:
    """A TOML file: `"head/lamp_white" = "yes"`. Raises `ConfigError` with the step's name, `OSError`."""
    with path.open("rb") as file:
        data = file.read(MAX_ANSWERS + 1)
    if len(data) > MAX_ANSWERS:
        raise ConfigError(str(path), "config.too_large", bytes=str(MAX_ANSWERS))
    try:
        found = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(path), "config.not_toml", error=type(error).__name__) from error
    answers: dict[str, bool | None] = {}
    for step, word in found.items():
        if not isinstance(word, str) or word.lower() not in _WORDS:
            raise ConfigError(str(path), "acceptance.bad_answer").within(step, ": ")
        answers[step] = _WORDS[word.lower()]
    return answers


def _in_thread(read: Callable[[], str]) -> asyncio.Future[str]:
    """One blocking read in a thread that dies with the process: nothing waits for a line that never comes."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def settle(line: str) -> None:
        if not done.done():
            done.set_result(line)

    def reading() -> None:
        try:
            line = read()
        except (EOFError, OSError, ValueError):  # the terminal is gone
            line = "skip"
        try:
            loop.call_soon_threadsafe(settle, line)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    threading.Thread(target=reading, name="answer", daemon=True).start()
    return done
