"""What can be wrong with a document or its chip, by name: what a reader must notice.

Some faults are made when the document is issued, the others by a card that misbehaves from a certain command on.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from edged.core.emrtd import apdu
from edged.core.emrtd.apdu import Response
from edged.emulator.card import Card
from edged.emulator.channel import SECURE
from edged.identity import Identity

if TYPE_CHECKING:
    from edged.emulator.chance import Chance
    from edged.emulator.personalised import Personalised


class Fault(StrEnum):
    """Every fault."""

    # The document is not what it claims to be.
    CLONED = "cloned"
    """All files copied, none of the private keys."""
    TAMPERED_MRZ = "tampered-mrz"
    """DG1 holds another name than the one that was signed."""
    TAMPERED_SIGNATURE = "tampered-signature"
    """One bit of EF.SOD's signature is flipped."""
    SWAPPED_PORTRAIT = "swapped-portrait"
    """DG2 holds somebody else's portrait."""
    SWAPPED_CHIP = "swapped-chip"
    """A genuine chip of another holder, opened by what is printed: the name in it is another one."""
    FOREIGN_SIGNER = "foreign-signer"
    """Another state's document signer signed."""
    FORGED_AUTHORITY = "forged-authority"
    """Somebody else certified the signer in the CSCA's name."""
    EXPIRED_SIGNER = "expired-signer"
    """The document signer's certificate had ended when it signed."""
    REVOKED_SIGNER = "revoked-signer"
    """The state has revoked the document signer's certificate."""

    # The chip, or the way to it, misbehaves.
    WRONG_MAC = "wrong-mac"
    """From a protected command on, MACs of responses are wrong."""
    UNPROTECTED = "unprotected"
    """From a protected command on, answers come in clear."""
    LOST_SESSION = "lost-session"
    """The chip loses its session once: 6988, and rights and counter are gone."""
    WRONG_STATUS = "wrong-status"
    """One command is answered with 6F00."""
    TRUNCATED_FILE = "truncated-file"
    """DG2 ends before the length in its header says."""
    NO_EXTENDED_LENGTH = "no-extended-length"
    """Extended length is refused in clear, uncounted."""
    PACE_FAILS = "pace-fails"
    """PACE is offered and always fails."""
    SLOW = "slow"
    """Every command takes so many milliseconds."""
    REMOVED = "removed"
    """The card is taken away at a command."""
    TORN = "torn"
    """The card is taken away after so many octets of answers, in the middle of one."""


ISSUING: Final = frozenset(
    {
        Fault.CLONED,
        Fault.TAMPERED_MRZ,
        Fault.TAMPERED_SIGNATURE,
        Fault.SWAPPED_PORTRAIT,
        Fault.SWAPPED_CHIP,
        Fault.FOREIGN_SIGNER,
        Fault.FORGED_AUTHORITY,
        Fault.EXPIRED_SIGNER,
        Fault.REVOKED_SIGNER,
    }
)
"""Faults that `office` makes; the rest are a `FaultyCard`'s."""

_USUAL: Final = {
    Fault.WRONG_MAC: 3,
    Fault.UNPROTECTED: 3,
    Fault.LOST_SESSION: 6,
    Fault.WRONG_STATUS: 16,
    Fault.SLOW: 100,
    Fault.REMOVED: 12,
    Fault.TORN: 3000,
}
"""Where a fault strikes unless told: the n-th (protected) command, milliseconds, octets."""

_STATUS_OCTETS: Final = 2
_GENERAL_FAILURE: Final = 0x6F00
_VERIFICATION_FAILED: Final = 0x6300


@dataclass(frozen=True)
class Injected:
    """A fault and where it strikes: see `Fault` and its usual place."""

    fault: Fault
    at: int

    @classmethod
    def parse(cls, text: str) -> Injected:
        """From "removed" or "removed:20". Raises ValueError for a name that isn't one, or a number below 1."""
        name, colon, number = text.partition(":")
        fault = Fault(name)
        at = int(number) if colon else _USUAL.get(fault, 1)
        if at < 1 or (colon and fault not in _USUAL):
            raise ValueError(text)
        return cls(fault, at)


class FaultyCard(Identity):
    """A card with one of the faults that aren't made at issuing; with None, or one of those, a good one.

    Attributes:
        delay_s: what its host lets pass before every answer, in seconds; the card itself knows no time.
    """

    __slots__ = ("_answered", "_commands", "_injected", "_protected", "card", "delay_s")

    def __init__(
        self, personalised: Personalised, injected: Injected | None = None, chance: Chance | None = None
    ) -> None:
        self.card = Card(personalised, chance)
        self.delay_s = injected.at / 1000 if injected and injected.fault is Fault.SLOW else 0.0
        self._injected = injected
        self._commands = 0
        self._protected = 0
        self._answered = 0
        match injected:
            case Injected(fault=Fault.TRUNCATED_FILE):
                self._truncate()
            case Injected(fault=Fault.NO_EXTENDED_LENGTH):
                self.card.conduct = dataclasses.replace(self.card.conduct, extended=False, counts_refused=0)

    @property
    def atr(self) -> bytes:
        """Answer to reset."""
        return self.card.atr

    def reset(self) -> None:
        """As after power-on. A fault that was counted down stays so."""
        self.card.reset()

    def answer(self, raw: bytes) -> bytes | None:
        """The response; None when the card is gone, before it said anything."""
        said, whole = self.say(raw)
        return said if whole else None

    def say(self, raw: bytes) -> tuple[bytes, bool]:
        """What is heard of the response, and whether that is all of it; otherwise the card is gone."""
        self._commands += 1
        injected = self._injected
        if injected is None:
            return self.card.answer(raw), True
        if injected.fault is Fault.REMOVED and self._commands >= injected.at:
            return b"", False
        response = self._faulty(raw, injected)
        if injected.fault is Fault.TORN and self._answered + len(response) > injected.at:
            heard = response[: max(0, injected.at - self._answered)]
            self._answered += len(heard)
            return heard, False
        self._answered += len(response)
        return response, True

    def _faulty(self, raw: bytes, injected: Injected) -> bytes:
        protected = bool(raw) and bool(raw[0] & SECURE) and self.card.channel is not None
        self._protected += protected
        strikes = protected and self._protected >= injected.at
        match injected.fault:
            case Fault.LOST_SESSION if strikes and self._protected == injected.at:
                self.card.reset()
                return Response(b"", apdu.SM_OBJECTS_WRONG).encode()
            case Fault.WRONG_STATUS if self._commands == injected.at:
                return Response(b"", _GENERAL_FAILURE).encode()
            case Fault.PACE_FAILS if raw[:2] == bytes((0x00, apdu.GENERAL_AUTHENTICATE)) and not protected:
                self.card.pace.forget()
                return Response(b"", _VERIFICATION_FAILED).encode()
            case Fault.UNPROTECTED if strikes:
                self.card.in_clear = True
                try:
                    return self.card.answer(raw)
                finally:
                    self.card.in_clear = False
        response = self.card.answer(raw)
        if injected.fault is Fault.WRONG_MAC and strikes and len(response) > _STATUS_OCTETS:
            return response[:-3] + bytes((response[-3] ^ 0x01,)) + response[-2:]
        return response

    def _truncate(self) -> None:
        from edged.core.emrtd.files import ElementaryFile

        files = self.card.personalised.files
        portrait = files.get(ElementaryFile.DG2)
        if portrait is not None:
            files[ElementaryFile.DG2] = portrait[: len(portrait) * 2 // 3]
