"""Which key each box says is its own: its signed reports, kept in `sealing-keys/`, verified by whoever seals to them.

A report proves that the box's signing key says so, under an authority that the offline keys have named. Who holds an
issuing authority's key could still make a box of that name, so the privacy officer also remembers each box's key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edged import sealing
from edged.errors import ConfigError, SignatureRefusedError
from edged.fleet import authorities
from edged.fleet.state import write_text
from edged.uplink.reported import open_reported
from edged.uplink.revoked import Revocations
from edged.uplink.sign import MAX_COMPACT

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from edged.fleet.heard import Report
    from edged.fleet.state import FleetState

REPORTS: Final = "sealing-keys"
"""Folder in the state directory."""


class BoxKey(NamedTuple):
    """A box's sealing key; `kid` is what people compare."""

    device: str
    key: ec.EllipticCurvePublicKey
    kid: str


class BoxKeys:
    """The keys that boxes have said, of reports that hold `now`.

    Attributes:
        known: by name of the box.
        refused: why what is kept of the others isn't believed, by name.
    """

    def __init__(self, state: FleetState, now: datetime) -> None:
        self.known: dict[str, BoxKey] = {}
        self.refused: dict[str, str] = {}
        document = authorities.current(state)  # as the offline keys have signed it, not as a file says
        anchor = document.anchor()
        anchor.revoke("authority", Revocations.of_authority(document))
        for path in sorted((state.directory / REPORTS).glob("*.jws")):
            try:
                found = open_reported(_read(path), anchor=anchor, at=now, device=path.stem)
                self.known[path.stem] = _key_of(path.stem, found.sealing_key)
            except (SignatureRefusedError, ConfigError) as error:
                self.refused[path.stem] = error.code

    def code(self, device: str) -> str:
        """Why there is no key of this box."""
        return self.refused.get(device, "fleet.no_sealing_key")


def keep(state: FleetState, reports: dict[str, Report], now: datetime) -> list[str]:
    """Keep reports that say a sealing key, under `FleetState.changing()`; names of the boxes whose key is new here."""
    before, changed = BoxKeys(state, now).known, []
    for device, report in sorted(reports.items()):
        try:
            said = _key_of(device, report.reported.sealing_key)
        except ConfigError:
            continue
        if device not in before or before[device].kid != said.kid:
            changed.append(device)
        write_text(state.directory / REPORTS / f"{device}.jws", report.compact.decode("ascii"))
    return changed


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_COMPACT + 1)


def _key_of(device: str, pem: str | msgspec.UnsetType) -> BoxKey:
    if isinstance(pem, msgspec.UnsetType):
        raise ConfigError(device, "fleet.no_sealing_key")
    key = sealing.load_recipient(pem)
    return BoxKey(device, key, sealing.key_id(key))
