"""`edged privacy audit` finds what lies on a box's disk, wherever and however; it never says the value."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import os
import sqlite3
import zipfile
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from edged import auditing
from edged.auditing import audit, parse_values, read_values
from edged.cli import main
from edged.errors import ConfigError
from edged.privacy.leakscan import LeakScanner

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ERIKSSON"
SCANNER = LeakScanner([("surname", NAME)])


def database(path: Path, *, deleted: bool) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE envelope (jws TEXT)")
        payload = base64.urlsafe_b64encode(b"x" * 6000 + NAME.encode() + b"y" * 6000).decode()
        connection.execute("INSERT INTO envelope VALUES (?)", (f"e30.{payload}.sig",))
        connection.commit()
        if deleted:
            connection.execute("DELETE FROM envelope")
    connection.close()


def test_files_logs_archives_and_databases(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"a line about {NAME}\n")
    (tmp_path / "log.1.gz").write_bytes(gzip.compress(f"older: {NAME.lower()}".encode()))
    (tmp_path / "backups").mkdir()
    database(tmp_path / "backups" / "live.sqlite", deleted=False)
    database(tmp_path / "backups" / "deleted.sqlite", deleted=True)
    (tmp_path / "clean").write_text("nothing\n")
    done = audit([tmp_path], SCANNER)
    assert {one.file.rpartition("/")[2] for one in done.found} == {
        "log", "log.1.gz", "live.sqlite", "deleted.sqlite"
    }  # fmt: skip
    assert any(one.table == "envelope" for one in done.found), "row by row: a value lies across pages"
    (first,) = [one for one in done.found if one.file.endswith("/log")]
    assert (first.offset, first.kind) == (13, "surname")
    assert NAME not in repr(done)
    assert done.not_searched == ()
    assert done.files == 5


def test_a_value_at_the_edge_of_two_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "PORTION", 1000)
    monkeypatch.setattr(auditing, "OVERLAP", 100)
    for at in (990, 996, 999, 1900, 1995):
        data = bytearray(b"." * 4000)
        data[at : at + len(NAME)] = NAME.encode()
        (tmp_path / "file").write_bytes(data)
        assert {one.offset for one in audit([tmp_path], SCANNER).found} == {at}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, "zip"])
def test_a_backup_is_unpacked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    """A portion in the middle of a compressed stream can't be read by itself."""
    monkeypatch.setattr(auditing, "PORTION", 4000)
    monkeypatch.setattr(auditing, "OVERLAP", 100)
    chance = Random(1)
    data = bytes(chance.choice(b"abcdef ") for _ in range(60_000)) + NAME.encode()
    file = tmp_path / "backup"
    if pack == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("log", data)
    else:
        file.write_bytes(pack(data))
    assert file.stat().st_size > 3 * auditing.PORTION
    done = audit([tmp_path], SCANNER)
    assert {(one.kind, one.encoding) for one in done.found} == {("surname", "compressed")}
    assert done.not_searched == ()
    file.write_bytes(file.read_bytes()[:-200])
    assert audit([tmp_path], SCANNER).not_searched == (str(file),)


def test_a_compressor_that_nobody_here_knows_is_told(tmp_path: Path) -> None:
    (tmp_path / "log.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(50))
    assert audit([tmp_path], SCANNER).not_searched == (str(tmp_path / "log.zst"),)


def test_a_number_stored_as_a_number(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute("CREATE TABLE card (number INTEGER)")
        connection.execute("INSERT INTO card VALUES (123456789)")
    connection.close()
    (found,) = audit([tmp_path], LeakScanner([("document_number", "123456789")])).found
    assert found.table == "card"


def test_what_cannot_be_searched_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.sqlite").write_bytes(b"SQLite format 3\0" + bytes(4000))
    done = audit([tmp_path, tmp_path / "missing"], SCANNER)
    assert done.not_searched == (str(tmp_path / "broken.sqlite"), str(tmp_path / "missing"))


def test_values_are_their_owners_alone(tmp_path: Path) -> None:
    values = tmp_path / "values"
    values.write_text(f"surname\t{NAME}\n\nL898902C3\n")
    values.chmod(0o644)
    with pytest.raises(ConfigError, match="values_open"):
        read_values(values)
    values.chmod(0o600)
    assert read_values(values) == [("surname", NAME), ("value", "L898902C3")]
    for bad in (b"", b"\n \n", b"\xff\xfe", b"x\n" * (auditing.MAX_VALUES + 1)):
        with pytest.raises(ConfigError, match="values_bad") as caught:
            parse_values(bad)
        assert "x" not in str(caught.value.params)


@pytest.mark.parametrize("short", ["LI", "surname\tWU<", "王"])
def test_a_value_that_would_not_be_searched_for_is_refused(short: str) -> None:
    with pytest.raises(ConfigError, match="value_too_short") as caught:
        parse_values(f"{NAME}\n{short}\n".encode())
    assert caught.value.params == {"number": "2"}
    assert parse_values("王芳".encode()) == [("value", "王芳")]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "journal.sqlite-wal").write_bytes(b"nothing of anybody")
    ask = ["privacy", "audit", "--state", str(tmp_path)]
    assert main(ask) == os.EX_OK
    assert "Nothing was found" in capsys.readouterr().out
    (tmp_path / "old").write_text("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<")
    assert main([*ask, "--json"]) == 1
    told = capsys.readouterr().out
    assert {"surname", "mrz"} <= {one["kind"] for one in json.loads(told)["found"]}
    assert NAME not in told
    assert main([*ask, "--lang", "zh-CN"]) == 1
    assert "姓" in capsys.readouterr().out
    assert main([*ask, "--specimen", "nobody"]) == os.EX_CONFIG
    assert main([*ask, "--also", str(tmp_path / "gone"), "--specimen", "visa-a"]) in (1, os.EX_NOINPUT)
