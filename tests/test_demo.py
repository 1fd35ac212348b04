"""The main job as a newcomer runs it: every party a real process, the ledger from their own stores."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged.demo import show as show_module
from edged.demo.broker import BrokerError
from edged.demo.ledger import Ledger, StreamLedger, read_ledger
from edged.demo.party import Party, PartyError
from edged.demo.present import Difference, HumanPresenter, JsonPresenter, Shown
from edged.demo.show import MAX_PRESSES, Plan, Show
from edged.demo.stage import PARTNERS, Stage
from edged.drivers.simulated import SimulatedGlass
from edged.emulator import host_head
from edged.errors import StateError
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


@pytest.mark.parametrize("party", ["broker", "collector", "bank"])
def test_killing_a_party_in_mid_demo_still_balances(party: str, tmp_path: Path) -> None:
    for specimen in shipped()[:8]:
        for side in specimen.sides:
            shutil.copy(side, tmp_path)
    done = demo("--lang", "zh-CN", "--kill", party, "--documents", str(tmp_path))
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


def test_a_folder_of_nothing_but_a_letter_balances_at_once(tmp_path: Path) -> None:
    (tmp_path / "a-letter.jpg").write_text("not an image")
    done = demo("--documents", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the ledger is empty" in done.stdout
    assert "NOT" not in done.stdout


def test_a_folder_that_exists_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wanted, said in ((tmp_path, "exists already"), (tmp_path / "file" / "below", "can't be made")):
        done = demo("--directory", str(wanted))
        assert done.returncode == os.EX_CONFIG
        assert "Traceback" not in done.stderr
        assert said in done.stderr
        assert str(wanted) in done.stderr


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([signal.SIGINT] * 4, id="an impatient Ctrl-C"),
        pytest.param([signal.SIGHUP], id="the terminal is closed"),
        pytest.param([signal.SIGKILL], id="kill -9"),
    ],
)
def test_however_the_demo_ends_it_leaves_no_process(tmp_path: Path, numbers: list[signal.Signals]) -> None:
    (tmp_path / "a-letter.jpg").write_text("not an image")
    command = [*EDGED, "demo", "--json", "--watch", "--documents", str(tmp_path)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509 - under nohup it is ignored
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        control = Path(_until(watching.stdout, "demo.watching")["params"]["control"])
        parties = children(watching.pid)
        assert len(parties) == 5 + (host_head.find() is not None)
        for number in numbers:
            watching.send_signal(number)
            time.sleep(0.05)
        watching.stdout.read()
        errors = watching.stderr.read()
    assert errors == ""
    wait_until_gone(parties)
    directory = control.parents[1]
    if signal.SIGKILL in numbers:
        shutil.rmtree(directory)  # nobody was left who could have
    else:
        assert not directory.exists()


def children(pid: int) -> set[int]:
    """Processes that `pid` has started and that haven't ended."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.add(int(path.parent.name))
    return found


def wait_until_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + 5
    while left := {pid for pid in pids if alive(pid)}:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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
    assert asyncio.run(Show(Plan(specimens, FIXED_TODAY, "en", acts=False), directory, JsonPresenter()).run())
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
    plan = Plan((wrong,), FIXED_TODAY, "en", acts=False)
    assert not asyncio.run(Show(plan, tmp_path / "demo", JsonPresenter()).run())


def ledger_of(directory: Path) -> Ledger:
    return read_ledger(
        directory / "box" / "state" / "state.sqlite",
        directory / "central" / "archive.sqlite",
        {audience: directory / name / "verdicts.sqlite" for name, audience in PARTNERS.items()},
        reported=7,  # three documents for the centre and one partner each, and the practice scan
    )


@pytest.mark.parametrize(
    ("store", "statement"),
    [
        (
            "central/archive.sqlite",
            "DELETE FROM envelope WHERE (stream, seq) = (SELECT id, 2 FROM stream WHERE audience = 'central')",
        ),
        ("central/archive.sqlite", "UPDATE envelope SET sha256 = zeroblob(32)"),
        ("hotel/verdicts.sqlite", "DELETE FROM envelope WHERE seq = 1"),
        (
            "central/archive.sqlite",
            "INSERT INTO alarm VALUES ('x', 't', 'd', 'l', 'a', 1, NULL, NULL, 1, 0, 0)",
        ),
        ("box/state/state.sqlite", "UPDATE envelope SET published_at = NULL WHERE seq = 1"),
        (
            "box/state/state.sqlite",
            "UPDATE envelope SET state = 'pending', receipted_at = NULL, jws = 'x' WHERE seq = 1",
        ),
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


def test_an_empty_ledger_balances_only_when_nothing_was_reported() -> None:
    assert Ledger((), alarms=0, reported=0).balanced
    assert not Ledger((), alarms=0, reported=1).balanced
    stream = StreamLedger("central", 2, 2, 2, 2, None, 0, 0, balanced=True)
    assert Ledger((stream,), alarms=0, reported=2).balanced
    assert not Ledger((stream,), alarms=0, reported=3).balanced, "the box said more than it has"


def test_a_store_without_tables_is_not_read_yet(tmp_path: Path) -> None:
    for name in ("box", "archive"):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as database:
            database.execute("PRAGMA journal_mode=WAL")
    with pytest.raises(StateError, match="unusable"):
        read_ledger(tmp_path / "box", tmp_path / "archive", {}, reported=0)


class FakeBox:
    """The box's control socket as `Show` sees it; `answers` are those to one scan after another."""

    def __init__(self, *answers: str, then: list[dict[str, Any]] | None = None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events_of_a_scan = then or []

    async def call(self, method: str, **params: Any) -> Any:
        self.asked.append(method)
        await asyncio.sleep(0)
        if method == "status":
            return {"state": "ready"}
        if method == "scan":
            for event in self.events_of_a_scan:
                self.queue.put_nowait(event)
            for _ in range(10):  # the answer comes in a packet of its own
                await asyncio.sleep(0)
            outcome = self.answers.pop(0)
            if outcome == "silence":
                await asyncio.Event().wait()
            reason = {"code": "inspection.busy"} if outcome == "refused" else None
            return {"outcome": outcome, "reason": reason, "envelopes": 2 * (outcome == "committed")}
        return True

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        while True:
            yield await self.queue.get()

    async def __aexit__(self, *error: object) -> None:
        pass


@contextlib.asynccontextmanager
async def counter(directory: Path, box: FakeBox) -> AsyncIterator[tuple[Show, SimulatedGlass]]:
    """A show whose box is `box`, with a real glass."""
    show = Show(Plan((), FIXED_TODAY, "en"), directory, JsonPresenter())
    glass = SimulatedGlass(show._stage.glass)
    show._stage.parties = {}

    async def connect() -> FakeBox:
        return box

    show._control = box  # type: ignore[assignment]
    show._connect = connect  # type: ignore[method-assign,assignment]
    await glass.open()
    try:
        async with asyncio.timeout(60):
            yield show, glass
    finally:
        await glass.close()


async def test_a_refused_press_is_pressed_again(tmp_path: Path) -> None:
    """Its event comes before its answer, and no other event ever follows."""
    box = FakeBox("refused", "committed", then=[{"event": "press_refused"}])
    shown = Shown("x", "x", "demo-1")
    async with counter(tmp_path, box) as (show, glass):
        assert (await show._inspect(SPECIMENS["passport"], shown))["outcome"] == "committed"
        assert not glass.document_present
    assert shown.presses == 2
    assert show._reported == 2


async def test_a_box_that_refuses_for_ever_ends_as_refused(tmp_path: Path) -> None:
    shown = Shown("x", "x", "demo-1")
    async with counter(tmp_path, FakeBox(*["refused"] * MAX_PRESSES)) as (show, _):
        answer = await show._inspect(SPECIMENS["passport"], shown)
    assert (answer["outcome"], shown.presses) == ("refused", MAX_PRESSES)


async def test_somebody_elses_inspection_neither_turns_our_document_nor_ends_our_press(
    tmp_path: Path,
) -> None:
    """What the box told before our press is forgotten; an outcome of another inspection ends nothing."""
    told = [{"event": "outcome"}, {"event": "indication", "indication": "turn_over"}]
    box = FakeBox("committed", then=told)
    for _ in range(2):
        box.queue.put_nowait({"event": "indication", "indication": "turn_over"})
    box.queue.put_nowait({"event": "outcome"})
    turned = 0
    async with counter(tmp_path, box) as (show, glass):
        await show._press(SPECIMENS["permit-two-sides"], "demo-1")
        while not glass.happened.empty():
            turned += type(glass.happened.get_nowait()).__name__ == "DocumentTurned"
    assert turned == 1, "for the indication that came after our press"
    assert "complete" not in box.asked


async def test_a_silent_box_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show_module, "PRESS_TIMEOUT_S", 0.1)
    shown = Shown("x", "x", "demo-1")
    async with counter(tmp_path, FakeBox(*["silence"] * MAX_PRESSES)) as (show, _):
        with pytest.raises(PartyError, match="party_silent"):
            await show._inspect(SPECIMENS["passport"], shown)


async def test_stopping_a_party_that_is_just_being_restarted_ends(tmp_path: Path) -> None:
    stopping: list[asyncio.Task[int | None]] = []

    def restarted(name: str) -> None:
        stopping.append(asyncio.create_task(party.stop()))

    sleeper = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(100)")
    party = Party("sleeper", (), tmp_path / "log", command=sleeper, on_restart=restarted)
    async with asyncio.timeout(60):
        await party.start()
        party.kill()
        while not stopping:
            await asyncio.sleep(0.01)
        assert await stopping[0] == -signal.SIGTERM
    assert party.pid is None


async def test_a_broker_that_stays_down_is_an_error_and_everything_stops(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path / "stage",
        fixed_today=FIXED_TODAY,
        on_verdict=lambda partner, verdict: None,
        on_restart=lambda party: None,
    )
    before = children(os.getpid())  # a database server of other tests
    async with asyncio.timeout(60), stage:
        parties = children(os.getpid()) - before
        stage.check()
        (tmp_path / "stage" / "broker" / "mosquitto.conf").write_text("nonsense\n")
        stage.kill("broker")
        with pytest.raises(BrokerError, match="broker_failed"):
            while True:
                stage.check()
                await asyncio.sleep(0.02)
    assert len(parties) == 5
    wait_until_gone(parties)


@pytest.mark.parametrize("times", [1, 3])
async def test_leaving_the_stage_cannot_be_interrupted(tmp_path: Path, times: int) -> None:
    stage = Stage(tmp_path, fixed_today=None, on_verdict=lambda *_: None, on_restart=lambda _: None)
    stopped = False

    async def stop_all() -> None:
        nonlocal stopped
        await asyncio.sleep(0.1)
        stopped = True

    stage._stop_all = stop_all  # type: ignore[method-assign]
    leaving = asyncio.create_task(stage._leave())
    for _ in range(times):
        await asyncio.sleep(0.01)
        leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert stopped


def test_differences_are_told_in_the_readers_language(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown("x", "x", "demo-1")
    shown.differences = [
        Difference("outcome", "aborted", "committed"),
        Difference("result", None, "failed"),
        Difference("expiry", "failed", "successful"),
        Difference("reason", "image.empty", None),
        Difference("format", "TD1", "TD3"),
    ]
    presenter = HumanPresenter("zh-CN")
    presenter.document(1, 1, shown)
    presenter.ended(shown, {"verdict": None, "outcome": "aborted", "reason": {"code": "image.empty"}})
    said = capsys.readouterr().out
    for part in (
        "“已中止”",
        "“已保存”",
        "“无”",
        "有效期：实际为“未通过”，预期为“通过”",
        "“TD1”，预期为“TD3”",
    ):
        assert part in said
    assert "instead" not in said
    assert "image.empty" not in said


def test_places_are_told_in_the_readers_language(capsys: pytest.CaptureFixture[str]) -> None:
    places = {"broker": "127.0.0.1:1883", "ca": "/tmp/ca.pem", "collector": "/tmp/archive"}
    HumanPresenter("zh-CN").listening(places)
    assert "127.0.0.1:1883（MQTT 5，双向 TLS 1.3），CA 证书 /tmp/ca.pem" in capsys.readouterr().out
    JsonPresenter().listening(places)
    assert json.loads(capsys.readouterr().out)["places"] == places
