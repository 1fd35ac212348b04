"""A handover service on real sockets, with a station that reads a document of canary values in no time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from edged.config import AudienceSettings, HandoverSettings
from edged.demo.fleet import DemoFleet, KeyFiles
from edged.errors import SlipError
from edged.handover.service import HandoverService
from edged.journal.database import JOURNAL_FILE, Entry, Journal
from edged.journal.operators import pseudonymiser
from edged.orders import refusal as refusal_of
from edged.privacy.held import HeldFields
from edged.privacy.leakscan import LeakScanner
from edged.privacy.notice import Notice, Recipient, make_notice
from edged.privacy.noticed import Told, make_noticed
from edged.privacy.policy import HandoverPolicy, Policy
from edged.telling import describe_refusal
from edged.uplink.database import DatabaseThread
from edged.uplink.names import Role, Usage
from edged.uplink.roles import TrustAnchor
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from edged.events import ScanRequest

VALUES = {
    "surname": 'ERIKSSON-"CANARY\\',
    "given_names": "ANNA MARIA",
    "chinese_name": "欧阳测试",
    "document_number": "L898902C3",
    "birth_date": "1974-08-12",
}
"""With what JSON has to escape."""

WITHHELD = {"expiry_date": "claim.check_digit_wrong"}
FIELDS = (*VALUES, *WITHHELD)

SCANNER = LeakScanner([*VALUES.items()], [("birth_date", date(1974, 8, 12))])

ME = pwd.getpwuid(os.getuid()).pw_name
NOBODY = "daemon"
"""A system user that no test runs as."""


def audience(*fields: str, within_s: float = 60.0) -> AudienceSettings:
    """One that may have these fields; without any, one that has no handover."""
    handover = HandoverPolicy(fields, within_s) if fields else None
    return AudienceSettings(("bank", "hotel"), (Kind.TEST,), policy=Policy(handover=handover))


AUDIENCES = {"bank": audience(*FIELDS), "hotel": audience("surname"), "archive": audience()}


class Bench:
    """Attributes:
    requests: what the station was asked.
    gate: set: the station may go on.
    """

    def __init__(self, directory: Path, **users: str) -> None:
        self.directory = directory
        self.fleet = DemoFleet(directory / "pki", fleet="demo-fleet", now=datetime.now(UTC))
        self.anchor = TrustAnchor.from_file(self.fleet.ca)
        server = self.fleet.issue_server("box", ("127.0.0.1",))
        self.socket = directory / "run" / "handover.sock"
        self.settings = HandoverSettings(
            self.socket, users or {"bank": ME}, "127.0.0.1:0", server.key, server.certificate
        )
        self.audiences: Mapping[str, AudienceSettings] = AUDIENCES
        self.within_s = 60.0
        self.requests: list[ScanRequest] = []
        self.held: list[HeldFields] = []
        self.offered: list[bool] = []
        self.cancelled = 0
        self.slips = {"0123456789AB"}
        self.gate = asyncio.Event()
        self.gate.set()
        self.verdict = True

    async def __aenter__(self) -> Self:
        self.journal = await DatabaseThread.open("journal", lambda: Journal(self.directory / JOURNAL_FILE))
        self.service = HandoverService(
            self.settings,
            audiences=self.audiences,
            anchor=self.anchor,
            ca=self.fleet.ca,
            inspect=self._inspect,
            cancel=self._cancel,
            check=self._check,
            notice=self._notice,
            journal=self.journal,
            pseudonym=pseudonymiser(self.directory),
        )
        await self.service.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.service.__aexit__(None, None, None)
        await self.journal.close()

    def _notice(self, scene: str) -> Mapping[str, Any]:
        said: dict[str, Any] = msgspec.to_builtins(self.notice(scene))
        return said

    def notice(self, scene: str) -> Notice:
        """As `Counter.notice` makes it, of this bench's audiences."""
        recipients = [
            Recipient(name, one.policy) for name, one in self.audiences.items() if scene in one.scenes
        ]
        return make_notice(scene, site="Grand Hotel 大酒店", recipients=recipients)

    async def _check(self, request: ScanRequest) -> None:
        if request.supersedes is not None and request.supersedes not in self.slips:
            raise SlipError("slip.no_such_slip")

    async def _cancel(self) -> bool:
        self.cancelled += 1
        return True

    async def _inspect(self, request: ScanRequest) -> Mapping[str, Any]:
        """As `Station.scan`: the inspection goes on whoever waits for it."""
        return await asyncio.shield(asyncio.ensure_future(self._inspected(request)))

    async def _inspected(self, request: ScanRequest) -> Mapping[str, Any]:
        if request.notice not in (None, self.notice(request.scene).sha256):
            return describe_refusal(refusal_of("inspection.notice_changed"))
        self.requests.append(request)
        number = f"{len(self.requests):016x}"
        tell = self.service.publish
        tell(
            {
                "event": "pressed",
                "inspection": number,
                "scene": request.scene,
                "application": request.application,
            }
        )
        tell({"event": "indication", "indication": "place_document"})
        await self.gate.wait()
        tell({"event": "stage", "inspection": number, "stage": "captured", "ms": 1.5})
        reason = {"code": "expiry.expired", "params": {"state": "UTO"}}
        tell({"event": "advice", "inspection": number, "reason": reason, "light": "white"})
        if self.verdict:
            assert request.application is not None
            policy = self.audiences[request.application].policy.handover
            assert policy is not None
            names = policy.fields
            held = HeldFields(
                {name: value for name, value in VALUES.items() if name in names},
                {name: code for name, code in WITHHELD.items() if name in names},
            )
            self.held.append(held)
            offered = await self.service.offer(
                request.application,
                number,
                held,
                asker=request.asker,
                within_s=self.within_s,
                operator=request.operator,
                reference=request.reference,
            )
            self.offered.append(offered)
        tell({"event": "outcome", "inspection": number, "outcome": "committed", "verdict": {"checks": []}})
        check = {"name": "expiry", "check_class": "mandatory", "result": "failed", "reasons": [reason]}
        verdict = {"result": "failed", "checks": [check], "reasons": [reason]}
        return {
            "inspection": number,
            "outcome": "committed" if self.verdict else "aborted",
            "reason": None if self.verdict else {"code": "inspection.cancelled", "params": {}},
            "verdict": verdict if self.verdict else None,
            "notice": self._noticed(request) if self.verdict else None,
        }

    def _noticed(self, request: ScanRequest) -> Any:
        policy = self.audiences[request.application or ""].policy
        told = Told("teller", policy, ("checks", "handover_fields"))
        made = make_noticed(("picture", "mrz"), (told,), consent=request.consent, notice=request.notice)
        return msgspec.to_builtins(made)

    async def entries(self) -> list[Entry]:
        """The journal, oldest first."""
        return (await self.journal.run(lambda journal: journal.entries()))[::-1]

    async def kinds(self) -> list[tuple[str, str | None]]:
        """What the journal says, in short: kind and code."""
        return [(one.kind.removeprefix("handover."), one.detail.get("code")) for one in await self.entries()]

    def files(self) -> bytes:
        """Every file of the state directory together."""
        return b"\0".join(path.read_bytes() for path in sorted(self.directory.glob("journal*")))

    def member(self, name: str = "bank", role: Role = Role.AUDIENCE, usage: Usage = Usage.TLS) -> KeyFiles:
        return self.fleet.issue(role, name, usage)

    @asynccontextmanager
    async def local(self) -> AsyncIterator[Client]:
        client = Client(*await asyncio.open_unix_connection(str(self.socket)))
        try:
            yield client
        finally:
            await client.close()

    @asynccontextmanager
    async def remote(self, files: KeyFiles, ca: Path | None = None) -> AsyncIterator[Client]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(ca or self.fleet.ca)
        context.load_cert_chain(files.certificate, files.key)
        client = Client(*await asyncio.open_connection("127.0.0.1", self.service.port, ssl=context))
        try:
            yield client
        finally:
            await client.close()


class Client:
    """An application as a test speaks for it, line by line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.events: list[dict[str, Any]] = []
        self._number = 0

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def send(self, method: str, **params: Any) -> int:
        self._number += 1
        self.raw(json.dumps({"v": 1, "id": self._number, "method": method, "params": params}).encode())
        return self._number

    def raw(self, line: bytes) -> None:
        self.writer.write(line + b"\n")

    async def line(self) -> bytes:
        """The next line; empty at the end of the connection, however it ended."""
        try:
            return await self.reader.readline()
        except OSError:
            return b""

    async def answer(self) -> dict[str, Any]:
        """The next answer; events before it are kept."""
        while True:
            line = await self.line()
            assert line, "the connection ended"
            found: dict[str, Any] = json.loads(line)
            assert found["v"] == 1
            if "event" not in found:
                return found
            self.events.append(found)

    async def call(self, method: str, **params: Any) -> Any:
        """A result, or the code of a refusal."""
        number = self.send(method, **params)
        found = await self.answer()
        assert found["id"] == number
        return found["error"]["code"] if "error" in found else found["result"]
