"""Layers of configuration and the privacy officer's documents, read from the admin's state directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from edged.config import load_toml
from edged.desired import MAX_DOCUMENT, AudienceDocument, parse_audience
from edged.errors import ConfigError
from edged.fleet.compile import FLEET_LAYER, Layer
from edged.sealing import Sealed
from edged.uplink.fields import Name, decoder
from edged.uplink.sealed_keys import KeyNumber, KeyTree

if TYPE_CHECKING:
    from pathlib import Path

    from edged.fleet.state import DeviceRecord, FleetState


DELIVERIES: Final = "organisation-keys"
"""Folder of what was delivered, in the state directory."""

MAX_DELIVERY: Final = 64 << 20
"""Bytes of one audience's file: a hundred thousand boxes have half as many."""


def layers_of(state: FleetState, record: DeviceRecord) -> list[Layer]:
    """The layers of one box that exist, lowest first.

    Raises `ConfigError`: a file that isn't TOML, `config.no_fleet_layer` where even the fleet's own isn't there.
    """
    if not (state.directory / FLEET_LAYER).exists():
        raise ConfigError(FLEET_LAYER, "config.no_fleet_layer")
    names = (
        FLEET_LAYER,
        *(f"config/group/{group}.toml" for group in record.groups),
        f"config/device/{record.name}.toml",
    )
    return [Layer(name, _read(state.directory, name)) for name in names if (state.directory / name).exists()]


def _read(directory: Path, name: str) -> dict[str, Any]:
    try:
        return load_toml(directory / name, dict)
    except ConfigError as error:  # every error of a layer names it from the state directory on
        raise ConfigError(
            error.where.replace(str(directory / name), name), error.code, **error.params
        ) from None


def audience_files(state: FleetState) -> dict[str, bytes]:
    """The privacy officer's documents, by name of the audience."""
    found = {}
    for path in sorted((state.directory / "audiences").glob("*.json")):
        with path.open("rb") as file:
            found[path.stem] = file.read(MAX_DOCUMENT + 1)
    return found


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`organisation-keys/{audience}.json`: an audience's pseudonym key, sealed to each box that may have it."""

    format: Literal[1]
    audience: Name
    number: KeyNumber
    sealed: Annotated[dict[Name, Sealed], msgspec.Meta(min_length=1)]

    def tree(self) -> KeyTree:
        """What the privacy officer signs the root of."""
        return KeyTree(self.sealed)


def deliveries(state: FleetState) -> dict[str, Delivery]:
    """Every audience's. Raises `ConfigError` (`organisation_key.malformed`)."""
    found = {}
    for path in sorted((state.directory / DELIVERIES).glob("*.json")):
        try:
            with path.open("rb") as file:
                one = decoder(Delivery).decode(file.read(MAX_DELIVERY + 1))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ConfigError(f"{DELIVERIES}/{path.name}", "organisation_key.malformed") from None
        if one.audience != path.stem:
            raise ConfigError(f"{DELIVERIES}/{path.name}", "organisation_key.malformed")
        found[one.audience] = one
    return found


def parsed_audience(name: str, data: bytes) -> AudienceDocument:
    """One of them. Raises `ConfigError`; where it stands is the file and the path of the bad key."""
    try:
        return parse_audience(data)
    except ConfigError as error:
        raise error.within(f"audiences/{name}.json") from None
