"""UTCTime and GeneralizedTime as certificates, CRLs and signatures have them (RFC 5280 §4.1.2.5)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from edged.core.emrtd import tlv
from edged.errors import DecodeError

_FORM: Final = re.compile(
    rb"(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?(?:[.,]\d{1,9})?(Z|[+-]\d{4})?", re.ASCII
)


def read_time(der: bytes, what: str = "certificate") -> datetime:
    """The moment, UTC; fractions of a second are dropped, a time without zone is taken for UTC.

    Two-digit years below 50 are of this century (RFC 5280 §4.1.2.5.1). Raises `DecodeError` (`what`, "pki.bad_time").
    """
    found = tlv.read_one(der, what)
    match = _FORM.fullmatch(bytes(found.value))
    if found.size != len(der) or match is None or len(match[1]) != {0x17: 2, 0x18: 4}.get(found.tag):
        raise DecodeError(what, "pki.bad_time")
    year = int(match[1])
    if found.tag == 0x17:
        year += 2000 if year < 50 else 1900
    zone = (match[7] or b"Z").decode()
    try:
        moment = datetime(year, *(int(part or 0) for part in match.groups()[1:6]), tzinfo=UTC)  # type: ignore[misc, arg-type]
        if zone != "Z":
            moment -= int(zone[0] + "1") * timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    except (ValueError, OverflowError):
        raise DecodeError(what, "pki.bad_time") from None
    return moment
