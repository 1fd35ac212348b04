"""Opening a chip, and opening it again: PACE where it is offered, else BAC, else not at all (Doc 9303-11 §4.2)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd.apdu import OK, READ_BINARY, Command
from edged.core.emrtd.bac import establish_bac
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.pace import establish_pace
from edged.core.emrtd.pace_choice import PaceChoice
from edged.errors import ChipError, ChipGoneError, ChipOverrunError, DecodeError
from edged.identity import Identity
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from edged.core.emrtd.access_keys import AccessKey
    from edged.core.emrtd.domains import Draw
    from edged.core.emrtd.pace_mapping import CamData
    from edged.core.emrtd.session import Session
    from edged.core.emrtd.steps import Exchange

CHECK: Final = "chip_access"
MAX_PACE_WAYS: Final = 2
"""Tried of those a chip offers: another only where it refuses one by name. A wrong key is never tried twice."""
_EVIDENCE: Final = frozenset(
    ("chip.wrong_key", "chip.bac_failed", "chip.pace_failed", "chip.pace_refused", "chip.not_an_answer")
)
"""What the chip did and shouldn't have. Anything else is ours: no key, a key of another kind, a way unknown here."""


class Offer(NamedTuple):
    """What EF.CardAccess says.

    Attributes:
        choices: ways of PACE that can be gone here, best first.
        trouble: why there are none although the chip has the file and seems to offer PACE.
    """

    choices: tuple[PaceChoice, ...] = ()
    trouble: Reason | None = None


class _Way(Enum):
    BAC = "bac"
    UNASKED = "unasked"


class Opening(Identity):
    """How one chip is opened.

    Attributes:
        check: `chip_access`, None while it isn't known.
        cams: what PACE with chip authentication mapping left to be verified: once for every session that it opened.
    """

    __slots__ = ("_draw", "_entered", "_key", "_lenient", "_session", "_way", "cams", "check")

    def __init__(self, session: Session, key: AccessKey | None, draw: Draw, *, lenient: bool) -> None:
        self._session = session
        self._key = key
        self._draw = draw
        self._lenient = lenient
        self._way: PaceChoice | _Way | None = None
        self._entered = False
        self.cams: list[CamData] = []
        self.check: Check | None = None

    def open(self, offer: Offer) -> Exchange[bool]:
        """Whether the chip is open; `check` says how that went. After PACE the application is still to be entered.

        PACE that was offered and failed, or can't be done here, stays so in `check`, whatever opens the chip after it.
        """
        if offer.choices:
            if (yield from self._by_pace(offer.choices)):
                return True
        elif offer.trouble is not None:
            self.check = Check(CHECK, Result.UNDETERMINED, (offer.trouble,))
        if self.check is None:
            return (yield from self._without_pace())
        if not self._lenient or self._key is None or not self._key.opens_bac:
            return False
        said = self.check
        opened = yield from self._without_pace()
        after = Reason("chip.bac_after_pace") if opened else Reason("chip.bac_after_pace_failed")
        self.check = Check(CHECK, said.result, (*said.reasons, after))
        return opened

    def enter(self) -> Exchange[None]:
        """Select the application, where `open` hasn't. Raises `ChipError` ("chip.no_application" | "sm.…")."""
        if not self._entered:
            yield from self._session.select_application()
            self._entered = True

    def again(self) -> Exchange[None]:
        """Open the chip the same way after its session was lost. Raises `ChipError`, and the session stays lost."""
        self._session.clear()
        entered, self._entered = self._entered, False
        if isinstance(self._way, PaceChoice):
            yield from self._session.select_master_file()
            yield from self._pace(self._way)
            if not entered:
                return
        yield from self.enter()
        if self._way is _Way.BAC:
            yield from self._bac()

    def _by_pace(self, choices: tuple[PaceChoice, ...]) -> Exchange[bool]:
        refused: tuple[Reason, ...] = ()
        for choice in choices[:MAX_PACE_WAYS]:
            try:
                yield from self._pace(choice)
            except (ChipGoneError, ChipOverrunError):
                raise
            except (ChipError, DecodeError) as error:
                self.check = _refusal(error)
                if error.code != "chip.pace_refused":
                    return False
                refused = self.check.reasons
            else:
                self._way = choice
                self.check = Check(CHECK, Result.SUCCESSFUL, refused)  # a weaker way than was offered is told
                return True
        return False

    def _without_pace(self) -> Exchange[bool]:
        try:
            yield from self.enter()
            yield from self._bac()
        except (ChipGoneError, ChipOverrunError):
            raise
        except (ChipError, DecodeError) as error:
            refusal = _refusal(error)
        else:
            self._way = _Way.BAC
            self.check = Check(CHECK, Result.SUCCESSFUL)
            return True
        if self._entered and self.check is None and (yield from self._unasked()):
            self._way = _Way.UNASKED
            self.check = Check(CHECK, Result.NOT_SUPPORTED, (Reason("chip.no_access_control"),))
            return True
        self.check = refusal
        return False

    def _unasked(self) -> Exchange[bool]:
        """Whether the chip gives its files to anyone: chips from before BAC do."""
        self._entered = False
        try:
            yield from self.enter()
            yield from self._session.select_file(ElementaryFile.COM)
        except (ChipGoneError, ChipOverrunError):
            raise
        except ChipError:
            return False
        response = yield from self._session.send(Command(READ_BINARY, ne=1))
        return response.sw == OK and len(response.data) == 1

    def _pace(self, choice: PaceChoice) -> Exchange[None]:
        if self._key is None:
            raise ChipError("chip.no_key")
        result = yield from establish_pace(choice, self._key, self._draw)
        self._session.secure(result.keys)
        if result.cam is not None:
            self.cams.append(result.cam)

    def _bac(self) -> Exchange[None]:
        if self._key is None:
            raise ChipError("chip.no_key")
        self._session.secure((yield from establish_bac(self._key, self._draw)))


def _refusal(error: ChipError | DecodeError) -> Check:
    result = Result.FAILED if error.code in _EVIDENCE else Result.UNDETERMINED
    return Check(CHECK, result, (Reason(error.code, dict(error.params)),))
