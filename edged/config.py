"""The boot file: one TOML file, one validated model; the only module that reads TOML or the environment.

Settings of other processes (collector, partner) are structs beside the code they configure; they come
through `load_toml` as well, so every bad key is reported the same way.
"""

from __future__ import annotations

import os
import tomllib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from edged.config_checks import MAX_FRAMES, SCENES, check_box, check_encryption_keys, unknown_scene
from edged.config_errors import of_validation, with_keys
from edged.device_settings import (
    CameraSettings,
    HeadSettings,
    IdCardSettings,
    Options,
    PrinterSettings,
    SwipeSettings,
)
from edged.errors import ConfigError
from edged.privacy.policy import Policy
from edged.privacy.ready_made import resolve_audiences
from edged.uplink.keys import KeySource
from edged.uplink.sealed_keys import OrganisationKey
from edged.verdict import CheckClass, Kind

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "MAX_FRAMES",
    "SCENES",
    "CameraSettings",
    "HeadSettings",
    "IdCardSettings",
    "PrinterSettings",
    "SwipeSettings",
    "check_box",
    "check_encryption_keys",
    "environment",
    "load_box",
    "load_toml",
    "parse_toml",
]

T = TypeVar("T")

FILE = "file"
"""Where a `ConfigError` stands that is about the whole file."""

_MAX_CONFIG_BYTES = 1 << 20  # a boot file is a few KiB; anything larger is a mistake, not a configuration


class IdentitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of the box's own identity. Key files must have mode 0600."""

    fleet_ca: Path
    signing_key: KeySource
    """A file, or a `pkcs11:` URI (RFC 7512) of a key in a token."""
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


class OutboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much a box keeps that nobody has taken yet: it may be used door to door for months.

    What these bounds push out is told to the centre in a signed gap record.
    """

    max_mib: int = 1024
    max_age_days: int = 180
    ledger_days: int = 90
    """How long numbers and hashes of what the centre has stored are kept."""


class JournalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the box's own journal says who took what, by names of fields: auditors come after years."""

    keep_days: int = 1095
    """Three years: as long as PIPL art. 56 has records of processing kept."""
    max_mib: int = 256
    """Of the whole file, the oldest entries go first: over a million of them."""


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers for the operator's monitoring; nothing personal is among them."""

    textfile: Path | None = None
    """Directory of node_exporter's textfile collector; None: nothing is written."""


class ControlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The local control socket that `edged scan` and the console talk to."""

    socket: Path


class ChipReaderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The chip reader, when the box has one: a contactless PC/SC reader under the window."""

    driver: str
    """pcsc, simulated, or one from outside."""
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
    options: Options = {}

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
    """In the file also a name, or a table with a `base`, of `edged.privacy.ready_made`."""
    label: str | None = None
    """What the notice and the slip call it; None: its name."""
    slip: bool = False
    """Whether it is told the number of the holder's slip: whoever is can join what others were told of it."""
    encryption_keys: tuple[str, ...] = ()
    """The recipient's public keys (P-256, PEM), newest first: what is sealed to it is sealed to the first."""
    pseudonym_key: Path | None = None
    """Key file (mode 0600) for `pseudonym_scope = "organisation"`; the `box` scope makes its own key."""
    organisation_key: OrganisationKey | None = None
    """The same key as the fleet delivers it: sealed to this box by the privacy officer. It goes before the file."""


OPTICAL_SCENE = SceneSettings(
    mandatory=("document_detected", "mrz_read", "mrz_check_digits", "mrz_fields", "expiry"),
    optional=("face_match", "registry"),
    conditional=("chip",),
)
"""Default of every scene: the optical checks decide, and the chip where the document has one."""


class FleetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may push settings to this box. Without this section nobody may, and the boot file is all there is."""

    root: Path
    """The fleet's TUF root metadata, as enrolment wrote it: whom the box believes from the first push on."""
    enrolment: str | None = None
    """`host:port` of the fleet's enrolment service, where certificates are renewed; None: by hand."""


class SlipSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The feedback slip (反馈单). Without this section none is made."""

    site: str
    """What the slip calls this place; at most 24 bytes of UTF-8, because the QR code carries it."""
    url: str
    """Where the page that verifies slips lies, `https://…`; the signed data is its fragment."""
    print_after: bool = False
    """Whether it is printed by itself after every inspection, where there is a printer."""
    valid_days: int = 90
    """For how long a slip can be relied upon; status lists tell of it for as long."""
    reprint_h: float = 24.0
    """For how long the box keeps what it needs to print one again; then only its number is left."""


class HandoverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where authenticated applications on the counter get the fields that policy allows (`docs/integration.md`)."""

    socket: Path | None = None
    """A local socket: who connects is known by the user id of its process."""
    users: dict[str, str] = {}
    """Audience to the system user its application runs as."""
    listen: str | None = None
    """`ADDRESS:PORT` on the counter's own network, mutual TLS: who connects is known by its certificate."""
    key: Path | None = None
    """With `listen`: the server key that `edged fleet certify server ADDRESS` made (mode 0600)."""
    certificate: Path | None = None
    """Its certificate; applications check the address in it."""


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
    camera: CameraSettings | None = None
    """None: the one that a simulated head brings."""
    id_card: IdCardSettings | None = None
    swipe: SwipeSettings | None = None
    printer: PrinterSettings | None = None
    slip: SlipSettings | None = None
    handover: HandoverSettings | None = None
    outbox: OutboxSettings = OutboxSettings()
    journal: JournalSettings = JournalSettings()
    metrics: MetricsSettings = MetricsSettings()
    clock: ClockSettings = ClockSettings()
    log: LogSettings = LogSettings()
    fleet: FleetSettings | None = None
    """None: nothing is pushed to this box."""

    def scene(self, name: str) -> SceneSettings:
        """The scene's settings, or the optical default. Raises `ConfigError` for an unknown scene."""
        if name not in SCENES:
            raise unknown_scene("scene")
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
    if model is BoxSettings:
        document = resolve_audiences(document)

    def decode(kind: type, value: Any) -> Any:
        if kind is Path:
            if not isinstance(value, str):
                raise TypeError("Expected a file path in quotes")
            return base / Path(value).expanduser()
        if kind is KeySource:
            if not isinstance(value, str):
                raise TypeError("Expected a file path in quotes")
            source = KeySource(value)
            return source if source.in_token else KeySource(base / Path(value).expanduser())
        raise TypeError(f"Unsupported type {kind!r}")

    def convert(document: dict[str, Any]) -> T:
        return msgspec.convert(document, model, dec_hook=decode)

    try:
        return convert(document)
    except msgspec.ValidationError as error:
        raise of_validation(with_keys(document, str(error), convert), FILE) from error


def load_box(path: Path) -> BoxSettings:
    """Read and check the boot file of `edged run`. Raises `ConfigError` with the path of the bad key."""
    settings = load_toml(path, BoxSettings)
    try:
        check_box(settings)
    except ConfigError as error:
        raise error.within(str(path)) from error
    return settings


def environment(name: str) -> str | None:
    """One environment variable (LANG, NO_COLOR, NOTIFY_SOCKET, …), or None when unset or empty."""
    return os.environ.get(name) or None
