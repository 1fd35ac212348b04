"""`edged lodging …` against a desk behind a control socket: what a clerk and a manager see, and never a value."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from edged.cli import main
from edged.control import ControlServer
from edged.lodging.form import DOCUMENT_KINDS
from tests.lodging import TODAY, TYPED, Bench, bench, held, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@contextlib.asynccontextmanager
async def counter(directory: Path) -> AsyncIterator[tuple[Bench, Path]]:
    socket = directory / "control.sock"
    async with bench(directory) as made:
        desk = made.desk
        methods = {
            "lodging_list": desk.list,
            "lodging_complete": desk.complete,
            "lodging_checkin": made.figures.checkin,
            "lodging_rates": made.figures.rates,
        }
        async with ControlServer(socket, methods):
            yield made, socket


async def told(
    capsys: pytest.CaptureFixture[str], socket: Path, *arguments: str, lang: str = "en"
) -> tuple[int, str]:
    capsys.readouterr()
    code = await asyncio.to_thread(main, ["lodging", *arguments, "--socket", str(socket), "--lang", lang])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def options(fields: dict[str, str]) -> list[str]:
    return [word for name, value in fields.items() for word in ("--field", f"{name}={value}")]


async def test_a_whole_walk_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with counter(tmp_path) as (made, socket):
        assert await told(capsys, socket, "list") == (os.EX_OK, "No record waits to be completed.\n")
        record_id = await made.open()
        code, said = await told(capsys, socket, "list")
        assert record_id in said
        assert "Time left: 300 s" in said
        assert "Room (room)" in said
        code, said = await told(capsys, socket, "complete", *options(TYPED | {"arrival_date": "1/8/26"}))
        assert code == os.EX_DATAERR
        assert "such as 2026-08-01" in said
        code, said = await told(
            capsys, socket, "complete", record_id, *options({"arrival_date": TODAY.isoformat()})
        )
        assert (code, said) == (os.EX_OK, f"{record_id}: Complete, and sealed to its recipient.\n")
        code, said = await told(capsys, socket, "checkin", "--count", "1")
        assert code == os.EX_OK
        assert "1 foreign guests" in said
        await made.desk.reply(reply(record_id, verdict="correction", fields=("room",)))
        code, said = await told(capsys, socket, "list", lang="zh-CN")
        assert "需更正" in said
        assert "房号 (room)" in said
        day = TODAY.isoformat()
        code, said = await told(capsys, socket, "rates", "--from", day, "--to", day, "--days")
        assert "100.0% (1/1)" in said
        assert "0.0% (0/1)" in said
        assert day in said


async def test_rates_say_what_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with counter(tmp_path) as (made, socket):
        assert "--tests" in (await told(capsys, socket, "rates"))[1]
        await made.seal()
        code, said = await told(capsys, socket, "rates", "--from", TODAY.isoformat())
        assert code == os.EX_OK
        assert "0.0%–100.0% (0/1, 1 unknown)" in said
        assert "1 records were not answered" in said
        assert "1 days have no check-ins" in said
        code, said = await told(capsys, socket, "rates", "--json")
        assert json.loads(said)["reports"][0]["audience"] == "police"


async def test_the_clerk_is_asked_until_it_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {name: [value] for name, value in TYPED.items()}
    answers["arrival_date"] = ["tomorrow", TODAY.isoformat()]
    answers["document_kind"] = ["foreign-passport"]
    asked: list[str] = []

    def answer(prompt: str) -> str:
        name = prompt.rpartition("(")[2].partition(")")[0]
        asked.append(name)
        return answers[name].pop(0)

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    async with counter(tmp_path) as (made, socket):
        record_id = await made.open(held(issuing_state=None, document_class=None))
        code, said = await told(capsys, socket, "complete")
        assert code == os.EX_OK
        assert f"{record_id}: Complete" in said
        assert asked.count("arrival_date") == 2
        assert asked.count("room") == 1
        assert all(kind in said for kind in DOCUMENT_KINDS)
        assert not [value for value in TYPED.values() if "canary" in value and value.lower() in said.lower()]


async def test_a_clerk_who_goes_away_leaves_it_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", gone)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    async with counter(tmp_path) as (made, socket):
        await made.open()
        code, said = await told(capsys, socket, "complete")
        assert code == os.EX_DATAERR
        assert "Not complete yet" in said
        assert len((await made.desk.list({}))["open"]) == 1


async def test_the_hotels_own_system_gives_the_fields_on_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counter(tmp_path) as (made, socket):
        record_id = await made.open()
        for bad in ("MUSTERMANNCANARY", '{"shoe_size": "MUSTERMANNCANARY"}', '{"room": 12}', "[]"):
            monkeypatch.setattr("sys.stdin", io.StringIO(bad))
            code, said = await told(capsys, socket, "complete", "--stdin", "--json")
            assert code == os.EX_CONFIG
            assert "JSON object" in said
            assert "CANARY" not in said
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(TYPED)))
        code, said = await told(capsys, socket, "complete", "--stdin", "--json")
        assert code == os.EX_OK
        assert json.loads(said)["record_id"] == record_id


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["complete", "--field", "shoe_size=43"], os.EX_USAGE, "NAME=VALUE"),
        (["complete"], os.EX_UNAVAILABLE, "Read the document again"),
        (["complete", "not-a-number"], os.EX_USAGE, ""),
        (["checkin"], os.EX_USAGE, "--count"),
        (["rates", "--from", "yesterday"], os.EX_USAGE, ""),
        (["list", "--limit", "0"], os.EX_USAGE, ""),
    ],
)
async def test_mistakes_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    async with counter(tmp_path) as (_, socket):
        try:
            found, said = await told(capsys, socket, *arguments)
        except SystemExit as ended:
            found, said = int(ended.code or 0), capsys.readouterr().err
        assert found == code
        assert words in said


async def test_a_box_that_does_not_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = await told(capsys, tmp_path / "nobody.sock", "list")
    assert code == os.EX_UNAVAILABLE
    assert said


async def test_several_open_records_want_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with counter(tmp_path) as (made, socket):
        first, second = await made.open(), await made.open()
        code, said = await told(capsys, socket, "complete")
        assert code == os.EX_UNAVAILABLE
        assert "Several records are open" in said
        code, said = await told(capsys, socket, "complete", second, *options(TYPED))
        assert code == os.EX_OK
        listed: Any = json.loads((await told(capsys, socket, "list", "--json"))[1])
        assert [one["record_id"] for one in listed["open"]] == [first]
        assert [one["record_id"] for one in listed["records"]] == [second]
