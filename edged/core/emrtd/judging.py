"""From what was read of a chip to checks: one for every mechanism, and `chip` for all of them together.

Chip and active authentication prove that the chip has a private key. Whose key that is, passive authentication alone
can say: without it they prove nothing, and count for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd.active import verify_active
from edged.core.emrtd.card_security import verify_card_security
from edged.core.emrtd.dg1 import compare_mrz, read_dg1
from edged.core.emrtd.ef_com import com_against_sod, parse_com
from edged.core.emrtd.files import GUARDED, ElementaryFile
from edged.core.emrtd.passive import (
    HASHES,
    PASSIVE_CHECKS,
    PassiveFacts,
    PassiveResult,
    unreadable,
    verify_passive,
)
from edged.core.emrtd.security_infos import ActiveAuthenticationInfo, read_card_security, read_dg14
from edged.core.emrtd.unsigned_offer import compare_offer
from edged.errors import DecodeError
from edged.verdict import CHECKS, Check, Reason, Result

if TYPE_CHECKING:
    import datetime

    from edged.core.emrtd.chip_reading import ChipReading
    from edged.core.emrtd.trust_anchors import TrustAnchors
    from edged.core.mrz import Mrz

_ACCESS: Final = "chip_access"
_CHIP: Final = "chip_authentication"
_ACTIVE: Final = "active_authentication"
_TERMINAL: Final = "terminal_authentication"
_GUARDED_NOT_CHECKED: Final = tuple(
    Reason("chip.data_groups_not_checked", {"groups": groups}) for groups in ("DG3", "DG4", "DG3, DG4")
)
_PARTS: Final = (_ACCESS, *PASSIVE_CHECKS, "chip_mrz", _CHIP, _ACTIVE)
"""What `chip` sums up. What isn't supported counts for nothing, and neither way."""


def judge_chip(
    reading: ChipReading,
    *,
    anchors: TrustAnchors,
    at: datetime.datetime | None,
    today: datetime.date,
    printed: Mrz | None,
    printed_is_sure: bool,
) -> tuple[Check, ...]:
    """Every check of one chip, in the order of `edged.verdict.CHECKS`; they hold no identity.

    `at` is now, None when the clock can't be believed; `today` decides which century two-digit years mean. `printed` is
    what was read of the page, `printed_is_sure` whether no character of it may be a misreading. Never raises for what
    a chip says.
    """
    checks = {check.name: _unless_misread(check, printed_is_sure) for check in reading.checks}
    mrz = _mrz_of(reading, today)
    passive = _passive(reading, anchors, at, None if mrz is None else mrz.issuing_state)
    checks |= {check.name: _without_guarded(check) for check in passive.checks}
    checks[HASHES] = _with_com(checks[HASHES], reading, passive.facts)
    checks["chip_mrz"] = _against_print(reading, mrz, printed, printed_is_sure)
    if _ACCESS in checks and passive.proves(14):
        checks[_ACCESS] = _as_offered(checks[_ACCESS], reading)
    checks[_CHIP] = _chip_authentication(checks.get(_CHIP), reading, passive, anchors, at)
    checks[_ACTIVE] = _active_authentication(reading, passive)
    if any(file in reading.unread for file in GUARDED):
        not_supported = Reason("terminal_authentication.not_supported")
        checks[_TERMINAL] = Check(_TERMINAL, Result.NOT_SUPPORTED, (not_supported,))
    checks["chip"] = _summary(checks, reading)
    return tuple(checks[name] for name in CHECKS if name in checks)


def _unless_misread(check: Check, printed_is_sure: bool) -> Check:
    """A chip that a misread page didn't open has shown nothing."""
    if printed_is_sure or check.result is not Result.FAILED:
        return check
    if all(reason.code != "chip.wrong_key" for reason in check.reasons):
        return check
    return Check(check.name, Result.UNDETERMINED, check.reasons)


def _passive(
    reading: ChipReading, anchors: TrustAnchors, at: datetime.datetime | None, issuing_state: str | None
) -> PassiveResult:
    sod = reading.files.get(ElementaryFile.SOD)
    if sod is None:
        return PassiveResult(
            tuple(_unread(name, reading, ElementaryFile.SOD) for name in PASSIVE_CHECKS), None
        )
    groups = {file.number: data for file, data in reading.files.items() if file.number is not None}
    try:
        return verify_passive(sod, groups, anchors, at=at, issuing_state=issuing_state)
    except DecodeError as error:
        return unreadable(error)


def _without_guarded(check: Check) -> Check:
    """The check without a word about fingerprints and irises that were left alone, as they always are."""
    kept = tuple(reason for reason in check.reasons if reason not in _GUARDED_NOT_CHECKED)
    return Check(check.name, check.result, kept)


def _with_com(check: Check, reading: ChipReading, facts: PassiveFacts | None) -> Check:
    """What EF.COM, which nobody signs, says otherwise than the signed list is told; only the signed list counts."""
    com = reading.files.get(ElementaryFile.COM)
    if com is None or facts is None:
        return check
    try:
        differing = com_against_sod(parse_com(com), facts.listed)
    except DecodeError:
        return check
    return Check(check.name, check.result, (*check.reasons, *differing))


def _as_offered(check: Check, reading: ChipReading) -> Check:
    """The check of the access, unless what the chip seemed to offer is not what it says under signature."""
    dg14 = reading.files[ElementaryFile.DG14]
    told = check.result in {Result.SUCCESSFUL, Result.NOT_SUPPORTED}
    if not told or ElementaryFile.CARD_ACCESS in reading.unread:
        return check
    changed = compare_offer(reading.files.get(ElementaryFile.CARD_ACCESS), dg14)
    return check if changed is None else Check(check.name, Result.UNDETERMINED, (*check.reasons, changed))


def _unread(name: str, reading: ChipReading, file: ElementaryFile) -> Check:
    """The check that a file would have allowed."""
    if reading.aborted is not None:
        return Check(name, Result.ABORTED, (reading.aborted,))
    why = reading.unread.get(file) or Reason("chip.data_unread", {"file": file.value})
    return Check(name, Result.UNDETERMINED, (why,))


def _mrz_of(reading: ChipReading, today: datetime.date) -> Mrz | None:
    data = reading.files.get(ElementaryFile.DG1)
    if data is None:
        return None
    try:
        return read_dg1(data, today=today)
    except DecodeError:
        return None


def _against_print(reading: ChipReading, mrz: Mrz | None, printed: Mrz | None, sure: bool) -> Check:
    name = "chip_mrz"
    if ElementaryFile.DG1 not in reading.files:
        return _unread(name, reading, ElementaryFile.DG1)
    if mrz is None:
        return Check(name, Result.FAILED, (Reason("chip.mrz_malformed"),))
    if printed is None:
        return Check(name, Result.UNDETERMINED, (Reason("chip.no_page"),))
    return compare_mrz(mrz, printed, printed_is_sure=sure)


def _chip_authentication(
    found: Check | None,
    reading: ChipReading,
    passive: PassiveResult,
    anchors: TrustAnchors,
    at: datetime.datetime | None,
) -> Check:
    """What the reading found, as far as the chip's public key is the document's."""
    if found is None:
        return _absent(_CHIP, reading, ElementaryFile.DG14)
    if found.result is not Result.SUCCESSFUL:
        return found
    by_mapping = _mapping_file(reading)
    if by_mapping is None:
        return found if passive.proves(14) else _alone(found)
    dg14 = reading.files.get(ElementaryFile.DG14)
    if (
        not passive.genuine
        or passive.facts is None
        or not (passive.proves(14) or _has_none(passive.facts, dg14))
    ):
        return _alone(found)
    signer = passive.facts.signer
    result, reasons = verify_card_security(by_mapping, dg14, anchors, document_signer=signer, at=at)
    return found if result is Result.SUCCESSFUL else Check(_CHIP, result, reasons)


def _mapping_file(reading: ChipReading) -> bytes | None:
    """EF.CardSecurity where its keys were the proof: where it can't be read, those of DG14 were."""
    raw = reading.files.get(ElementaryFile.CARD_SECURITY)
    if raw is not None:
        try:
            read_card_security(raw)
        except DecodeError:
            return None
    return raw


def _has_none(facts: PassiveFacts, dg14: bytes | None) -> bool:
    """Whether the state signed no DG14: one that it did sign is needed to tell whose EF.CardSecurity this is."""
    return 14 in facts.unlisted or (dg14 is None and 14 not in facts.not_given)


def _active_authentication(reading: ChipReading, passive: PassiveResult) -> Check:
    key = reading.files.get(ElementaryFile.DG15)
    if key is None:
        return _absent(_ACTIVE, reading, ElementaryFile.DG15)
    challenge = reading.challenge
    if challenge is None:
        return _unread(_ACTIVE, reading, ElementaryFile.DG15)
    check = verify_active(key, challenge.nonce, challenge.answer, algorithm=_algorithm(reading))
    return check if check.result is not Result.SUCCESSFUL or passive.proves(15) else _alone(check)


def _algorithm(reading: ChipReading) -> str | None:
    """What DG14 says active authentication signs with, where it says so."""
    try:
        infos = read_dg14(reading.files[ElementaryFile.DG14]).of(ActiveAuthenticationInfo)
    except (KeyError, DecodeError):
        return None
    return infos[0].signature_algorithm if infos else None


def _absent(name: str, reading: ChipReading, file: ElementaryFile) -> Check:
    """A mechanism whose key wasn't read: because the chip has none, or because it couldn't be."""
    if file in reading.unread:
        return _unread(name, reading, file)
    if reading.aborted is not None or ElementaryFile.SOD not in reading.files:
        return _unread(name, reading, ElementaryFile.SOD)
    return Check(name, Result.NOT_SUPPORTED, (Reason("chip.has_none"),))


def _alone(check: Check) -> Check:
    """What a chip shows with a key that nobody vouches for."""
    return Check(check.name, Result.UNDETERMINED, (Reason("chip.proves_nothing_alone"),))


def _summary(checks: dict[str, Check], reading: ChipReading) -> Check:
    """All together: failed by anything that failed; successful when nothing is left open."""
    parts = [checks[name] for name in _PARTS if name in checks and not _waived(checks[name])]
    for wanted in (Result.FAILED, Result.ABORTED, Result.UNDETERMINED):
        told = [check for check in parts if check.result is wanted]
        if told:
            reasons: list[Reason] = []
            for reason in (reason for check in told for reason in check.reasons):
                if reason not in reasons:
                    reasons.append(reason)
            return Check("chip", wanted, tuple(reasons))
    if reading.aborted is not None:
        return Check("chip", Result.ABORTED, (reading.aborted,))
    if _ACCESS not in checks:
        return Check("chip", Result.UNDETERMINED, (Reason("chip.data_unread", {"file": "EF.CardAccess"}),))
    unread = [
        Reason("chip.data_unread", {"file": file.value}) for file in reading.unread if file not in GUARDED
    ]
    if unread:
        return Check("chip", Result.UNDETERMINED, tuple(unread))
    if all(checks[name].result is Result.NOT_SUPPORTED for name in (_CHIP, _ACTIVE)):
        return Check("chip", Result.SUCCESSFUL, (Reason("chip.copy_not_excluded"),))
    return Check("chip", Result.SUCCESSFUL)


def _waived(check: Check) -> bool:
    """Whether it is the failure after which this box's operator lets BAC open the chip: told, and not decisive."""
    return check.name == _ACCESS and any(reason.code == "chip.bac_after_pace" for reason in check.reasons)
