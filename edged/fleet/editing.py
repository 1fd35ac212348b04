"""A layer while it is being edited: a draft is compiled for every box it is a layer of before it replaces the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edged.config import parse_toml
from edged.errors import ConfigError, StateError
from edged.fleet.compile import FLEET_LAYER, Layer
from edged.fleet.layers import layers_of
from edged.fleet.state import DeviceRecord, write_text
from edged.uplink.names import valid_name

if TYPE_CHECKING:
    from edged.fleet.bundles import BundleMaker
    from edged.fleet.state import FleetState

MAX_LAYER: Final = 32 * 1024
"""Bytes: a document has no more, and it is made of several layers."""

MAX_SHOWN: Final = 10
"""Different errors that are kept: the first ones say enough."""

NOBODY: Final = "any"
"""Name of the box that a layer is compiled for while no box has it."""

EMPTY: Final = """\
# One layer of configuration: fleet, then the box's groups, then the box itself; a later one wins, key by key.
# audiences = ["bank"]
# default_scene = "bank"
"""


class Draft(NamedTuple):
    """What a draft would do."""

    errors: tuple[ConfigError, ...]
    """Different ones, each with file and path of the bad key."""
    boxes: int
    """How many have the layer."""
    changed: tuple[str, ...]
    """Boxes whose document would be another."""


def layer_file(group: str | None, device: str | None) -> str:
    """The layer's file in the state directory; the fleet's own without either. Raises `ConfigError` for no name."""
    for name in (device, group):
        if name is not None and not valid_name(name):
            raise ConfigError(name[:63], "fleet.bad_name", name=name[:63])
    if device is not None:
        return f"config/device/{device}.toml"
    return FLEET_LAYER if group is None else f"config/group/{group}.toml"


def current(state: FleetState, file: str) -> str:
    """The layer's text now, or what an empty one begins with. Raises `ConfigError` for one that isn't text."""
    path = state.directory / file
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return EMPTY
    except UnicodeDecodeError as error:
        raise ConfigError(file, "config.not_utf8", byte=str(error.start)) from None


def affected(state: FleetState, group: str | None, device: str | None) -> list[DeviceRecord]:
    """Boxes that have this layer. Raises `ConfigError`."""
    if device is not None:
        return [state.device(device)]
    records = state.devices().values()
    return [one for one in records if one.revoked_at is None and (group is None or group in one.groups)]


def check(
    state: FleetState, maker: BundleMaker, text: str, *, group: str | None, device: str | None
) -> Draft:
    """Compile every box that has the layer as if `text` stood there. Raises `ConfigError` for other files alone."""
    file = layer_file(group, device)
    try:
        layer = Layer(file, parsed(text, file))
    except ConfigError as error:
        return Draft((error,), 0, ())
    records = affected(state, group, device)
    errors: dict[tuple[str, str], ConfigError] = {}
    changed, known = [], dict[tuple[str, ...], ConfigError | bool]()
    for record in records or [_nobody(group)]:
        # Boxes with the same layers differ in their name alone: one of them says how they all are.
        own = (state.directory / layer_file(None, record.name)).exists() or device is not None
        alike = (*record.groups, "/", record.name if own else "")
        if alike not in known:
            known[alike] = _tried(state, maker, record, layer)
        if isinstance(found := known[alike], ConfigError):
            errors.setdefault((found.where, found.code), found)
        elif found and records:
            changed.append(record.name)
    return Draft(tuple(errors.values())[:MAX_SHOWN], len(records), tuple(changed))


def _tried(state: FleetState, maker: BundleMaker, record: DeviceRecord, layer: Layer) -> ConfigError | bool:
    """Whether the box's document would be another, or why there would be none."""
    try:
        new = maker.compile(record, with_layer(state, record, layer)).data
    except ConfigError as error:
        return error
    try:
        return new != maker.compile(record).data
    except ConfigError:  # it doesn't compile as it is
        return True


def parsed(text: str, file: str) -> dict[str, Any]:
    """A layer's text. Raises `ConfigError` with the file."""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > MAX_LAYER:
        raise ConfigError(file, "config.too_large", bytes=str(MAX_LAYER))
    try:
        return parse_toml(data, dict, base=Path())
    except ConfigError as error:
        raise error.within(file) from None


def with_layer(state: FleetState, record: DeviceRecord, layer: Layer) -> list[Layer]:
    """The layers of a box, with this one in its place."""
    names = (
        FLEET_LAYER,
        *(layer_file(group, None) for group in record.groups),
        layer_file(None, record.name),
    )
    try:
        found = {one.file: one for one in layers_of(state, record)}
    except ConfigError as error:
        if error.code != "config.no_fleet_layer":
            raise
        found = {}
    found[layer.file] = layer
    return [found[name] for name in names if name in found]


def write(state: FleetState, file: str, before: str, text: str) -> None:
    """Put the layer in its place, if it still is what was edited. Under `FleetState.changing()`.

    Raises `StateError` (`fleet.layer_changed`).
    """
    if current(state, file) != before:
        raise StateError("fleet.layer_changed", file)
    write_text(state.directory / file, text)


def _nobody(group: str | None) -> DeviceRecord:
    return DeviceRecord(name=NOBODY, groups=() if group is None else (group,), added_at=0)
