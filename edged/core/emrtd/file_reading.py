"""Reading a whole file: its length first, then in blocks as large as this chip gives (Doc 9303-10 §3.6.2, §3.6.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from edged.core.emrtd import tlv
from edged.core.emrtd.apdu import (
    MAX_EXTENDED_NE,
    MAX_SHORT_NE,
    OK,
    READ_BINARY,
    READ_BINARY_ODD,
    Command,
    Response,
)
from edged.core.emrtd.session import short_room
from edged.core.emrtd.steps import Exchange, FileProgress
from edged.errors import ChipError, ChipGoneError, ChipOverrunError, DecodeError
from edged.identity import Identity

if TYPE_CHECKING:
    from edged.core.emrtd.files import ElementaryFile
    from edged.core.emrtd.session import Session

MAX_FILE: Final = 256 * 1024
"""Octets. Portraits have 10 to 60 KiB, and the chips that carry them 80 to 160 KiB for everything."""
SHORT_SIZES: Final = (223, 192, 160, 128, 64)
"""Blocks asked for where the largest is refused. In the field: 192 (Ukraine), 160 (PRC, others), 128; 64 is ours."""
MAX_REOPENS: Final = 3
"""In one reading. One is needed where a long answer is refused in clear; each costs up to a second."""
HEADER: Final = 4
"""Octets of a file read first: tag and length of what is shorter than 64 KiB."""
MAX_EVEN_OFFSET: Final = 0x7FFF
"""READ BINARY has 15 bits for an offset; from there on the odd instruction takes it in a data object."""
WARNINGS: Final = frozenset((0x62, 0x63))
"""First octets of status words that may come with data: 6282, the file ends here; 63CF of PRC passports without."""
WRONG_EXPECTED: Final = 0x6C
_OFFSET: Final = 0x54
_CONTENT: Final = 0x53
_CONTENT_HEAD: Final = 4
"""Octets of tag and length of DO'53' at most, for what fits an APDU."""
_SLACK: Final = 32
_COMMANDS_PER_64: Final = 2
"""READ BINARY commands that a file may cost: some for trying sizes, and twice as many as in the smallest blocks."""

Reopen: TypeAlias = Callable[[], Exchange[None]]
"""Opens the chip again after its session was lost, its application selected. Raises `ChipError` when it can't."""


class FileReader(Identity):
    """Reads files in a session, and remembers what size of block this chip gives.

    `extended`: octets that an answer may have, as far as the card reader lets it; up to 256 for short ones only.
    `reopen` is called when the session is lost, `MAX_REOPENS` times at most; without it that is the end.
    """

    __slots__ = ("_ceiling", "_extended", "_reopen", "_reopens", "_session")

    def __init__(self, session: Session, extended: int = 0, reopen: Reopen | None = None) -> None:
        self._session = session
        self._extended = min(extended, MAX_EXTENDED_NE)
        self._reopen = reopen
        self._reopens = 0
        self._ceiling = MAX_EXTENDED_NE

    @property
    def long(self) -> bool:
        """Whether long commands and answers pass, as far as is known."""
        return min(self._extended, self._ceiling) > MAX_SHORT_NE

    def read(self, file: ElementaryFile) -> Exchange[bytes]:
        """The file, exactly as read: the one data object it is.

        Raises:
            ChipError: "chip.file_absent" | "chip.file_refused" | "chip.read_refused" (no size of block was given),
                "chip.too_much" (more than asked), "chip.never_ends", "sm.…" (the session is lost for good).
            DecodeError: "tlv.…" (no data object, or another one than belongs there), "chip.file_too_long".
        """
        reading = _Reading(file)
        selected = False
        while not reading.done:
            size = self._fit(reading)
            try:
                if not selected:
                    yield from self._session.select_file(file)
                    selected = True
                response = yield from self._session.send(reading.command(size))
            except (ChipGoneError, ChipOverrunError):
                raise
            except ChipError as error:
                smaller = selected and self._refused(reading, size)
                if self._session.lost:
                    yield from self.recover(error)
                    selected = False
                elif (
                    not smaller or size <= MAX_SHORT_NE
                ):  # a long answer may be more than the card reader passes on
                    raise
                continue
            block = reading.content(response)
            if len(block) > size:
                raise ChipError("chip.too_much", sw=response.sw)
            if block:
                reading.take(block)
                total = reading.total or 0
                yield FileProgress(file.value, min(len(reading.data), total), total)
            elif not self._exactly(reading, response.sw) and not self._refused(reading, size):
                raise ChipError("chip.read_refused", sw=response.sw)
        return bytes(reading.data[: reading.total])

    def _fit(self, reading: _Reading) -> int:
        """How many octets to ask for."""
        size = min(reading.wanted, self._size(reading) - reading.head)
        short = short_room(self._session)
        # Asked for in a short command, answered in a long one: a chip may refuse that, so a little stays for later.
        return short if short < size <= MAX_SHORT_NE else size

    def _size(self, reading: _Reading) -> int:
        """The largest block that was not refused yet, for this file or any."""
        ceiling = min(self._ceiling, reading.ceiling)
        return next((size for size in self._sizes() if size <= ceiling), SHORT_SIZES[-1])

    def _sizes(self) -> list[int]:
        largest = short_room(self._session)
        longer = [self._session.room(self._extended)] if self._extended > MAX_SHORT_NE else []
        return [*longer, largest, *(size for size in SHORT_SIZES if size < largest)]

    def _refused(self, reading: _Reading, size: int) -> bool:
        """Smaller blocks from here on: for every file when a full one was refused, else for the rest of this one.

        False when there is no smaller one.
        """
        smaller = [each for each in self._sizes() if each < size]
        if smaller and size >= self._size(reading) - reading.head:
            self._ceiling = smaller[0]
        elif not smaller or reading.total is None:
            return False
        reading.ceiling = smaller[0]
        return True

    def _exactly(self, reading: _Reading, sw: int) -> bool:
        """Whether the chip said how many octets it would give (6CXX): the next command asks for them."""
        exact = sw & 0xFF
        if sw >> 8 != WRONG_EXPECTED or not 0 < exact <= self._size(reading) or exact == reading.asked:
            return False
        reading.exact = exact
        return True

    def recover(self, error: ChipError) -> Exchange[None]:
        """A new session in place of the one that was lost with `error`; bounded for a whole reading.

        Raises `error` where none can be opened, and what opening it raises.
        """
        if self._reopen is None or self._reopens >= MAX_REOPENS:
            raise error
        self._reopens += 1
        try:
            yield from self._reopen()
        except ChipError:
            self._reopens = MAX_REOPENS
            self._session.abandon()
            raise


class _Reading(Identity):
    """One file on its way."""

    __slots__ = ("_commands", "_tag", "asked", "ceiling", "data", "exact", "total")

    def __init__(self, file: ElementaryFile) -> None:
        self._tag = file.tag
        self._commands = 0
        self.asked = 0
        self.exact = 0
        self.ceiling = MAX_EXTENDED_NE
        self.data = bytearray()
        self.total: int | None = None

    @property
    def done(self) -> bool:
        return self.total is not None and len(self.data) >= self.total

    @property
    def odd(self) -> bool:
        """Whether the file goes on where only the odd instruction reaches."""
        return len(self.data) > MAX_EVEN_OFFSET

    @property
    def head(self) -> int:
        """Octets of an answer that are not the file's."""
        return _CONTENT_HEAD if self.odd else 0

    @property
    def wanted(self) -> int:
        """Octets to ask for, were there no limit."""
        return self.exact or (HEADER if self.total is None else self.total - len(self.data))

    def command(self, size: int) -> Command:
        """READ BINARY from where the file goes on. Raises `ChipError` ("chip.never_ends")."""
        self.exact, self.asked = 0, size
        self._commands += 1
        if self._commands > _SLACK + _COMMANDS_PER_64 * -(-(self.total or 0) // SHORT_SIZES[-1]):
            raise ChipError("chip.never_ends")
        offset = len(self.data)
        if not self.odd:
            return Command(READ_BINARY, offset >> 8, offset & 0xFF, ne=size)
        where = tlv.encode(_OFFSET, offset.to_bytes(2 if offset <= 0xFFFF else 3, "big"))
        head = 2 if size < 0x80 else 3 if size <= 0xFF else _CONTENT_HEAD
        return Command(READ_BINARY_ODD, data=where, ne=size + head)

    def content(self, response: Response) -> bytes:
        """The octets of the file in an answer; none in an error. Raises `DecodeError`."""
        if response.sw != OK and response.sw >> 8 not in WARNINGS:
            return b""
        if not self.odd or not response.data:
            return response.data
        return bytes(tlv.only(response.data, _CONTENT))

    def take(self, block: bytes) -> None:
        """More of the file. Raises `DecodeError` for what can't be the file."""
        self.data += block
        if self.total is not None:
            return
        try:
            tag, head, length = tlv.read_header(bytes(self.data))
        except DecodeError as error:
            if error.code == "tlv.cut" and len(self.data) < 2 * HEADER:
                return
            raise
        if self._tag is not None and tag != self._tag:
            raise DecodeError("chip", "tlv.unexpected")
        if head + length > MAX_FILE:
            raise DecodeError("chip", "chip.file_too_long")
        self.total = head + length
