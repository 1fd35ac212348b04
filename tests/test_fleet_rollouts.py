"""Rollouts over a real broker and simulated boxes that really verify: they stop by themselves, and survive a kill."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import StateError, UplinkError
from edged.fleet import push_numbers, pushing, rolling, seen
from edged.fleet.bundles import ONLINE_KEY
from edged.fleet.heard import Presence, watch
from edged.fleet.key_files import read_key
from edged.fleet.link import admin_link
from edged.fleet.pushes import Pushes
from edged.fleet.pushing import Pusher, publish
from edged.fleet.redoing import sha256
from edged.fleet.rolling import Carrier
from edged.fleet.rollout import Done, Halt, Limits, Record, Rollout, Stop, begin
from edged.fleet.rollout_files import RolloutFiles
from edged.fleet.simulated import Script, running
from edged.fleet.tuf_roles import ADMIN_FILES
from edged.uplink.bundle import decode_bundle
from tests.fleet_made import BANK, moment, sign_audiences
from tests.fleet_town import LAYER, FleetTown, applied, edged, fleet_town
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edged.fleet.simulated import SimulatedBox
    from edged.pushed.verifying import Accepted

QUICK = ("--soak", "0s", "--offline-after", "0s")
ROLLED_BACK = Script("rolled_back", code="push.hash_wrong", probe="head")


@pytest.fixture
def hundred(tmp_path: Path) -> Iterator[FleetTown]:
    with fleet_town(tmp_path, 100) as place:
        yield place


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """This broker shows at once what it has retained."""
    for module in (rolling, seen):
        monkeypatch.setattr(module, "QUIET_S", 0.3)
    monkeypatch.setattr(pushing, "RETAINED_S", 0.3)


@pytest.fixture
def dozen(tmp_path: Path) -> Iterator[FleetTown]:
    with fleet_town(tmp_path, 12) as place:
        yield place


async def test_a_hundred_boxes_whose_canaries_fail(
    hundred: FleetTown, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = hundred.boxes(lambda *_: ROLLED_BACK)
    async with running(boxes):
        code = await edged(hundred, "rollout", "start", "--all", "--canary", "4", *QUICK, "--name", "first")
    assert code == os.EX_UNAVAILABLE
    pushed = [box for box in boxes if box.heard]
    assert len(pushed) == 4
    record = RolloutFiles(hundred.state).read("first")
    assert (record.state, record.reason) == ("stopped", "rollout.too_many_failures")
    assert {name for name, box in record.boxes.items() if box.wave == 0} == {box.name for box in pushed}
    assert {box.state for box in record.boxes.values() if box.wave} == {"waiting"}
    out = capsys.readouterr().out
    assert all(f"{box.name}: rolled back (probe reader head: " in out for box in pushed)
    assert "edged fleet config back" in out


async def test_a_hundred_boxes_of_which_some_fail_in_a_later_wave(hundred: FleetTown) -> None:
    """One site's boxes fail; the first canary isn't of it. What has applied it stays, the rest is never pushed."""
    bad = set[str]()

    def script(name: str, accepted: Accepted) -> Script:
        return ROLLED_BACK if name in bad else Script()

    boxes = hundred.boxes(script)
    start = ("rollout", "start", "--all", "--waves", "2,20,100", *QUICK, "--name", "second", "--json")
    async with running(boxes):
        planned = await edged(hundred, *start, "--dry-run")
        assert planned == os.EX_OK
        bad.update(name for name in hundred.names if name.endswith(("1", "2", "3")))
        bad.difference_update(_first_wave(hundred, boxes, "second"))
        assert await edged(hundred, *start) == os.EX_UNAVAILABLE
    engine = Rollout(RolloutFiles(hundred.state).read("second"))
    assert engine.record.wave == 1
    assert engine.tally(0).applied == 2
    assert engine.tally(2).waiting == 80
    assert {box.name for box in boxes if box.heard} == {
        name for name, box in engine.record.boxes.items() if box.push
    }
    assert set(engine.failures()) <= bad


def _first_wave(place: FleetTown, boxes: list[SimulatedBox], seed: str) -> tuple[str, ...]:
    from edged.fleet.waves import Spot, parse_steps, plan

    records = place.state.devices()
    spots = {name: Spot(records[name].site, records[name].groups) for name in place.names}
    return plan(spots, parse_steps("2,20,100"), seed=seed, online=set(place.names))[0]


async def test_boxes_that_are_well(dozen: FleetTown, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = dozen.boxes(applied)
    async with running(boxes):
        assert await edged(dozen, "rollout", "start", "--group", "hotel", *QUICK) == os.EX_OK
        assert await edged(dozen, "list", "--group", "hotel", "--problem") == os.EX_OK
    assert [len(box.taken) for box in boxes] == [int(name[-2] == "0") for name in dozen.names]
    out = capsys.readouterr().out
    assert "10 of 10 device(s) have applied it" in out
    assert "No device is like that" in out
    assert {one.outcome for one in Pushes(dozen.state).newest(20)} == {"applied"}


async def test_boxes_that_are_switched_off(dozen: FleetTown, capsys: pytest.CaptureFixture[str]) -> None:
    """Two are off: no failure, no proof. They find their push when they come; a rollout that stops takes it back."""
    off = set(dozen.names[:2])
    boxes = dozen.boxes(applied, dozen.names[2:])
    async with running(boxes):
        code = await edged(dozen, "rollout", "start", "--all", "--waves", "100%", *QUICK, "--name", "one")
        assert code == os.EX_OK
        assert "10 of 12" in capsys.readouterr().out
        assert RolloutFiles(dozen.state).read("one").state == "done"
        late = dozen.boxes(applied, sorted(off))
        async with running(late):
            await until(lambda: all(box.applied_at for box in late))
        dozen.layer(LAYER + "probation_s = 5.0\n")
        strict = ("--max-unreachable", "0", "--force")
        code = await edged(
            dozen, "rollout", "start", "--all", "--waves", "100%", *QUICK, *strict, "--name", "two"
        )
        assert code == os.EX_UNAVAILABLE
    record = RolloutFiles(dozen.state).read("two")
    assert record.reason == "rollout.too_few_reachable"
    assert {name for name, box in record.boxes.items() if box.state == "withdrawn"} == off
    back = dozen.boxes(applied, sorted(off))
    async with running(back):
        await edged(dozen, "list")
    assert [box.taken for box in back] == [[], []]


async def test_a_stop_takes_back_its_own_pushes_alone(dozen: FleetTown) -> None:
    """A rollout whose process died last week; since then its boxes, still away, were pushed something else."""
    names = dozen.names[:2]
    record = begun(dozen, names).record
    pusher = Pusher(dozen.state, now=moment(), by="admin.alice", rollout="r")
    pusher.compile(names)
    async with admin_link(dozen.state) as link:
        for one in pusher.prepare(names):
            record.boxes[one.device].push, record.boxes[one.device].state = one.number, "pushed"
            await publish(link, one.device, one.data)
        RolloutFiles(dozen.state).write(record)
        (newer,) = pusher.prepare(names[:1])
        await publish(link, newer.device, newer.data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pushing, "retained", _lost)
        engine = Rollout(RolloutFiles(dozen.state).read("r"))
        stop = engine.handle(Halt("rollout.stopped"), now=1.0)
        assert isinstance(stop, Stop)
        async with admin_link(dozen.state) as link:
            with pytest.raises(UplinkError):
                await rolling.take_back(engine, stop, link, Pushes(dozen.state))
        assert engine.record.state == "running"
        assert {engine.record.boxes[name].state for name in names} == {"unreachable"}
        assert await edged(dozen, "rollout", "stop", "r") == os.EX_UNAVAILABLE
    assert RolloutFiles(dozen.state).read("r").state == "running"  # nothing was taken back: not stopped
    assert await edged(dozen, "rollout", "stop", "r") == os.EX_OK
    boxes = RolloutFiles(dozen.state).read("r").boxes
    assert [boxes[name].state for name in names] == ["superseded", "withdrawn"]
    async with admin_link(dozen.state) as link:
        assert [await pushing.retained(link, name) for name in names] == [newer.data, None]


async def _lost(*_: object) -> bytes | None:
    raise UplinkError("uplink.unreachable")


async def test_what_is_signed_during_a_rollout_counts_for_its_later_waves(dozen: FleetTown) -> None:
    """New metadata goes out with the rest; what would be another configuration stops it."""
    pusher = Pusher(dozen.state, now=moment(), by="admin.alice", rollout="r")
    pusher.compile(dozen.names)
    key = read_key(dozen.state.secrets / ONLINE_KEY).signer
    version = dozen.made.repository.revise(ADMIN_FILES, lambda _: None, [key], moment())
    (made,) = pusher.prepare(dozen.names[:1])
    assert f"{version}.{ADMIN_FILES}.json" in decode_bundle(made.data).metadata
    assert (
        dozen.state.device(made.device).push_until
        == Pushes(dozen.state).read(made.device, made.number).expires
    )
    dozen.layer(LAYER + "probation_s = 7.0\n")  # what the layers say now is another matter
    (made,) = pusher.prepare(dozen.names[1:2])
    sign_audiences(dozen.made, moment(), BANK | {"policy": {"claims": {"sex": "keep"}}})
    before = push_numbers.last(dozen.state)
    with pytest.raises(StateError) as refused:
        pusher.prepare(dozen.names[2:3])
    assert refused.value.code == "fleet.rollout_changed"
    assert push_numbers.last(dozen.state) == before


async def test_somebody_else_has_pushed(dozen: FleetTown, capsys: pytest.CaptureFixture[str]) -> None:
    """Another copy of the state, or this one restored from a backup: told, and only gone on with when asked to."""
    backup = dozen.directory / "backup"
    shutil.copytree(dozen.state.directory, backup)
    boxes = dozen.boxes(applied, dozen.names[:2])
    names = [box.name for box in boxes]
    async with running(boxes):
        assert await edged(dozen, "config", "push", *names) == os.EX_OK
        dozen.layer(LAYER + "probation_s = 7.0\n")
        assert await edged(dozen, "config", "push", *names) == os.EX_OK
        shutil.rmtree(dozen.state.directory)
        backup.rename(dozen.state.directory)
        capsys.readouterr()
        for command in (
            ("config", "push", *names),
            ("config", "push", "--no-wait", *names),
            ("rollout", "start", "--name", "r", *QUICK, *names),
        ):
            assert await edged(dozen, *command) == os.EX_CANTCREAT
            assert "2 device(s) have pushes that this state doesn't know" in capsys.readouterr().err
        assert await edged(dozen, "list", "--json") == os.EX_OK
        listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert ["elsewhere" in one["problems"] for one in listed] == [True, True] + [False] * 10
        assert await edged(dozen, "rollout", "resume", "r", "--overtake") == os.EX_OK
    assert all(box.taken == sorted(box.taken) and len(box.taken) == 3 for box in boxes)


def test_one_box_cannot_use_up_the_numbers(dozen: FleetTown) -> None:
    assert push_numbers.ahead(dozen.state, {"box-000": 2**53 - 1, "box-001": 3}) == {"box-001": 3}


async def test_back_to_what_they_had(dozen: FleetTown, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the boxes can't run the new version; those that do go back to the old one, under a new number."""
    assert dozen.state.devices()
    before = dozen.maker().compile(dozen.state.device("box-000")).document.version

    def script(name: str, accepted: Accepted) -> Script:
        return ROLLED_BACK if accepted.document.probation_s == 7 and name > "box-005" else Script()

    boxes = dozen.boxes(script)
    async with running(boxes):
        assert await edged(dozen, "config", "push", "--all") == os.EX_OK
        dozen.layer(LAYER + "probation_s = 7.0\n")
        code = await edged(
            dozen,
            *("rollout", "start", "--all", "--waves", "100%", *QUICK, "--back", "--max-failure-share", "40%"),
        )
        assert code == os.EX_UNAVAILABLE
    for box in boxes:
        pushes = [one for one in Pushes(dozen.state).of(box.name) if one.outcome == "applied"]
        assert pushes[0].version == before
        if box.name <= "box-005" and len(box.taken) > 1:
            assert pushes[0].again == box.taken[0]
            assert box.taken == sorted(box.taken)
    assert "are back at what they had before" in capsys.readouterr().out


async def test_boxes_without_anything_before_are_named(
    dozen: FleetTown, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two have had a good push before, the others are new: those stay, and it says which."""
    bad = dozen.names[6:]
    boxes = dozen.boxes(lambda name, _: ROLLED_BACK if name in bad else Script())
    async with running(boxes):
        assert await edged(dozen, "config", "push", *dozen.names[:2]) == os.EX_OK
        dozen.layer(LAYER + "probation_s = 7.0\n")
        start = (
            "rollout",
            "start",
            "--all",
            "--waves",
            "100%",
            "--back",
            "--max-failure-share",
            "40%",
            *QUICK,
        )
        assert await edged(dozen, *start, "--json") == os.EX_UNAVAILABLE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()[1:] if line.startswith("{")]
    back = lines[-1]
    assert back["event"] == "back"
    assert set(back["applied"]) <= set(dozen.names[:2])
    assert set(back["stay"]) <= set(dozen.names[2:6])
    engine = Rollout(RolloutFiles(dozen.state).read(back["id"]))
    took = {name for name, box in engine.record.boxes.items() if box.state == "applied"}
    assert took <= set(back["applied"]) | set(back["stay"])


async def test_killed_and_resumed(dozen: FleetTown) -> None:
    """`kill -9` in the middle: the resumed rollout reaches every box, and none is pushed twice."""
    held = threading.Event()
    boxes = dozen.boxes(lambda *_: Script(after_s=0.0 if held.is_set() else 3600.0))
    quick = list(boxes[:3])
    for box in quick:
        box._script = applied
    names = ("--waves", "100%", "--at-once", "5", *QUICK, "--name", "r")
    async with running(boxes):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edged", "fleet", "rollout", "start", "--all", *names),
            *("--state", str(dozen.state.directory)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await until(lambda: sum(bool(box.taken) for box in boxes) >= 5)
        process.kill()
        await process.wait()
        assert RolloutFiles(dozen.state).read("r").state == "running"
        held.set()
    for box in boxes:
        box._script = applied
    again = dozen.boxes(applied)
    for box, old in zip(again, boxes, strict=True):
        box._trusted, box._seen = old._trusted, None
    async with running(again):
        assert await edged(dozen, "rollout", "resume", "r") == os.EX_OK
    for box, old in zip(again, boxes, strict=True):
        assert len({*box.taken, *old.taken}) == 1
        assert len(Pushes(dozen.state).numbers(box.name)) == 1


@pytest.mark.parametrize("command", ["rollout", "config"])
async def test_interrupted_by_a_key(dozen: FleetTown, command: str) -> None:
    """Ctrl-C in the middle of a wave: what was pushed is written down, and what to do next is said."""
    start = {
        "rollout": ("rollout", "start", "--waves", "100%", "--at-once", "4", *QUICK, "--name", "r"),
        "config": ("config", "push"),
    }[command]
    boxes = dozen.boxes(lambda *_: Script(after_s=3600.0))
    async with running(boxes):
        process = await asyncio.create_subprocess_exec(
            # Tests that a shell runs in its background have SIGINT ignored, and so would what they start.
            *("env", "--default-signal=INT", sys.executable, "-m", "edged", "fleet", *start),
            *("--all", "--state", str(dozen.state.directory)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        await until(lambda: sum(bool(box.taken) for box in boxes) >= 4)
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in said
    if command == "config":
        assert b"`edged fleet list`" in said
        return
    assert b"`edged fleet rollout resume r`" in said
    record = RolloutFiles(dozen.state).read("r")
    assert record.state == "running"
    written = {box.push for box in record.boxes.values() if box.push is not None}
    assert written >= {box.taken[0] for box in boxes if box.taken}


class KilledError(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize("moment_of_death", ["written", "published"])
async def test_killed_around_a_publication(
    dozen: FleetTown, moment_of_death: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the record and the broker's answer nobody knows what happened: the same bytes are put there, or none."""
    files = RolloutFiles(dozen.state)
    names = dozen.names[:3]
    dead = False

    def save(record: Record) -> None:
        nonlocal dead
        if not dead:
            files.write(record)
        if moment_of_death == "written" and any(box.push for box in record.boxes.values()):
            dead = True
            raise KilledError

    real = rolling.publish

    async def publish(link: Any, device: str, data: bytes) -> None:
        nonlocal dead
        await real(link, device, data)
        dead = True
        raise KilledError

    boxes = dozen.boxes(applied, names)
    async with running(boxes):
        with monkeypatch.context() as dying, pytest.raises(KilledError):
            if moment_of_death == "published":
                dying.setattr(rolling, "publish", publish)
            await carry_out(dozen, begun(dozen, names), save)
        record = files.read("r")
        assert {box.state for box in record.boxes.values()} == {"pushing"}
        engine = Rollout(record)
        engine.resume(forgive=False)
        assert isinstance(await carry_out(dozen, engine, files.write), Done)
    assert [len(box.taken) for box in boxes] == [1, 1, 1]
    assert [len(Pushes(dozen.state).numbers(name)) for name in names] == [1, 1, 1]
    if moment_of_death == "published":
        assert sum(box.heard for box in boxes) <= 5  # the one that was seen to be there isn't put there again


def begun(place: FleetTown, names: list[str]) -> Rollout:
    documents = Pusher(place.state, now=moment(), by="admin.alice").compile(names).documents
    return begin(
        [names],
        {name: sha256(documents[name]) for name in names},
        identifier="r",
        version="1",
        by="admin.alice",
        limits=Limits(soak_s=0),
        now=0.0,
    )


async def carry_out(place: FleetTown, engine: Rollout, save: Callable[[Record], None]) -> Any:
    pusher = Pusher(place.state, now=moment(), by="admin.alice", rollout="r")
    pusher.compile(engine.record.boxes)
    async with admin_link(place.state) as link:
        return await Carrier(engine, link=link, maker=pusher, save=save).run()


async def test_stopped_by_another_command_and_resumed(dozen: FleetTown) -> None:
    boxes = dozen.boxes(lambda *_: Script(after_s=0.0))
    async with running(boxes):
        start = asyncio.create_task(
            edged(dozen, "rollout", "start", "--all", "--waves", "3,100%", "--soak", "1h", "--name", "r")
        )
        await until(lambda: sum(bool(box.applied_at) for box in boxes) == 3)
        with pytest.raises(StateError):
            async with admin_link(dozen.state):
                pass
        assert await edged(dozen, "rollout", "resume", "r") == os.EX_CANTCREAT
        assert await edged(dozen, "rollout", "stop", "r") == os.EX_OK
        assert await start == os.EX_UNAVAILABLE
        assert RolloutFiles(dozen.state).read("r").reason == "rollout.stopped"
        assert sum(box.heard for box in boxes) == 3
        record = RolloutFiles(dozen.state).read("r")
        record.soaks_until = 0.0
        RolloutFiles(dozen.state).write(record)
        dozen.layer(LAYER + "probation_s = 9.0\n")
        assert await edged(dozen, "rollout", "resume", "r") == os.EX_CANTCREAT  # it would push something else
        dozen.layer(LAYER)
        assert await edged(dozen, "rollout", "resume", "r") == os.EX_OK
        assert await edged(dozen, "rollout", "resume", "r") == os.EX_CANTCREAT
    assert [len(box.taken) for box in boxes] == [1] * 12


async def test_a_lost_broker_in_the_middle(dozen: FleetTown) -> None:
    """The broker is killed and forgets; boxes and admin come back, and the rollout ends well."""
    go = threading.Event()
    boxes = dozen.boxes(lambda name, _: Script(after_s=0.0 if go.is_set() or name < "box-002" else 0.5))
    async with running(boxes):
        start = asyncio.create_task(
            edged(dozen, "rollout", "start", "--all", "--waves", "100%", "--at-once", "4", *QUICK)
        )
        await until(lambda: sum(bool(box.taken) for box in boxes) >= 3)
        await asyncio.to_thread(dozen.broker.restart)
        go.set()
        assert await asyncio.wait_for(start, 60) in (os.EX_OK, os.EX_UNAVAILABLE)
        async with admin_link(dozen.state) as link, watch(link, dozen.names, reports=False) as heard:
            online = set[str]()
            async for one in heard:
                if isinstance(one, Presence) and one.status.state == "online":
                    online.add(one.device)
                if len(online) == 12:
                    break
    assert all(len(box.taken) <= 1 for box in boxes)
