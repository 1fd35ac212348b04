"""Which slips hold no more: each device's own signed list, and the centre's, merged of them all for verifiers.

What a list says stays true: lists are merged, never replaced, so an old one that comes again changes nothing. A device
speaks of its own slips alone; whoever verifies looks under the device that signed the slip. A slip drops out of the
lists once it has expired. Takes time as an argument, does no I/O.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.directory import KEPT, SKEW
from edged.uplink.fields import Name, Seconds, encode, parse
from edged.uplink.names import Role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edged.uplink.roles import TrustAnchor

TYP_SLIPS: Final = "slips+jws"
TYP_STATUS: Final = "slip-status+jws"

MAX_LISTED: Final = 500
"""Withdrawn slips of one device that haven't expired, and superseded ones as many: the list travels in one MQTT
packet."""

MAX_MERGED: Final = 4 * MAX_LISTED
"""Of one device in the centre's list: what it says now, what it said before it was reset, and what the centre withdrew
itself. Devices where nearly all slips are to be withdrawn are better revoked."""

MAX_DEVICES: Final = 20_000
"""Devices in the centre's list: as many as the directory has room for."""

MAX_STATUS: Final = 8 << 20
"""Bytes of the centre's list as it is signed: 20 000 devices and 100 000 slips."""

LIST_LIFE: Final = timedelta(days=7)
"""How long a device's list says that it holds; it is made anew at half of that."""

STATUS_LIFE: Final = timedelta(days=2)
"""How long the centre's list can be relied upon, by default: a weekend."""

MAX_UNTIL: Final = timedelta(days=400)
"""How long after a list an entry of it may hold: no slip is valid for longer (`edged.slip_checks.MAX_VALID_DAYS`)."""

SlipNumber = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{12}$(?!\n)")]
"""Twelve figures and letters of Crockford's base 32, as printed, without the spaces."""


class Superseded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a slip that was replaced."""

    by: SlipNumber
    until: Seconds
    """When the old slip would have expired: it is listed until then."""


Withdrawals = Annotated[dict[SlipNumber, Seconds], msgspec.Meta(max_length=MAX_LISTED)]
"""Number to when the slip would have expired."""
Replacements = Annotated[dict[SlipNumber, Superseded], msgspec.Meta(max_length=MAX_LISTED)]
MergedWithdrawals = Annotated[dict[SlipNumber, Seconds], msgspec.Meta(max_length=MAX_MERGED)]
MergedReplacements = Annotated[dict[SlipNumber, Superseded], msgspec.Meta(max_length=MAX_MERGED)]


class SlipList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a device signs (`docs/schemas/slips.schema.json`)."""

    iss: Name
    """The device."""
    fleet: Name
    iat: Seconds
    exp: Seconds
    withdrawn: Withdrawals
    superseded: Replacements


class DeviceSlips(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the centre knows of one device's slips."""

    heard: Seconds
    """`iat` of the newest list that has come from it."""
    withdrawn: MergedWithdrawals
    superseded: MergedReplacements


_NOTHING: Final = DeviceSlips(heard=0, withdrawn={}, superseded={})


class SlipStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the centre signs (`docs/schemas/slip-status.schema.json`)."""

    iss: Name
    """The collector."""
    fleet: Name
    iat: Seconds
    exp: Seconds
    """Later than this nobody knows what was withdrawn meanwhile."""
    devices: Annotated[dict[Name, DeviceSlips], msgspec.Meta(max_length=MAX_DEVICES)]

    def expired(self, at: datetime) -> bool:
        """Whether it is too old to say that a slip still holds; what it lists is withdrawn all the same."""
        return at.timestamp() > self.exp


def seal_list(
    withdrawn: Mapping[str, int],
    superseded: Mapping[str, Superseded],
    *,
    now: datetime,
    signer: sign.Signer,
    life: timedelta = LIST_LIFE,
) -> str:
    """A device's list, signed. Raises `SignatureRefusedError` (`cert.wrong_role`, `slip_status.malformed`)."""
    if signer.principal.role is not Role.DEVICE:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of device")
    iat = int(now.timestamp())
    content = SlipList(
        iss=signer.principal.name,
        fleet=signer.principal.fleet,
        iat=iat,
        exp=iat + int(life.total_seconds()),
        withdrawn=dict(withdrawn),
        superseded=dict(superseded),
    )
    data = encode(content)
    _check_list(parse(data, SlipList, "slip_status.malformed"))
    return signer.sign(TYP_SLIPS, data)


def open_list(
    compact: str | bytes, *, anchor: TrustAnchor, at: datetime, device: str | None = None
) -> SlipList:
    """Verify a device's list; `device`: whose topic it came on.

    One that is past its `exp` opens as well: what was withdrawn stays so. Raises `SignatureRefusedError`: a code of
    `sign.verify`, `slip_status.malformed`, `slip_status.wrong_issuer`, `slip_status.wrong_fleet`,
    `slip_status.wrong_time`.
    """
    verified = sign.verify(compact, typ=TYP_SLIPS, anchor=anchor, role=Role.DEVICE, at=at)
    found = parse(verified.payload, SlipList, "slip_status.malformed")
    if found.iss != verified.principal.name or device not in (None, found.iss):
        raise SignatureRefusedError("slip_status.wrong_issuer")
    if found.fleet != anchor.fleet:
        raise SignatureRefusedError("slip_status.wrong_fleet")
    if found.iat > (at + SKEW).timestamp():
        raise SignatureRefusedError("slip_status.wrong_time")
    _check_list(found)
    return found


def merge(known: Mapping[str, DeviceSlips], heard: SlipList, *, now: datetime) -> dict[str, DeviceSlips]:
    """What is known after a device's list came: all that was, and what is new; expired slips drop out.

    Raises `SignatureRefusedError` (`slip_status.too_many`) when there is more than the centre's list has room for: what
    was known stays.
    """
    said = DeviceSlips(heard=heard.iat, withdrawn=heard.withdrawn, superseded=heard.superseded)
    return join(known, {heard.iss: said}, now=now)


def join(
    known: Mapping[str, DeviceSlips], more: Mapping[str, DeviceSlips], *, now: datetime
) -> dict[str, DeviceSlips]:
    """All that either says; expired slips drop out. Raises `SignatureRefusedError` (`slip_status.too_many`)."""
    joined = dict(known)
    for name, one in more.items():
        before = joined.get(name, _NOTHING)
        after = _pruned(
            DeviceSlips(
                heard=max(before.heard, one.heard),
                withdrawn=before.withdrawn | one.withdrawn,
                superseded=one.superseded | before.superseded,  # who replaced it first stays
            ),
            now,
        )
        if max(len(after.withdrawn), len(after.superseded)) > MAX_MERGED:
            raise SignatureRefusedError("slip_status.too_many", name)
        joined[name] = after
    if len(joined) > max(MAX_DEVICES, len(known)):
        raise SignatureRefusedError("slip_status.too_many", "devices")
    return joined


def withdraw(
    known: Mapping[str, DeviceSlips], device: str, number: str, *, now: datetime
) -> dict[str, DeviceSlips]:
    """What is known once the centre has withdrawn a slip itself, because the box that issued it can't any more.

    When the slip expires isn't known here: it is listed for as long as any slip can hold. Raises
    `SignatureRefusedError`: `slip_status.unknown_device` for one that was never heard, `slip_status.too_many`.
    """
    if device not in known:
        raise SignatureRefusedError("slip_status.unknown_device", device)
    until = int((now + MAX_UNTIL).timestamp())
    return join(known, {device: DeviceSlips(heard=0, withdrawn={number: until}, superseded={})}, now=now)


def seal_status(
    devices: Mapping[str, DeviceSlips], *, now: datetime, signer: sign.Signer, life: timedelta = STATUS_LIFE
) -> str:
    """The centre's list, signed, without what has expired.

    Raises `SignatureRefusedError` (`cert.wrong_role`, `slip_status.malformed`, `slip_status.too_many`).
    """
    if signer.principal.role is not Role.COLLECTOR:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of collector")
    iat = int(now.timestamp())
    content = SlipStatus(
        iss=signer.principal.name,
        fleet=signer.principal.fleet,
        iat=iat,
        exp=iat + int(life.total_seconds()),
        devices={name: _pruned(one, now) for name, one in devices.items()},
    )
    data = encode(content)
    parse(data, SlipStatus, "slip_status.malformed")
    try:
        return signer.sign(TYP_STATUS, data, most=MAX_STATUS)
    except ValueError:
        raise SignatureRefusedError("slip_status.too_many") from None


def open_status(
    compact: str | bytes, *, anchor: TrustAnchor, at: datetime, late: timedelta = KEPT
) -> SlipStatus:
    """Verify the centre's list. One that is past its `exp` opens: see `SlipStatus.expired`.

    Its `exp` is then no later than its signer's certificate's end.

    Raises `SignatureRefusedError`: a code of `sign.verify`, `slip_status.malformed`, `slip_status.wrong_issuer`,
    `slip_status.wrong_fleet`, `slip_status.wrong_time`.
    """
    verified = sign.verify(
        compact, typ=TYP_STATUS, anchor=anchor, role=Role.COLLECTOR, at=at, late=late, most=MAX_STATUS
    )
    found = parse(verified.payload, SlipStatus, "slip_status.malformed")
    if found.iss != verified.principal.name:
        raise SignatureRefusedError("slip_status.wrong_issuer")
    if found.fleet != anchor.fleet:
        raise SignatureRefusedError("slip_status.wrong_fleet")
    if found.iat > (at + SKEW).timestamp() or not verified.valid_at(found.iat):
        raise SignatureRefusedError("slip_status.wrong_time")
    if found.exp <= found.iat:
        raise SignatureRefusedError("slip_status.malformed")
    return msgspec.structs.replace(found, exp=verified.until(found.exp))


def _pruned(one: DeviceSlips, now: datetime) -> DeviceSlips:
    at = now.timestamp()
    return DeviceSlips(
        heard=one.heard,
        withdrawn={number: until for number, until in one.withdrawn.items() if until >= at},
        superseded={number: entry for number, entry in one.superseded.items() if entry.until >= at},
    )


def _check_list(found: SlipList) -> None:
    last = found.iat + MAX_UNTIL.total_seconds()
    untils = [*found.withdrawn.values(), *(one.until for one in found.superseded.values())]
    if found.exp <= found.iat or any(until > last for until in untils):
        raise SignatureRefusedError("slip_status.malformed")
    if any(number == one.by for number, one in found.superseded.items()):
        raise SignatureRefusedError("slip_status.malformed")
