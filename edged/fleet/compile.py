"""Layers of configuration, compiled into the one document that a box sees. Does no I/O.

Fleet, then each of the box's groups in the record's order, then the box itself: a later layer wins, key by key. Tables
are merged; everything else, lists too, is replaced as a whole. A layer may say whatever `edged.desired.ConfigDocument`
knows but `format` and `device`. A key that is a table in one layer and a value in another is refused, so the result
never depends on how layers are grouped.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged.config import (
    AudienceSettings,
    BoxSettings,
    BrokerSettings,
    ChipReaderSettings,
    ControlSettings,
    HeadSettings,
    IdentitySettings,
    StateSettings,
)
from edged.desired import FILE, AudienceDocument, ConfigDocument, compose, parse_config
from edged.errors import ConfigError
from edged.uplink.keys import KeySource
from edged.uplink.sealed_keys import index_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLEET_LAYER: Final = "config/fleet.toml"
"""The layer that every box has; what is missing altogether is said to be missing here."""

GIVEN: Final = ("format", "device")
"""Keys of the document that no layer may say."""

MAX_LABEL: Final = 40
"""Longest `version` of a layer: with the hash behind it, it fits into an envelope's field of 64."""

_HASH_DIGITS: Final = 12
"""48 bits tell a fleet's configurations apart for as long as there will be any."""

_NOWHERE: Final = Path("/nonexistent")


class Layer(msgspec.Struct, frozen=True):
    """One file of configuration: its name in the state directory, and what it says."""

    file: str
    content: dict[str, Any]


class Compiled(msgspec.Struct, frozen=True):
    """One box's configuration: the document, and the very bytes of `config/{device}.json`."""

    document: ConfigDocument
    data: bytes


def merge(layers: Sequence[Layer]) -> dict[str, Any]:
    """What the layers say together. Raises `ConfigError` (`config.table_or_value`) with file and path."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _merged(merged, layer.content, layer.file, ())
    return merged


def _merged(below: dict[str, Any], above: dict[str, Any], file: str, path: tuple[str, ...]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        where = (*path, key)
        if key not in below:
            merged[key] = value
        elif isinstance(below[key], dict) != isinstance(value, dict):
            raise ConfigError(f"{file}: {'.'.join(where)}", "config.table_or_value")
        elif isinstance(value, dict):
            merged[key] = _merged(below[key], value, file, where)
        else:
            merged[key] = value
    return merged


def compile_config(
    device: str,
    layers: Sequence[Layer],
    audiences: Mapping[str, AudienceDocument],
    pinned: Mapping[str, str],
    delivered: Mapping[str, str] = MappingProxyType({}),
) -> Compiled:
    """The document of one box.

    `audiences` are the privacy officer's documents; `pinned` gives the SHA-256 of signed targets by path, audiences
    and artefacts alike. An artefact that isn't among them is refused; and what the box will do depends on them, so
    the version does: it is the layers' own (if they say one), a dot, and a hash of all that. The same content has the
    same version, whatever push it is in. `delivered` has a hash of each audience's organisation key as it is sealed to
    this box, on which the version depends as well.

    Raises `ConfigError`; where it stands is the layer's file (or the audience's) and the path of the bad key.
    """
    merged = merge(layers)
    for key in GIVEN:
        if key in merged:
            raise _at(layers, key, ConfigError(key, "config.given_by_tool"))
    try:
        return _compiled(device, merged, audiences, pinned, delivered)
    except ConfigError as error:
        raise _placed(layers, audiences, error) from None


def _compiled(
    device: str,
    merged: dict[str, Any],
    audiences: Mapping[str, AudienceDocument],
    pinned: Mapping[str, str],
    delivered: Mapping[str, str],
) -> Compiled:
    label = merged.get("version", "")
    if not isinstance(label, str):
        raise ConfigError("version", "config.wrong_type", expected="str", got=type(label).__name__)
    if len(label) > MAX_LABEL:
        raise ConfigError("version", "config.wrong_length", least="0", most=str(MAX_LABEL))
    content = {key: value for key, value in merged.items() if key != "version"}
    # Parsed before it is hashed: what the hash pins has to be read out of it.
    draft = parse_config(_encoded({**content, "format": 1, "device": device, "version": "-"}))
    for kind, path in draft.artefacts.items():
        if path not in pinned:
            raise ConfigError(f"artefacts.{kind}", "fleet.artefact_not_signed", path=path)
    targets = sorted([*(f"audience/{name}.json" for name in draft.audiences), *draft.artefacts.values()])
    pins = {target: pinned[target] for target in targets if target in pinned}
    pins |= {index_target(name): delivered[name] for name in draft.audiences if name in delivered}
    digest = hashlib.sha256(_encoded([content, pins])).hexdigest()[:_HASH_DIGITS]
    version = f"{label}.{digest}" if label else digest
    data = _encoded({**content, "format": 1, "device": device, "version": version})
    document = parse_config(data)
    compose(_some_box(document), document, audiences)
    return Compiled(document, data)


def check_audience(document: AudienceDocument) -> None:
    """Whether a box would take one audience's document: names that exist, a policy under the compiled ceiling.

    Raises `ConfigError` with the path of the bad key in that document.
    """
    # The document's first scene is the button's, too: whether a box has a recipient for its scene is the box's matter.
    scene = document.scenes[0] if document.scenes else "bank"
    config = ConfigDocument(
        format=1, device="any", version="-", audiences=(document.name,), default_scene=scene
    )
    # Nor is it this document's fault when it asks for no more than trainings: a live recipient stands beside it.
    other = "other" if document.name != "other" else "another"
    beside = AudienceDocument(format=1, name=other, scenes=(config.default_scene,))
    config = msgspec.structs.replace(config, audiences=(document.name, other))
    try:
        compose(_some_box(config), config, {document.name: document, other: beside})
    except ConfigError as error:
        raise ConfigError(
            error.where.removeprefix(f"audiences.{document.name}").lstrip(".") or FILE,
            error.code,
            **error.params,
        ) from None


def _encoded(content: object) -> bytes:
    return msgspec.json.encode(content, order="deterministic")


def _placed(
    layers: Sequence[Layer], audiences: Mapping[str, AudienceDocument], error: ConfigError
) -> ConfigError:
    """The error with the file that is to blame."""
    first, _, rest = error.where.partition(".")
    if first == "chip_reader":  # as the boot file calls it
        return _at(layers, f"chip.{rest}", error)
    if first == "audiences" and (name := rest.partition(".")[0]) in audiences:
        inner = rest.removeprefix(name).lstrip(".") or FILE
        return ConfigError(f"audiences/{name}.json: {inner}", error.code, **error.params)
    return _at(layers, error.where, error)


def _at(layers: Sequence[Layer], path: str, error: ConfigError) -> ConfigError:
    """The last layer that says the key, or else the table it is missing in."""
    steps = path.split(".")
    for depth in range(len(steps), 0, -1):
        for layer in reversed(layers):
            if _says(layer.content, steps[:depth]):
                return ConfigError(f"{layer.file}: {path}", error.code, **error.params)
    return ConfigError(f"{FLEET_LAYER}: {path}", error.code, **error.params)


def _says(content: object, steps: Sequence[str]) -> bool:
    for step in steps:
        if not isinstance(content, dict) or step not in content:
            return False
        content = content[step]
    return True


def _some_box(document: ConfigDocument) -> BoxSettings:
    """A boot file like any box's: with a chip reader, and a key for every organisation's pseudonyms."""
    return BoxSettings(
        identity=IdentitySettings(_NOWHERE, KeySource(_NOWHERE), _NOWHERE, _NOWHERE, _NOWHERE),
        broker=BrokerSettings("broker"),
        state=StateSettings(_NOWHERE),
        control=ControlSettings(_NOWHERE / "control"),
        head=HeadSettings("simulated", _NOWHERE / "glass"),
        audiences={name: AudienceSettings((), pseudonym_key=_NOWHERE) for name in document.audiences},
        chip_reader=ChipReaderSettings("pcsc"),
    )
