"""The card: one command in, one response out. A file system behind access control that is enforced.

Sans-IO. Status words are ISO/IEC 7816-4's; where chips in the field differ, `Conduct` says how this one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import apdu, tlv
from edged.core.emrtd.apdu import Command, Response
from edged.core.emrtd.files import APPLICATION, ElementaryFile
from edged.emulator import basic, signing_proof
from edged.emulator.agreement import ChipAuthentication
from edged.emulator.chance import Chance, SystemChance
from edged.emulator.channel import SECURE, BrokenChannelError, Channel
from edged.emulator.password import PasswordConnection
from edged.emulator.refusal import RefusedError
from edged.errors import DecodeError
from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.emulator.personalised import Personalised

ATR: Final = bytes.fromhex("3B8880010073C8400000900062")
"""What a reader makes of a contactless card without history: here an application with extended length."""

CHAINING: Final = 0x10
MASTER_FILE: Final = 0x3F00
MAX_CHAINED: Final = 65535
"""Octets that a chain of commands may add up to."""
WRONG_DATA: Final = 0x6A80
NO_CURRENT_FILE: Final = 0x6986
AUTHENTICATION_FAILED: Final = 0x6300

_UNDER_MASTER: Final = (ElementaryFile.CARD_ACCESS, ElementaryFile.CARD_SECURITY)
_BY_TERMINAL_AUTHENTICATION: Final = (ElementaryFile.DG3, ElementaryFile.DG4)
"""Finger and iris: a terminal without certificates never sees them (Doc 9303-11 §7)."""


class Card(Identity):
    """A powered card.

    Attributes:
        personalised: its contents.
        conduct: how it behaves where chips differ.
        in_clear: the next answers are sent unprotected: a fault.
        log: the instruction and status word of everything so far, for tests and for whoever watches the emulator.
    """

    def __init__(self, personalised: Personalised, chance: Chance | None = None) -> None:
        self.personalised = personalised
        self.conduct = personalised.conduct
        self.in_clear = False
        self.log: list[tuple[int, int]] = []
        self._chance = chance or SystemChance()
        self._instructions: dict[int, Callable[[Command], Response]] = {
            apdu.SELECT: self._select,
            apdu.READ_BINARY: self._read,
            apdu.READ_BINARY_ODD: self._read_odd,
            apdu.GET_CHALLENGE: self._get_challenge,
            apdu.EXTERNAL_AUTHENTICATE: self._external_authenticate,
            apdu.INTERNAL_AUTHENTICATE: self._internal_authenticate,
            apdu.MANAGE_SECURITY_ENVIRONMENT: self._manage,
            apdu.GENERAL_AUTHENTICATE: self._general_authenticate,
        }
        self.pace = PasswordConnection(personalised, self._chance)
        self.reset()

    @property
    def atr(self) -> bytes:
        """Answer to reset."""
        return ATR

    def reset(self) -> None:
        """As after power-on: nothing selected, no session, no rights."""
        self.channel: Channel | None = None
        self._in_application = False
        self._file: ElementaryFile | None = None
        self._challenge: bytes | None = None
        self._chain = b""
        self._chained: tuple[int, int, int] | None = None
        self._room = apdu.MAX_SHORT_NE
        self._next_channel: Channel | None = None
        self._agreement: ChipAuthentication | None = None
        self.pace.forget()
        self._opened = False

    def answer(self, raw: bytes) -> bytes:
        """The response to a command."""
        try:
            command = Command.decode(raw)
        except DecodeError:
            return Response(b"", apdu.WRONG_LENGTH).encode()
        if self._is_extended(raw) and not self.conduct.extended:
            return self._refuse_extended(command).encode()
        self._room = self.conduct.extended_octets if self._is_extended(raw) else apdu.MAX_SHORT_NE
        response = self._protected(command) if command.cla & SECURE else self._in_clear(command)
        self.log.append((command.ins, response.sw))
        return response.encode()

    @staticmethod
    def _is_extended(raw: bytes) -> bool:
        return len(raw) > 6 and raw[4] == 0

    def _refuse_extended(self, command: Command) -> Response:
        refused = Response(b"", apdu.WRONG_LENGTH)
        self.log.append((command.ins, refused.sw))
        channel, counts = self.channel, self.conduct.counts_refused
        if channel is None or not command.cla & SECURE:
            return refused
        if counts is None:
            try:
                channel.unwrap(command)
            except BrokenChannelError as error:
                self._end_session()
                return Response(b"", error.sw)
            return channel.wrap(refused)
        channel.counter += counts
        return refused

    def _in_clear(self, command: Command) -> Response:
        # A command in clear ends the session (Doc 9303-11 §9.8.3), and is then carried out without its rights.
        if self.channel is not None:
            self._end_session()
        return self._carry_out(command)

    def _protected(self, command: Command) -> Response:
        channel = self.channel
        if channel is None:
            return Response(b"", apdu.SM_OBJECTS_WRONG)
        try:
            inner = channel.unwrap(command)
        except BrokenChannelError as error:
            self._end_session()
            return Response(b"", error.sw)
        response = self._carry_out(inner)
        wrapped = response if self.in_clear else channel.wrap(response, odd=bool(command.ins & 1))
        if self._next_channel is not None:
            self.channel, self._next_channel = self._next_channel, None
        return wrapped

    def _end_session(self) -> None:
        selected = self._in_application
        self.reset()
        self._in_application = selected

    def _carry_out(self, command: Command) -> Response:
        if command.cla & ~CHAINING:
            return Response(b"", apdu.CLASS_NOT_SUPPORTED)
        instruction = self._instructions.get(command.ins)
        if instruction is None:
            return Response(b"", apdu.INSTRUCTION_NOT_SUPPORTED)
        if command.ins != apdu.EXTERNAL_AUTHENTICATE and command.ins != apdu.GET_CHALLENGE:
            self._challenge = None
        try:
            if command.ins != apdu.GENERAL_AUTHENTICATE:
                whole = self._gather(command)
                if whole is None:
                    return Response(b"", apdu.OK)
                command = whole
            response = instruction(command)
        except RefusedError as refused:
            return Response(b"", refused.sw)
        except DecodeError:
            return Response(b"", WRONG_DATA)
        if self._next_channel is not None and self.channel is None:
            self.channel, self._next_channel = self._next_channel, None
        return response

    def _gather(self, command: Command) -> Command | None:
        """The command, with what the links of its chain brought before it; None for a link (ISO/IEC 7816-4 §5.3.3)."""
        key = (command.ins, command.p1, command.p2)
        before = self._chain if self._chained == key else b""
        self._chain, self._chained = b"", None
        data = before + command.data
        if len(data) > MAX_CHAINED:
            raise RefusedError(apdu.WRONG_LENGTH)
        if command.cla & CHAINING:
            self._chain, self._chained = data, key
            return None
        return command._replace(data=data)

    # --- files -------------------------------------------------------------------------------------------------

    def _select(self, command: Command) -> Response:
        if command.p1 == 0x04:
            if command.data != APPLICATION:
                raise RefusedError(apdu.FILE_NOT_FOUND)
            self._in_application, self._file = True, None
            return Response(b"", apdu.OK)
        fid = int.from_bytes(command.data, "big")
        if command.p1 == 0x00 and (not command.data or fid == MASTER_FILE):
            self._in_application, self._file = False, None
            return Response(b"", apdu.OK)
        if command.p1 not in {0x00, 0x02} or len(command.data) != 2:
            raise RefusedError(apdu.WRONG_PARAMETERS)
        file = self._find(lambda one: one.fid == fid)
        self._check_access(file)
        self._file = file
        return Response(b"", apdu.OK)

    def _find(self, matches: Callable[[ElementaryFile], bool]) -> ElementaryFile:
        for file in self.personalised.files:
            if (file in _UNDER_MASTER) != self._in_application and matches(file):
                return file
        raise RefusedError(apdu.FILE_NOT_FOUND)

    def _check_access(self, file: ElementaryFile) -> None:
        if file is ElementaryFile.CARD_ACCESS:
            return
        closed = self.channel is None or not self._opened
        if closed or file in _BY_TERMINAL_AUTHENTICATION:
            raise RefusedError(apdu.SECURITY_STATUS_NOT_SATISFIED)

    def _read(self, command: Command) -> Response:
        if command.p1 & 0x80:
            if command.p1 & 0x60:
                raise RefusedError(apdu.WRONG_PARAMETERS)
            self._file = self._readable(self._find(lambda one: one.sfi == command.p1 & 0x1F))
            offset = command.p2
        else:
            offset = command.p1 << 8 | command.p2
        data, sw = self._octets(offset, command.ne)
        return Response(data, sw)

    def _read_odd(self, command: Command) -> Response:
        """Offsets beyond 32 767: the offset in DO'54', the data in DO'53' (ISO/IEC 7816-4 §11.3.3)."""
        identifier = command.p1 << 8 | command.p2
        if 0 < identifier < 0x20:
            self._file = self._readable(self._find(lambda one: one.sfi == identifier))
        elif identifier:
            self._file = self._readable(self._find(lambda one: one.fid == identifier))
        offset = int.from_bytes(tlv.only(command.data, 0x54), "big")
        data, sw = self._octets(offset, command.ne, header=2)
        while len(wrapped := tlv.encode(0x53, data)) > self._capacity():
            data = data[:-1]
        return Response(wrapped, sw)

    def _readable(self, file: ElementaryFile) -> ElementaryFile:
        self._check_access(file)
        return file

    def _octets(self, offset: int, ne: int, header: int = 0) -> tuple[bytes, int]:
        conduct = self.conduct
        if self._file is None:
            raise RefusedError(NO_CURRENT_FILE)
        self._check_access(self._file)
        if not ne:
            raise RefusedError(apdu.WRONG_LENGTH)
        if conduct.most_read is not None and ne > conduct.most_read:
            raise RefusedError(conduct.too_much)
        contents = self.personalised.files[self._file]
        if offset > len(contents) or (offset == len(contents) and contents):
            raise RefusedError(apdu.WRONG_OFFSET)
        data = contents[offset : offset + min(max(1, ne - header), self._capacity())]
        across = offset + ne - header > len(contents) and ne < apdu.MAX_SHORT_NE
        return data, apdu.END_OF_FILE if across and conduct.warns_of_end else apdu.OK

    def _capacity(self) -> int:
        return self.channel.room(self._room) if self.channel else self._room

    # --- opening it --------------------------------------------------------------------------------------------

    def _get_challenge(self, command: Command) -> Response:
        if command.ne not in {basic.CHALLENGE_OCTETS, apdu.MAX_SHORT_NE}:
            raise RefusedError(apdu.WRONG_LENGTH)
        self._challenge = self._chance.octets(basic.CHALLENGE_OCTETS)
        return Response(self._challenge, apdu.OK)

    def _external_authenticate(self, command: Command) -> Response:
        challenge, self._challenge = self._challenge, None
        if not self._in_application or not self.personalised.bac:
            raise RefusedError(apdu.CONDITIONS_NOT_SATISFIED)
        if challenge is None or self.channel is not None:
            raise RefusedError(apdu.CONDITIONS_NOT_SATISFIED)
        agreed = basic.authenticate(self.personalised.mrz_information, challenge, command.data, self._chance)
        if agreed is None:
            raise RefusedError(AUTHENTICATION_FAILED)
        answer, self._next_channel = agreed
        self._opened = True
        return Response(answer, apdu.OK)

    def _manage(self, command: Command) -> Response:
        match command.p1, command.p2:
            case 0xC1, 0xA4:
                if self.channel is not None:
                    raise RefusedError(apdu.CONDITIONS_NOT_SATISFIED)
                return Response(b"", self.pace.choose(command.data))
            case 0x41, 0xA4:
                self._agreement = self._chip_authentication()
                self._agreement.choose(command.data)
                return Response(b"", apdu.OK)
            case 0x41, 0xA6:
                self._next_channel = self._chip_authentication().agree_at_once(command.data)
                return Response(b"", apdu.OK)
        raise RefusedError(apdu.WRONG_PARAMETERS)

    def _chip_authentication(self) -> ChipAuthentication:
        key = self.personalised.chip_key
        if key is None:
            raise RefusedError(apdu.REFERENCE_NOT_FOUND)
        if not self._opened or not self._in_application:
            raise RefusedError(apdu.SECURITY_STATUS_NOT_SATISFIED)
        return ChipAuthentication(key)

    def _general_authenticate(self, command: Command) -> Response:
        agreement, self._agreement = self._agreement, None
        if agreement is not None:
            answer, self._next_channel = agreement.agree(command.data)
            return Response(answer, apdu.OK)
        answer, channel = self.pace.step(command.data, last=not command.cla & CHAINING)
        if channel is not None:
            self._next_channel = channel
            self._opened = True
        return Response(answer, apdu.OK)

    # --- proving itself ----------------------------------------------------------------------------------------

    def _internal_authenticate(self, command: Command) -> Response:
        if not self._opened:
            raise RefusedError(apdu.SECURITY_STATUS_NOT_SATISFIED)
        key = self.personalised.signing_key
        if key is None or not self._in_application:
            raise RefusedError(apdu.INSTRUCTION_NOT_SUPPORTED)
        if len(command.data) != signing_proof.CHALLENGE_OCTETS:
            raise RefusedError(apdu.WRONG_LENGTH)
        signature = signing_proof.sign(key, command.data, self._chance)
        if len(signature) > self._capacity():
            raise RefusedError(apdu.WRONG_LENGTH)
        return Response(signature, apdu.OK)
