"""From a clerk who withdraws a slip to the file that a verifier reads: a real broker between box and centre."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged import cli
from edged.central import slip_files
from edged.central.slip_lists import SlipLists, SlipListSettings, Withdrawn, Written
from edged.config import SlipSettings
from edged.errors import OutputError, SignatureRefusedError
from edged.journal.database import JOURNAL_FILE, Journal
from edged.slip import url, verifying
from edged.slip.book import SlipBook
from edged.slip.publishing import AGAIN, SlipPublisher
from edged.uplink import topics
from edged.uplink.database import DatabaseThread
from edged.uplink.directory_reader import DirectoryReader
from edged.uplink.mqtt import connect
from edged.uplink.names import Role, Usage
from edged.uplink.riding import serve_all
from edged.uplink.slip_status import LIST_LIFE, DeviceSlips, open_status, seal_list, seal_status
from edged.uplink.subscription import Alarmed
from tests import directories, slips
from tests.broker import FLEET, NOW, Town, session, town
from tests.waiting import until

T = int(NOW.timestamp())
UNTIL = T + 90 * slips.DAY


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


def settings(place: Town, name: str = "second") -> SlipListSettings:
    files = place.fleet.issue(Role.COLLECTOR, name, Usage.SIGNING)
    return SlipListSettings(
        fleet_ca=place.fleet.ca,
        signing_key=files.key,
        signing_certificate=files.certificate,
        broker=place.endpoint(Role.COLLECTOR, name),
        reconnect_min_s=0.1,
        reconnect_max_s=0.5,
    )


def read(place: Town, out: Path) -> Any:
    kept = slip_files.read_status(out)
    return None if kept is None else open_status(kept, anchor=place.anchor, at=NOW).devices


@contextlib.asynccontextmanager
async def watching(place: Town, out: Path) -> AsyncIterator[list[Any]]:
    events: list[Any] = []
    lists = SlipLists(settings(place), out, on_event=events.append, clock=lambda: NOW, least_s=0.01)
    task = asyncio.create_task(lists.run())
    try:
        yield events
    finally:
        lists.stop()
        await task


@contextlib.asynccontextmanager
async def box(place: Town, directory: Path) -> AsyncIterator[SlipBook]:
    """A box's book, published over its connection."""
    signer = place.signer(Role.DEVICE, "box-1")
    thread = await DatabaseThread.open("journal", lambda: Journal(directory / JOURNAL_FILE))
    book = SlipBook(thread, signer=lambda: signer, settings=lambda: SlipSettings(site="x", url=slips.BASE))
    rider = SlipPublisher(book, signer=lambda: signer, clock=lambda: NOW, least_s=0.01)
    assert (rider.filters(), rider.wants(topics.slips(FLEET, "box-1"))) == ((), False)
    try:
        async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as connection:
            serving = asyncio.create_task(serve_all(connection, [rider]))
            yield book
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
    finally:
        await thread.close()


def test_a_withdrawal_reaches_the_file_that_verifiers_read(place: Town, tmp_path: Path) -> None:
    out = tmp_path / "www"
    slip = slips.facts(at=T, expires=UNTIL)

    async def story() -> str:
        made = directories.Made(place)
        async with connect(place.endpoint(Role.ADMIN, "ops"), session("admin.ops")) as admin:
            await directories.publish(admin, made)
        async with watching(place, out), box(place, tmp_path) as book:
            signed = await book.issue(slip, now=NOW)
            await until(lambda: "box-1" in (read(place, out) or {}))
            assert read(place, out)["box-1"].withdrawn == {}
            await book.withdraw(slip.number, "lost", now=NOW)
            await until(lambda: read(place, out)["box-1"].withdrawn)
            await until((out / "directory" / "head.jws").exists)
            return url.build(slips.BASE, signed.cose)

    whole = asyncio.run(story())
    reader = DirectoryReader(place.anchor)  # as a verifier reads the files
    for path in (out / "directory").glob("*.json"):
        reader.take_page(path.read_bytes())
    reader.take_head((out / "directory" / "head.jws").read_bytes(), at=NOW)
    status = open_status((out / "status.jws").read_bytes(), anchor=place.anchor, at=NOW)
    assert verifying.verify(whole, reader.current, at=NOW).verdict == "genuine"
    found = verifying.verify(whole, reader.current, at=NOW, status=status, online=True)
    assert (found.verdict, found.withdrawal) == ("withdrawn", "checked")


def test_what_was_known_survives_a_restart_and_a_broker_that_forgot(place: Town, tmp_path: Path) -> None:
    out = tmp_path / "www"
    signer = place.signer(Role.DEVICE, "box-2")

    async def publish(withdrawn: dict[str, int]) -> None:
        compact = seal_list(withdrawn, {}, now=NOW, signer=signer)
        async with connect(place.endpoint(Role.DEVICE, "box-2"), session("box-2")) as connection:
            await connection.publish(topics.slips(FLEET, "box-2"), compact.encode(), retain=True)

    async def once() -> Written:
        events: list[Any] = []
        await SlipLists(settings(place), out, once=True, on_event=events.append, clock=lambda: NOW).run()
        assert isinstance(events[-1], Written)
        return events[-1]

    async def story() -> None:
        await publish({"000000000001": UNTIL})
        first = await once()
        assert read(place, out)["box-2"].withdrawn == {"000000000001": UNTIL}
        assert first.until == T + 48 * 3600
        await publish({"000000000002": UNTIL})  # a box whose journal was lost says less
        await once()
        assert set(read(place, out)["box-2"].withdrawn) == {"000000000001", "000000000002"}

    asyncio.run(story())


def test_a_list_of_somebody_else_is_an_alarm_and_changes_nothing(place: Town, tmp_path: Path) -> None:
    out = tmp_path / "www"
    forged = seal_list({"00000000000F": UNTIL}, {}, now=NOW, signer=place.signer(Role.DEVICE, "box-2"))

    async def story() -> list[Any]:
        async with connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as connection:
            await connection.publish(topics.slips(FLEET, "box-1"), forged.encode(), retain=True)
        async with watching(place, out) as events:
            await until(lambda: any(isinstance(one, Alarmed) for one in events))
            return events

    codes = {one.alarm.code for one in asyncio.run(story()) if isinstance(one, Alarmed)}
    assert codes == {"slip_status.wrong_issuer"}
    assert all("00000000000F" not in one.withdrawn for one in read(place, out).values())


def test_a_file_that_can_not_be_believed_stops_the_start(place: Town, tmp_path: Path) -> None:
    """To begin anew would forget what was withdrawn."""
    other = Town(tmp_path / "other")
    slip_files.write_status(tmp_path, seal_status({}, now=NOW, signer=other.signer(Role.COLLECTOR, "centre")))
    with pytest.raises(SignatureRefusedError):
        asyncio.run(SlipLists(settings(place), tmp_path, once=True, clock=lambda: NOW).run())
    unwritable = tmp_path / "file"
    unwritable.write_text("x")
    with pytest.raises(OutputError) as caught:
        slip_files.write_status(unwritable, "x")
    assert caught.value.code == "central.slips_not_written"


def test_pages_of_the_directory_come_before_its_head_and_go_after_it(tmp_path: Path) -> None:
    one, two = "1" * 64, "2" * 64
    slip_files.write_directory(tmp_path, "first", {one: b"1", two: b"2"})
    slip_files.write_directory(tmp_path, "second", {two: b"2"})
    left = sorted(path.name for path in (tmp_path / "directory").iterdir())
    assert left == [f"{two}.json", "head.jws"]
    assert (tmp_path / "directory" / "head.jws").read_text() == "second"
    assert (tmp_path / "directory" / "head.jws").stat().st_mode & 0o044


def test_what_the_centre_withdraws_is_kept_by_the_process_that_hears(place: Town, tmp_path: Path) -> None:
    """The lost box's slip: another process writes the list meanwhile, and boxes go on speaking."""
    lost, other = slips.facts(at=T, expires=UNTIL).number, "000000000009"

    async def story() -> None:
        signer = place.signer(Role.DEVICE, "box-1")
        async with (
            watching(place, tmp_path),
            connect(place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as connection,
        ):

            async def say(withdrawn: dict[str, int]) -> None:
                compact = seal_list(withdrawn, {}, now=NOW, signer=signer)
                await connection.publish(topics.slips(FLEET, "box-1"), compact.encode(), retain=True)

            await say({})
            await until(lambda: "box-1" in (read(place, tmp_path) or {}))
            centre = SlipLists(settings(place), tmp_path, clock=lambda: NOW)
            told = await asyncio.to_thread(centre.withdraw, [("box-1", lost)])
            assert told == Withdrawn(slips=1, until=T + 48 * 3600)
            await say({other: UNTIL})
            await until(lambda: other in read(place, tmp_path)["box-1"].withdrawn)
            assert lost in read(place, tmp_path)["box-1"].withdrawn

    asyncio.run(story())


def test_of_several_slips_all_are_withdrawn_or_none(place: Town, tmp_path: Path) -> None:
    known = {"box-1": DeviceSlips(heard=T, withdrawn={}, superseded={})}
    slip_files.write_status(
        tmp_path, seal_status(known, now=NOW, signer=place.signer(Role.COLLECTOR, "centre"))
    )
    before = slip_files.read_status(tmp_path)
    centre = SlipLists(settings(place), tmp_path, clock=lambda: NOW)
    with pytest.raises(SignatureRefusedError) as caught:
        centre.withdraw([("box-1", "000000000001"), ("box-9", "000000000002")])
    assert caught.value.code == "slip_status.unknown_device"
    assert slip_files.read_status(tmp_path) == before


def command_file(place: Town, directory: Path) -> str:
    config = directory / "slips.toml"
    plain = msgspec.to_builtins(settings(place), enc_hook=str)
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items() if key != "broker"]
    lines += ["[broker]", *(f"{key} = {json.dumps(value)}" for key, value in plain["broker"].items())]
    config.write_text("\n".join(lines), encoding="utf-8")
    return str(config)


def test_the_command_withdraws_a_slip_as_it_is_printed(
    place: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"box-1": DeviceSlips(heard=T, withdrawn={}, superseded={})}
    slip_files.write_status(
        tmp_path, seal_status(known, now=NOW, signer=place.signer(Role.COLLECTOR, "centre"))
    )
    arguments = ["central", "slips", "--config", command_file(place, tmp_path), "--out", str(tmp_path)]
    assert cli.main([*arguments, "--withdraw", "box-1", "7k3m-9qxa-o4tz"]) == os.EX_OK
    assert "Withdrawn at the centre, and listed: 1" in capsys.readouterr().out
    status = open_status((tmp_path / "status.jws").read_bytes(), anchor=place.anchor, at=datetime.now(UTC))
    assert list(status.devices["box-1"].withdrawn) == ["7K3M9QXA04TZ"]
    assert cli.main([*arguments, "--withdraw", "box-9", "7K3M9QXA04TZ"]) not in {os.EX_OK, os.EX_SOFTWARE}
    assert "No list of this terminal" in capsys.readouterr().err
    assert cli.main([*arguments, "--withdraw", "box-1", "7K3M"]) not in {os.EX_OK, os.EX_SOFTWARE}


def test_the_command_writes_once_and_says_what(
    place: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = command_file(place, tmp_path)
    arguments = ["central", "slips", "--config", config, "--out", str(tmp_path / "www"), "--json"]
    assert cli.main(arguments) == os.EX_OK
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "written"
    assert (tmp_path / "www" / "status.jws").exists()


def test_a_list_is_made_anew_well_before_it_ends() -> None:
    assert timedelta() < AGAIN < LIST_LIFE / 2
