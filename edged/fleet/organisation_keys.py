"""The privacy officer's work on organisations' pseudonym keys: making them, and sealing them to boxes.

The keys lie with the officer's own key and nowhere else in the clear: `organisation-{audience}-{number}.key`, 32 random
bytes, mode 0600. Beside them `known-boxes.json` remembers which sealing key each box had when it first got something:
another one is taken only for a box that the officer names.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from edged.errors import ConfigError, StateError
from edged.fleet.key_files import write_new
from edged.fleet.layers import DELIVERIES, Delivery, audience_files, deliveries
from edged.fleet.recovery import repository_of
from edged.fleet.state import write_text
from edged.fleet.tuf_roles import PRIVACY
from edged.sealing import key_id
from edged.uplink.fields import Name
from edged.uplink.keys import read_private, write_private
from edged.uplink.sealed_keys import KEY_BYTES, encode, index_target, seal_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from edged.fleet.key_files import OfflineKey
    from edged.fleet.sealing_keys import BoxKey, BoxKeys
    from edged.fleet.state import FleetState
    from edged.sealing import Sealed

KNOWN: Final = "known-boxes.json"

_MAX_KNOWN: Final = 16 << 20  # bytes: a hundred thousand boxes have half as many

Why = Literal["new", "key_changed", "rotated"]


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1] = 1
    boxes: dict[Name, str] = {}


class Plan(NamedTuple):
    """What a delivery would do."""

    audience: str
    number: int
    to: dict[str, tuple[BoxKey, Why]]
    """Boxes that are sealed to now, and why."""
    kept: dict[str, Sealed]
    """Boxes that have this key already."""
    dropped: tuple[str, ...]
    """Boxes that had one and get none: they are revoked, or were taken out."""


def new_key(state: FleetState, audience: str, officer: Path) -> int:
    """Make an audience's next key in the officer's directory; its number.

    Raises `ConfigError` (`config.no_such_audience`): the officer's document comes first.
    """
    if audience not in audience_files(state):
        raise ConfigError(audience, "config.no_such_audience")
    delivered = deliveries(state).get(audience)
    # Of a directory that was restored the newest may be missing: two keys with one number would be one to every box.
    number = max(newest(audience, officer), 0 if delivered is None else delivered.number) + 1
    key = bytearray(secrets.token_bytes(KEY_BYTES))
    write_new(_path(audience, number, officer), bytes(key))
    key[:] = bytes(KEY_BYTES)
    return number


def newest(audience: str, officer: Path) -> int:
    """Number of the newest key in the officer's directory; 0 for none."""
    start = f"organisation-{audience}-"
    numbers = (path.stem.removeprefix(start) for path in officer.glob(f"{start}*.key"))
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def plan(
    state: FleetState,
    audience: str,
    officer: Path,
    boxes: BoxKeys,
    *,
    to: Collection[str],
    without: Collection[str] = (),
    changed: Collection[str] = (),
    anew: bool = False,
) -> Plan:
    """Whom the newest key goes to: boxes that have an earlier one, and `to`; not to revoked ones, nor `without`.

    What was delivered before is kept only as it was signed: others can write in the state, and what is signed again is
    the officer's word. `anew`: nothing of it is kept.

    Raises `StateError` (`fleet.delivery_not_signed`), `ConfigError` with the audience or box: `fleet.choose_devices`,
    `fleet.no_organisation_key_yet`, `fleet.organisation_key_older`, `fleet.no_sealing_key` (or why its report isn't
    believed), `fleet.sealing_key_changed` for a box that isn't named in `changed`.
    """
    number = newest(audience, officer)
    if number == 0:
        raise ConfigError(audience, "fleet.no_organisation_key_yet")
    before = None if anew else deliveries(state).get(audience)
    if before is not None:
        _check_signed(state, before)
        if before.number > number:
            raise ConfigError(
                audience, "fleet.organisation_key_older", have=str(number), delivered=str(before.number)
            )
    had: Mapping[str, Sealed] = {} if before is None else before.sealed
    alive = {name for name, record in state.devices().items() if record.revoked_at is None}
    known = _known(officer).boxes
    wanted = {*had, *to} & alive - set(without)
    sealed_to: dict[str, tuple[BoxKey, Why]] = {}
    kept: dict[str, Sealed] = {}
    for device in sorted(wanted):
        box = boxes.known.get(device)
        same_number = before is not None and before.number == number
        if box is None and device in had and same_number:
            kept[device] = had[device]
            continue
        if box is None:
            raise ConfigError(device, boxes.code(device))
        if known.get(device, box.kid) != box.kid and device not in changed:
            raise ConfigError(device, "fleet.sealing_key_changed", old=known[device], new=box.kid)
        if device in had and same_number and had[device].kid == box.kid:
            kept[device] = had[device]
        else:
            why: Why = "new" if device not in had else "key_changed" if same_number else "rotated"
            sealed_to[device] = box, why
    if not wanted:
        raise ConfigError(audience, "fleet.choose_devices")
    return Plan(audience, number, sealed_to, kept, tuple(sorted(set(had) - wanted)))


def deliver(state: FleetState, made: Plan, officer: Path, key: OfflineKey, now: datetime) -> int:
    """Seal, sign and write down, under `FleetState.changing()`; the metadata's version.

    Raises `StateError` (`fleet.role_not_signed`), `CertificateError` (`key.missing`, …) for the organisation's key.
    """
    secret = bytearray(read_private(_path(made.audience, made.number, officer)))
    try:
        if len(secret) != KEY_BYTES:
            raise StateError("fleet.organisation_key_broken", str(_path(made.audience, made.number, officer)))
        sealed = dict(made.kept)
        for device, (box, _) in made.to.items():
            sealed[device] = seal_key(
                secret,
                box.key,
                fleet=state.file.fleet,
                device=device,
                audience=made.audience,
                number=made.number,
            )
    finally:
        secret[:] = bytes(len(secret))
    delivery = Delivery(1, made.audience, made.number, dict(sorted(sealed.items())))
    known = _known(officer).boxes | {device: key_id(box.key) for device, (box, _) in made.to.items()}
    write_private(officer / KNOWN, msgspec.json.encode(_Known(1, known), order="deterministic"))
    index = encode(delivery.tree().index(made.audience, made.number))
    version = repository_of(state).put_targets(
        PRIVACY, {index_target(made.audience): index}, [key.signer], now
    )
    path = state.directory / DELIVERIES / f"{made.audience}.json"
    write_text(path, msgspec.json.format(msgspec.json.encode(delivery), indent=1).decode() + "\n")
    return version


def _check_signed(state: FleetState, found: Delivery) -> None:
    index = encode(found.tree().index(found.audience, found.number))
    target = repository_of(state).targets(PRIVACY).signed.targets.get(index_target(found.audience))
    if target is None or target.hashes.get("sha256") != hashlib.sha256(index).hexdigest():
        raise StateError("fleet.delivery_not_signed", audience=found.audience)


def _path(audience: str, number: int, officer: Path) -> Path:
    return officer / f"organisation-{audience}-{number}.key"


def _known(officer: Path) -> _Known:
    path = officer / KNOWN
    if not path.exists():
        return _Known()
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_KNOWN), type=_Known)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise StateError("fleet.known_boxes_broken", str(path)) from None
