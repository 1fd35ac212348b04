"""What the types of the boot file can't say: names that exist, policies under the ceiling, sane numbers."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from edged.device_checks import (
    check_chip_reader,
    check_id_card,
    check_printer,
    check_swipe,
    check_window,
    same_path,
)
from edged.errors import ConfigError, DecodeError
from edged.handover_checks import check_audience_handover, check_handover
from edged.privacy.policy import check_policy
from edged.sealing import load_recipient
from edged.slip_checks import check_slip
from edged.uplink import pkcs11_uri
from edged.uplink.topics import usable
from edged.verdict import CHECKS, CONDITIONAL, NEVER_MANDATORY, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.config import (
        AudienceSettings,
        BoxSettings,
        BrokerSettings,
        ChipReaderSettings,
        FleetSettings,
        OutboxSettings,
        SceneSettings,
    )
    from edged.uplink.keys import KeySource

SCENES = ("bank", "hotel", "telecom", "hospital", "transport", "government", "kiosk")
"""Scenes a scan may name; what each demands is `SceneSettings`."""

MAX_FRAMES = 8
"""Pictures of one side: what `edged.core.burst` makes use of (a test compares), named here without loading OpenCV."""

_MAX_WAIT_S = 600  # nobody stands at a counter for longer
_MIN_WAIT_S = 0.05  # shorter than any person, device or broker answers: a busy loop, not a wait
_MAX_PAUSE_S = 5  # whoever hasn't moved a document by then isn't moving it
_MAX_RETRY_S = 3600  # what is sent or asked again less often than every hour isn't delivered the same day
_MAX_KEEPALIVE_S = 600  # a silent connection must be noticed the same hour; brokers refuse more
_MAX_VERSION = 64  # of `edged.uplink.fields.Word`: every envelope carries it
_MAX_OUTBOX_MIB = 1 << 20  # a terabyte: no box has more, and a typing error might
_MIN_JOURNAL_DAYS = 30  # a complaint takes weeks to reach the counter
_MIN_JOURNAL_MIB = 16  # what the tables beside the entries take at a busy counter
_MAX_JOURNAL_MIB = 16384  # a terminal's disk has no room for more
_MAX_DAYS = 3650  # ten years: beyond any box's life


def check_box(settings: BoxSettings) -> None:
    """Raises `ConfigError` with the path of the bad key."""
    if not 1 <= len(settings.version) <= _MAX_VERSION:
        raise ConfigError("version", "config.wrong_length", least="1", most=str(_MAX_VERSION))
    _check_signing_key(settings.identity.signing_key)
    _check_broker(settings.broker)
    for name in ("document_s", "turn_over_s", "capture_s", "reading_s", "remind_s"):
        _check_range(f"timeouts.{name}", getattr(settings.timeouts, name), _MIN_WAIT_S, _MAX_WAIT_S)
    for name, least, most in (("frames", 1, MAX_FRAMES), ("pause_s", 0, _MAX_PAUSE_S)):
        _check_range(f"reading.{name}", getattr(settings.reading, name), least, most)
    _check_outbox(settings.outbox)
    for name, least, most in (
        ("keep_days", _MIN_JOURNAL_DAYS, _MAX_DAYS),
        ("max_mib", _MIN_JOURNAL_MIB, _MAX_JOURNAL_MIB),
    ):
        _check_range(f"journal.{name}", getattr(settings.journal, name), least, most)
    for name, scene in settings.scenes.items():
        _check_scene(name, scene)
    if not settings.audiences:
        raise ConfigError("audiences", "config.no_audience")
    for name, audience in settings.audiences.items():
        _check_audience(name, audience)
    _check_default_scene(settings)
    check_slip(settings)
    _check_devices(settings)
    if settings.chip_reader is not None:
        _check_chip(settings.chip_reader)
    if settings.handover is not None:
        check_handover(settings.handover, settings.audiences, pushed=settings.fleet is not None)
    if settings.fleet is not None:
        _check_fleet(settings.fleet)


def _check_fleet(fleet: FleetSettings) -> None:
    if fleet.enrolment is not None:
        host, _, port = fleet.enrolment.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 1 << 16:
            raise ConfigError("enrolment", "enrol.bad_address").within("fleet", ".")


def _check_signing_key(source: KeySource) -> None:
    if source.in_token:
        try:
            pkcs11_uri.parse(source)
        except DecodeError as error:
            raise ConfigError("identity.signing_key", error.code) from None


def _check_chip(chip: ChipReaderSettings) -> None:
    _check_range("chip_reader.find_s", chip.find_s, _MIN_WAIT_S, _MAX_WAIT_S)
    _check_range("chip_reader.total_s", chip.total_s, chip.find_s, _MAX_WAIT_S)
    check_chip_reader(chip)


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


def _check_outbox(outbox: OutboxSettings) -> None:
    for name, most in (("max_mib", _MAX_OUTBOX_MIB), ("max_age_days", _MAX_DAYS), ("ledger_days", _MAX_DAYS)):
        _check_range(f"outbox.{name}", getattr(outbox, name), 1, most)


def _check_default_scene(settings: BoxSettings) -> None:
    """The button on the head asks for this scene, and never for training."""
    scene = settings.default_scene
    if scene not in SCENES:
        raise unknown_scene("default_scene")
    if not any(
        scene in audience.scenes and set(audience.receives) != {Kind.TRAINING}
        for audience in settings.audiences.values()
    ):
        raise ConfigError("default_scene", "config.no_recipient")


def _check_devices(settings: BoxSettings) -> None:
    """Each section in itself, and what one demands of another."""
    check_window(settings.head, settings.camera)
    if settings.id_card is not None:
        check_id_card(settings.id_card)
    if settings.swipe is not None:
        check_swipe(settings.swipe)
    if settings.printer is not None:
        check_printer(settings.printer)
    if settings.clock.fixed_today is not None and not _by_hand(settings):
        raise ConfigError("clock.fixed_today", "config.only_with", other="camera.driver = simulated")
    _check_sockets(settings)


def _by_hand(settings: BoxSettings) -> bool:
    """Whether what this box sees are files: nothing it says of a day is about somebody's document."""
    camera = settings.camera
    return settings.head.simulated if camera is None else camera.simulated


def _check_sockets(settings: BoxSettings) -> None:
    taken = {"[control] socket": settings.control.socket}
    for section in ("head", "camera", "chip_reader", "handover"):
        socket = getattr(getattr(settings, section), "socket", None)
        if socket is None:
            continue
        for name, other in taken.items():
            if same_path(socket, other):
                raise ConfigError(f"{section}.socket", "config.same_path", other=name)
        taken[f"[{section}] socket"] = socket


def _check_scene(name: str, scene: SceneSettings) -> None:
    if name not in SCENES:
        raise unknown_scene(f"scenes.{name}")
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
            raise unknown_scene(f"audiences.{name}.scenes")
    if not audience.scenes:
        raise ConfigError(f"audiences.{name}.scenes", "config.no_scene")
    if not audience.receives:
        raise ConfigError(f"audiences.{name}.receives", "config.no_kind")
    try:
        check_policy(audience.policy)
    except ConfigError as error:
        raise error.within(f"audiences.{name}.policy", ".") from error
    _check_sealing(f"audiences.{name}", audience)
    check_audience_handover(name, audience)
    has_key = audience.pseudonym_key is not None or audience.organisation_key is not None
    if audience.policy.pseudonym_scope == "organisation" and not has_key:
        raise ConfigError(
            f"audiences.{name}.pseudonym_key", "config.required_by", other="pseudonym_scope = organisation"
        )


def _check_sealing(where: str, audience: AudienceSettings) -> None:
    """A policy that seals needs somebody to seal to: in clear instead would be the worst of all answers."""
    try:
        check_encryption_keys(audience.encryption_keys)
    except ConfigError as error:
        raise error.within(where, ".") from None
    policy = audience.policy
    for key, asked in (("encrypt", policy.encrypt), ("record", policy.record is not None)):
        if asked and not audience.encryption_keys:
            raise ConfigError(f"{where}.encryption_keys", "config.required_by", other=f"policy.{key}")


def check_encryption_keys(keys: Sequence[str]) -> None:
    """Raise `ConfigError` (`config.not_a_public_key`), its path `encryption_keys.NUMBER`, for what is no P-256 key."""
    for number, pem in enumerate(keys):
        try:
            load_recipient(pem)
        except ConfigError as error:
            raise ConfigError(f"encryption_keys.{number}", error.code) from None


def unknown_scene(where: str) -> ConfigError:
    """The error of a scene that isn't one of `SCENES`."""
    return ConfigError(where, "config.unknown_name", known=", ".join(SCENES))
