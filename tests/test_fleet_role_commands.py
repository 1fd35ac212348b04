"""`edged fleet init`, `keys`, `privacy`, `authority`, `refresh`, as people and machines use them."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from edged.cli import main
from edged.fleet.enrolment import issued_certificate
from edged.fleet.recovery import repository_of
from edged.fleet.state import DeviceRecord, FleetState, write_text
from edged.uplink.authority import FleetAuthority
from edged.uplink.fleet_authority import TARGET, parse
from edged.uplink.keys import generate_key, read_private
from edged.uplink.names import Principal, Role, Usage
from tests.fleet_made import BANK, fleet, make_bundle, moment, take

Capture = pytest.CaptureFixture[str]


class Admin:
    """Types commands in a directory."""

    def __init__(self, where: Path, capsys: Capture) -> None:
        self.where = where
        self._capsys = capsys

    def says(self, *words: str) -> tuple[int, str, str]:
        code = main(["fleet", *words])
        out, err = self._capsys.readouterr()
        return code, out, err

    def json(self, *words: str, code: int = os.EX_OK) -> dict:
        got, out, err = self.says(*words, "--json")
        assert got == code, err
        return json.loads(out)

    @property
    def state(self) -> FleetState:
        return FleetState.open(self.where / "state")

    def init(self, *more: str, roots: str = "r1 r2 r3") -> tuple[int, str, str]:
        return self.says(
            *(
                "init",
                "--state",
                "state",
                "--fleet",
                "acme",
                "--admin",
                "alice",
                "--root-keys",
                *roots.split(),
            ),
            *("--privacy-keys", "privacy", "--release-keys", "release", *more),
        )


@pytest.fixture
def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Admin:
    monkeypatch.chdir(tmp_path)
    return Admin(tmp_path, capsys)


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_init_walks_through_the_ceremony(admin: Admin) -> None:
    code, planned, _ = admin.init("--dry-run")
    assert code == os.EX_OK
    assert files(admin.where) == {}
    code, said, _ = admin.init("--enrolment", "enrol.example.org:9443", "--broker", "broker.example.org:8884")
    assert code == os.EX_OK
    numbered = [line for line in planned.splitlines() if line[0].isdigit()]
    assert numbered == [line for line in said.splitlines() if line[0].isdigit()]
    assert len(numbered) == 9
    for file in ("r1/root.key", "r2/root.key", "r3/root.key", "r1/ca-root.key", "privacy/privacy.key"):
        assert file in planned
        assert (admin.where / file).exists()
    assert "2 of 3" in planned
    file = admin.state.file
    assert (file.broker_host, file.broker_port, file.enrolment) == (
        "broker.example.org",
        8884,
        "enrol.example.org:9443",
    )
    readme = (admin.where / "state/README.md").read_text()
    for name in ("r1, r2, r3", "privacy", "release", "`edged fleet keys rotate-root`"):
        assert name in readme
    assert str(admin.where) not in readme
    before = files(admin.where)
    code, _, err = admin.init()
    assert code == os.EX_CANTCREAT
    assert "already" in err
    assert files(admin.where) == before


def test_init_in_chinese_and_with_one_key(admin: Admin) -> None:
    code, said, _ = admin.init("--lang", "zh-CN", "--demo", roots="r1")
    assert code == os.EX_OK
    assert "终端群 acme 已创建" in said
    assert "只有一把根密钥" in said
    assert (admin.where / "state/README.md").read_text().startswith("# 终端群 acme")
    assert admin.state.anchor().demo


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--threshold", "4"], os.EX_CANTCREAT, "between 1 and 3"),
        (["--threshold", "-1"], os.EX_CANTCREAT, "between 1 and 3"),
        (["--privacy-keys", "r2"], os.EX_CANTCREAT, "one directory"),
        (["--release-keys", "state/x"], os.EX_CANTCREAT, "outside"),
        (["--fleet", "Acme"], os.EX_CONFIG, "--fleet"),
    ],
)
def test_init_refuses_a_plan_and_makes_nothing(admin: Admin, more: list[str], code: int, said: str) -> None:
    got, _, err = admin.init(*more)
    assert got == code
    assert said in err
    assert files(admin.where) == {}


def test_init_wants_an_endpoint(admin: Admin) -> None:
    with pytest.raises(SystemExit) as ended:
        admin.init("--broker", "example.org")
    assert ended.value.code == os.EX_USAGE


def audience(admin: Admin, **changed: object) -> str:
    (admin.where / "bank.json").write_text(json.dumps(BANK | changed))
    return "bank.json"


def test_the_privacy_officer_signs_what_is_under_the_ceiling(admin: Admin) -> None:
    admin.init()
    sign = ("privacy", "sign", "--state", "state", "--privacy-keys", "privacy")
    code, _, err = admin.says(*sign, audience(admin, policy={"claims": {"surname": "keep"}}))
    assert code == os.EX_CONFIG
    assert "bank.json: policy.claims.surname" in err
    assert "ceiling" in err
    file = audience(admin)
    before = files(admin.where)
    assert admin.json(*sign, file, "--dry-run")["audiences"] == ["first-bank"]
    assert files(admin.where) == before
    assert admin.json(*sign, file) == {"audiences": ["first-bank"], "version": 2, "dry_run": False}
    code, said, _ = admin.says(*sign, file)
    assert code == os.EX_OK
    assert "signed already" in said
    code, _, err = admin.says(
        "privacy", "sign", "--state", "state", "--privacy-keys", "r1", audience(admin, reference=False)
    )
    assert code == os.EX_CONFIG  # no privacy.key there
    gone = ("privacy", "remove", "--state", "state", "--privacy-keys", "privacy", "first-bank")
    assert admin.json(*gone)["version"] == 3
    assert admin.says(*gone)[0] == os.EX_CONFIG


def ids(admin: Admin) -> list[str]:
    return admin.json("keys", "--state", "state")["roles"][0]["keys"]


def test_keys_are_told_rotated_and_replaced(admin: Admin) -> None:
    admin.init()
    admin.says("privacy", "sign", "--state", "state", "--privacy-keys", "privacy", audience(admin))
    write_text(admin.where / "state/config/fleet.toml", 'audiences = ["first-bank"]\n')
    admin.state.save_device(DeviceRecord(name="box-1", added_at=0))
    root = repository_of(admin.state).file("root", 1)
    code, said, _ = admin.says("keys", "--state", "state")
    assert code == os.EX_OK
    rows = {line.split()[0]: line for line in said.splitlines()}
    assert "2/3" in rows["root"]
    assert "root-1" in rows["targets"]
    assert "admin alice" in rows["timestamp"]
    assert rows["privacy"].split()[-1] in ("364", "365")

    lost = ids(admin)[2]
    rotate = (
        "keys",
        "--state",
        "state",
        "rotate-root",
        "--forget",
        lost[:8],
        "--new-keys",
        "r4",
        "--root-keys",
    )
    code, _, err = admin.says(*rotate, "r1")
    assert code == os.EX_CANTCREAT
    assert "Not enough" in err
    before = files(admin.where)
    assert admin.json(*rotate, "r1", "r2", "--dry-run")["forgotten"] == [lost]
    assert files(admin.where) == before
    done = admin.json(*rotate, "r1", "r2")
    assert (done["root_version"], done["threshold"]) == (2, 2)
    assert lost not in ids(admin)

    replace = ("keys", "replace", "admin", "--state", "state", "--root-keys", "r1", "r4")
    code, said, _ = admin.says(*replace)
    assert code == os.EX_OK
    assert "authority renew" in said
    code, _, err = admin.says("keys", "replace", "privacy", "--state", "state", "--root-keys", "r1", "r4")
    assert code == os.EX_CONFIG
    assert "--new-keys" in err
    again = admin.json(*replace[:2], "privacy", *replace[3:], "--new-keys", "p2")
    assert again["signed_again"] == ["audience/first-bank.json"]
    got = take(admin.where / "box", make_bundle(admin.state, "box-1", moment()), root)
    assert len(parse(got[TARGET]).revoked) == 2


def test_authorities_are_shown_added_revoked_and_renewed(admin: Admin) -> None:
    admin.init()
    here = ("--state", "state", "--root-keys", "r1", "r3")
    shown = admin.json("authority", "show", "--state", "state")
    assert len(shown["anchors"]) == 1
    first = shown["anchors"][0]["sha256"]
    code, said, _ = admin.says("authority", "show", "--state", "state")
    assert "CN=admin.alice" in said
    issuing = next(
        line.split()[0] for line in said.splitlines() if "issuing" in line and len(line.split()[0]) == 64
    )
    revoked = admin.json("authority", "revoke", *here, "--sha256", issuing.upper(), "--reason", "superseded")[
        "revoked"
    ]
    assert [(one["sha256"], one["reason"]) for one in revoked] == [(issuing, "superseded")]
    code, _, err = admin.says("authority", "revoke", *here, "--sha256", "12")
    assert code == os.EX_CONFIG
    code, _, err = admin.says("authority", "remove", *here, "--sha256", first)
    assert code == os.EX_CANTCREAT
    assert "only authority" in err
    code, _, err = admin.says("authority", "renew", *here, "--ca-key", "r1", "--new-root")
    assert code == os.EX_CANTCREAT  # a key is there
    assert len(admin.json("authority", "renew", *here, "--ca-key", "ca2", "--new-root")["anchors"]) == 2
    code, said, _ = admin.says("authority", "renew", "--state", "state", "--ca-key", "ca2")
    assert code == os.EX_OK
    assert "secrets/retired" in said
    code, _, err = admin.says("authority", "renew", "--state", "state", "--ca-key", "r2")
    assert code == os.EX_CONFIG  # no ca-root.key there
    box, key = Principal(admin.state.file.fleet, Role.DEVICE, "box-1"), generate_key().public_key()
    renewed = admin.state.issue(box, Usage.TLS, key, now=moment())
    retired = next((admin.where / "state/secrets/retired").glob("ca-*.pem"))
    issuer = FleetAuthority.load(retired.read_bytes(), read_private(retired.with_suffix(".key")))
    before = issuer.issue(box, Usage.TLS, key, now=moment()) + retired.read_bytes()
    record = DeviceRecord(name="box-1", added_at=0, certificates=(issued_certificate(Usage.TLS, before),))
    admin.state.save_device(record)
    code, _, err = admin.says("authority", "remove", *here, "--sha256", first)
    assert code == os.EX_CANTCREAT
    assert "box-1" in err  # it hasn't renewed, and would be lost
    certificates = (*record.certificates, issued_certificate(Usage.TLS, renewed))
    admin.state.save_device(DeviceRecord(name="box-1", added_at=0, certificates=certificates))
    shown = admin.json("authority", "remove", *here, "--sha256", first)
    assert [one["sha256"] for one in shown["anchors"]] != [first]
    admin.state.anchor()
    write_text(admin.where / "old.pem", (admin.where / "state/authorities.pem").read_text())
    assert len(admin.json("authority", "add", *here, "--certificate", "old.pem")["anchors"]) == 1


def test_refresh_says_when_there_is_nothing_to_do(admin: Admin) -> None:
    admin.init()
    code, said, _ = admin.says("refresh", "--state", "state")
    assert (code, said.strip()) == (os.EX_OK, "Nothing expires soon.")
    admin.state.save_device(DeviceRecord(name="box-1", added_at=0, push=3, push_until=1))
    code, said, _ = admin.says("refresh", "--state", "state")
    assert code == 1
    assert "box-1" in said
    assert admin.json("refresh", "--state", "state", code=1)["devices"] == ["box-1"]


def test_without_a_state_one_is_told_what_to_do(admin: Admin) -> None:
    for words in (["keys"], ["refresh"], ["authority", "show"]):
        code, _, err = admin.says(*words)
        assert code == os.EX_CANTCREAT
        assert "edged fleet init" in err


def test_refresh_from_cron_after_most_of_a_year(admin: Admin) -> None:
    made = fleet(admin.where, moment() - timedelta(days=340))
    before = files(admin.where)
    planned = admin.json("refresh", "--state", "state", "--dry-run", code=1)
    assert planned["admin_certificates"]
    assert files(admin.where) == before
    keys = [str(made.keys / name) for name in ("root1", "root2")]
    code, said, _ = admin.says(
        *("refresh", "--state", "state", "--root-keys", *keys, "--privacy-keys", str(made.keys / "privacy"))
    )
    assert code == 1
    assert "new certificates" in said
    signed = [line for line in said.splitlines() if "is signed anew" in line]
    assert len(signed) == 3
    (waiting,) = [line for line in said.splitlines() if "holds until" in line]
    assert waiting.startswith("“release”")
    left = admin.json("refresh", "--state", "state", "--release-keys", str(made.keys / "release"))
    assert (left["signed"], left["waiting"], left["admin_certificates"]) == (["release"], [], False)
    assert admin.says("keys", "--state", "state")[0] == os.EX_OK
