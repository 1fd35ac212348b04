"""Bad days of the daemon itself, as a real process without a broker in reach."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import pytest

from edged import messages
from edged.cli import main
from edged.commands.status import lines
from edged.control import ControlClient
from edged.core.image import decode_image
from edged.core.reading import read_page
from edged.demo.fleet import DemoFleet
from edged.errors import ControlError
from edged.specimens import FIXED_TODAY
from edged.uplink.names import Role, Usage
from edged.uplink.outbox import ledger
from tests.box import EDGED, SPECIMENS, Box


def committed(box: Box) -> dict[str, int]:
    return {key[2]: len(rows) for key, rows in ledger(box.database).items()}


def code(answer: dict[str, Any]) -> tuple[str, str | None]:
    return answer["outcome"], answer["reason"]["code"] if answer["reason"] else None


async def refused_start(box: Box, **environment: str) -> tuple[int, str]:
    process = await box.spawn(**environment)
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


def png_bomb(side: int) -> bytes:
    """A PNG whose header promises side × side pixels; its data is never looked at."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_bad_images_are_aborted_with_their_reason_and_nothing_is_committed(tmp_path: Path) -> None:
    whole = SPECIMENS["passport"].sides[0].read_bytes()
    bad = {
        "not-an-image.jpg": (b"I am a letter, not a passport.", "image.not_an_image"),
        "empty.jpg": (b"", "image.empty"),
        "bomb.png": (png_bomb(14_200), "image.too_large"),
        "cut.jpg": (whole[: len(whole) // 2], "image.truncated"),
    }
    async with Box(tmp_path) as box:
        for name, (content, reason) in bad.items():
            (tmp_path / name).write_bytes(content)
            assert code(await box.scan(tmp_path / name)) == ("aborted", reason), name
        assert code(await box.scan("nothing")) == ("aborted", "inspection.no_document")
        assert committed(box) == {}
        two = await box.scan("two-documents")
        assert two["verdict"]["result"] == "undetermined"
        assert [reason["code"] for reason in two["verdict"]["reasons"]][0] == "reading.two_documents"
        assert (await box.scan("passport"))["verdict"]["result"] == "successful"
    assert committed(box) == {"central": 2, "first-bank": 2}


def glared(file: Path) -> None:
    """The specimen passport with a lamp's reflection across a part of its first line."""
    image = decode_image(SPECIMENS["passport"].sides[0].read_bytes())
    row = read_page(image, today=FIXED_TODAY).rows[0]
    start, stop = row.moved(-0.4 * row.length, 0.0), row.moved(-0.3 * row.length, 0.0)
    image[int(start.y - row.cap) : int(start.y + row.cap), int(start.x) : int(stop.x)] = 245
    cv2.imwrite(str(file), image)


async def test_a_glare_is_made_good_by_an_infrared_picture(tmp_path: Path) -> None:
    glared(tmp_path / "passport.png")
    events: list[dict[str, Any]] = []
    async with Box(tmp_path) as box:

        async def listen(client: ControlClient) -> None:
            async for event in client.events():
                events.append(event)  # noqa: PERF401 - it is cut short

        async with ControlClient(tmp_path / "control.sock") as client:
            await client.call("subscribe")
            listening = asyncio.create_task(listen(client))
            alone = await box.scan(tmp_path / "passport.png")
            shutil.copy(SPECIMENS["passport"].sides[0], tmp_path / "passport.ir.png")
            both = await box.scan(tmp_path / "passport.png")
            await client.call("status")  # what was told before it has come
            listening.cancel()
    assert alone["verdict"]["result"] == "undetermined"
    assert both["verdict"]["result"] == "successful"
    advice = [(event["reason"]["code"], event["light"]) for event in events if event["event"] == "advice"]
    assert [light for _, light in advice] == ["white", "white", "ir"]
    assert all(messages.known(code) for code, _ in advice)


async def test_camera_unplugged_in_mid_scan(tmp_path: Path) -> None:
    async with Box(tmp_path) as box:
        await box.hand.place(SPECIMENS["driving-licence"].sides)
        scanning = asyncio.create_task(box.control.call("scan"))
        while (await box.control.call("status"))["state"] != "turning":
            await asyncio.sleep(0.01)
        await box.hand.do("unplug", device="camera")
        assert code(await scanning) == ("aborted", "inspection.device_gone")
        status = await box.control.call("status")
        assert status["devices_gone"] == ["camera"]
        await box.hand.remove()
        assert code(await box.control.call("scan")) == ("refused", "inspection.device_missing")
        await box.hand.do("plug", device="camera")
        assert code(await box.scan("passport")) == ("committed", None)


async def test_a_second_daemon_on_the_same_state_is_refused(tmp_path: Path) -> None:
    async with Box(tmp_path / "box") as box:
        await box.scan("passport")
        second, text = await refused_start(box)
        assert second == os.EX_CANTCREAT
        assert str(tmp_path / "box" / "state") in text
        assert str(box.process.pid) in text
        assert code(await box.scan("passport")) == ("committed", None)


async def test_kill_9_between_commit_and_publish_loses_and_doubles_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box:
        await box.scan("passport")
        await box.stop(signal.SIGKILL)
    before = ledger(box.database)
    async with box:
        status = await box.control.call("status")
        assert status["uplink"]["pending"] == 2
        await box.scan("passport")
    after = ledger(box.database)
    for key, rows in before.items():
        assert list(after[key])[: len(rows)] == list(rows)
        assert [row.seq for row in after[key]] == [1, 2]


async def test_a_full_disk_shows_a_fault_stores_nothing_and_recovers(tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box:
        await box.scan("passport")
        wal = box.database.with_name(box.database.name + "-wal")
        _, hard = resource.prlimit(box.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(box.process.pid, resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
        before = committed(box)
        full = await box.scan("passport")
        assert code(full) == ("aborted", "inspection.not_stored")
        assert full["reason"]["params"]["reason"].startswith("state.disk_")
        assert committed(box) == before, "all or nothing"
        resource.prlimit(box.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert code(await box.scan("passport")) == ("committed", None)
    assert committed(box) == {name: count + 1 for name, count in before.items()}
    assert any(line.get("error", {}).get("type") == "StateError" for line in box.log)


def test_the_clock_floor_survives_a_restart_with_a_clock_set_back(tmp_path: Path) -> None:
    """Without root the clock can't be set; the release is moved into the future instead."""

    async def run() -> dict[str, Any]:
        launcher = (
            "import datetime, sys, edged.clock; "
            "edged.clock.RELEASED = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC); "
            "from edged.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        async with Box(tmp_path, command=(sys.executable, "-c", launcher)) as box:
            assert (await box.control.call("status"))["clock"] == {"trusted": False}
            return await box.scan("expired")

    answer = asyncio.run(run())
    assert answer["verdict"]["result"] == "undetermined"
    assert [reason["code"] for reason in answer["verdict"]["reasons"]] == ["expiry.clock_not_trusted"]


@pytest.mark.parametrize("witness", ["last_commit", "last_receipt"])
async def test_a_clock_behind_what_the_box_has_seen_is_not_believed(witness: str, tmp_path: Path) -> None:
    box = Box(tmp_path)
    async with box:
        assert (await box.control.call("status"))["clock"] == {"trusted": True}
    with sqlite3.connect(box.database) as database:
        later = int(datetime(2090, 1, 1, tzinfo=UTC).timestamp() * 1000)
        database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (witness, str(later)))
    database.close()
    async with box:
        assert (await box.control.call("status"))["clock"] == {"trusted": False}
        answer = await box.scan("passport")
    assert [reason["code"] for reason in answer["verdict"]["reasons"]] == ["expiry.clock_not_trusted"]


@pytest.mark.parametrize("synchronised", [True, False])
async def test_an_unsynchronised_clock_is_not_believed_and_leaves_no_trace(
    synchronised: bool, tmp_path: Path
) -> None:
    launcher = (
        f"import sys, edged.clock; edged.clock.synchronised = lambda: {synchronised}; "
        "from edged.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    required = ("require_synchronised = false", "require_synchronised = true")
    box = Box(tmp_path, edit=required, command=(sys.executable, "-c", launcher))
    async with box:
        assert (await box.control.call("status"))["clock"] == {"trusted": synchronised}
        result = (await box.scan("passport"))["verdict"]["result"]
        assert result == ("successful" if synchronised else "undetermined")
    with sqlite3.connect(box.database) as database:
        floors = database.execute("SELECT count(*) FROM meta WHERE key = 'last_commit'").fetchone()[0]
    database.close()
    assert floors == synchronised, "a clock that isn't believed must not raise the floor for one that is"


async def test_a_scan_that_nobody_would_hear_of_shows_no_green_light(tmp_path: Path) -> None:
    only = ('receives = ["live", "test", "training"]', 'receives = ["live"]')
    async with Box(tmp_path, edit=only) as box:
        assert code(await box.control.call("scan", scene="bank", training=True)) == (
            "refused",
            "inspection.no_recipient",
        )
        assert code(await box.scan("passport")) == ("committed", None)
    assert committed(box) == {"first-bank": 1}


async def test_a_state_directory_that_others_can_look_into_is_refused(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (tmp_path / "state").mkdir(mode=0o755)
    ended, text = await refused_start(box)
    assert ended == os.EX_CANTCREAT
    assert "chmod 700" in text


async def test_a_state_that_cannot_be_read_stops_the_signs_of_life_and_not_the_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        launcher = (
            "import os, sys; from edged.errors import StateError; from edged.uplink.outbox import StateDatabase\n"
            "read = StateDatabase.last_commit\n"
            "def failing(self):\n"
            f"    if os.path.exists({str(tmp_path / 'broken')!r}): raise StateError('state.disk_error')\n"
            "    return read(self)\n"
            "StateDatabase.last_commit = failing\n"
            "from edged.cli import main; sys.exit(main(sys.argv[1:]))"
        )
        box = Box(tmp_path / "box", command=(sys.executable, "-c", launcher))
        process = await box.spawn(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000")
        for _ in range(2):
            await asyncio.to_thread(manager.recv, 4096)
        (tmp_path / "broken").touch()
        manager.settimeout(1.0)
        with pytest.raises(TimeoutError):
            while True:
                await asyncio.to_thread(manager.recv, 4096)
        assert process.returncode is None
        async with ControlClient(tmp_path / "box" / "control.sock") as client:
            with pytest.raises(ControlError, match=r"state\."):
                await client.call("status")
        process.kill()
        await process.communicate()


async def test_a_broken_state_database_is_repaired_at_the_next_start_and_the_centre_will_know(
    tmp_path: Path,
) -> None:
    async with Box(tmp_path) as box:
        assert code(await box.scan("passport")) == ("committed", None)
        before = (await box.control.call("status"))["uplink"]
    assert before["pending"] == 2
    assert not before["log_replaced"]
    with box.database.open("r+b") as file:
        file.write(b"not a database any more")
    async with Box(tmp_path, box.fleet) as box:
        after = (await box.control.call("status"))["uplink"]
        assert after["log_replaced"]
        assert after["pending"] == 2, "what could be read is delivered all the same"
        assert code(await box.scan("passport")) == ("committed", None)
        shown = lines(await box.control.call("status"), "en")
        await box.stop()
    assert any("set aside" in line for line in shown), shown
    told = [line for line in box.log if line.get("logger") == "outbox" or "aside" in line]
    assert told
    assert (tmp_path / "state" / told[0]["aside"]).exists()


async def test_a_database_that_breaks_under_the_daemon_ends_it_and_the_next_start_mends_it(
    tmp_path: Path,
) -> None:
    async with Box(tmp_path) as box:
        assert code(await box.scan("passport")) == ("committed", None)
        await box.stop(signal.SIGKILL)
    async with Box(tmp_path, box.fleet) as box:
        size = box.database.stat().st_size
        with box.database.open("r+b") as file:
            file.write(b"\xff" * size)
        with contextlib.suppress(ControlError, TimeoutError, OSError):
            async with asyncio.timeout(60):
                while box.process.returncode is None:
                    await box.control.call("status")
                    await box.scan("passport")
        await box.process.wait()
    assert box.process.returncode == os.EX_CANTCREAT
    assert "Traceback" not in box.errors.decode()
    async with Box(tmp_path, box.fleet) as box:
        assert (await box.control.call("status"))["uplink"]["log_replaced"]
        assert code(await box.scan("passport")) == ("committed", None)


async def test_a_certificate_of_the_wrong_role_is_refused_at_start(tmp_path: Path) -> None:
    fleet = DemoFleet(tmp_path / "pki", fleet="demo-fleet", now=datetime.now(UTC))
    collector = fleet.issue(Role.COLLECTOR, "central", Usage.SIGNING)
    ended, text = await refused_start(Box(tmp_path, fleet, sign=collector))
    assert ended == os.EX_CONFIG
    assert "identity.signing_certificate" in text


async def test_a_certificate_of_another_fleet_is_refused_at_start(tmp_path: Path) -> None:
    other = DemoFleet(tmp_path / "other", fleet="other-fleet", now=datetime.now(UTC))
    stranger = other.issue(Role.DEVICE, "box-1", Usage.SIGNING)
    ended, text = await refused_start(Box(tmp_path, sign=stranger))
    assert ended == os.EX_CONFIG
    assert "fleet" in text


async def test_a_simulated_head_refuses_a_real_fleet(tmp_path: Path) -> None:
    real = DemoFleet(tmp_path / "real", fleet="real-fleet", now=datetime.now(UTC), demo=False)
    ended, text = await refused_start(Box(tmp_path, real))
    assert ended == os.EX_CONFIG
    assert "demo fleet" in text


async def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    fleet = DemoFleet(tmp_path / "pki", fleet="demo-fleet", now=datetime.now(UTC))
    sign = fleet.issue(Role.DEVICE, "box-1", Usage.SIGNING)
    assert sign.key.stat().st_mode & 0o777 == 0o600
    sign.key.chmod(0o644)
    ended, text = await refused_start(Box(tmp_path, fleet, sign=sign))
    assert ended == os.EX_CONFIG
    assert "0600" in text or "chmod" in text or "readable" in text


async def test_thresholds_that_are_none_are_refused_at_start(tmp_path: Path) -> None:
    file = tmp_path / "optical.json"
    file.write_text('{"version": 1}')
    for name, said in ((file, "not a thresholds file"), (tmp_path / "absent.json", "No such file")):
        edit = ("[head]", f'[head]\noptical_thresholds = "{name}"')
        ended, text = await refused_start(Box(tmp_path, edit=edit))
        assert ended == os.EX_CONFIG
        assert "head.optical_thresholds" in text
        assert said in text


async def test_readiness_watchdog_and_a_clean_stop(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        box = Box(tmp_path / "box")
        process = await box.spawn(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000")
        heard = [await asyncio.to_thread(manager.recv, 4096) for _ in range(3)]
        assert heard[0].startswith(b"READY=1")
        assert heard[1:] == [b"WATCHDOG=1"] * 2
        process.terminate()
        while (message := await asyncio.to_thread(manager.recv, 4096)) == b"WATCHDOG=1":
            pass
        assert message == b"STOPPING=1"
        _, errors = await process.communicate()
        assert process.returncode == 0, errors


async def test_a_scan_takes_opaque_references_and_known_parameters_alone(tmp_path: Path) -> None:
    async with Box(tmp_path) as box:
        for params in (
            {"scene": "casino"},
            {"reference": "Anna Eriksson"},
            {"reference": "x" * 65},
            {"reference": ""},
            {"training": "yes"},
            {"shoe_size": 43},
        ):
            with pytest.raises(ControlError, match=r"control\.bad_parameter"):
                await box.control.call("scan", **params)
        assert committed(box) == {}


async def test_the_command_line_speaks_to_the_daemon(tmp_path: Path) -> None:
    async with Box(tmp_path) as box:
        socket_path = str(tmp_path / "control.sock")

        async def edged(*arguments: str) -> tuple[int, str]:
            done = await asyncio.to_thread(
                subprocess.run, [*EDGED, *arguments, "--socket", socket_path], capture_output=True, text=True
            )
            return done.returncode, done.stdout + done.stderr

        await box.hand.place(SPECIMENS["expired"].sides)
        exit_code, printed = await edged("scan", "--scene", "hotel", "--reference", "R-1", "--lang", "en")
        assert exit_code == 1
        assert "expired" in printed
        assert await edged("scan", "--lang", "zh-CN") == (75, "已拒绝: 请先取走上一份证件。\n")
        assert (await edged("cancel", "--lang", "en"))[0] == 75
        assert (await edged("complete", "--lang", "en"))[0] == 75
        exit_code, printed = await edged("status", "--lang", "en")
        assert (exit_code, "box-1" in printed, "2 envelopes kept" in printed) == (0, True, True)
        exit_code, printed = await edged("status", "--json")
        assert '"state": "showing"' in printed


def test_the_state_holds_no_plaintext_after_a_clean_stop(tmp_path: Path) -> None:
    async def run() -> None:
        async with Box(tmp_path) as box:
            await box.scan("passport")

    asyncio.run(run())
    with sqlite3.connect(tmp_path / "state" / "state.sqlite") as database:
        dump = "\n".join(database.iterdump())
    assert "ERIKSSON" not in dump
    assert "L898902C3" not in dump


def test_run_without_a_configuration_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--config", str(tmp_path / "none.toml")]) == os.EX_CONFIG
    assert "none.toml: can't be read" in capsys.readouterr().err
