"""Keys of boxes that sign no more, as the directory goes on listing them while slips that they signed still hold."""

from __future__ import annotations

import base64
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from edged.uplink.directory import IN_OTHER_HANDS, Ended, FormerKey, SigningKey
from edged.uplink.names import Role, Usage
from edged.uplink.revoked import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edged.fleet.members import RevocationsFile
    from edged.fleet.state import DeviceRecord, FleetState

LISTED: Final = timedelta(days=400)
"""How long after its end: no slip is valid for longer (`edged.slip_checks.MAX_VALID_DAYS`)."""

_COORDINATE: Final = 32


def former_keys(state: FleetState, revoked: RevocationsFile, now: datetime) -> list[FormerKey]:
    """Those that ended within `LISTED` before `now`, with why."""
    names = {one.name: (one.at, one.reason) for one in revoked.names if one.role is Role.DEVICE}
    certificates = {one.sha256: (one.at, one.reason) for one in revoked.certificates}
    since = (now - LISTED).timestamp()
    found = []
    for record in state.devices().values():
        for key, own in _keys(record):
            said = [names.get(record.name), certificates.get(key.sha256)]
            ends: list[tuple[int, Ended]] = [one for one in said if one is not None]
            ends = [*(ends or own), (key.not_after, "expired")]  # a record's mark has no reason of its own
            ended = [end for end in ends if end[0] <= now.timestamp()]
            if ended and min(ended)[0] >= since:
                found.append(FormerKey(record.name, key, *_end(ended)))
    return found


def _end(ends: list[tuple[int, Ended]]) -> tuple[int, Ended]:
    """Which of several ends of one key counts: one that says that others may have it, then the first."""
    return min(ends, key=lambda end: (end[1] not in IN_OTHER_HANDS, end[0]))


def signing_key(certificate: x509.Certificate) -> SigningKey:
    """The key of a signing certificate, as the directory lists it."""
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)  # our authority certifies no other
    numbers = key.public_numbers()
    x, y = (
        base64.urlsafe_b64encode(number.to_bytes(_COORDINATE)).rstrip(b"=").decode()
        for number in (numbers.x, numbers.y)
    )
    until = certificate.not_valid_after_utc.replace(tzinfo=UTC)
    return SigningKey(fingerprint(certificate), x, y, int(until.timestamp()))


def _keys(record: DeviceRecord) -> Iterator[tuple[SigningKey, list[tuple[int, Ended]]]]:
    """Its signing keys, each with the ends that the box's own record says."""
    for issued in record.certificates:
        if issued.usage is Usage.SIGNING:
            marked: list[tuple[int, Ended]] = []
            if record.revoked_at is not None:
                marked.append((record.revoked_at, "unspecified"))
            if issued.revoked_at is not None:
                marked.append((issued.revoked_at, "replaced"))
            yield signing_key(x509.load_pem_x509_certificate(issued.pem.encode())), marked
