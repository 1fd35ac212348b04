"""The boot file: the example is good, and every mistake is named by the path of its key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace

from edged import config
from edged.cli import explain, main
from edged.commands.config import EXAMPLE
from edged.config import (
    OPTICAL_SCENE,
    BoxSettings,
    CameraSettings,
    HeadSettings,
    check_box,
    load_box,
    load_toml,
    parse_toml,
)
from edged.core import burst
from edged.errors import ConfigError
from edged.uplink.keys import generate_key
from edged.verdict import CheckClass, Kind


def parsed(text: str) -> BoxSettings:
    settings = parse_toml(text.encode(), BoxSettings, base=Path("/base"))
    check_box(settings)
    return settings


def test_the_example_is_good_and_its_relative_paths_are_relative_to_it(tmp_path: Path) -> None:
    file = tmp_path / "edged.toml"
    file.write_text(EXAMPLE)
    settings = load_box(file)
    assert settings.identity.fleet_ca == tmp_path / "fleet-ca.pem"
    assert settings.state.directory == Path("/var/lib/edged")
    assert settings.audiences["central"].receives == (Kind.LIVE, Kind.TEST, Kind.TRAINING)
    assert settings.audiences["first-bank"].receives == (Kind.LIVE,)
    assert settings.scene("hotel").classes()["chip"] is CheckClass.OPTIONAL
    assert settings.scene("hotel").classes({"chip"})["chip"] is CheckClass.MANDATORY
    assert settings.scene("kiosk") == OPTICAL_SCENE


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("port = 8883", 'port = "8883"', "broker.port: Expected `int`, got `str`"),
        ("port = 8883", "port = 88830", "broker.port: must be between 1 and 65535"),
        ("port = 8883", "prot = 8883", "broker.prot: unknown key"),
        ('host = "broker.example.org"', "", "broker.host: required key is missing"),
        ("[clock]", "[clok]", "clok: unknown key"),
        (
            'driver = "simulated" ',
            'driver = "magic" ',
            "head.driver: there is no driver called magic; choose among simulated, serial, usb, bare.",
        ),
        (
            'tls_key = "/var/lib/edged/tls.key"',
            "tls_key = 5",
            "identity.tls_key: Expected a file path in quotes",
        ),
        ('default_scene = "bank"', 'default_scene = "casino"', "default_scene: unknown name"),
        ("[scenes.hotel]", "[scenes.casino]", "scenes.casino: unknown name"),
        ('mandatory = ["document_detected"', 'mandatory = ["smell"', "scenes.hotel.mandatory: unknown name"),
        (
            'mandatory = ["document_detected"',
            'mandatory = ["optical_security", "viz_birth_date", "card_number"',
            "scenes.hotel.mandatory: card_number, optical_security, viz_birth_date: evidence that never decides",
        ),
        (
            'optional = ["face_match"',
            'optional = ["expiry"',
            "scenes.hotel.optional: expiry: mandatory already",
        ),
        ('scenes = ["bank"]', 'scenes = ["casino"]', "audiences.first-bank.scenes: unknown name"),
        ('scenes = ["bank"]', "scenes = []", "audiences.first-bank.scenes: without a scene"),
        ("audiences.first-bank", "audiences.First_Bank", "audiences.First_Bank: names are lower-case"),
        ("audiences.first-bank", "audiences.status", "audiences.status: names are lower-case"),
        ("frames = 3", "frames = 0", "reading.frames: must be between 1 and 8"),
        ("frames = 3", "frames = 9", "reading.frames: must be between 1 and 8"),
        ("frames = 3", "pause_s = nan", "reading.pause_s: must be between 0 and 5"),
        ("port = 8883", "port = 8883\nkeepalive_s = 0", "broker.keepalive_s: must be between 1 and 600"),
        (
            'surname = "mask"',
            'surname = "show"',
            "audiences.first-bank.policy.claims.surname: 'show' is not one of",
        ),
        ('scenes = ["bank"]', 'scenes = "bank"', "audiences.first-bank.scenes: Expected `array`"),
        ("reference = false", "refrence = false", "audiences.central.refrence: unknown key"),
        ('optional = ["face_match"', "optional = [5", "scenes.hotel.optional[0]: Expected `str`"),
        ('version = "2026-11-21"', 'version = ""', "version: must be 1 to 64 characters long"),
        ('surname = "mask"', 'surname = "keep"', "audiences.first-bank.policy.claims."),
        ('surname = "mask"', 'shoe_size = "keep"', "audiences.first-bank.policy.claims."),
        ('pseudonym_scope = "box"', 'pseudonym_scope = "organisation"', "audiences.first-bank.pseudonym_key"),
        ('host = "broker.example.org"', 'host = ""', "broker.host: must be a host name"),
        ('host = "broker.example.org"', 'host = "a b"', "broker.host: must be a host name"),
        ("glass.sock", "control.sock", "head.socket: must not be the same file as [control] socket"),
        ("edged/glass.sock", "edged/../edged/control.sock", "head.socket: must not be the same file"),
        ('socket = "/run/edged/glass.sock"', "", "head.socket: required by head.driver = simulated"),
        (
            'conditional = ["chip"]',
            'conditional = ["optical_security"]',
            "scenes.hotel.conditional: optical_security: evidence that never decides",
        ),
        (
            'conditional = ["chip"]',
            'conditional = ["registry"]',
            "scenes.hotel.conditional: registry: optional",
        ),
        (
            'conditional = ["chip"]',
            'conditional = ["chip"]\n[scenes.bank]\nmandatory = ["chip"]\nconditional = ["mrz_read"]',
            "scenes.bank.conditional: ",
        ),
        ('conditional = ["chip"]', 'conditional = ["expiry"]', "scenes.hotel.conditional: expiry: mandatory"),
        (
            'driver = "pcsc"',
            'driver = "magic"',
            "chip_reader.driver: there is no driver called magic; choose among pcsc, simulated.",
        ),
        ('driver = "pcsc"', 'driver = "simulated"', "chip_reader.socket: required by chip_reader.driver"),
        ('driver = "pcsc"', 'driver = "pcsc"\nsocket = "s"', "chip_reader.socket: "),
        (
            'driver = "pcsc"',
            'driver = "simulated"\nsocket = "s"\nreader = "Contactless"',
            "chip_reader.reader: ",
        ),
        (
            'driver = "pcsc"',
            'driver = "simulated"\nsocket = "/run/edged/control.sock"',
            "chip_reader.socket: must not be the same file as [control] socket",
        ),
        ('driver = "pcsc"', 'driver = "pcsc"\nfind_s = 0', "chip_reader.find_s: must be between"),
        ('driver = "pcsc"', 'driver = "pcsc"\ntotal_s = 0.5', "chip_reader.total_s: must be between 1.5"),
        ('driver = "pcsc"', 'driver = "pcsc"\ntotal_s = 1e9', "chip_reader.total_s: must be between 1.5"),
        (
            'receives = ["live", "test", "training"]',
            "receives = []",
            "audiences.central.receives: without a kind",
        ),
    ],
)
def test_a_mistake_is_named_by_the_path_of_its_key(old: str, new: str, said: str) -> None:
    assert old in EXAMPLE
    with pytest.raises(ConfigError) as caught:
        parsed(EXAMPLE.replace(old, new))
    assert said in explain(caught.value, "en")


@pytest.mark.parametrize(
    ("table", "key", "values", "said"),
    [
        ("outbox", "max_mib", ("0", "-1", "1048577"), "must be between 1 and 1048576"),
        ("outbox", "max_age_days", ("0", "3651"), "must be between 1 and 3650"),
        ("outbox", "ledger_days", ("0", "3651"), "must be between 1 and 3650"),
        ("broker", "receipt_timeout_s", ("0", "-5", "nan", "inf", "1e-7"), "must be between 0.05 and 3600"),
        ("broker", "reconnect_min_s", ("0", "-1.0", "nan", "inf", "1e-7"), "must be between 0.05 and 3600"),
        ("broker", "reconnect_max_s", ("0", "-1", "nan", "inf", "0.4"), "must be between 0.5 and 3600"),
        ("broker", "keepalive_s", ("0", "-5", "601"), "must be between 1 and 600"),
        *(
            ("timeouts", key, ("0", "-5", "nan", "inf", "1e-7"), "must be between 0.05 and 600")
            for key in ("document_s", "turn_over_s", "capture_s", "reading_s", "remind_s")
        ),
    ],
)
def test_a_number_has_bounds(table: str, key: str, values: tuple[str, ...], said: str) -> None:
    for value in values:
        entry = f"[{table}]\n{key} = {value}\n"
        example = re.sub(rf"(?m)^{key} = .*\n", "", EXAMPLE)
        text = example.replace(f"[{table}]", entry, 1) if f"[{table}]" in example else example + entry
        with pytest.raises(ConfigError) as caught:
            parsed(text)
        assert explain(caught.value, "en") == f"{table}.{key}: {said}", value


@pytest.mark.parametrize(
    ("scenes", "receives"), [('["hotel"]', '["live"]'), ('["bank", "hotel"]', '["training"]')]
)
def test_the_scene_of_the_button_has_a_recipient(scenes: str, receives: str) -> None:
    only = f"[audiences.grand-hotel]\nscenes = {scenes}\nreceives = {receives}\n"
    with pytest.raises(ConfigError) as caught:
        parsed(EXAMPLE.partition("# Recipients")[0] + only)
    assert explain(caught.value, "en").startswith("default_scene: no recipient takes this scene")


def test_no_more_pictures_are_asked_for_than_reading_makes_use_of() -> None:
    assert config.MAX_FRAMES == burst.MAX_FRAMES


def test_a_fixed_date_is_for_files_in_place_of_documents() -> None:
    good = parsed(EXAMPLE.replace("[clock]", "[clock]\nfixed_today = 2026-06-15"))
    real = replace(good, head=HeadSettings("bare"), camera=CameraSettings(device=Path("/dev/video0")))
    with pytest.raises(ConfigError) as caught:
        check_box(real)
    assert explain(caught.value, "en") == "clock.fixed_today: allowed only with camera.driver = simulated"
    check_box(replace(real, clock=replace(real.clock, fixed_today=None)))
    check_box(replace(real, camera=CameraSettings("simulated", socket=Path("glass.sock"))))


@pytest.mark.parametrize(
    ("section", "where", "code"),
    [
        ('[head]\ndriver = "serial"', "head.port", "config.required_by"),
        ('[head]\ndriver = "serial"\nport = "/dev/ttyACM0"', "camera", "config.required_by"),
        ('[head]\ndriver = "bare"\nport = "/dev/ttyACM0"', "head.port", "config.only_with"),
        ('[head]\ndriver = "simulated"\nsocket = "glass.sock"\nusb = "1:2"', "head.usb", "config.only_with"),
        ('[camera]\nsocket = "glass.sock"', "camera.device", "config.required_by"),
        ('[camera]\ndriver = "simulated"', "camera.socket", "config.required_by"),
        ('[camera]\ndriver = "simulated"\nsocket = "control.sock"', "camera.socket", "config.same_path"),
        ('[camera]\ndevice = "/dev/video0"\noptions = {a = 1}', "camera.options", "config.options_from_outside"),
        ("[swipe]", "swipe.port", "config.required_by"),
        ('[swipe]\ndriver = "keyboard"\ndevice = "/dev/input/event3"', "swipe.device", "swipe.numbered_device"),
        ("[printer]", "printer.port", "config.required_by"),
        ('[printer]\nport = "usb"\nwidth_mm = 57', "printer.width_mm", "config.invalid_choice"),
    ],
)  # fmt: skip
def test_a_device_whose_keys_do_not_fit_is_named(section: str, where: str, code: str) -> None:
    text = EXAMPLE.replace('"/run/edged/control.sock"', '"control.sock"')
    if section.startswith("[head]"):
        before, _, after = text.partition("[head]\n")
        text = before + after.partition("[reading]")[2].join(("[reading]", ""))
    with pytest.raises(ConfigError) as caught:
        parsed(f"{text}\n{section}\n")
    assert (caught.value.where.split(": ")[-1], caught.value.code) == (where, code)


def test_without_a_recipient_every_verdict_would_be_lost() -> None:
    with pytest.raises(ConfigError, match="audiences"):
        parsed(EXAMPLE.partition("# Recipients")[0] + "[audiences]\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8 text at byte 0"),
        (b"a = ", "not valid TOML"),
        (b"#" * (1 << 21), "larger than"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "edged.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_toml(file, BoxSettings)
    assert said in explain(caught.value, "en")
    assert explain(caught.value, "en").startswith(str(file))


def test_check_says_good_or_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edged.toml"
    file.write_text(EXAMPLE)
    assert main(["config", "check", str(file), "--lang", "zh-CN"]) == 0
    assert "配置正确" in capsys.readouterr().out
    file.write_text(EXAMPLE.replace("8883", "0"))
    assert main(["config", "check", str(file)]) == 78
    assert f"{file}: broker.port: must be" in capsys.readouterr().err
    assert main(["config", "check", str(tmp_path / "none.toml")]) == 78
    assert "can't be read" in capsys.readouterr().err


def test_what_the_example_has_for_slips_handover_and_ready_made_policies_is_good() -> None:
    public = generate_key().public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    begins = r"\[(slip|handover|audiences\.city-hospital|audiences\.first-bank-teller)\]"
    found = re.findall(rf"(?m)^# {begins}\n((?:# .*\n)+)", EXAMPLE)
    assert len(found) == 4
    sections = "".join(f"[{name}]\n" + re.sub("(?m)^# ", "", body) for name, body in found)
    dashes = "-" * 5
    placeholder = rf"{dashes}BEGIN PUBLIC KEY{dashes}\n…\n{dashes}END PUBLIC KEY{dashes}\n"
    assert re.search(placeholder, sections)
    settings = parsed(EXAMPLE + re.sub(placeholder, pem.decode(), sections))
    hospital, teller = settings.audiences["city-hospital"], settings.audiences["first-bank-teller"]
    assert (hospital.policy.name, hospital.policy.encrypt) == ("hospital-card", True)
    assert teller.policy.handover is not None
    assert settings.slip is not None
    assert settings.handover is not None
    assert settings.handover.users == {"first-bank-teller": "bankteller"}


def test_the_printed_example_is_the_checked_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "example"]) == 0
    assert capsys.readouterr().out == EXAMPLE
