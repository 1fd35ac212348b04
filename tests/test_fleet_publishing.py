"""The enrolment service publishes the signed directory; and a broker's list is written without a broker."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from edged.errors import StateError, UplinkError
from edged.fleet import directory, publishing
from edged.fleet.link import admin_link
from edged.fleet.publishing import DirectoryPublisher, Published, is_old, publish_now
from edged.uplink.mqtt import connect
from edged.uplink.names import Principal, Role
from tests.broker import FLEET, session
from tests.test_fleet_revoke import Office, published
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Publishing:
    """A publisher whose broker answers as it is told, and what it has said."""

    def __init__(self, path: Path) -> None:
        self.told: list[Published] = []
        self.fails: list[Exception] = []
        self.attempts = 0
        self.publisher = DirectoryPublisher(
            path, self.told.append, publish=self.publish, settle_s=0.0, every_s=0.0, backoff_s=(0.001, 0.002)
        )

    async def publish(self, path: Path) -> int:
        self.attempts += 1
        if self.fails:
            raise self.fails.pop(0)
        return self.attempts


async def test_it_is_published_at_the_start_and_after_changes_and_failures_are_told_once(
    tmp_path: Path,
) -> None:
    one = Publishing(tmp_path)
    one.fails = [UplinkError("uplink.unreachable")] * 3 + [StateError("fleet.link_busy"), OSError(28, "full")]
    running = asyncio.create_task(one.publisher.run())
    await until(lambda: len(one.told) == 4)
    reasons = ["uplink.unreachable", "fleet.link_busy", "state.unusable"]
    assert [said.code for said in one.told] == [*reasons, None]
    assert one.told[-1].version == one.attempts == 6
    one.publisher.changed()
    await until(lambda: one.attempts == 7)
    running.cancel()


async def test_what_changes_meanwhile_is_published_after_it(tmp_path: Path) -> None:
    one = Publishing(tmp_path)
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slowly(path: Path) -> int:
        begun.set()
        await may_end.wait()
        return await one.publish(path)

    one.publisher._publish = slowly
    running = asyncio.create_task(one.publisher.run())
    await begun.wait()
    for _ in range(5):  # all of these at once
        one.publisher.changed()
    may_end.set()
    await until(lambda: len(one.told) == 2)
    assert one.attempts == 2
    running.cancel()


async def test_one_that_gets_old_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path)
    assert is_old(office.directory, datetime.now(UTC))
    made = directory.make(office.state, now=datetime.now(UTC))
    directory.keep(office.state, made)
    assert not is_old(office.directory, datetime.now(UTC))
    assert is_old(office.directory, datetime.now(UTC) + publishing.OLD + timedelta(minutes=1))
    (office.directory / "directory" / "head.jws").write_text("?")
    assert is_old(office.directory, datetime.now(UTC))
    monkeypatch.setattr(publishing, "LOOK_S", 0.001)
    one = Publishing(office.directory)
    running = asyncio.create_task(one.publisher.run())
    await until(lambda: one.attempts >= 2)
    running.cancel()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    made.broker.start()
    try:
        yield made
    finally:
        made.broker.stop()


async def test_a_new_boxs_key_is_known_to_partners_and_the_newest_directory_stays(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = office.box("box-1")
    box = Principal(FLEET, Role.DEVICE, "box-1")
    first = await publish_now(office.directory)
    async with connect(reader, session("box-1")) as connection:
        found = (await published(connection, office)).current
    assert found is not None
    member = found.member(Role.DEVICE, "box-1")
    assert member is not None
    assert found.head.version == first
    assert found.standing(box, [member.keys[0].sha256], datetime.now(UTC)) == "listed"

    # While one is on its way a command makes another: whoever ends last, the newer one stays.
    slow = directory.publish

    async def overtaken(link: object, made: directory.Made, *, before: int = 0) -> None:
        monkeypatch.setattr(directory, "publish", slow)
        directory.keep(office.state, directory.make(office.state, now=datetime.now(UTC)))
        await slow(link, made, before=before)  # type: ignore[arg-type]

    monkeypatch.setattr(directory, "publish", overtaken)
    last = await publish_now(office.directory)
    assert last == directory.last_version(office.state)
    async with connect(reader, session("box-1")) as connection:
        found = (await published(connection, office)).current
    assert found is not None
    assert found.head.version == last


async def test_a_command_waits_for_the_services_connection_to_end(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def service() -> None:
        async with admin_link(office.state):
            entered.set()
            await leave.wait()

    holding = asyncio.create_task(service())
    await entered.wait()
    waiting = asyncio.create_task(publish_now(office.directory))
    await asyncio.wait([waiting], timeout=0.3)
    assert not waiting.done()
    leave.set()
    assert await waiting > 0
    await holding


def test_a_brokers_list_is_written_before_the_broker_has_ever_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office(tmp_path)
    file = tmp_path / "first.pem"
    assert office.run("directory", "list", "--crl", str(file), "--dry-run") == os.EX_OK
    assert not file.exists()
    capsys.readouterr()
    assert office.run("directory", "list", "--crl", str(file), "--json") == os.EX_OK
    assert json.loads(capsys.readouterr().out) == {"crl": str(file), "revoked": 0, "written": True}
    assert b"X509 CRL" in file.read_bytes()
    assert office.run("directory", "list") == os.EX_CONFIG
    assert "--crl" in capsys.readouterr().err
    assert office.run("directory", "list", "--crl", str(file), "--output", "x") == os.EX_CONFIG
