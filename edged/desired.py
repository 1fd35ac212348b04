"""What a fleet may push to a box: the documents, and how they become the box's settings.

Two kinds of document, by two people. The fleet admin's `config/{device}.json` says how a box works; the privacy
officer's `audience/{name}.json` says what one recipient may learn. A configuration names its audiences and can say
nothing else about them. What belongs to one machine (keys, sockets, devices, the state directory) stays in the boot
file and can't be pushed. What a document leaves out has the release's default, not the boot file's: a box that took
a push is described by the push. Does no I/O.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec

from edged.config import (
    AudienceSettings,
    BoxSettings,
    BrokerSettings,
    LogSettings,
    OutboxSettings,
    ReadingSettings,
    SceneSettings,
    SlipSettings,
    TimeoutSettings,
    check_box,
    check_encryption_keys,
)
from edged.config_errors import of_validation, with_keys
from edged.errors import ConfigError
from edged.privacy.policy import Policy
from edged.privacy.ready_made import resolve_audience
from edged.uplink.fields import Name, Word
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.uplink.sealed_keys import OrganisationKey

MAX_DOCUMENT: Final = 32 * 1024
"""Bytes of one document: a bundle holds a configuration and the documents of its audiences."""

MAX_PROBATION_S: Final = 3600
"""A box that hasn't proved itself within an hour won't."""

FILE: Final = "file"
"""Where a `ConfigError` stands that is about the whole document."""

T = TypeVar("T", bound=msgspec.Struct)

TargetPath = Annotated[
    str,
    msgspec.Meta(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)+$(?!\n)", max_length=160),
]
"""Path of a TUF target, as in `trust/icao-2026-11.sqlite`."""

ArtefactKind = Literal["scenes", "messages", "trust", "thresholds", "firmware", "software"]
"""Files a configuration may name. `scenes`: a scene pack · `messages`: sentences in place of the shipped ones ·
`trust`: a trust store · `thresholds`: the reader model's optical thresholds · `firmware`: of the head · `software`: the
box's own Debian package. The first two are the fleet admin's targets, the others the release role's."""

DIRECTORY_OF: Final[dict[ArtefactKind, str]] = {
    "scenes": "scene",
    "messages": "messages",
    "trust": "trust",
    "thresholds": "trust",
    "firmware": "firmware",
    "software": "software",
}
"""First level of each kind's target path: which role may sign it depends on that."""


class ChipDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How chips are read, on a box whose boot file names a reader. See `edged.config.ChipReaderSettings`."""

    bac_after_failed_pace: bool = False
    portrait: bool = True
    find_s: float = 1.5
    total_s: float = 30.0


class ConfigDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`config/{device}.json`: how one box works."""

    format: Literal[1]
    device: Name
    version: Word
    """The admin's name for it; every envelope carries it."""
    audiences: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=64)]
    """Recipients, each described by the privacy officer's document of that name."""
    probation_s: float = 120.0
    """How long the box has to prove itself after the switch, before it goes back."""
    scenes: dict[str, SceneSettings] = {}
    default_scene: str = "bank"
    broker: BrokerSettings | None = None
    """Another than the boot file's: a box that doesn't get there goes back by itself. None: the boot file's."""
    timeouts: TimeoutSettings = TimeoutSettings()
    reading: ReadingSettings = ReadingSettings()
    chip: ChipDocument = ChipDocument()
    outbox: OutboxSettings = OutboxSettings()
    log: LogSettings = LogSettings()
    slip: SlipSettings | None = None
    """The feedback slip; None: as the boot file has it."""
    artefacts: dict[ArtefactKind, TargetPath] = {}


class AudienceDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`audience/{name}.json`: what one recipient organisation gets."""

    format: Literal[1]
    name: Name
    scenes: tuple[str, ...]
    receives: tuple[Kind, ...] = (Kind.LIVE,)
    reference: bool = True
    label: str | None = None
    slip: bool = False
    policy: Policy = Policy(claims={})
    """In the document also a name, or a table with a `base`, of `edged.privacy.ready_made`."""
    encryption_keys: Annotated[tuple[str, ...], msgspec.Meta(max_length=4)] = ()
    """The recipient's public keys (P-256, PEM), newest first: what is sealed to it is sealed to the first."""


class ScenePack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An artefact of kind `scenes` (JSON): scenes that a configuration's own `scenes` may still replace."""

    format: Literal[1]
    scenes: dict[str, SceneSettings]


def parse_config(data: bytes) -> ConfigDocument:
    """The fleet admin's document. Raises `ConfigError` with the path of the bad key."""
    document = _parse(data, ConfigDocument)
    if not 1 <= document.probation_s <= MAX_PROBATION_S:
        raise ConfigError("probation_s", "config.out_of_range", least="1", most=str(MAX_PROBATION_S))
    for kind, path in document.artefacts.items():
        if not path.startswith(DIRECTORY_OF[kind] + "/"):
            raise ConfigError(f"artefacts.{kind}", "config.wrong_directory", directory=DIRECTORY_OF[kind])
    return document


def parse_audience(data: bytes) -> AudienceDocument:
    """The privacy officer's document. Raises `ConfigError` with the path of the bad key."""
    document = _parse(data, AudienceDocument)
    check_encryption_keys(document.encryption_keys)
    return document


def parse_scene_pack(data: bytes) -> ScenePack:
    """A scene pack. Raises `ConfigError` with the path of the bad key."""
    return _parse(data, ScenePack)


def compose(
    boot: BoxSettings,
    document: ConfigDocument,
    audiences: Mapping[str, AudienceDocument],
    pack: ScenePack | None = None,
    organisation_keys: Mapping[str, OrganisationKey] = MappingProxyType({}),
) -> BoxSettings:
    """The settings of a box that was pushed `document`; `audiences` has one of each name it lists.

    `organisation_keys` are those that were delivered with it, sealed to this box, by audience.

    Raises `ConfigError` with the path of the bad key, as it stands in the documents.
    """
    for name in document.audiences:
        if name not in audiences:
            raise ConfigError(f"audiences.{name}", "config.no_such_audience")
        if audiences[name].name != name:
            raise ConfigError(f"audiences.{name}.name", "config.other_name")
    chip = boot.chip_reader
    settings = msgspec.structs.replace(
        boot,
        version=document.version,
        audiences={
            name: _audience(boot, audiences[name], organisation_keys.get(name)) for name in document.audiences
        },
        scenes=(pack.scenes if pack is not None else {}) | document.scenes,
        default_scene=document.default_scene,
        broker=document.broker or boot.broker,
        timeouts=document.timeouts,
        reading=document.reading,
        chip_reader=None
        if chip is None
        else msgspec.structs.replace(chip, **msgspec.structs.asdict(document.chip)),
        outbox=document.outbox,
        log=document.log,
        slip=document.slip or boot.slip,
    )
    check_box(settings)
    return settings


def _audience(
    boot: BoxSettings, document: AudienceDocument, delivered: OrganisationKey | None
) -> AudienceSettings:
    """A key for an organisation's pseudonyms was delivered, or is the box's own file, named in the boot file."""
    local = boot.audiences.get(document.name)
    return AudienceSettings(
        scenes=document.scenes,
        receives=document.receives,
        reference=document.reference,
        label=document.label,
        slip=document.slip,
        policy=document.policy,
        encryption_keys=document.encryption_keys,
        pseudonym_key=None if local is None else local.pseudonym_key,
        organisation_key=delivered,
    )


def _parse(data: bytes, model: type[T]) -> T:
    if len(data) > MAX_DOCUMENT:
        raise ConfigError(FILE, "config.too_large", bytes=str(MAX_DOCUMENT))
    try:
        document: Any = json.loads(data.decode("utf-8"), object_pairs_hook=_no_key_twice)
        # Python reads more than JSON has: NaN, numbers without end, half a surrogate pair that nothing can write again.
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(FILE, "config.not_utf8", byte=str(error.start)) from None
    except _TwiceError as error:
        raise ConfigError(str(error), "config.key_twice") from None
    except (ValueError, RecursionError):
        raise ConfigError(FILE, "config.not_json") from None
    if not isinstance(document, dict):
        raise ConfigError(FILE, "config.not_json")
    if model is AudienceDocument:
        document = resolve_audience(document)

    def convert(found: dict[str, Any]) -> T:
        return msgspec.convert(found, model)

    try:
        return convert(document)
    except msgspec.ValidationError as error:
        raise of_validation(with_keys(document, str(error), convert), FILE) from None


class _TwiceError(ValueError):
    pass


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Read in two ways by two readers, a key given twice would be what its signer didn't see."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise _TwiceError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return found
