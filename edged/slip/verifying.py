"""Whether a slip is genuine: what was scanned, the fleet's directory, perhaps a list of withdrawn slips, and a moment.

Pure: the same rules as the verifying page's (`docs/slip-format.md` has them as a table). Nothing is genuine by default:
what can't be known is `undetermined`, and says why.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from edged.errors import DecodeError
from edged.slip import claims, content, cose, url
from edged.slip.content import SlipLine
from edged.slip.facts import SlipFacts
from edged.uplink.directory import IN_OTHER_HANDS, SKEW, Ended, SigningKey
from edged.uplink.names import Role
from edged.uplink.slip_status import LIST_LIFE
from edged.verdict import Kind, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.uplink.directory import CertificateRevoked, Directory, FormerKey, PrincipalRevoked
    from edged.uplink.slip_status import SlipStatus

Word = Literal["genuine", "altered", "unknown", "withdrawn", "superseded", "expired", "undetermined"]
"""`altered`: the signature isn't of this content · `unknown`: no slip of this fleet · `undetermined`: who can tell."""

Withdrawal = Literal["checked", "not_checked", "undetermined"]
"""Whether the slip was looked up in a list of withdrawn ones."""


class KeyFact(msgspec.Struct, frozen=True):
    """The key that the slip was signed with."""

    device: str
    """The terminal that it was certified for, by the directory."""
    certificate_sha256: str
    not_after: int
    """When its certificate ends, seconds since 1970."""
    ended: int | None
    """Since when it signs no more; None: it does."""
    why: Ended | None


class Verification(msgspec.Struct, frozen=True):
    """What was found out. `facts` and `lines` are None and empty when nothing in the slip can be shown."""

    verdict: Word
    reasons: tuple[Reason, ...]
    """Why, and what else to know: sentences of the catalogue."""
    facts: SlipFacts | None = None
    """What the slip says; proven only when `signed`."""
    lines: tuple[SlipLine, ...] = ()
    """What the paper must say, line by line."""
    key: KeyFact | None = None
    signed: bool = False
    """Whether the signature is of this content, by a key that the fleet lists or listed."""
    withdrawal: Withdrawal = "not_checked"

    @property
    def code(self) -> str:
        """The verdict's word, as a code of the catalogue."""
        return f"slip.verdict_{self.verdict}"


_GENUINE: Final = {
    Kind.LIVE: "slip.genuine",
    Kind.TEST: "slip.genuine_test",
    Kind.TRAINING: "slip.genuine_training",
}


class _Candidate(NamedTuple):
    device: str
    key: SigningKey
    ended: int | None
    why: Ended | None


def verify(
    text: str,
    directory: Directory | None,
    *,
    at: datetime,
    status: SlipStatus | None = None,
    online: bool = False,
) -> Verification:
    """Judge a scanned text at the moment `at` (timezone-aware), which must come from a clock that is right.

    `online`: the list of withdrawn slips was to be asked, so a slip isn't genuine without one that holds. Otherwise one
    without a list is genuine as far as can be told offline, and says so. Raises nothing, whatever the text.
    """
    try:
        slip = cose.parse(url.parse(text))
    except DecodeError as error:
        return Verification("unknown", (Reason(error.code),))
    facts, fault = _facts(slip.payload)
    if directory is None:
        return _shown("undetermined", Reason("slip.no_directory"), facts)
    found = [one for one in candidates(directory) if cose.kid_of(one.key.sha256) == slip.kid]
    if not found:
        return _shown(*_without_key(directory, slip.kid, facts, at), facts)
    signer = next((one for one in found if cose.verify(slip, one.key)), None)
    if signer is None or fault is not None or facts is None or facts.device != signer.device:
        return _refused(signer, fault, facts)
    key = KeyFact(signer.device, signer.key.sha256, signer.key.not_after, signer.ended, signer.why)
    return _judged(facts, key, directory, at=at, status=status, online=online)


def candidates(directory: Directory) -> Iterator[_Candidate]:
    """Every key that the directory lists for a device, and those that it listed; what it revokes says so here too.

    Of several reasons the gravest counts: a key that was retired in order and whose box was stolen is a thief's.
    """
    names = {one.name: one for page in directory.pages for one in page.revoked if one.role is Role.DEVICE}
    certificates = {one.sha256: one for page in directory.pages for one in page.certificates}
    for page in directory.pages:
        for member in page.devices:
            for key in member.keys:
                yield _Candidate(
                    member.name, key, *_end(certificates.get(key.sha256), names.get(member.name))
                )
        for one in page.former:
            ends = certificates.get(one.key.sha256), names.get(one.name)
            yield _Candidate(one.name, one.key, *_end(one, *ends))


def _end(*said: FormerKey | CertificateRevoked | PrincipalRevoked | None) -> tuple[int | None, Ended | None]:
    """Since when and why a key signs no more, of all that is said of it."""
    ends: list[tuple[int, Ended]] = [(one.at, one.reason) for one in said if one is not None]
    return min(ends, key=lambda end: (end[1] not in IN_OTHER_HANDS, end[0])) if ends else (None, None)


def _facts(payload: bytes) -> tuple[SlipFacts | None, str | None]:
    try:
        return claims.decode(payload), None
    except DecodeError as error:
        return None, error.code


def _shown(verdict: Word, reason: Reason, facts: SlipFacts | None) -> Verification:
    lines = () if facts is None else content.lines(facts)
    return Verification(verdict, (reason,), facts, lines)


def _without_key(
    directory: Directory, kid: bytes, facts: SlipFacts | None, at: datetime
) -> tuple[Word, Reason]:
    """The directory lists no such key: was it revoked, is the directory too old to know it, or is it nobody's?"""
    for page in directory.pages:
        for one in page.certificates:
            if cose.kid_of(one.sha256) == kid:
                return "undetermined", _revoked(one.at, one.reason)
        for name in page.revoked:
            if facts is not None and name.role is Role.DEVICE and name.name == facts.device:
                return "undetermined", _revoked(name.at, name.reason)
    if directory.expired(at):
        return "undetermined", _directory_expired(directory)
    return "unknown", Reason("slip.key_unknown")


def _refused(signer: _Candidate | None, fault: str | None, facts: SlipFacts | None) -> Verification:
    if signer is not None and fault == "slip.newer":
        return Verification("undetermined", (Reason(fault),), signed=True)
    if signer is not None and facts is not None:
        return _shown("altered", Reason("slip.other_terminal", {"device": signer.device}), facts)
    return _shown("altered", Reason("slip.signature_wrong"), facts)


def _judged(
    facts: SlipFacts,
    key: KeyFact,
    directory: Directory,
    *,
    at: datetime,
    status: SlipStatus | None,
    online: bool,
) -> Verification:
    """A slip whose signature holds: the first thing that speaks against it decides."""
    trouble = _status_trouble(directory, status, at, online=online)
    against = (
        *_withdrawn(facts, directory, status),
        *_key_faults(facts, key),
        *_time_faults(facts, directory, at),
        *(("undetermined", reason) for reason in trouble),
    )
    withdrawal: Withdrawal = "not_checked" if status is None and not online else "checked"
    if trouble:
        withdrawal = "undetermined"
    verdict: Word = "genuine"
    reasons = tuple(_notes(facts, status, at))
    if against:
        verdict, reasons = against[0][0], (against[0][1],)
    return Verification(
        verdict, reasons, facts, content.lines(facts), key, signed=True, withdrawal=withdrawal
    )


def _withdrawn(
    facts: SlipFacts, directory: Directory, status: SlipStatus | None
) -> Iterator[tuple[Word, Reason]]:
    """A list that is too old still says what was withdrawn: that never becomes untrue."""
    if status is None or status.fleet != directory.head.fleet:
        return
    listed = status.devices.get(facts.device)
    if listed is None:
        return
    if facts.number in listed.withdrawn:
        yield "withdrawn", Reason("slip.withdrawn")
    if (entry := listed.superseded.get(facts.number)) is not None:
        yield "superseded", Reason("slip.superseded", {"number": content.grouped(entry.by)})


def _key_faults(facts: SlipFacts, key: KeyFact) -> Iterator[tuple[Word, Reason]]:
    """A thief can date a slip back, so nothing of a key that others may have counts, whatever date it bears."""
    if key.ended is not None and key.why in IN_OTHER_HANDS:
        yield "undetermined", _revoked(key.ended, key.why)
    elif facts.at > (key.not_after if key.ended is None else min(key.ended, key.not_after)):
        yield "unknown", Reason("slip.key_had_ended")


def _time_faults(facts: SlipFacts, directory: Directory, at: datetime) -> Iterator[tuple[Word, Reason]]:
    if at.timestamp() > facts.expires:
        yield "expired", Reason("slip.expired")
    if facts.at > (at + SKEW).timestamp():
        yield "undetermined", Reason("slip.from_the_future")
    if directory.expired(at):
        yield "undetermined", _directory_expired(directory)


def _status_trouble(
    directory: Directory, status: SlipStatus | None, at: datetime, *, online: bool
) -> tuple[Reason, ...]:
    """Why the list can't say that the slip still holds."""
    if status is None:
        return (Reason("slip.status_missing"),) if online else ()
    if status.fleet != directory.head.fleet:
        return (Reason("slip_status.wrong_fleet"),)
    if status.expired(at):
        return (Reason("slip.status_expired", {"since": _date(status.exp)}),)
    return ()


def _notes(facts: SlipFacts, status: SlipStatus | None, at: datetime) -> Iterator[Reason]:
    """What to know of a genuine slip."""
    yield Reason(_GENUINE[facts.kind])
    if status is None:
        yield Reason("slip.not_checked")
    elif (listed := status.devices.get(facts.device)) is None:
        yield Reason("slip.terminal_not_heard")
    elif listed.heard < (at - LIST_LIFE).timestamp():
        yield Reason("slip.terminal_silent", {"since": _date(listed.heard)})
    if not facts.clock_trusted:
        yield Reason("slip.clock_in_doubt")


def _revoked(at: int, why: str) -> Reason:
    return Reason("slip.key_revoked", {"since": _date(at), "why": f"slip.why_{why}"})


def _directory_expired(directory: Directory) -> Reason:
    return Reason("slip.directory_expired", {"since": _date(directory.head.exp)})


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
