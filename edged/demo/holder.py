"""What people at the counter get: the teller's application its fields, the holder a slip that anybody can verify."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from edged.demo.present import Difference
from edged.errors import OutputError
from edged.fleet.former_keys import signing_key
from edged.slip import claims, content, cose, url, verifying
from edged.uplink import directory
from edged.uplink.names import Role, Usage
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.sign import Signer

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from edged.control import ControlClient
    from edged.demo.present import Presenter
    from edged.demo.stage import Stage
    from edged.slip.facts import SlipFacts

_LIFE: Final = timedelta(days=1)


class Teller:
    """An application on the counter: one request at a time on the handover socket (`docs/integration.md`)."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def __aenter__(self) -> Self:
        """Connect."""
        self._reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave; what was not taken is overwritten by that."""
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer: `result` or `error`."""
        self._writer.write(json.dumps({"v": 1, "id": 1, "method": method, "params": params}).encode() + b"\n")
        await self._writer.drain()
        answer: dict[str, Any] = json.loads(await self._reader.readline())
        return answer


async def give_slip(stage: Stage, presenter: Presenter, control: ControlClient) -> list[Difference]:
    """The newest slip as a PDF, and its code verified as any passer-by could; what was not as it should be."""
    answer = await control.call("slip_get", output="pdf")
    facts = claims.decode(cose.parse(url.parse(answer["url"])).payload)
    try:
        file = await asyncio.to_thread(_draw, stage.slips, facts, answer["url"])
    except OutputError as error:
        presenter.note("demo.slip_not_drawn", reason=error.code)
    else:
        presenter.note("demo.slip_made", number=answer["number"], file=file)
    signed = await asyncio.to_thread(_directory, stage)
    now = datetime.now(UTC)
    verdicts = [
        verifying.verify(text, signed, at=now).verdict for text in (answer["url"], _changed(answer["url"]))
    ]
    presenter.note("demo.slip_verified", verdict=verdicts[0], changed=verdicts[1])
    return [
        Difference("slip", found, wanted)
        for found, wanted in zip(verdicts, ("genuine", "altered"), strict=True)
        if found != wanted
    ]


def _draw(home: Path, facts: SlipFacts, text: str) -> Path:
    from edged.slip import pdf
    from edged.slip.faces import installed
    from edged.slip.layout import A6, lay_out

    faces = installed()
    page = lay_out(content.lines(facts), text, content.watermark(facts), A6, faces)
    home.mkdir(mode=0o700, exist_ok=True)
    path = home / f"{facts.number}.pdf"
    path.write_bytes(pdf.pdf(page, faces))
    return path


def _changed(text: str) -> str:
    """The same with one character of its signature changed."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def _directory(stage: Stage) -> directory.Directory:
    """The fleet's signed directory, as an admin publishes it, opened as a verifier does."""
    now = datetime.now(UTC)
    admin = stage.fleet.issue(Role.ADMIN, "admin", Usage.SIGNING)
    signer = Signer.from_files(admin.key, admin.certificate)
    certificate = load_chain(stage.certificate.read_bytes())[0]
    member = directory.Member(stage.device, (signing_key(certificate),))
    page = directory.DirectoryPage(devices=(member,), certificates=(), revoked=())
    data = directory.seal_page(page)
    head = directory.DirectoryHead(
        iss=signer.principal.name,
        fleet=signer.principal.fleet,
        iat=int(now.timestamp()),
        exp=int((now + _LIFE).timestamp()),
        version=1,
        anchors=TrustAnchor.from_file(stage.fleet.ca).sha256,
        collectors=(),
        audiences=(),
        admins=(),
        certificates=(),
        revoked=(),
        devices=1,
        pages=(hashlib.sha256(data).hexdigest(),),
    )
    compact = directory.seal_head(head, signer)
    opened, name = directory.open_head(compact, anchor=TrustAnchor.from_file(stage.fleet.ca), at=now)
    return directory.Directory(opened, (directory.open_page(data)[0],), name)
