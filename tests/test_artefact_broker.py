"""Large files over a real broker: interrupted, wrong, foreign, half delivered; and a line that is needed for more."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest

from edged.errors import PushRefusedError, StateError, UplinkError
from edged.pushed import part_file
from edged.pushed.artefact_fetch import Limits
from edged.pushed.artefact_rider import ArtefactRider
from edged.pushed.artefact_store import ArtefactStore
from edged.uplink import topics
from edged.uplink.artefact import CHUNK
from edged.uplink.mqtt import Connection, connect
from edged.uplink.names import Role
from edged.uplink.reconnect import first_to_end
from edged.uplink.riding import hand_out, serve_all
from tests.artefacts import content, parts, publish, target
from tests.broker import FLEET, Town, session, town
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

QUICK = Limits(rate=1e9, window=2, answer_s=0.2, tries=2, retry_s=0.05)
"""For parts that will never come."""

PATIENT = Limits(rate=1e9, window=2, answer_s=30.0, tries=3, retry_s=0.05)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as made:
        yield made


@contextlib.asynccontextmanager
async def admin(place: Town) -> AsyncIterator[Connection]:
    async with connect(place.endpoint(Role.ADMIN, "ops"), session("admin.ops")) as connection:
        yield connection


class Riding:
    """A box's connection with an artefact rider on it, again and again; what was subscribed to is on record."""

    def __init__(self, place: Town, directory: Path, limits: Limits = PATIENT) -> None:
        self.place = place
        self.store = ArtefactStore(directory)
        self.rider = ArtefactRider(FLEET, self.store, limits=limits, busy=lambda: self.busy)
        self.asked: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self.connections = 0
        self.busy = False
        self.percent: list[int] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(UplinkError):
                async with connect(self.place.endpoint(Role.DEVICE, "box-1"), session("box-1")) as connection:
                    self._record(connection)
                    self.connections += 1
                    await first_to_end(
                        hand_out(connection, [self.rider]), serve_all(connection, [self.rider])
                    )
            await asyncio.sleep(0.05)

    def _record(self, connection: Connection) -> None:
        subscribe, unsubscribe = connection.subscribe, connection.unsubscribe

        async def asking(topic: str) -> None:
            self.asked[topic.rpartition("/")[2]] += 1
            await subscribe(topic)

        async def leaving(topic: str) -> None:
            self.left[topic.rpartition("/")[2]] += 1
            await unsubscribe(topic)

        connection.subscribe, connection.unsubscribe = asking, leaving  # type: ignore[method-assign]

    async def fetch(self, data: bytes, **changes: object) -> Path:
        found = await self.rider.fetch({"software": target(data, **changes)}, self.percent.append)
        return found["software"]

    async def fails(self, data: bytes, code: str, **changes: object) -> None:
        with pytest.raises(PushRefusedError) as failed:
            await self.fetch(data, **changes)
        assert failed.value.code == code
        assert failed.value.where == target(data).path


async def test_a_file_comes_and_nothing_stays_subscribed(place: Town, tmp_path: Path) -> None:
    data = content(8.5, 11)
    async with admin(place) as connection:
        await publish(connection, data)
    async with Riding(place, tmp_path) as box:
        path = await box.fetch(data)
        assert path.read_bytes() == data
        assert box.percent == sorted(set(box.percent))
        assert (box.percent[0], box.percent[-1]) == (0, 100)
        await until(lambda: box.left == box.asked)
        assert await box.fetch(data) == path
        assert set(box.asked.values()) == {1}, "a file that is here is not asked for again"


async def test_an_interrupted_fetch_brings_only_what_is_missing(place: Town, tmp_path: Path) -> None:
    """Cancelled half-way, the box restarted: another rider goes on from the file alone."""
    data = content(16, 12)
    async with admin(place) as connection:
        await publish(connection, data)
    async with Riding(place, tmp_path, Limits(rate=20 * CHUNK)) as box:
        fetching = asyncio.create_task(box.fetch(data))
        await until(lambda: box.percent and box.percent[-1] >= 30)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        await until(lambda: box.left == box.asked)
    (part,) = box.store.directory.iterdir()
    written = {n for n in range(16) if part.read_bytes()[n * CHUNK :][:CHUNK] == parts(data)[n]}
    assert len(written) >= 4
    async with Riding(place, tmp_path) as again:
        assert (await again.fetch(data)).read_bytes() == data
    assert {int(one) for one in again.asked if one != topics.INDEX} == set(range(17)) - written


async def test_a_broker_that_restarts_mid_way(tmp_path: Path) -> None:
    """What it kept retained it has saved when it was stopped; the same fetch goes on over the next connection."""
    data = content(16, 13)
    with town(tmp_path / "town") as place:
        async with admin(place) as connection:
            await publish(connection, data)
        async with Riding(place, tmp_path, Limits(rate=20 * CHUNK)) as box:
            fetching = asyncio.create_task(box.fetch(data))
            await until(lambda: box.percent and box.percent[-1] >= 30)
            await asyncio.to_thread(place.broker.stop)
            await asyncio.to_thread(place.broker.start)
            path = await fetching
            assert path.read_bytes() == data
            assert box.connections >= 2
            twice = [one for one, times in box.asked.items() if times > 1]
            assert len(twice) <= 2, "but for what was on its way"


async def test_a_half_delivered_file_is_refused_and_what_came_is_kept(place: Town, tmp_path: Path) -> None:
    data = content(6, 14)
    async with admin(place) as connection:
        await publish(connection, data, part_3=None)
        async with Riding(place, tmp_path, QUICK) as box:
            await box.fails(data, "artefact.incomplete")
            await until(lambda: box.left == box.asked)
            await publish(connection, data)
            before = dict(box.asked)
            assert (await box.fetch(data)).read_bytes() == data
            again = {one for one in box.asked if box.asked[one] > before.get(one, 0)}
            assert again == {topics.INDEX, "6", "3"}


async def test_a_chunk_that_comes_late_is_waited_for(place: Town, tmp_path: Path) -> None:
    """The admin is still publishing when the box begins."""
    data = content(4, 15)
    async with admin(place) as connection:
        await publish(connection, data, part_1=None)
        async with Riding(place, tmp_path) as box:
            fetching = asyncio.create_task(box.fetch(data))
            await until(lambda: box.percent and box.percent[-1] == 75)
            await publish(connection, data)
            assert (await fetching).read_bytes() == data


@pytest.mark.parametrize(
    ("part", "code"),
    [("index", "artefact.wrong_index"), (4, "artefact.wrong_chunk"), (2, "artefact.wrong_chunk")],
)
async def test_a_wrong_part_is_refused(place: Town, tmp_path: Path, part: int | str, code: str) -> None:
    data = content(4, 16)
    async with admin(place) as connection:
        await publish(connection, data, **{f"part_{part}": content(1, 99)})
        async with Riding(place, tmp_path, QUICK) as box:
            await box.fails(data, code)
        assert not [path for path in box.store.directory.iterdir() if path.suffix != ".part"]


async def test_another_files_chunk_is_refused(place: Town, tmp_path: Path) -> None:
    """A good chunk, of another file."""
    data, other = content(4, 17), content(4, 18)
    async with admin(place) as connection:
        await publish(connection, other)
        await publish(connection, data, part_1=parts(other)[1])
        async with Riding(place, tmp_path, QUICK) as box:
            await box.fails(data, "artefact.wrong_chunk")


async def test_a_huge_index_is_refused(place: Town, tmp_path: Path) -> None:
    data = content(2, 19)
    async with admin(place) as connection:
        await publish(connection, data, part_index=bytes(60_000))
        async with Riding(place, tmp_path, QUICK) as box:
            await box.fails(data, "artefact.wrong_index")


async def test_what_is_too_large_is_refused_before_the_first_byte(place: Town, tmp_path: Path) -> None:
    data = content(6, 20)
    async with Riding(place, tmp_path) as box:
        with pytest.raises(PushRefusedError) as failed:
            await box.rider.fetch({"scenes": target(data)}, box.percent.append)
        assert failed.value.code == "artefact.too_large"
    assert not box.asked


async def test_a_full_disk_costs_the_fetch_and_not_the_connection(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content(3, 21)
    async with admin(place) as connection:
        await publish(connection, data)
    async with Riding(place, tmp_path) as box:
        await until(lambda: box.connections)
        monkeypatch.setattr(part_file, "free_bytes", lambda _: 0)
        with pytest.raises(StateError) as full:
            await box.fetch(data)
        assert full.value.code == "artefact.disk_full"
        monkeypatch.undo()

        def full_disk(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(part_file.os, "pwrite", full_disk)
        with pytest.raises(StateError) as full:
            await box.fetch(data)
        assert full.value.code == "artefact.disk_full"
        monkeypatch.undo()
        assert (await box.fetch(data)).read_bytes() == data
        assert box.connections == 1


async def test_nothing_new_is_asked_for_while_the_line_is_needed(place: Town, tmp_path: Path) -> None:
    """While the box has something better to say, nothing new is asked for; afterwards it goes on."""
    data = content(8, 22)
    async with admin(place) as connection:
        await publish(connection, data)
    async with Riding(place, tmp_path, Limits(rate=20 * CHUNK)) as box:
        fetching = asyncio.create_task(box.fetch(data))
        await until(lambda: box.percent and box.percent[-1] >= 30)
        box.busy = True
        await until(lambda: all(box.left[one] for one in box.asked))
        asked = box.asked.total()
        await asyncio.sleep(0.6)
        assert box.asked.total() <= asked + 1, "a step was being made just then"
        box.busy = False
        assert (await fetching).read_bytes() == data


async def test_several_files_and_what_is_forgotten(place: Town, tmp_path: Path) -> None:
    new, old = content(2, 23), content(1, 24)
    async with admin(place) as connection:
        await publish(connection, new)
        await publish(connection, old)
    async with Riding(place, tmp_path) as box:
        wanted = {"software": target(new), "messages": target(old, path="messages/north.toml")}
        found = await box.rider.fetch(wanted, box.percent.append)  # type: ignore[arg-type]
        assert found["messages"].read_bytes() == old
        assert await box.rider.here(wanted) == found  # type: ignore[arg-type]
        await box.rider.keep([target(new)])
        assert await box.rider.here(wanted) is None  # type: ignore[arg-type]
        assert await box.rider.here({"software": target(new)}) == {"software": found["software"]}
