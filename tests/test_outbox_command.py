"""`edged outbox`: what an operator sees, retries and takes away; with and without a daemon."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from edged.cli import main
from edged.control import ControlServer
from edged.errors import ControlError, StateError
from edged.uplink import outbox_retry
from edged.uplink.database import DatabaseThread
from edged.uplink.outbox import Bounds
from edged.uplink.state_lock import StateLock
from tests.broker import NOW
from tests.outbox import commit, later, open_state, rows, seal_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("EDGED_SOCKET", raising=False)
    place = tmp_path / "state"
    place.mkdir()
    return place


def bodies(directory: Path) -> list[str]:
    """Two dead letters, one lost envelope, one refused, one waiting; the dead letters' bodies."""
    state = open_state(directory / "state.sqlite", bounds=Bounds(max_bytes=3300))
    for number in range(5):
        commit(state, "bank", name=str(number), filler=400)
    ids = [row["id"] for row in rows(state, "SELECT id FROM envelope WHERE state = 'pending' ORDER BY id")]
    for turn in range(3):
        state.mark([], dict.fromkeys(ids[:2], "mqtt.packet_too_large"), later(turn))
    state.mark([], {ids[2]: "mqtt.not_authorized"}, later(9))
    assert state.counts().dead == 2
    assert state.counts().lost >= 1
    seal_all(state)
    dead = [row["jws"] for row in rows(state, "SELECT jws FROM envelope WHERE state = 'dead' ORDER BY id")]
    state.close()
    return dead


def edged(*words: object) -> int:
    return main([str(word) for word in words])


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    return tmp_path / "no.sock"


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_show_says_everything_there_is(
    directory: Path, capsys: pytest.CaptureFixture[str], lang: str
) -> None:
    bodies(directory)
    assert edged("outbox", "show", "--state", directory, "--lang", lang) == os.EX_OK
    said = capsys.readouterr().out
    assert "box-1" in said
    assert "{" not in said
    assert "“" not in said.splitlines()[0]
    assert ("mqtt." in said) is False, "codes are said in words"
    assert len(said.splitlines()) >= 8
    if lang == "en":
        assert "Refused for good and kept here: 2 (1." in said
        assert "bank (" in said
        assert "given up because the outbox was full. (to be sent)" in said


def test_show_for_machines_beside_a_writer(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bodies(directory)
    with StateLock(directory):
        state = open_state(directory / "state.sqlite")
        commit(state, "hotel", name="now")
        assert edged("outbox", "show", "--state", directory, "--json") == os.EX_OK
        found = answer(capsys)
        state.close()
    assert found["device"] == "box-1"
    assert found["counts"]["dead"] == 2
    assert found["counts"]["pending"] == 3
    assert {gap["stage"] for gap in found["gaps"]} == {"signed"}
    assert {gap["reason"] for gap in found["gaps"]} == {"refused", "too_many_bytes"}


def test_dead_lists_reasons_and_not_bodies(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = bodies(directory)
    assert edged("outbox", "dead", "--state", directory) == os.EX_OK
    said = capsys.readouterr().out
    assert said.count("The broker refused it 3 times") == 2
    assert edged("outbox", "dead", "--state", directory, "--json") == os.EX_OK
    text = capsys.readouterr().out
    found = json.loads(text)["dead"]
    assert [letter["code"] for letter in found] == ["mqtt.packet_too_large"] * 2
    assert not any(jws in said or jws in text for jws in dead)


def test_export_writes_the_bodies_for_the_owner_alone(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = bodies(directory)
    target = tmp_path / "dead.jws"
    old = os.umask(0)
    try:
        assert edged("outbox", "export", target, "--state", directory, "--json") == os.EX_OK
    finally:
        os.umask(old)
    assert answer(capsys) == {"exported": 2, "file": str(target)}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.read_text().splitlines() == dead
    assert edged("outbox", "export", target, "--state", directory) == os.EX_CANTCREAT
    assert "there already" in capsys.readouterr().err
    assert target.read_text().splitlines() == dead


def test_retry_without_a_daemon(directory: Path, nobody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bodies(directory)
    place = ("--state", directory, "--socket", nobody)
    state = open_state(directory / "state.sqlite")
    first = state.dead()[0].id
    state.close()
    assert edged("outbox", "retry", first, 999, *place, "--json") == os.EX_OK
    assert answer(capsys) == {"retried": 1}
    assert edged("outbox", "retry", "--all", *place) == os.EX_OK
    assert "To be sent once more: 1" in capsys.readouterr().out
    assert edged("outbox", "retry", "--all", *place) == os.EX_TEMPFAIL
    state = open_state(directory / "state.sqlite")
    assert state.counts().dead == 0
    state.close()
    with pytest.raises(SystemExit) as caught:
        edged("outbox", "retry", *place)
    assert caught.value.code == os.EX_USAGE
    assert edged("outbox", "retry", -3, *place) == os.EX_USAGE


def test_retry_never_writes_beside_a_daemon(
    directory: Path, nobody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies(directory)
    with StateLock(directory):
        assert edged("outbox", "retry", "--all", "--state", directory, "--socket", nobody) == os.EX_CANTCREAT
    assert "Another edged is running" in capsys.readouterr().err


@pytest.fixture
def served(directory: Path, tmp_path: Path) -> Iterator[Path]:
    """A control socket in front of a database, as the daemon has it; in a thread with a loop of its own."""
    bodies(directory)
    socket = tmp_path / "control.sock"
    up, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        state = await DatabaseThread.open("state", lambda: open_state(directory / "state.sqlite"))

        async def method(params: Mapping[str, Any]) -> dict[str, int]:
            return await outbox_retry.retry(state, params, NOW)

        with StateLock(directory):
            async with ControlServer(socket, {"outbox_retry": method}):
                up.set()
                await stop.wait()
        await state.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert up.wait(10)
    yield socket
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(10)


def test_retry_through_the_daemon(directory: Path, served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edged("outbox", "retry", "--all", "--state", directory, "--socket", served, "--json") == os.EX_OK
    assert answer(capsys) == {"retried": 2}
    assert edged("outbox", "show", "--state", directory, "--json") == os.EX_OK
    assert answer(capsys)["counts"]["dead"] == 0


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"all": False},
        {"all": 1},
        {"ids": []},
        {"ids": "all"},
        {"ids": [True]},
        {"ids": [0]},
        {"ids": [1 << 70]},
        {"ids": ["1"]},
        {"ids": list(range(1, 1002))},
        {"all": True, "ids": [1]},
        {"all": True, "more": 1},
    ],
)
def test_a_request_that_means_nothing_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ControlError) as caught:
        outbox_retry.wanted(params)
    assert caught.value.code == "control.bad_parameter"


def test_places_without_an_outbox_are_named(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for action in (
        ("show",),
        ("dead",),
        ("export", directory / "x"),
        ("retry", "--all", "--socket", "/nowhere"),
    ):
        assert edged("outbox", *action, "--state", directory) == os.EX_CANTCREAT
        assert "There is no outbox here" in capsys.readouterr().err
    assert list(directory.iterdir()) == [], "looking makes nothing"
    (directory / "state.sqlite").write_bytes(b"nothing that anybody knows" * 400)
    assert edged("outbox", "show", "--state", directory) == os.EX_CANTCREAT
    with pytest.raises(StateError):
        open_state(directory / "state.sqlite")
