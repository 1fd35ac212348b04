"""From what was read of a chip to checks: one for every mechanism, and `chip` for all of them together.

Chip and active authentication prove that the chip has a private key. Whose key that is, passive authentication alone
can say: without it they prove nothing, and count for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.passive import verify_passive
from edged.verdict import CHECKS, Check, Reason, Result

if TYPE_CHECKING:
    import datetime

    from edged.core.emrtd.chip_reading import ChipReading
    from edged.core.emrtd.trust_anchors import TrustAnchors
    from edged.core.mrz import Mrz

PASSIVE: Final = ("pa_signature", "pa_certificate", "pa_issuer", "pa_hashes")
"""The parts of passive authentication (Doc 9303-11 §5.1)."""
COPY_PROTECTION: Final = ("chip_authentication", "active_authentication")
_PROVES_THE_KEYS: Final = ("pa_signature", "pa_certificate", "pa_hashes")
_PROVES_NOTHING_ALONE: Final = Reason("chip.proves_nothing_alone")
_TERMINAL: Final = "terminal_authentication"
_LEFT_ALONE: Final = (ElementaryFile.DG3, ElementaryFile.DG4)
_PARTS: Final = ("chip_access", *PASSIVE, "chip_mrz", *COPY_PROTECTION)
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
    checks |= _passive(reading, anchors, at, None if mrz is None else mrz.issuing_state)
    checks["chip_mrz"] = _against_print(reading, mrz, printed, printed_is_sure)
    proved = all(checks[name].result is Result.SUCCESSFUL for name in _PROVES_THE_KEYS)
    for check in (_chip_authentication(checks), _active_authentication(reading)):
        checks[check.name] = check if proved else _alone(check)
    if any(file in reading.unread for file in _LEFT_ALONE):
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
) -> dict[str, Check]:
    sod = reading.files.get(ElementaryFile.SOD)
    if sod is None:
        return {name: _unread(name, reading, ElementaryFile.SOD) for name in PASSIVE}
    groups = {file.number: data for file, data in reading.files.items() if file.number is not None}
    found = verify_passive(sod, groups, anchors, at=at, issuing_state=issuing_state)
    return {check.name: check for check in found.checks}


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


def _chip_authentication(checks: dict[str, Check]) -> Check:
    name = "chip_authentication"
    return checks.get(name) or Check(name, Result.NOT_SUPPORTED, (Reason("chip.has_none"),))


def _active_authentication(reading: ChipReading) -> Check:
    name = "active_authentication"
    key = reading.files.get(ElementaryFile.DG15)
    if key is None:
        if ElementaryFile.DG15 in reading.unread:
            return _unread(name, reading, ElementaryFile.DG15)
        if reading.aborted is not None or ElementaryFile.SOD not in reading.files:
            return _unread(name, reading, ElementaryFile.SOD)
        return Check(name, Result.NOT_SUPPORTED, (Reason("chip.has_none"),))
    challenge = reading.challenge
    if challenge is None:
        return _unread(name, reading, ElementaryFile.DG15)
    if challenge.answer is None:
        return Check(name, Result.FAILED, (Reason("chip.refused_challenge"),))
    return verify_active(key, reading.files.get(ElementaryFile.DG14), challenge.nonce, challenge.answer)


def _alone(check: Check) -> Check:
    """What a chip shows with a key that nobody vouches for."""
    if check.result is not Result.SUCCESSFUL:
        return check
    return Check(check.name, Result.UNDETERMINED, (_PROVES_NOTHING_ALONE,))


def _summary(checks: dict[str, Check], reading: ChipReading) -> Check:
    """All together: failed by anything that failed; successful when nothing is left open."""
    parts = [checks[name] for name in _PARTS if name in checks]
    for wanted in (Result.FAILED, Result.ABORTED, Result.UNDETERMINED):
        told = [check for check in parts if check.result is wanted]
        if told:
            return Check(
                "chip", wanted, tuple(dict.fromkeys(reason for check in told for reason in check.reasons))
            )
    if reading.aborted is not None:
        return Check("chip", Result.ABORTED, (reading.aborted,))
    if "chip_access" not in checks:
        return Check("chip", Result.UNDETERMINED, (Reason("chip.data_unread", {"file": "EF.CardAccess"}),))
    unread = [
        Reason("chip.data_unread", {"file": file.value}) for file in reading.unread if file not in _LEFT_ALONE
    ]
    if unread:
        return Check("chip", Result.UNDETERMINED, tuple(unread))
    if all(checks[name].result is Result.NOT_SUPPORTED for name in COPY_PROTECTION):
        return Check("chip", Result.SUCCESSFUL, (Reason("chip.copy_not_excluded"),))
    return Check("chip", Result.SUCCESSFUL)
