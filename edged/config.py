"""The boot file: one TOML file, one validated model; the only module that reads TOML or the environment.

Settings of other processes (collector, partner) are structs beside the code they configure; they come
through `load_toml` as well, so every bad key is reported the same way.
"""

from __future__ import annotations

import os
import tomllib
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from edged.config_errors import of_validation, with_keys
from edged.errors import ConfigError
from edged.privacy.policy import Policy, check_policy
from edged.uplink.topics import usable
from edged.verdict import CHECKS, CONDITIONAL, NEVER_MANDATORY, CheckClass, Kind

if TYPE_CHECKING:
    from collections.abc import Collection

SCENES = ("bank", "hotel", "telecom", "hospital", "transport", "government", "kiosk")
"""Scenes a scan may name; what each demands is `SceneSettings`."""

MAX_FRAMES = 8
"""Pictures of one side: what `edged.core.burst` makes use of (a test compares), named here without loading OpenCV."""

T = TypeVar("T")

FILE = "file"
"""Where a `ConfigError` stands that is about the whole file."""

_MAX_WAIT_S = 600  # nobody stands at a counter for longer
_MIN_WAIT_S = 0.05  # shorter than any person, device or broker answers: a busy loop, not a wait
_MAX_PAUSE_S = 5  # whoever hasn't moved a document by then isn't moving it
_MAX_RETRY_S = 3600  # what is sent or asked again less often than every hour isn't delivered the same day
_MAX_KEEPALIVE_S = 600  # a silent connection must be noticed the same hour; brokers refuse more
_MAX_VERSION = 64  # of `edged.uplink.fields.Word`: every envelope carries it
_MAX_CONFIG_BYTES = 1 << 20  # a boot file is a few KiB; anything larger is a mistake, not a configuration


class IdentitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of the box's own identity. Key files must have mode 0600."""

    fleet_ca: Path
    signing_key: Path
    signing_certificate: Path
    tls_key: Path
    tls_certificate: Path


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the MQTT 5 broker listens (mutual TLS 1.3 only)."""

    host: str
    port: int = 8883
    keepalive_s: int = 30
    receipt_timeout_s: float = 30.0
    """After this long without a receipt a published envelope is published again."""
    reconnect_min_s: float = 0.5
    reconnect_max_s: float = 60.0


class StateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the outbox and the box's secrets live (mode 0700)."""

    directory: Path


class ControlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The local control socket that `edged scan` and the console talk to."""

    socket: Path


class HeadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reader head: window, lights, button, and the camera behind it."""

    driver: Literal["simulated"]
    socket: Path | None = None
    """Simulated head only: the socket through which a hand puts documents on the glass."""
    optical_thresholds: Path | None = None
    """What `edged optical fit` learned about this reader model; without it the optical check decides nothing."""

    @property
    def simulated(self) -> bool:
        """Whether no person and no document stand behind it."""
        return self.driver == "simulated"


class ChipReaderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The chip reader, when the box has one: a contactless PC/SC reader under the window."""

    driver: Literal["pcsc", "simulated"]
    reader: str | None = None
    """PC/SC only: part of the reader's name, as `edged chip read --list` shows it; None for the only one there is."""
    socket: Path | None = None
    """Simulated only: the socket to which an emulated chip connects."""
    trust: Path | None = None
    """The trust store that `edged trust import` fills; None: no state is trusted, and no chip is proved genuine."""
    bac_after_failed_pace: bool = False
    """Whether a chip that offers PACE and fails it may be read with BAC. The failure is told either way."""
    portrait: bool = True
    """Whether the portrait is read as well: the longest part, without which the chip's picture isn't proved."""
    find_s: float = 1.5
    """How long a chip may take to answer once the page has been read; after that the document has none."""
    total_s: float = 30.0
    """How long reading one chip may take altogether."""

    @property
    def simulated(self) -> bool:
        """Whether no chip stands behind it."""
        return self.driver == "simulated"


class TimeoutSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long one inspection waits for people and devices, in seconds."""

    document_s: float = 15.0
    turn_over_s: float = 15.0
    capture_s: float = 5.0
    reading_s: float = 10.0
    remind_s: float = 10.0
    """A document left in the window after the result is beeped about this often."""


class ReadingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a side is photographed when its first picture isn't sure, within `timeouts.reading_s`."""

    frames: int = 3
    """Pictures of one side at most, under white light and, where the head has it, infrared."""
    pause_s: float = 0.3
    """Before a further picture under the same light, for a clerk's hand to move what is in the way."""


class ClockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the clock may be believed (see `edged.clock`)."""

    require_synchronised: bool = True
    fixed_today: date | None = None
    """Date against which documents are judged; simulated heads only, for repeatable demonstrations."""


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log lines go to standard error, one JSON object each."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class SceneSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much each check counts in a scene; a check that is not named is evaluatory."""

    mandatory: tuple[str, ...]
    optional: tuple[str, ...] = ()
    conditional: tuple[str, ...] = ()
    """Mandatory for a document that has a chip (in the field, read or not), optional for one that hasn't."""

    def classes(self, present: Collection[str] = ()) -> dict[str, CheckClass]:
        """Check name to class, for `edged.verdict.judge`; `present` names what there was something to check of."""
        mandatory = {*self.mandatory, *(name for name in self.conditional if name in present)}
        optional = dict.fromkeys((*self.optional, *self.conditional), CheckClass.OPTIONAL)
        return optional | dict.fromkeys(mandatory, CheckClass.MANDATORY)


class AudienceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recipient organisation: which inspections it gets, and what of them."""

    scenes: tuple[str, ...]
    receives: tuple[Kind, ...] = (Kind.LIVE,)
    reference: bool = True
    """Whether the transaction reference, purpose and operator given with a scan are returned to it."""
    policy: Policy = Policy(claims={})
    pseudonym_key: Path | None = None
    """Key file (mode 0600) for `pseudonym_scope = "organisation"`; the `box` scope makes its own key."""


OPTICAL_SCENE = SceneSettings(
    mandatory=("document_detected", "mrz_read", "mrz_check_digits", "mrz_fields", "expiry"),
    optional=("face_match", "registry"),
    conditional=("chip",),
)
"""Default of every scene: the optical checks decide, and the chip where the document has one."""


class BoxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole boot file of `edged run`."""

    identity: IdentitySettings
    broker: BrokerSettings
    state: StateSettings
    control: ControlSettings
    head: HeadSettings
    audiences: dict[str, AudienceSettings]
    version: str = "1"
    """The operator's own name for this configuration; every envelope carries it."""
    scenes: dict[str, SceneSettings] = {}
    default_scene: str = "bank"
    timeouts: TimeoutSettings = TimeoutSettings()
    reading: ReadingSettings = ReadingSettings()
    chip_reader: ChipReaderSettings | None = None
    """None: this box reads no chips, and says so in every verdict."""
    clock: ClockSettings = ClockSettings()
    log: LogSettings = LogSettings()

    def scene(self, name: str) -> SceneSettings:
        """The scene's settings, or the optical default. Raises `ConfigError` for an unknown scene."""
        if name not in SCENES:
            raise _unknown_scene("scene")
        return self.scenes.get(name, OPTICAL_SCENE)


def load_toml(path: Path, model: type[T]) -> T:
    """Read a TOML file into `model`, strictly.

    Relative paths in the file are relative to the file. Raises `ConfigError` whose text starts with the file
    and the path of the bad key.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), "config.unreadable", error=error.strerror or "") from error
    if len(raw) > _MAX_CONFIG_BYTES:
        raise ConfigError(str(path), "config.too_large", bytes=str(_MAX_CONFIG_BYTES))
    try:
        return parse_toml(raw, model, base=path.parent)
    except ConfigError as error:
        raise error.within(str(path)) from error


def parse_toml(raw: bytes, model: type[T], *, base: Path) -> T:
    """Like `load_toml`, from bytes; relative paths are taken from `base`."""
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(FILE, "config.not_utf8", byte=str(error.start)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(FILE, "config.not_toml", error=str(error)) from error

    def decode(kind: type, value: Any) -> Any:
        if kind is Path:
            if not isinstance(value, str):
                raise TypeError("Expected a file path in quotes")
            return base / Path(value).expanduser()
        raise TypeError(f"Unsupported type {kind!r}")

    def convert(document: dict[str, Any]) -> T:
        return msgspec.convert(document, model, dec_hook=decode)

    try:
        return convert(document)
    except msgspec.ValidationError as error:
        raise of_validation(with_keys(document, str(error), convert), FILE) from error


def _unknown_scene(where: str) -> ConfigError:
    return ConfigError(where, "config.unknown_name", known=", ".join(SCENES))


def load_box(path: Path) -> BoxSettings:
    """Read and check the boot file of `edged run`. Raises `ConfigError` with the path of the bad key."""
    settings = load_toml(path, BoxSettings)
    try:
        check_box(settings)
    except ConfigError as error:
        raise error.within(str(path)) from error
    return settings


def check_box(settings: BoxSettings) -> None:
    """What types alone can't say: names that exist, policies under the ceiling, sane numbers."""
    if not 1 <= len(settings.version) <= _MAX_VERSION:
        raise ConfigError("version", "config.wrong_length", least="1", most=str(_MAX_VERSION))
    _check_broker(settings.broker)
    for name in ("document_s", "turn_over_s", "capture_s", "reading_s", "remind_s"):
        _check_range(f"timeouts.{name}", getattr(settings.timeouts, name), _MIN_WAIT_S, _MAX_WAIT_S)
    for name, least, most in (("frames", 1, MAX_FRAMES), ("pause_s", 0, _MAX_PAUSE_S)):
        _check_range(f"reading.{name}", getattr(settings.reading, name), least, most)
    for name, scene in settings.scenes.items():
        _check_scene(name, scene)
    if not settings.audiences:
        raise ConfigError("audiences", "config.no_audience")
    for name, audience in settings.audiences.items():
        _check_audience(name, audience)
    _check_default_scene(settings)
    _check_head(settings)
    if settings.chip_reader is not None:
        _check_chip(settings.chip_reader, settings)


def _check_chip(chip: ChipReaderSettings, settings: BoxSettings) -> None:
    _check_range("chip_reader.find_s", chip.find_s, _MIN_WAIT_S, _MAX_WAIT_S)
    _check_range("chip_reader.total_s", chip.total_s, chip.find_s, _MAX_WAIT_S)
    if chip.simulated and chip.socket is None:
        raise ConfigError("chip_reader.socket", "config.required_by", other="chip_reader.driver = simulated")
    for name, only in (("socket", "simulated"), ("reader", "pcsc")):
        if getattr(chip, name) is not None and chip.driver != only:
            raise ConfigError(f"chip_reader.{name}", "config.only_with", other=f"chip_reader.driver = {only}")
    for name, other in (
        ("[control] socket", settings.control.socket),
        ("[head] socket", settings.head.socket),
    ):
        if chip.socket is not None and other is not None and _same_path(chip.socket, other):
            raise ConfigError("chip_reader.socket", "config.same_path", other=name)


def _check_range(where: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # in this form NaN, which TOML knows, is out of every range
        raise ConfigError(where, "config.out_of_range", least=str(least), most=str(most))


def _check_broker(broker: BrokerSettings) -> None:
    if not broker.host or any(character.isspace() for character in broker.host):
        raise ConfigError("broker.host", "config.bad_host")
    _check_range("broker.port", broker.port, 1, 65535)
    _check_range("broker.keepalive_s", broker.keepalive_s, 1, _MAX_KEEPALIVE_S)
    _check_range("broker.receipt_timeout_s", broker.receipt_timeout_s, _MIN_WAIT_S, _MAX_RETRY_S)
    _check_range("broker.reconnect_min_s", broker.reconnect_min_s, _MIN_WAIT_S, _MAX_RETRY_S)
    _check_range("broker.reconnect_max_s", broker.reconnect_max_s, broker.reconnect_min_s, _MAX_RETRY_S)


def _check_default_scene(settings: BoxSettings) -> None:
    """The button on the head asks for this scene, and never for training."""
    scene = settings.default_scene
    if scene not in SCENES:
        raise _unknown_scene("default_scene")
    if not any(
        scene in audience.scenes and set(audience.receives) != {Kind.TRAINING}
        for audience in settings.audiences.values()
    ):
        raise ConfigError("default_scene", "config.no_recipient")


def _check_head(settings: BoxSettings) -> None:
    head = settings.head
    if head.simulated and head.socket is None:
        raise ConfigError("head.socket", "config.required_by", other="head.driver = simulated")
    if head.socket is not None and _same_path(head.socket, settings.control.socket):
        raise ConfigError("head.socket", "config.same_path", other="[control] socket")
    if settings.clock.fixed_today is not None and not head.simulated:
        raise ConfigError("clock.fixed_today", "config.only_with", other="head.driver = simulated")


def _same_path(one: Path, other: Path) -> bool:
    return os.path.normpath(one) == os.path.normpath(other)


def _check_scene(name: str, scene: SceneSettings) -> None:
    if name not in SCENES:
        raise _unknown_scene(f"scenes.{name}")
    keys = ("mandatory", "optional", "conditional")
    for key in keys:
        checks = getattr(scene, key)
        for check in checks:
            if check not in CHECKS:
                raise ConfigError(f"scenes.{name}.{key}", "config.unknown_name", known=", ".join(CHECKS))
        if key != "optional" and (never := NEVER_MANDATORY & set(checks)):
            raise ConfigError(
                f"scenes.{name}.{key}", "config.never_mandatory", checks=", ".join(sorted(never))
            )
    if not scene.mandatory:
        raise ConfigError(f"scenes.{name}.mandatory", "config.nothing_mandatory")
    for first, second in combinations(keys, 2):
        if both := set(getattr(scene, first)) & set(getattr(scene, second)):
            raise ConfigError(
                f"scenes.{name}.{second}", f"config.{first}_already", checks=", ".join(sorted(both))
            )
    if not set(scene.conditional) <= set(CONDITIONAL):
        raise ConfigError(f"scenes.{name}.conditional", "config.unknown_name", known=", ".join(CONDITIONAL))


def _check_audience(name: str, audience: AudienceSettings) -> None:
    if not usable(name):
        raise ConfigError(f"audiences.{name}", "config.bad_name")
    for scene in audience.scenes:
        if scene not in SCENES:
            raise _unknown_scene(f"audiences.{name}.scenes")
    if not audience.scenes:
        raise ConfigError(f"audiences.{name}.scenes", "config.no_scene")
    if not audience.receives:
        raise ConfigError(f"audiences.{name}.receives", "config.no_kind")
    try:
        check_policy(audience.policy)
    except ConfigError as error:
        raise error.within(f"audiences.{name}.policy", ".") from error
    if audience.policy.pseudonym_scope == "organisation" and audience.pseudonym_key is None:
        raise ConfigError(
            f"audiences.{name}.pseudonym_key", "config.required_by", other="pseudonym_scope = organisation"
        )


def environment(name: str) -> str | None:
    """One environment variable (LANG, NO_COLOR, NOTIFY_SOCKET, …), or None when unset or empty."""
    return os.environ.get(name) or None
