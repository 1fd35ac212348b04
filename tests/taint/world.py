"""One real daemon with everything that it can have attached, and whoever listens to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from edged.control import ControlClient
from edged.emulator.escpos_printer import EscposEmulator, pty
from edged.emulator.office import Office
from edged.emulator.profiles import profiles
from edged.emulator.sam import SamTty
from edged.emulator.swipe_reader import SwipeReaderEmulator
from edged.emulator.vpcd import Slot
from edged.specimens import FIXED_TODAY
from edged.uplink import topics
from edged.uplink.command import Command, seal_command
from edged.uplink.mqtt import Session, connect
from edged.uplink.names import Principal, Role, Usage
from tests.box import EDGED, Box
from tests.broker import FLEET, Town
from tests.taint import counter
from tests.tuf_repository import TufRepository
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping

    from tests.taint.canaries import Canary

HERE: Final = Path(__file__).parent
DEVICE: Final = "box-1"
_BATCH: Final = 100
_PAGE: Final = 512
"""A log's pages lie 24 bytes aside of their own size: smaller pieces, so that most of them are known again."""
_TRIES: Final = 6
_LIFTED_S: Final = 1.0
"""Longer than a driver takes to see that a card is gone."""

_MORE: Final = """\
[log]
level = "debug"

[metrics]
textfile = "metrics"

[swipe]
port = "{readers}/swipe"

[id_card]
port = "{readers}/id-card"

[chip_reader]
driver = "simulated"
socket = "reader.sock"
find_s = 0.05

[fleet]
root = "root.json"

[timeouts]
document_s = 5.0
"""


class _TaintedBox(Box):
    """Writes to files, because nobody reads its pipes while it runs; plants are said in `orders`."""

    orders: Path
    environment: dict[str, str]
    log_file: Path
    out_file: Path

    async def spawn(self, **environment: str) -> asyncio.subprocess.Process:
        with self.log_file.open("ab") as errors, self.out_file.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *self._command,
                "run",
                "--config",
                str(self.config),
                stdout=out,
                stderr=errors,
                env={**os.environ, **self.environment, **environment},
            )

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()


class _Printer(EscposEmulator):
    """Keeps what it is sent."""

    sent: bytearray

    def taken(self, data: bytes) -> bytes:
        self.sent += data
        return super().taken(data)


class World:
    """Everything of one box. `directory` holds what anybody writes, but what the test itself draws (`drawn`).

    Attributes:
        box: the daemon; `box.control` its socket, `box.hand` the hand at the window.
        heard: every MQTT message on every topic: topic to payloads.
        events: what the control socket told subscribers.
        notified: what the service manager was told.
        printed: every byte that the printer was sent; printer: what it made of them.
        door, desk: the handover's network door, and a certificate for it.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.drawn = directory.with_name(f"{directory.name}-drawn")
        self.drawn.mkdir(exist_ok=True)
        self.heard: dict[str, list[bytes]] = {}
        self.events: list[bytes] = []
        self.notified: list[bytes] = []
        self._commands = 0

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self._enter(stack)
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def _enter(self, stack: contextlib.AsyncExitStack) -> None:
        self.place = Town(self.directory / "town")
        await asyncio.to_thread(self.place.broker.start)
        stack.callback(self.place.broker.stop)
        self.box = self._make_box()
        readers = self.directory / "readers"
        readers.mkdir()
        self.swipe = await stack.enter_async_context(SwipeReaderEmulator(readers / "swipe", "desko"))
        self.module = await stack.enter_async_context(SamTty(readers / "id-card"))
        self.printer, self.printed = _Printer(), bytearray()
        self.printer.sent = self.printed
        await stack.enter_async_context(pty(self.printer, readers / "printer"))
        self.slot = Slot(self.box.directory / "reader.sock")
        stack.push_async_callback(self.slot.lift)
        self._hear_service_manager(stack)
        for role, name in ((Role.COLLECTOR, "centre"), (Role.ADMIN, "ops")):
            await stack.enter_async_context(self._ear(role, name))
        await self._start_box()
        stack.push_async_callback(self._stop_box)
        await until(lambda: any(topic.endswith("/status") for topic in self.heard), 30)

    async def _start_box(self) -> None:
        await self.box.__aenter__()
        self.listener = await ControlClient(self.box.directory / "control.sock").__aenter__()
        await self.listener.call("subscribe")

    async def _stop_box(self) -> None:
        self.hear_events()
        await self.listener.__aexit__(None, None, None)
        await self.box.__aexit__()

    @contextlib.asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """The daemon is stopped meanwhile, and started again."""
        await self._stop_box()
        try:
            yield
        finally:
            await self._start_box()

    def _make_box(self) -> _TaintedBox:
        directory = self.directory / "box"
        directory.mkdir()
        readers, fleet = self.directory / "readers", self.place.fleet
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.door = free.getsockname()[1]
        self.desk = fleet.issue(Role.AUDIENCE, "desk", Usage.TLS)
        more = counter.config(readers, self.door, fleet.issue_server("counter", ("127.0.0.1",)))
        more += _MORE.format(readers=readers)
        box = _TaintedBox(
            directory, self.place.fleet, port=self.place.broker.port, edit=("[timeouts]\n", more)
        )
        for name in ("metrics", "tmp"):
            (directory / name).mkdir()
        (directory / "root.json").write_bytes(TufRepository().first_root)
        box.orders = self.directory.with_name(f"{self.directory.name}-orders")
        box.log_file, box.out_file = directory / "log", directory / "out"
        here = str(HERE.parents[1])
        box.environment = {
            "PYTHONPATH": os.pathsep.join((str(HERE / "injected"), here, os.environ.get("PYTHONPATH", ""))),
            "EDGED_TAINT": str(box.orders),
            "NOTIFY_SOCKET": str(directory / "notify.sock"),
            "WATCHDOG_USEC": "400000",
            "TMPDIR": str(directory / "tmp"),
        }
        return box

    def _hear_service_manager(self, stack: contextlib.AsyncExitStack) -> None:
        manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(self.box.environment["NOTIFY_SOCKET"])
        manager.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(manager, lambda: self.notified.append(manager.recv(65536)))
        stack.callback(loop.remove_reader, manager)

    @contextlib.asynccontextmanager
    async def _ear(self, role: Role, name: str) -> AsyncIterator[None]:
        """Every topic that this principal may read; together they hear all that a box may write."""
        endpoint = self.place.endpoint(role, name)
        async with connect(endpoint, Session(client_id=f"{role.value}.{name}")) as connection:
            await connection.subscribe(f"{topics.PREFIX}/{FLEET}/#")
            if role is Role.ADMIN:
                self._admin = connection

            async def listen() -> None:
                while True:
                    await connection.readable()
                    for message in connection.take(_BATCH):
                        self.heard.setdefault(message.topic, []).append(message.payload)
                        connection.acknowledge(message)

            listening = asyncio.create_task(listen())
            try:
                yield
            finally:
                listening.cancel()
                await asyncio.wait((listening,))

    # --- what may be planted ---

    @contextlib.contextmanager
    def planted(self, *order: str) -> Any:
        """`leak NAME ENCODING` or `hazard NAME` is active in the daemon meanwhile."""
        self._order("\t".join(order))
        try:
            yield
        finally:
            self._order("")

    @property
    def struck(self) -> set[str]:
        """The hazards that have happened."""
        path = Path(f"{self.box.orders}.struck")
        return set(path.read_text(encoding="utf-8").split("\n")) if path.exists() else set()

    def _order(self, text: str) -> None:
        beside = self.box.orders.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.box.orders)

    # --- driving ---

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The control socket's answer; a refusal is one, too."""
        from edged.errors import ControlError

        try:
            return {"result": await self.box.control.call(method, **params)}
        except ControlError as error:
            return {"refused": error.code, "text": f"{error} {error.params}"}

    async def ready(self) -> None:
        """Wait until nothing is being inspected."""
        async with asyncio.timeout(60):
            while (await self.box.control.call("status"))["state"] != "ready":
                await asyncio.sleep(0.01)

    async def swiped(self, person: Canary, *, forged: bool = False) -> dict[str, Any]:
        """This person's document goes through the swipe reader."""
        self.hear_events()
        began = len(self.events)
        assert await self.swipe.swipe(person.forged() if forged else person.lines)
        await until(lambda: self._outcome(began) is not None)
        outcome = self._outcome(began)
        assert outcome is not None
        return outcome

    async def swiped_for(self, person: Canary, asking: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        """This person's document goes through the swipe reader once somebody's scan waits for one; its answer."""
        self.hear_events()
        began = len(self.events)
        task = asyncio.ensure_future(asking)

        def pressed() -> bool:
            self.hear_events()
            return task.done() or any(b'"pressed"' in one for one in self.events[began:])

        await until(pressed)
        assert await self.swipe.swipe(person.lines)
        return await asyncio.wait_for(task, 60)

    def hear_events(self) -> None:
        """Take what has come."""
        while not self.listener._events.empty():
            self.events.append(json.dumps(self.listener._events.get_nowait()).encode())

    def _outcome(self, since: int) -> dict[str, Any] | None:
        self.hear_events()
        begun = set()
        for line in self.events[since:]:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == "pressed":
                begun.add(event["inspection"])
            elif event["event"] == "outcome" and event["inspection"] in begun:
                return event
        return None

    async def laid(self, person: Canary) -> dict[str, Any]:
        """This person's ID card is laid on the module, and scan is pressed.

        The emulated module lives in this event loop: whatever held that up may have made it mute for the driver, which
        then looks for it again in longer and longer pauses. So it is tried again where no card was seen.
        """
        for _ in range(_TRIES):
            self.module.lay(person.id_card())
            answer = await self.call("scan", scene="bank")
            self.module.lift()
            if answer.get("result", {}).get("reason") != {"code": "inspection.no_document"}:
                return answer
            await asyncio.sleep(_LIFTED_S)
        raise AssertionError("the ID card was never seen")

    async def photographed(self, person: Canary, *, chip: bool = False, **params: Any) -> dict[str, Any]:
        """This person's page lies in the window, with a chip under it or not."""
        from tests.taint.drawing import draw

        page = await asyncio.to_thread(draw, person, self.drawn)
        if chip:
            card = self.office.lay(profiles()["pace-gm"], person.lines)
            await self.slot.lay(card)
            async with asyncio.timeout(60):
                while not (await self.box.control.call("status"))["chip"]["present"]:
                    await asyncio.sleep(0.01)
        await self.box.hand.place([page])
        answer = await self.call("scan", **params)
        await self.box.hand.remove()
        if chip:
            await self.slot.lift()
        await self.ready()
        return answer

    @property
    def office(self) -> Office:
        """Issues chips; the box trusts it or not."""
        if not hasattr(self, "_office"):
            self._office = Office("UT", on=FIXED_TODAY - timedelta(days=30), seed="taint")
        return self._office

    async def commanded(self, name: str, **args: Any) -> list[bytes]:
        """An admin's command; every reply on its topic, once one has come."""
        self._commands += 1
        now = int(datetime.now(UTC).timestamp())
        identifier = f"c-{self._commands}"
        command = Command("ops", FLEET, DEVICE, identifier, name, args, now, now + 600)
        sealed = seal_command(command, self.place.signer(Role.ADMIN, "ops"))
        await self._publish(topics.command(FLEET, DEVICE, name), sealed.encode())
        topic = topics.reply(FLEET, DEVICE, identifier)
        await until(lambda: topic in self.heard, 20, so_far=lambda: sorted(self.heard))
        return self.heard[topic]

    async def pushed(self, bundle: bytes) -> list[bytes]:
        """A push that the box refuses; what it reports."""
        topic = topics.reported(FLEET, DEVICE)
        before = len(self.heard.get(topic, ()))
        await self._publish(topics.desired(FLEET, DEVICE), bundle)
        await until(lambda: len(self.heard.get(topic, ())) > before)
        return self.heard[topic][before:]

    async def interrupted(self) -> None:
        """The box's connection is taken over by another under its name: it connects again, and says so everywhere."""
        name = Principal(FLEET, Role.DEVICE, DEVICE).username
        async with connect(self.place.endpoint(Role.DEVICE, DEVICE), Session(client_id=name)):
            pass

    async def _publish(self, topic: str, payload: bytes) -> None:
        await self._admin.publish(topic, payload)

    async def command_line(self, *arguments: str) -> bytes:
        """Everything that `edged` with these arguments says."""
        process = await asyncio.create_subprocess_exec(
            *EDGED,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.box.environment, "EDGED_TAINT": ""},
        )
        said, _ = await process.communicate()
        return said

    # --- what was written ---

    def files(self, *below: str) -> dict[str, bytes]:
        """Every file of the box, or below some of its names."""
        found = {}
        for path in sorted(self.box.directory.rglob("*")):
            name = str(path.relative_to(self.box.directory))
            if path.is_file() and (not below or name.startswith(below)):
                with contextlib.suppress(FileNotFoundError):  # what is written under another name first
                    found[name] = path.read_bytes()
        return found

    def news(self, before: dict[str, bytes]) -> dict[str, bytes]:
        """What is new in those files, and in whatever else has come beside the first of them; by pages of SQLite's.

        All of them are searched whole when it is over: this is for a search that one path's plant must be found by.
        """
        found = {}
        for name, data in self.files(*{name.split(".")[0] for name in before}).items():
            old = before.get(name, b"")
            known = {old[at : at + _PAGE] for at in range(0, len(old), _PAGE)}
            pages = (data[at : at + _PAGE] for at in range(0, len(data), _PAGE))
            found[name] = b"".join(page for page in pages if page not in known)
        return found

    def everything(self) -> dict[str, bytes]:
        """All that ever came out, by where."""
        self.hear_events()
        told: Mapping[str, bytes] = {
            "events": b"\n".join(self.events),
            "service manager": b"\n".join(self.notified),
            **{
                topic: b"\n".join(dict.fromkeys(payloads))
                for topic, payloads in self.heard.items()
                if topic.rsplit("/", 2)[1] != "command"
                and not topic.endswith("/desired")  # the test's own words
            },
        }
        stored = {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file()
        }
        process = Path(f"/proc/{self.box.process.pid}")
        seen = {}
        for name in ("cmdline", "environ", "comm", "maps"):
            with contextlib.suppress(OSError):
                seen[f"process {name}"] = (process / name).read_bytes()
        return {**told, **stored, **seen}


def is_daemon_up(world: World) -> bool:
    """Whether the daemon still runs."""
    return world.box.process.returncode is None


assert sys.platform == "linux"
