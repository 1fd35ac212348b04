"""`edged slip page`: the page is written for one fleet, again and again, and over nobody else's files."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edged import cli
from edged.errors import OutputError
from edged.slip import site, site_files
from edged.uplink import fleet_authority
from edged.uplink.authority import FleetAuthority
from edged.uplink.fleet_authority import Revoked

NOW = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fleet") / "fleet-ca.pem"
    path.write_bytes(FleetAuthority.create("harbour", demo=False, now=NOW).certificate_pem)
    return path


def written(out: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in out.iterdir() if one.is_file()}


def test_it_writes_the_page_once(roots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "S"
    command = [
        "slip",
        "page",
        "--out",
        str(out),
        "--fleet-ca",
        str(roots),
        "--address",
        "https://verify.example.cn/S/",
    ]
    assert cli.main([*command, "--json"]) == os.EX_OK
    first = json.loads(capsys.readouterr().out)
    assert (first["fleet"], len(first["written"])) == ("harbour", len(written(out)) - 1)
    assert first["written"][-1] == "sw.js"
    fleet = json.loads((out / "fleet.json").read_text())
    assert fleet["address"] == "https://verify.example.cn/S/"
    assert base64.b64decode(fleet["anchors"][0])[:1] == b"\x30"
    assert b"{version}" not in (out / "sw.js").read_bytes()
    before = written(out)
    assert cli.main([*command, "--lang", "en"]) == os.EX_OK
    assert "up to date" in capsys.readouterr().out
    assert written(out) == before


def test_what_changes_is_written_and_told_to_browsers(roots: Path, tmp_path: Path) -> None:
    pem = roots.read_bytes()
    site_files.write(tmp_path, site.files(site.fleet_of(pem)))
    changed = site_files.write(tmp_path, site.files(site.fleet_of(pem, ["ab" * 32])))
    assert changed == ["fleet.json", "sw.js"]


def test_an_update_that_was_cut_off_is_begun_again(
    roots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = roots.read_bytes()
    site_files.write(tmp_path, site.files(site.fleet_of(pem)))
    after = site.files(site.fleet_of(pem, address="https://verify.example.cn/"))

    class CutError(Exception):
        pass

    put = site_files._put

    def cut(path: Path, data: bytes) -> None:
        if path.name == "sw.js":
            raise CutError
        put(path, data)

    monkeypatch.setattr(site_files, "_put", cut)
    with pytest.raises(CutError):
        site_files.write(tmp_path, after)
    monkeypatch.undo()
    site_files.write(tmp_path, site.files(site.fleet_of(pem)))
    assert site_files.write(tmp_path, after) == ["fleet.json", "sw.js"]


@pytest.mark.parametrize("name", ["index.html", "page-files.json"])
def test_strangers_files_stay(roots: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("somebody else's")
    with pytest.raises(OutputError, match="not_ours"):
        site_files.write(tmp_path, site.files(site.fleet_of(roots.read_bytes())))
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "somebody else's"


def test_a_link_out_of_the_directory_is_not_followed(roots: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "S").mkdir()
    (tmp_path / "S" / "app.js").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="not_ours"):
        site_files.write(tmp_path / "S", site.files(site.fleet_of(roots.read_bytes())))


def test_what_the_offline_keys_revoke_is_baked_in(
    roots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = fleet_authority.FleetAuthorities(
        1, (roots.read_text(),), (Revoked("cd" * 32, 1, "key_compromise"),)
    )
    (tmp_path / "authority.json").write_bytes(fleet_authority.encode(authority))
    command = ["slip", "page", "--out", str(tmp_path / "S"), "--fleet-ca", str(roots)]
    assert cli.main([*command, "--authority", str(tmp_path / "authority.json")]) == os.EX_OK
    assert json.loads((tmp_path / "S" / "fleet.json").read_text())["revoked"] == ["cd" * 32]


def test_files_that_are_wrong_say_so(roots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["slip", "page", "--out", str(tmp_path / "S"), "--fleet-ca"]
    assert cli.main([*command, str(tmp_path / "none.pem")]) == os.EX_CONFIG
    assert cli.main([*command, str(roots), "--authority", str(roots)]) == os.EX_DATAERR
    assert cli.main([*command, str(roots), "--address", "example.cn"]) != os.EX_OK
    assert not (tmp_path / "S").exists()
    assert len(capsys.readouterr().err.splitlines()) == 3
