"""The clients of docs/examples as processes, against the real service: their fields, once; every refusal understood."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged import messages
from edged.demo.fleet import DemoFleet
from edged.uplink.names import Role, Usage
from edged.uplink.revoked import Revocations
from tests.handover_bench import NOBODY, SCANNER, VALUES, WITHHELD, Bench
from tests.waiting import until

if TYPE_CHECKING:
    from edged.demo.fleet import KeyFiles

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
PYTHON, NODE = EXAMPLES / "handover_client.py", EXAMPLES / "handover_client.mjs"

COMMANDS = {
    "python": (sys.executable, "-I", str(PYTHON)),
    "node": (shutil.which("node") or "", str(NODE)),
}

needs_node = pytest.mark.skipif(not COMMANDS["node"][0], reason="Node.js (nodejs) is not installed")
both = pytest.mark.parametrize("client", ["python", pytest.param("node", marks=needs_node)])


async def start(client: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *("env", "--default-signal=INT"),  # a shell's background jobs ignore it
        *COMMANDS[client],
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ran(client: str, *arguments: str) -> tuple[int | None, str, str]:
    """Exit status, standard output, standard error."""
    process = await start(client, *arguments)
    out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


async def told(client: str, *arguments: str) -> tuple[int | None, dict[str, Any]]:
    status, out, errors = await ran(client, *arguments, "--json")
    assert errors == ""
    return status, json.loads(out)


def local(bench: Bench) -> tuple[str, ...]:
    return "--socket", str(bench.socket)


def remote(bench: Bench, files: KeyFiles) -> tuple[str, ...]:
    place = ("--host", "127.0.0.1", "--port", str(bench.service.port), "--ca", str(bench.fleet.ca))
    return *place, "--cert", str(files.certificate), "--key", str(files.key)


@both
@pytest.mark.parametrize("way", ["socket", "tls"])
async def test_exactly_its_fields_once(client: str, way: str, tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        where = local(bench) if way == "socket" else remote(bench, bench.member())
        shown = bench.notice("bank").sha256
        asked = (
            "--scene",
            "bank",
            "--reference",
            "T-1",
            "--operator",
            "anna",
            "--consent",
            "--notice",
            shown,
        )
        status, said = await told(client, *where, *asked, "--values")
        assert status == 0
        assert said["fields"] == VALUES
        assert said["withheld"] == WITHHELD
        assert bench.requests[0].reference == "T-1"
        assert (bench.requests[0].consent, bench.requests[0].notice) == (True, shown)
        assert (said["notice"]["consent"], said["notice"]["notice"]) == (True, shown)
        status, said = await told(client, *where, "--twice")
        assert (status, said["error"]) == (75, "handover.taken_already")
        assert [kind for kind, _ in await bench.kinds()] == [
            "offered",
            "taken",
            "offered",
            "taken",
            "refused",
        ]
        assert SCANNER.scan(bench.files()) == []


@both
async def test_a_person_sees_progress_and_names_alone(client: str, tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        status, out, errors = await ran(client, *local(bench))
    assert status == 0
    assert "Lay the document into the window." in errors
    assert "birth_date, chinese_name, document_number, given_names, surname" in out
    assert "expiry_date (claim.check_digit_wrong)" in out
    assert SCANNER.scan((out + errors).encode()) == []


@both
@pytest.mark.parametrize("lang", ["en", "zh-CN"])
async def test_the_holder_is_told_before_and_after(client: str, lang: str, tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        notice = bench.notice("hotel")
        shown = ("--show-notice", "--scene", "hotel", "--lang", lang)
        status, out, _ = await ran(client, *local(bench), *shown)
        assert (status, out.splitlines()) == (0, list(notice.lines[lang]))
        assert (await told(client, *local(bench), *shown))[1]["sha256"] == notice.sha256
        assert bench.requests == []
        status, out, errors = await ran(client, *local(bench), "--scene", "hotel", "--lang", lang)
        assert status == 0
        assert errors.startswith("\n".join(notice.lines[lang]))
        assert out.startswith(messages.text("noticed.title", lang))
        assert (bench.requests[0].consent, bench.requests[0].notice) == (False, notice.sha256)


@both
async def test_a_notice_that_has_changed_and_a_slip_that_is_none_of_the_terminals(
    client: str, tmp_path: Path
) -> None:
    async with Bench(tmp_path) as bench:
        changed = ("--consent", "--notice", "0" * 64)
        assert (await told(client, *local(bench), *changed))[1]["error"] == "inspection.notice_changed"
        status, said = await told(client, *local(bench), "--supersedes", "ZZZZZZZZZZZZ")
        assert (status, said["error"]) == (65, "slip.no_such_slip")
        assert bench.requests == []
        assert (await told(client, *local(bench), "--supersedes", "0123456789AB"))[0] == 0
        assert bench.requests[0].supersedes == "0123456789AB"


@both
async def test_another_application_gets_its_own_fields_alone(client: str, tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        status, said = await told(client, *remote(bench, bench.member("hotel")), "--values")
        assert (status, said["fields"]) == (0, {"surname": VALUES["surname"]})
        status, said = await told(client, *remote(bench, bench.member("archive")))
        assert (status, said["error"]) == (77, "handover.not_allowed")


@both
async def test_who_may_not_is_told_so(client: str, tmp_path: Path) -> None:
    async with Bench(tmp_path, bank=NOBODY) as bench:
        assert (await told(client, *local(bench)))[1]["error"] == "handover.unknown_user"
        files = bench.member()
        device = bench.member("box-1", Role.DEVICE)
        assert (await told(client, *remote(bench, device)))[1]["error"] == "handover.not_an_application"
        foreign = DemoFleet(tmp_path / "other", fleet="demo-fleet", now=datetime.now(UTC))
        stranger = foreign.issue(Role.AUDIENCE, "bank", Usage.TLS)
        assert (await told(client, *remote(bench, stranger)))[0] == 69
        bench.anchor.revoke("directory", Revocations(principals={("audience", "bank"): 1}))
        assert await told(client, *remote(bench, files)) == (
            77,
            {"error": "cert.revoked", "detail": "Call the administrator of the terminals."},
        )
        assert bench.requests == []


@both
async def test_a_terminal_of_another_fleet_is_not_believed(client: str, tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        foreign = DemoFleet(tmp_path / "other", fleet="demo-fleet", now=datetime.now(UTC))
        arguments = remote(bench, bench.member())
        status, said = await told(client, *arguments, "--ca", str(foreign.ca))
        assert (status, said["error"]) == (69, "unreachable")
        assert bench.requests == []


@both
async def test_nobody_there(client: str, tmp_path: Path) -> None:
    status, said = await told(client, "--socket", str(tmp_path / "none.sock"))
    assert (status, said["error"]) == (69, "unreachable")


@both
async def test_an_inspection_without_fields(client: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.verdict = False
    async with bench:
        status, said = await told(client, *local(bench))
    assert status == 1
    assert (said["outcome"], said["reason"], said["fields"]) == ("aborted", "inspection.cancelled", [])


@both
async def test_a_terminal_that_stops(client: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.gate.clear()
    async with bench:
        process = await start(client, *local(bench), "--json")
        await until(lambda: bench.requests)
        await bench.service.__aexit__(None, None, None)
        out, _ = await process.communicate()
        assert (process.returncode, json.loads(out)["error"]) == (69, "lost")
        await bench.service.__aenter__()


@both
async def test_ctrl_c_cancels_the_inspection(client: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.gate.clear()
    bench.verdict = False
    async with bench:
        process = await start(client, *local(bench), "--json")
        await until(lambda: bench.requests)
        process.send_signal(2)
        await until(lambda: bench.cancelled)
        bench.gate.set()
        out, _ = await process.communicate()
        assert (process.returncode, json.loads(out)["reason"]) == (1, "inspection.cancelled")


@both
@pytest.mark.parametrize(
    "wrong",
    [(), ("--host", "127.0.0.1"), ("--socket", "x", "--values"), ("--socket", "x", "--json", "--consent")],
)
async def test_wrong_arguments(client: str, wrong: tuple[str, ...]) -> None:
    status, out, errors = await ran(client, *wrong)
    assert status in (2, 64)
    assert out == ""
    assert "--" in errors


def sent() -> set[str]:
    """Every code that the service may refuse with: what its source says."""
    found = {"handover.taken_already", "inspection.notice_changed", "slip.training_replaces_nothing"}
    found |= {"slip.no_such_slip", "slip.not_replaceable", "slip.not_configured", "slip.too_many_withdrawn"}
    for path in (ROOT / "edged" / "handover").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and re.fullmatch(
                r"(handover|inspection)\.[a-z_]+", str(node.value)
            ):
                found.add(str(node.value))
    roles = (ROOT / "edged" / "uplink" / "roles.py").read_text(encoding="utf-8")
    found |= set(re.findall(r'"(cert\.[a-z_]+)"', roles)) | {"cert.revoked"}
    return found - {
        "handover.unusable",
        "handover.no_such_user",
        "handover.same_user",
        "handover.user_not_seen",
        "cert.unreadable",
        "handover.json",
    }


def test_the_clients_and_the_page_know_every_code() -> None:
    codes = sent()
    assert len(codes) > 25
    for page in (PYTHON, NODE, ROOT / "docs" / "integration.md"):
        text = page.read_text(encoding="utf-8")
        assert {code for code in codes if code not in text} == set(), page.name
        named = set(re.findall(r"\b(?:handover|cert|slip)\.[a-z_]+\b(?!\()", text))
        assert named - codes <= {"handover.sock", "handover.users", "handover.conf"}, page.name
