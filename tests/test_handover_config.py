"""What a boot file may say of handovers, and `edged handover log`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.cli import main
from edged.config import HandoverSettings, load_box
from edged.errors import ConfigError
from edged.handover.peers import user_ids
from edged.handover_checks import check_audience_handover, check_handover, listen_address
from edged.journal.database import JOURNAL_FILE, Journal
from edged.journal.handovers import Note, writing
from edged.journal.operators import KEY_FILE, pseudonymiser
from edged.privacy.policy import HandoverPolicy
from tests.box import Box
from tests.handover_bench import AUDIENCES, ME, NOBODY, audience

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
SECTION = '[handover]\nsocket = "run/handover.sock"\n[handover.users]\nfirst-bank = "bankteller"\n'
POLICY = '\n[audiences.first-bank.policy.handover]\nfields = ["surname"]\n'


def box(tmp_path: Path, more: str) -> Path:
    made = Box(tmp_path)
    made.config.write_text(made.config.read_text() + more)
    return made.config


def test_a_boot_file_with_a_handover(tmp_path: Path) -> None:
    settings = load_box(box(tmp_path, POLICY + SECTION))
    assert settings.handover == HandoverSettings(
        tmp_path / "run" / "handover.sock", {"first-bank": "bankteller"}
    )


@pytest.mark.parametrize(
    ("more", "where", "code"),
    [
        (SECTION, "handover.users.first-bank", "handover.not_in_policy"),
        (
            POLICY + SECTION.replace("run/handover.sock", "control.sock"),
            "handover.socket",
            "config.same_path",
        ),
        (
            POLICY.replace("surname", "mrz"),
            "audiences.first-bank.policy.handover.fields.0",
            "config.unknown_name",
        ),
        (
            POLICY.replace('"surname"', '"surname", "surname"'),
            "audiences.first-bank.policy.handover.fields.1",
            "policy.named_twice",
        ),
        (POLICY + SECTION + 'shop = "x"\n', "handover.users.shop", "handover.no_such_audience"),
    ],
)
def test_a_boot_file_that_is_refused(tmp_path: Path, more: str, where: str, code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_box(box(tmp_path, more))
    assert refused.value.code == code
    assert refused.value.where.endswith(f": {where}")


GOOD: dict[str, Any] = {
    "socket": "s",
    "users": {"bank": "u"},
    "listen": "10.0.0.1:7443",
    "key": "k",
    "certificate": "c",
}


@pytest.mark.parametrize(
    ("changes", "where", "code"),
    [
        (
            {"socket": None, "users": {}, "listen": None, "key": None, "certificate": None},
            "socket",
            "handover.no_door",
        ),
        ({"socket": None}, "users", "config.only_with"),
        ({"users": {}}, "users", "config.required_by"),
        ({"users": {"bank": "u", "hotel": "u"}}, "users.hotel", "handover.same_user"),
        ({"users": {"archive": "u"}}, "users.archive", "handover.not_in_policy"),
        ({"listen": None}, "key", "config.only_with"),
        ({"key": None}, "key", "config.required_by"),
        ({"certificate": None}, "certificate", "config.required_by"),
        ({"listen": "10.0.0.1:0"}, "listen", "handover.bad_address"),
    ],
)
def test_settings_that_are_refused(changes: dict[str, Any], where: str, code: str) -> None:
    check_handover(HandoverSettings(**GOOD), AUDIENCES, pushed=False)
    with pytest.raises(ConfigError) as refused:
        check_handover(HandoverSettings(**{**GOOD, **changes}), AUDIENCES, pushed=False)
    assert (refused.value.where, refused.value.code) == (f"handover.{where}", code)


def test_a_fleet_can_take_a_handover_back() -> None:
    """Its policies come later than the boot file, and may have nothing for an application any more."""
    check_handover(
        HandoverSettings(**{**GOOD, "users": {"archive": "u", "shop": "v"}}), AUDIENCES, pushed=True
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0.0.0.0:7443", "handover.everywhere"),
        ("[::]:7443", "handover.everywhere"),
        ("8.8.8.8:7443", "handover.public_address"),
        ("[2a00::1]:7443", "handover.public_address"),
        ("224.0.0.1:7443", "handover.bad_address"),
        ("[fe80::1%eth0]:7443", "handover.bad_address"),
        ("counter.example:7443", "handover.bad_address"),
        ("10.0.0.1", "handover.bad_address"),
        ("10.0.0.1:65536", "handover.bad_address"),
        ("10.0.0.1:٣", "handover.bad_address"),
        ("fd00::1:7443", "handover.bad_address"),
        (":7443", "handover.bad_address"),
    ],
)
def test_places_that_are_not_the_counters_network(text: str, code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        listen_address(text)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("192.168.7.2:7443", ("192.168.7.2", 7443)),
        ("[fd00::1]:1", ("fd00::1", 1)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
    ],
)
def test_places_that_are(text: str, found: tuple[str, int]) -> None:
    assert listen_address(text) == found


@pytest.mark.parametrize("name", ["mrz", "lines", "portrait", "optional_data", "age_over_18"])
def test_no_policy_hands_over_what_no_form_asks_for(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_audience_handover("bank", audience("surname", name))
    assert refused.value.where == "audiences.bank.policy.handover.fields.1"


@pytest.mark.parametrize("within", [0.0, -1.0, 60.1, float("nan")])
def test_nothing_lies_longer_than_a_minute(within: float) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"fields": ["surname"], "within_s": within}, HandoverPolicy)


def test_users_are_looked_up_once() -> None:
    assert len(user_ids({"bank": ME, "hotel": NOBODY})) == 2
    with pytest.raises(ConfigError, match=r"handover\.user_is_anybody"):
        user_ids({"bank": "nobody"})
    for users, code in (({"bank": "no-such-user-here"}, "no_such_user"), ({"a": ME, "b": ME}, "same_user")):
        with pytest.raises(ConfigError) as refused:
            user_ids(users)
        assert refused.value.code == f"handover.{code}"


def test_the_journals_pseudonyms_are_the_boxs_own(tmp_path: Path) -> None:
    one = pseudonymiser(tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / "other").mkdir()
    other = pseudonymiser(tmp_path / "other")
    words = {each.pseudonym(claim, "anna") for each in (one, other) for claim in ("operator", "reference")}
    assert len(words) == 4
    assert pseudonymiser(tmp_path).pseudonym("operator", "anna") in words


def journal(directory: Path) -> None:
    made = Journal(directory / JOURNAL_FILE)
    note = Note(
        kind="offered", inspection="0123456789abcdef", audience="bank", fields=("surname",), operator="p" * 22
    )
    expired = Note(kind="expired", inspection="0123456789abcdef", audience="bank", code="handover.too_late")
    with made.transaction():
        writing([note, expired], NOW)(made)
        made.append("slip.printed", "S-1", {}, NOW)
    made.close()


def test_the_log_as_people_see_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal(tmp_path)
    assert main(["handover", "log", "--state", str(tmp_path), "--lang", "en"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [
        "2026-06-15",
        "12:00:00",
        "overwritten",
        "(too_late)",
        "bank",
        "0123456789abcdef",
        "–",
        "–",
    ]
    assert lines[2].split() == [
        "2026-06-15",
        "12:00:00",
        "offered",
        "bank",
        "0123456789abcdef",
        "surname",
        "pppppppp",
    ]
    assert len(lines) == 4


def test_the_log_as_machines_see_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal(tmp_path)
    assert main(["handover", "log", "--state", str(tmp_path), "--json", "--limit", "1"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["handovers"]
    assert (entry["kind"], entry["detail"]["code"]) == ("handover.expired", "handover.too_late")


def test_a_log_that_isn_t_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["handover", "log", "--state", str(tmp_path), "--lang", "en"]) == 73
    assert "no journal here yet" in capsys.readouterr().err
    Journal(tmp_path / JOURNAL_FILE).close()
    assert main(["handover", "log", "--state", str(tmp_path), "--lang", "zh-CN"]) == 0
    assert "尚未移交" in capsys.readouterr().out
    assert main(["handover", "log", "--limit", "0"]) == 78
