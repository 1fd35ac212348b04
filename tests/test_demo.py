"""The main job as a newcomer runs it: every party a real process, the ledger from their own stores."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged.demo.ledger import Ledger, read_ledger
from edged.demo.present import JsonPresenter
from edged.demo.show import Plan, Show
from edged.demo.stage import PARTNERS
from edged.specimens import FIXED_TODAY, Specimen, shipped
from edged.verdict import Result
from tests.box import EDGED, SPECIMENS
from tests.corpus import CORPUS, needs_corpus


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EDGED, "demo", *arguments], capture_output=True, text=True, env=os.environ | {"LANG": "C.UTF-8"}
    )


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


def test_the_demo_balances_and_every_specimen_comes_as_expected() -> None:
    done = demo("--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    last = summary(done)
    assert [row["name"] for row in last["documents"]] == [specimen.name for specimen in shipped()]
    for row, specimen in zip(last["documents"], shipped(), strict=True):
        assert specimen.expected is not None
        assert (row["outcome"], row["result"]) == (specimen.expected.outcome, specimen.expected.result)
        assert row["differences"] == []
        assert row["outcome"] == "committed" or row["reason"]
        assert len(row["verified_by"]) == max(0, row["envelopes"] - 1)
    ledger = last["ledger"]
    assert ledger["balanced"] is True
    streams = {stream["audience"]: stream for stream in ledger["streams"]}
    committed = sum(row["outcome"] == "committed" for row in last["documents"])
    assert streams["central"]["committed"] == committed + 1, "the practice scan goes to the centre"
    assert sum(streams[name]["committed"] for name in PARTNERS.values()) == committed, "and to nobody else"
    for stream in streams.values():
        assert stream["committed"] == stream["published"] == stream["archived"] == stream["receipted"]


@pytest.mark.parametrize("party", ["broker", "collector", "bank"])
def test_killing_a_party_in_mid_demo_still_balances(party: str) -> None:
    done = demo("--lang", "zh-CN", "--kill", party)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "已重新启动" in done.stdout
    assert "账目平衡" in done.stdout
    assert "\x1b[" not in done.stdout, "colour is for terminals"


@needs_corpus
def test_the_demo_shows_a_folder_of_strangers_images(tmp_path: Path) -> None:
    for image in sorted(CORPUS.glob("Arg0s1080-[A-I]*"))[:8]:
        shutil.copy(image, tmp_path)
    (tmp_path / "a-letter.jpg").write_text("not an image")
    (tmp_path / "empty.png").write_bytes(b"")
    done = demo("--json", "--documents", str(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    rows = {row["name"]: row for row in summary(done)["documents"]}
    assert (rows["a-letter.jpg"]["outcome"], rows["a-letter.jpg"]["reason"]) == (
        "aborted",
        "image.not_an_image",
    )
    assert (rows["empty.png"]["outcome"], rows["empty.png"]["reason"]) == ("aborted", "image.empty")
    assert sum(row["outcome"] == "committed" for row in rows.values()) == 8


def test_a_folder_without_images_is_said_to_be_one(tmp_path: Path) -> None:
    done = demo("--documents", str(tmp_path))
    assert done.returncode == os.EX_CONFIG
    assert str(tmp_path) in done.stderr


def test_watch_keeps_everything_up_until_ctrl_c_and_loses_nothing(tmp_path: Path) -> None:
    for side in SPECIMENS["passport"].sides:
        shutil.copy(side, tmp_path)
    command = [*EDGED, "demo", "--json", "--watch", "--documents", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        control = _until(watching.stdout, "demo.watching")["params"]["control"]
        scan = [*EDGED, "scan", "--socket", control, "--scene", "hotel", "--json"]
        glass = str(Path(control).with_name("glass.sock"))
        asyncio.run(_place(glass))
        done = subprocess.run(scan, capture_output=True, text=True)
        assert json.loads(done.stdout)["outcome"] == "committed", done.stderr
        watching.send_signal(signal.SIGINT)
        lines = watching.stdout.read().splitlines()
    assert watching.returncode == 0
    ledger = json.loads(lines[-1])["ledger"]
    assert ledger["balanced"] is True
    assert {stream["audience"]: stream["committed"] for stream in ledger["streams"]} == {
        "central": 3,
        "first-bank": 1,
        "grand-hotel": 1,
    }


def _until(stream: Any, code: str) -> dict[str, Any]:
    for line in stream:
        event: dict[str, Any] = json.loads(line)
        if event.get("code") == code:
            return event
    raise AssertionError(f"{code} never came")


async def _place(glass: str) -> None:
    from edged.demo.hand import Hand

    async with Hand(Path(glass)) as hand:
        await hand.place(SPECIMENS["identity-card"].sides)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the parties of a short demo left behind."""
    directory = tmp_path_factory.mktemp("kept") / "demo"
    specimens = tuple(SPECIMENS[name] for name in ("passport", "residence-card", "sideways"))
    assert asyncio.run(Show(Plan(specimens, FIXED_TODAY, "en"), directory, JsonPresenter()).run())
    return directory


def test_a_document_that_comes_to_something_else_fails_the_demo(tmp_path: Path) -> None:
    passport = SPECIMENS["passport"]
    assert passport.expected is not None
    wrong = Specimen(
        passport.name,
        passport.title,
        passport.sides,
        passport.scene,
        passport.purpose,
        msgspec.structs.replace(passport.expected, result=Result.FAILED),
    )
    assert not asyncio.run(Show(Plan((wrong,), FIXED_TODAY, "en"), tmp_path / "demo", JsonPresenter()).run())


def ledger_of(directory: Path) -> Ledger:
    return read_ledger(
        directory / "box" / "state" / "state.sqlite",
        directory / "central" / "archive.sqlite",
        {audience: directory / name / "verdicts.sqlite" for name, audience in PARTNERS.items()},
    )


@pytest.mark.parametrize(
    ("store", "statement"),
    [
        ("central/archive.sqlite", "DELETE FROM envelope WHERE audience = 'central' AND seq = 2"),
        ("central/archive.sqlite", "UPDATE envelope SET sha256 = replace(sha256, substr(sha256, 1, 1), 'z')"),
        ("hotel/verdicts.sqlite", "DELETE FROM envelope WHERE seq = 1"),
        (
            "central/archive.sqlite",
            "INSERT INTO alarm VALUES ('x', 't', 'd', 'l', 'a', 1, NULL, NULL, 1, 0, 0)",
        ),
        ("box/state/state.sqlite", "UPDATE envelope SET published_at = NULL WHERE seq = 1"),
        ("box/state/state.sqlite", "UPDATE envelope SET receipted_at = NULL, jws = 'x' WHERE seq = 1"),
    ],
)
def test_the_ledger_sees_what_is_lost_changed_or_alarming(
    kept: Path, tmp_path: Path, store: str, statement: str
) -> None:
    """The test of the test: every way in which the ledger must not balance."""
    shutil.copytree(kept, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
    assert ledger_of(tmp_path / "copy").balanced
    with sqlite3.connect(tmp_path / "copy" / store) as database:
        assert database.execute(statement).rowcount >= 1
    database.close()
    assert not ledger_of(tmp_path / "copy").balanced
