"""How the boxes are: what the admin knows of them, and what they have said. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edged.fleet.seen import Seen
    from edged.fleet.state import DeviceRecord, IssuedCertificate

DAY_S: Final = 86_400

SOON_DAYS: Final = 30
"""A certificate that ends within a month should have been renewed: boxes do it after two thirds of its life."""

Problem = Literal[
    "revoked",
    "never_seen",
    "offline",
    "clock",
    "lost",
    "refused",
    "rejected",
    "rolled_back",
    "behind",
    "elsewhere",
    "not_believed",
    "certificate",
    "token_twice",
]
"""`refused`: envelopes the broker or the centre won't take. `behind`: it runs another push than the last one.
`elsewhere`: it has a push that this state doesn't know. `not_believed`: what stands on its topics isn't signed as it
has to be. `token_twice`: somebody came with a used token and other keys."""


class OpenToken(msgspec.Struct, frozen=True):
    """An enrolment token that holds still."""

    until: int
    """Seconds since 1970."""
    used: bool
    """By the box that has its certificates by it: it serves these keys alone."""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """One box."""

    device: str
    groups: tuple[str, ...]
    site: str
    online: bool | None
    """None: nobody has heard of it."""
    software: str | None
    config: str | None
    """Version of the configuration in force: what the box has signed, or else what it says."""
    pushed: int
    """Number of the last push to it."""
    push: int | None
    """The push its report is about."""
    outcome: str | None
    code: str | None
    path: str | None
    probe: str | None
    certificate_days: int | None
    """Whole days until the first of its certificates ends; None without one."""
    last_seen: float | None
    """Seconds since 1970."""
    token: OpenToken | None
    problems: tuple[Problem, ...]


def overview(record: DeviceRecord, seen: Seen | None, now: float) -> Overview:
    """How a box is at `now`, seconds since 1970."""
    status, reported = (None, None) if seen is None else (seen.status, seen.reported)
    ends = [one.not_after for one in newest(record)]
    running = status.config_version if status else None
    return Overview(
        device=record.name,
        groups=record.groups,
        site=record.site,
        online=None if seen is None or status is None else seen.online,
        software=reported.software if reported else status.software_version if status else None,
        config=reported.running if reported else running,
        pushed=record.push,
        push=reported.push if reported else None,
        outcome=reported.outcome if reported else None,
        code=reported.code if reported else None,
        path=reported.path if reported else None,
        probe=reported.probe if reported else None,
        certificate_days=int((min(ends) - now) // DAY_S) if ends else None,
        last_seen=None if seen is None else seen.last_seen,
        token=open_token(record, now),
        problems=tuple(_problems(record, seen, ends, now)),
    )


def open_token(record: DeviceRecord, now: float) -> OpenToken | None:
    """The token that the box may still come with."""
    if record.token_sha256 is None or record.token_until is None or record.token_until < now:
        return None
    return OpenToken(record.token_until, bool(record.token_serials))


def newest(record: DeviceRecord) -> list[IssuedCertificate]:
    """The certificate of each usage that ends last and isn't revoked."""
    found: dict[str, IssuedCertificate] = {}
    for one in sorted(record.certificates, key=lambda certificate: certificate.not_after):
        if one.revoked_at is None:
            found[one.usage] = one
    return list(found.values())


def _problems(record: DeviceRecord, seen: Seen | None, ends: list[int], now: float) -> Iterable[Problem]:
    if record.revoked_at is not None:
        yield "revoked"
        return
    if record.token_refused_at is not None:
        yield "token_twice"
    if seen is None or seen.last_seen is None:
        yield "never_seen"
    elif not seen.online:
        yield "offline"
    if seen is not None and (status := seen.status) is not None:
        if status.clock_trusted is False:
            yield "clock"
        if status.lost or status.log_replaced:
            yield "lost"
        if status.refused or status.dead:
            yield "refused"
    if seen is not None and (reported := seen.reported) is not None:
        if reported.outcome == "rejected":
            yield "rejected"
        elif reported.outcome == "rolled_back":
            yield "rolled_back"
        elif reported.running_push < record.push and reported.outcome == "applied":
            yield "behind"
        if reported.push > record.push:
            yield "elsewhere"
    if seen is not None and seen.refused is not None:
        yield "not_believed"
    if ends and min(ends) - now < SOON_DAYS * DAY_S:
        yield "certificate"


def listed(
    records: Iterable[DeviceRecord],
    boxes: Mapping[str, Seen],
    now: float,
    *,
    groups: tuple[str, ...] = (),
    problem: bool = False,
) -> list[Overview]:
    """Boxes in one of `groups` (all without), with `problem` those alone that have one."""
    found = (
        overview(record, boxes.get(record.name), now)
        for record in records
        if not groups or set(groups).intersection(record.groups)
    )
    return [one for one in found if one.problems or not problem]
