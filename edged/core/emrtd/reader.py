"""The course of a reading, from the first command to the portrait, as one exchange (Doc 9303-11 §3, §4.2).

In the order in which the verdict can be given soonest: what the signature covers, the code line, the proofs that the
chip is no copy, further data, and the portrait, which takes as long as all the rest, last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edged.core.emrtd.apdu import MAX_SHORT_NE
from edged.core.emrtd.chip_proofs import CHECK as CHIP_AUTHENTICATION
from edged.core.emrtd.chip_proofs import challenge_chip, judge_cam, offers_mapping, prove_chip, undetermined
from edged.core.emrtd.chip_reading import Challenge, ChipReading
from edged.core.emrtd.domains import SECRETS
from edged.core.emrtd.ef_com import parse_com
from edged.core.emrtd.file_reading import FileReader
from edged.core.emrtd.files import GUARDED, ElementaryFile
from edged.core.emrtd.opening import CHECK as CHIP_ACCESS
from edged.core.emrtd.opening import Offer, Opening
from edged.core.emrtd.pace_choice import pace_choices
from edged.core.emrtd.security_infos import PaceInfo, read_card_access
from edged.core.emrtd.security_object import security_object_of_sod
from edged.core.emrtd.session import Session
from edged.core.emrtd.steps import Phase, PhaseBegan
from edged.errors import ChipError, ChipGoneError, ChipOverrunError, DecodeError
from edged.identity import Identity, withheld
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.core.emrtd.access_keys import AccessKey
    from edged.core.emrtd.domains import Draw
    from edged.core.emrtd.steps import Exchange

_EF: Final = ElementaryFile
ESSENTIAL: Final = (_EF.SOD, _EF.COM, _EF.DG1)
"""What every eMRTD has and every reading reads."""
_NO_PACE: Final = frozenset(("chip.file_absent", "chip.file_refused", "chip.read_refused"))
"""What chips without PACE say to EF.CardAccess. What can't be understood may well be an offer."""
_OFFERS: Final = (_EF.CARD_ACCESS, _EF.DG14)
"""Where a chip says which ways of PACE it has."""
FURTHER: Final = (_EF.DG11, _EF.DG12, _EF.DG7)
PROOF_TRIES: Final = 2
"""Of chip authentication, where the session was lost over it: once may be the air, and a copy gains nothing by it."""
LONGEST_ANSWER: Final = 4096
"""Octets. Longer ones save less than a hundredth of the time, and some drivers fail at 32 KiB."""
WANTED: Final = frozenset((_EF.DG1, _EF.DG2, _EF.DG7, _EF.DG11, _EF.DG12, _EF.DG14, _EF.DG15))
"""Data groups that a reading reads unless told otherwise: what is judged or shown."""


@withheld
class ReadPlan(NamedTuple):
    """What is to be read, and how.

    Attributes:
        key: opens the chip; None: only a chip without access control can be read.
        bac_after_failed_pace: whether BAC may open a chip whose PACE failed. `chip_access` stays failed.
        portrait: whether DG2 is read, which takes as long as all the rest.
        max_apdu: octets of the longest answer that the card reader passes on, 256 for short ones only. None where
            nobody knows: long ones are tried then, and given up with what they cost.
        wanted: data groups to read where the chip has them; DG1 always, DG3 and DG4 never.
        draw: where nonces and ephemeral keys come from.
    """

    key: AccessKey | None
    bac_after_failed_pace: bool = False
    portrait: bool = True
    max_apdu: int | None = MAX_SHORT_NE
    wanted: frozenset[ElementaryFile] = WANTED
    draw: Draw = SECRETS

    @property
    def extended(self) -> int:
        """Octets of an answer to ask for, 0 for short ones only."""
        most = LONGEST_ANSWER if self.max_apdu is None else min(self.max_apdu, LONGEST_ANSWER)
        return most if most > MAX_SHORT_NE else 0


def read_chip(plan: ReadPlan) -> Exchange[ChipReading]:
    """Read one chip. Whatever goes wrong, and whatever is thrown in, ends in a `ChipReading` of what was read by then.

    It ends after a bounded number of commands whatever the chip answers.
    """
    visit = _Visit(plan)
    try:
        yield from visit.run()
    except (ChipError, DecodeError) as error:
        visit.aborted = _why(error)
    return visit.reading()


class _Visit(Identity):
    """One reading as it goes."""

    __slots__ = (
        "_challenge",
        "_expected",
        "_files",
        "_mapped",
        "_opening",
        "_plan",
        "_proof",
        "_reader",
        "_session",
        "_unread",
        "aborted",
    )

    def __init__(self, plan: ReadPlan) -> None:
        self._plan = plan
        self._session = Session()
        self._opening = Opening(self._session, plan.key, plan.draw, lenient=plan.bac_after_failed_pace)
        self._reader = FileReader(self._session, plan.extended, self._opening.again)
        self._files: dict[ElementaryFile, bytes] = {}
        self._unread: dict[ElementaryFile, Reason] = {}
        self._expected: list[ElementaryFile] = list(ESSENTIAL)
        self._proof: Check | None = None
        self._mapped = 0  # sessions whose mapping was judged, where that is the proof
        self._challenge: Challenge | None = None
        self.aborted: Reason | None = None

    def run(self) -> Exchange[None]:
        """The whole reading. Raises `ChipError` where it can't go on."""
        yield PhaseBegan(Phase.SELECT)
        offer = yield from self._card_access()
        yield PhaseBegan(Phase.ACCESS)
        if not (yield from self._opening.open(offer)):
            assert self._opening.check is not None, "a chip that doesn't open has a reason"
            self._unread |= dict.fromkeys(ESSENTIAL, self._opening.check.reasons[0])
            return
        yield from self._prove_by_mapping()
        yield from self._enter()
        yield PhaseBegan(Phase.DATA)
        for file in (_EF.SOD, _EF.COM):
            yield from self._take(file)
        listed = self._listed()
        yield from self._take_some((_EF.DG1, _EF.DG14), listed)
        yield from self._prove(listed)
        others = sorted(
            listed - {*ESSENTIAL, *FURTHER, _EF.DG2, _EF.DG14, _EF.DG15}, key=lambda file: file.fid
        )
        if listed & {*FURTHER, *others}:
            yield PhaseBegan(Phase.DATA)
            yield from self._take_some((*FURTHER, *others), listed)
        if _EF.DG2 in listed:
            yield PhaseBegan(Phase.PORTRAIT)
            try:
                yield from self._take(_EF.DG2)
            except ChipOverrunError as error:
                self._unread[_EF.DG2] = _why(error)

    def _card_access(self) -> Exchange[Offer]:
        """What kind of PACE the chip offers, before anything is opened (§4.2 step 1)."""
        yield from self._session.select_master_file()
        try:
            raw = yield from self._reader.read(_EF.CARD_ACCESS)
            infos = read_card_access(raw)
        except (ChipGoneError, ChipOverrunError):
            raise
        except (ChipError, DecodeError) as error:
            if error.code in _NO_PACE:
                return Offer()
            self._unread[_EF.CARD_ACCESS] = _why(error)
            return Offer(trouble=_why(error))
        self._files[_EF.CARD_ACCESS] = raw
        choices = pace_choices(infos)
        if not choices and infos.of(PaceInfo):
            return Offer(trouble=Reason("chip.pace_unknown"))
        return Offer(choices)

    def _enter(self) -> Exchange[None]:
        """The application, in a new session where the one after PACE breaks at once. Raises `ChipError`."""
        while True:
            try:
                yield from self._opening.enter()
            except (ChipGoneError, ChipOverrunError):
                raise
            except ChipError as error:
                if not self._session.lost:
                    raise
                yield from self._reader.recover(error)
            else:
                return

    def _prove_by_mapping(self) -> Exchange[None]:
        """Chip authentication that PACE has done: its key lies beside the application, so before that is entered."""
        if not self._opening.cams:
            return
        yield PhaseBegan(Phase.AUTHENTICATION)
        self._expected.append(_EF.CARD_SECURITY)
        yield from self._take(_EF.CARD_SECURITY)
        raw = self._files.get(_EF.CARD_SECURITY)
        if raw is None:
            self._proof = Check(CHIP_AUTHENTICATION, Result.UNDETERMINED, (self._unread[_EF.CARD_SECURITY],))
        else:
            self._judge_mapping(raw)

    def _judge_mapping(self, card_security: bytes) -> None:
        """Every session is judged: behind one that was opened again there may be another chip."""
        self._proof = judge_cam(self._opening.cams, card_security)
        self._mapped = len(self._opening.cams) if self._decided else 0

    def _prove(self, listed: frozenset[ElementaryFile]) -> Exchange[None]:
        """Chip authentication unless PACE's decided it, then active authentication."""
        draw, dg14 = self._plan.draw, self._files.get(_EF.DG14)
        decided = self._decided
        if self._proof is None and any(offers_mapping(self._files.get(file)) for file in _OFFERS):
            self._proof = undetermined(ChipError("chip.cam_not_done"))
        if (decided or dg14 is None) and _EF.DG15 not in listed:
            return
        yield PhaseBegan(Phase.AUTHENTICATION)
        if dg14 is not None and not decided:
            for _ in range(PROOF_TRIES):
                proof = yield from prove_chip(self._session, dg14, draw, long=self._reader.long)
                self._proof = proof or self._proof
                if not self._session.lost:
                    break
                yield from self._reader.recover(ChipError("sm.lost"))
        if _EF.DG15 in listed:
            yield from self._take(_EF.DG15)
        dg15 = self._files.get(_EF.DG15)
        if dg15 is not None:
            outcome = yield from challenge_chip(self._session, self._reader, dg15, draw)
            if isinstance(outcome, Challenge):
                self._challenge = outcome
            else:
                self._unread[_EF.DG15] = outcome

    @property
    def _decided(self) -> bool:
        """Whether PACE has shown that the chip is no copy, or that it is one."""
        return self._proof is not None and self._proof.result is not Result.UNDETERMINED

    def _listed(self) -> frozenset[ElementaryFile]:
        """Data groups to read: those that are signed, or that EF.COM lists where the signed list can't be read."""
        found: Iterable[ElementaryFile] = ()
        for file, parse in ((_EF.SOD, _of_sod), (_EF.COM, _of_com)):
            try:
                found = parse(self._files[file]) if file in self._files else ()
            except DecodeError:
                continue  # whoever judges the file says so
            if not found:
                continue
            if file is _EF.SOD:
                self._do_without_com()
            break
        here = frozenset(found)
        self._unread |= dict.fromkeys(here & GUARDED, Reason("chip.needs_terminal_authentication"))
        left_out = GUARDED if self._plan.portrait else GUARDED | {_EF.DG2}
        listed = (here & self._plan.wanted | {_EF.DG1}) - left_out
        self._expected += listed
        return listed

    def _do_without_com(self) -> None:
        """What EF.COM says the signed list has said: a chip that leaves it out lacks nothing."""
        if _EF.COM in self._unread and self._unread[_EF.COM].code == "chip.file_absent":
            del self._unread[_EF.COM]
            self._expected.remove(_EF.COM)

    def _take_some(
        self, files: Iterable[ElementaryFile], listed: frozenset[ElementaryFile]
    ) -> Exchange[None]:
        for file in files:
            if file in listed:
                yield from self._take(file)

    def _take(self, file: ElementaryFile) -> Exchange[None]:
        """Read a file, or say why not. Raises `ChipError` where nothing more can be read."""
        try:
            self._files[file] = yield from self._reader.read(file)
        except (ChipGoneError, ChipOverrunError):
            raise
        except (ChipError, DecodeError) as error:
            self._unread[file] = _why(error)
            if self._session.lost:
                raise

    def reading(self) -> ChipReading:
        """What came of it."""
        if 0 < self._mapped < len(self._opening.cams):
            self._judge_mapping(self._files[_EF.CARD_SECURITY])
        access, proof = self._opening.check, self._proof
        if self.aborted is not None:
            for file in self._expected:
                if file not in self._files:
                    self._unread.setdefault(file, self.aborted)
            access = access or Check(CHIP_ACCESS, Result.ABORTED, (self.aborted,))
        if proof is None and self.aborted is not None and (self._opening.cams or _EF.DG14 in self._expected):
            proof = Check(CHIP_AUTHENTICATION, Result.ABORTED, (self.aborted,))
        if proof is None and _EF.DG14 in self._unread:  # it may well have a key in there
            proof = Check(CHIP_AUTHENTICATION, Result.UNDETERMINED, (self._unread[_EF.DG14],))
        return ChipReading(
            checks=tuple(check for check in (access, proof) if check is not None),
            files=self._files,
            unread=self._unread,
            challenge=self._challenge,
            aborted=self.aborted,
        )


def _why(error: ChipError | DecodeError) -> Reason:
    return Reason(error.code, dict(error.params))


def _of_sod(raw: bytes) -> tuple[ElementaryFile, ...]:
    return security_object_of_sod(raw).files


def _of_com(raw: bytes) -> tuple[ElementaryFile, ...]:
    return parse_com(raw).files
