"""The handover service of one box: applications ask for inspections, and take the fields that policy allows them, once.

What lies ready is in `edged.handover.desk`; here it meets the journal (`ledger`), who may come in (`admission`), the
connections and the clock. Nothing leaves that isn't in the journal first.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from edged import log
from edged.errors import CodedError, ControlError, SlipError, StateError
from edged.events import ScanRequest
from edged.handover import doors, protocol
from edged.handover.admission import Admission
from edged.handover.answer import taken, wipe
from edged.handover.connection import Connection
from edged.handover.desk import Desk, End, Ended
from edged.handover.ledger import Ledger, expired
from edged.handover_checks import listen_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from edged.config import AudienceSettings, HandoverSettings
    from edged.handover.peers import Peer
    from edged.handover.protocol import Request
    from edged.journal.database import Journal
    from edged.listener import Listener
    from edged.privacy.held import HeldFields
    from edged.privacy.policy import HandoverPolicy
    from edged.privacy.pseudonym import Pseudonymiser
    from edged.uplink.database import DatabaseThread
    from edged.uplink.roles import TrustAnchor


class HandoverService:
    """`async with HandoverService(…)`: serves from entering to leaving; leaving overwrites everything.

    Attributes:
        port: of the network door, None without one.
    """

    def __init__(
        self,
        settings: HandoverSettings,
        *,
        audiences: Mapping[str, AudienceSettings],
        anchor: TrustAnchor,
        ca: Path,
        inspect: Callable[[ScanRequest], Awaitable[Mapping[str, Any]]],
        cancel: Callable[[], Awaitable[bool]],
        check: Callable[[ScanRequest], Awaitable[None]],
        notice: Callable[[str], Mapping[str, Any]],
        journal: DatabaseThread[Journal],
        pseudonym: Pseudonymiser,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take what the daemon has: `inspect` and `cancel` are `Station.scan` and `Station.cancel`.

        `check` raises `EdgedError` for what can't be inspected (`Counter.check`); `notice` says what a holder is told
        before a document is read in a scene (`Counter.notice`).
        `ca` is `identity.fleet_ca`; `anchor` the one that everybody has, with what is revoked; `pseudonym` makes
        operators and references unreadable in the journal (`edged.journal.operators.pseudonymiser`).
        """
        self.port: int | None = None
        self._settings = settings
        self._admission = Admission(settings, audiences, anchor, ca, clock)
        self._ledger = Ledger(journal, pseudonym, clock)
        self._inspect = inspect
        self._cancel = cancel
        self._check = check
        self._notice = notice
        self._desk = Desk()
        self._connections: set[Connection] = set()
        self._numbers = count(1)
        self._asking: dict[str, int] = {}
        """Application to the number of its connection whose inspection runs."""
        self._running: tuple[str, str] | None = None
        """Inspection and application of the one that runs for an application."""
        self._network: Listener | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._notes: set[asyncio.Task[bool]] = set()
        self._log = log.get("handover")

    async def __aenter__(self) -> Self:
        """Listen. Raises `ConfigError`, `CertificateError`, `StateError` (`handover.unusable`)."""
        async with AsyncExitStack() as stack:
            settings = self._settings
            if settings.socket is not None:
                await self._admission.load_users()
                path = settings.socket
                door = doors.door(
                    await asyncio.to_thread(doors.local, path), self._admission.by_user, self._serve
                )
                stack.callback(path.unlink, missing_ok=True)
                stack.push_async_callback(door.close)
                door.open()
            if settings.listen is not None:
                context = await self._admission.context()
                listening = await asyncio.to_thread(doors.network, *listen_address(settings.listen))
                self._network = doors.door(listening, self._admission.by_certificate, self._serve, context)
                stack.push_async_callback(self._network.close)
                self.port = self._network.port
                self._network.open()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.forget_all()
        await self._stack.aclose()
        if self._alarm is not None:
            self._alarm.cancel()
        if self._notes:
            await asyncio.wait(self._notes)

    # --- what the box says ---

    async def offer(
        self,
        application: str,
        inspection: str,
        held: HeldFields,
        *,
        asker: int | None,
        within_s: float,
        operator: str | None = None,
        reference: str | None = None,
        consent: str | None = None,
    ) -> bool:
        """Lay `held` ready for the connection that asked (`asker`); from here on the service overwrites it.

        To be called after the commit and before the inspection's outcome is told. False when it isn't offered: the
        asker has left, or the journal can't be written. Raises nothing but a cancellation.
        """
        note = self._ledger.offered(
            application, inspection, held, operator=operator, reference=reference, consent=consent
        )
        # Another connection of the application may be asking by now: what was inspected for the first isn't its.
        if asker is None or self._asking.get(application) != asker:
            held.forget()
            await self._ledger.write(note, expired(Ended(application, inspection, note.fields, End.LEFT)))
            return False
        offer, ended = self._desk.lay(
            application,
            asker,
            inspection,
            held,
            within_s=within_s,
            now=asyncio.get_running_loop().time(),
        )
        self._set_alarm()
        try:
            written = await self._ledger.write(*map(expired, ended), note)
        except BaseException:
            self._desk.finish(offer, End.STOPPED)
            raise
        if not written:
            self._desk.finish(offer, End.UNRECORDED)
        return written and self._desk.ready(offer)

    async def configure(self, audiences: Mapping[str, AudienceSettings]) -> None:
        """At a switch of settings: overwrite everything, and from now on allow what these audiences' policies allow.

        Key and certificate are read anew. Raises `CertificateError` when they can't be; the ones before serve on.
        """
        self._admission.audiences = audiences
        await self.forget_all(End.SWITCHED)
        for connection in tuple(self._connections):
            try:
                self._admission.policy(connection.peer)
            except CodedError as error:
                connection.hang_up(error.code)
        if self._network is not None:
            self._network.context = await self._admission.context()

    async def forget_all(self, end: End = End.STOPPED) -> None:
        """Overwrite all that lies ready."""
        await self._tell_ended(self._desk.forget_all(end))

    def publish(self, event: Mapping[str, Any]) -> None:
        """An event of the control socket: applications that subscribed hear of their own inspection's progress."""
        if event.get("event") == "pressed":
            application = event.get("application")
            self._running = None if application is None else (str(event["inspection"]), str(application))
        if self._running is None:
            return
        inspection, application = self._running
        said = protocol.progress(event)
        if said is not None and said.get("inspection", inspection) == inspection:
            self._tell(application, said)
        if event.get("event") == "outcome":
            self._running = None

    def _tell(self, application: str, event: Mapping[str, Any]) -> None:
        for connection in tuple(self._connections):
            if connection.peer.application == application:
                connection.tell(event)

    # --- what applications ask ---

    async def _serve(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(next(self._numbers), peer, reader, writer, self._answer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._write_later(self._desk.leave(peer.application, connection.number))

    async def _answer(self, connection: Connection, request: Request) -> bytes | bytearray:
        """Raises `ControlError` to refuse, another `CodedError` to hang up."""
        try:
            policy = self._admission.policy(connection.peer)
        except CodedError:
            self._write_later(self._desk.leave(connection.peer.application, connection.number))
            raise
        match request.method:
            case "hello":
                protocol.params_of(request, protocol.Nothing)
                return protocol.answer(request.id, self._hello(connection.peer, policy))
            case "subscribe":
                protocol.params_of(request, protocol.Nothing)
                connection.subscribed = True
                return protocol.answer(request.id, True)
            case "notice":
                wanted = protocol.params_of(request, protocol.Notice)
                scene = self._scene(connection.peer, wanted.scene)
                return protocol.answer(request.id, self._notice(scene))
            case "inspect":
                asked = protocol.params_of(request, protocol.Inspect)
                return protocol.answer(request.id, await self._on_inspect(connection, asked))
            case "take":
                take = protocol.params_of(request, protocol.Take)
                return await self._on_take(connection, request.id, take.inspection)
            case "cancel":
                protocol.params_of(request, protocol.Nothing)
                return protocol.answer(request.id, await self._on_cancel(connection.peer.application))
            case _:
                raise ControlError("handover.unknown_method")

    def _hello(self, peer: Peer, policy: HandoverPolicy) -> dict[str, Any]:
        audience = self._admission.audience(peer)
        return {
            "audience": peer.application,
            "fields": policy.fields,
            "within_s": policy.within_s,
            "scenes": audience.scenes,
            "consent": audience.policy.consent,
        }

    def _scene(self, peer: Peer, asked: str | None) -> str:
        """The scene that is meant, by default the first. Raises `ControlError` (`handover.other_scene`)."""
        scenes = self._admission.audience(peer).scenes
        scene = scenes[0] if asked is None else asked
        if scene not in scenes:
            raise ControlError("handover.other_scene")
        return scene

    async def _on_inspect(self, connection: Connection, asked: protocol.Inspect) -> dict[str, Any]:
        application = connection.peer.application
        scene = self._scene(connection.peer, asked.scene)
        if application in self._asking:
            raise ControlError("inspection.busy")
        request = ScanRequest(
            scene,
            reference=asked.reference,
            purpose=asked.purpose,
            operator=asked.operator,
            training=asked.training,
            consent=asked.consent,
            notice=asked.notice,
            supersedes=asked.supersedes,
            application=application,
            asker=connection.number,
        )
        self._asking[application] = connection.number
        try:
            await self._checked(request)  # before anything is overwritten for it
            await self._tell_ended(self._desk.begin(application))
            outcome = await self._inspect(request)
        finally:
            del self._asking[application]
        return protocol.inspected(outcome, self._lying(connection, outcome["inspection"]))

    async def _checked(self, request: ScanRequest) -> None:
        """Raises `ControlError` for what can't be inspected: the application stays connected."""
        try:
            await self._check(request)
        except SlipError as error:
            raise ControlError(error.code) from error
        except StateError as error:
            self._log.error("the journal can't be read", exc_info=error)
            raise ControlError(End.UNRECORDED.value) from error

    def _lying(self, connection: Connection, inspection: str) -> dict[str, Any] | None:
        offer = self._desk.look(connection.peer.application, connection.number, inspection)
        if offer is None:
            return None
        left = offer.deadline - asyncio.get_running_loop().time()
        return {
            "fields": offer.names,
            "withheld": offer.held.withheld,
            "within_s": round(max(0.0, left), 1),
        }

    async def _on_take(self, connection: Connection, number: int, inspection: str) -> bytearray:
        """The line with the values: made only once the journal says so."""
        application = connection.peer.application
        now = asyncio.get_running_loop().time()
        self._write_later(self._desk.expire(now))
        try:
            offer = self._desk.claim(application, connection.number, inspection, now)
        except ControlError as error:
            await self._ledger.write_refused(connection.peer, inspection, error.code)
            raise
        end = End.LEFT
        try:
            if not await self._ledger.write_taken(connection.peer, inspection, offer.names):
                end = End.UNRECORDED
                raise ControlError(end.value)
            if offer.held.forgotten and offer.names:
                raise ControlError(self._desk.why_gone(offer).value)
            line = taken(number, inspection, offer.held)
            end = End.TAKEN
        finally:
            self._desk.finish(offer, end)
        try:
            self._admission.policy(connection.peer)  # it may have been revoked while the journal was written
        except BaseException:
            wipe(line)
            raise
        return line

    async def _on_cancel(self, application: str) -> bool:
        """Its own inspection alone: another's is none of its business."""
        if self._running is None or self._running[1] != application:
            return False
        return await self._cancel()

    # --- deadlines and the journal ---

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        deadline = self._desk.deadline
        loop = asyncio.get_running_loop()
        self._alarm = None if deadline is None else loop.call_at(deadline, self._on_alarm)

    def _on_alarm(self) -> None:
        self._write_later(self._desk.expire(asyncio.get_running_loop().time()))
        self._set_alarm()

    def _write_later(self, ended: Iterable[Ended]) -> None:
        """What is overwritten already is journalled by itself."""
        if ended := list(ended):
            task = asyncio.ensure_future(self._tell_ended(ended))
            self._notes.add(task)
            task.add_done_callback(self._notes.discard)

    async def _tell_ended(self, ended: Iterable[Ended]) -> bool:
        ended = list(ended)
        for one in ended:
            self._tell(
                one.application, {"event": "forgotten", "inspection": one.inspection, "code": one.end.value}
            )
        return await self._ledger.write(*map(expired, ended))
