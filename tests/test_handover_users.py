"""The local socket and real users of the system: one is let in, others are told, none reaches the control socket."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.control import ControlServer
from edged.handover import peers
from tests.handover_bench import VALUES, Bench

TELLER, STRANGER = "daemon", "games"
"""Two users that every Debian has, and that run nothing here."""

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may become other users")

SPEAK = """
import json, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
talk = line.makefile("rw")
for request in json.loads(sys.argv[2]):
    print(json.dumps(request), file=talk, flush=True)
    print(talk.readline(), end="", flush=True)
"""


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A directory that every user may enter, as /run; pytest's own are closed."""
    found = Path(tempfile.mkdtemp(prefix="edged-users-", dir="/tmp"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found)


async def speak(
    user: str, path: Path, *methods: str, **params: Any
) -> tuple[int | None, list[dict[str, Any]]]:
    """What a process of `user` hears there; its exit status is 1 when it can't even connect."""
    found = pwd.getpwnam(user)
    requests = [
        {"v": 1, "id": number, "method": method, "params": params} for number, method in enumerate(methods)
    ]
    process = await asyncio.create_subprocess_exec(
        *("/usr/bin/env", "-i", "/usr/bin/python3", "-I", "-c", SPEAK, str(path), json.dumps(requests)),
        user=found.pw_uid,
        group=found.pw_gid,
        extra_groups=(),
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    return process.returncode, [json.loads(line) for line in out.splitlines()]


async def test_the_named_user_is_let_in_and_no_other(everybodys: Path) -> None:
    before = os.umask(0o077)  # as the unit has it
    try:
        async with Bench(everybodys, bank=TELLER) as bench:
            assert bench.socket.stat().st_mode & 0o777 == 0o666
            assert bench.socket.parent.stat().st_mode & 0o777 == 0o755
            _, told = await speak(TELLER, bench.socket, "hello", "inspect")
            assert told[0]["result"]["audience"] == "bank"
            assert told[1]["result"]["handover"]["fields"] == list(VALUES)
            for user in (STRANGER, "root", "nobody"):
                _, told = await speak(user, bench.socket, "hello")
                assert told == [{"v": 1, "id": None, "error": {"code": "handover.unknown_user"}}], user
            assert len(bench.requests) == 1
    finally:
        os.umask(before)


async def test_an_application_s_user_does_not_reach_the_control_socket(everybodys: Path) -> None:
    before = os.umask(0o077)
    try:
        path = everybodys / "control" / "control.sock"
        async with ControlServer(path, {}):
            assert (await speak(TELLER, path, "status"))[0] == 1
    finally:
        os.umask(before)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare (util-linux) is not installed")
async def test_without_the_drop_in_the_daemon_can_t_tell_users_apart_and_says_so() -> None:
    """A service with PrivateUsers= is in such a namespace: it knows root and itself."""
    code = f"from edged.handover.peers import user_ids; user_ids({{'bank': {TELLER!r}}})"
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--user", "--map-root-user", sys.executable, "-c", code),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if b"unshare failed" in errors:
        pytest.skip("this machine allows no user namespaces")
    assert b"handover.user_not_seen" in errors
    assert peers.user_ids({"bank": TELLER}) == {pwd.getpwnam(TELLER).pw_uid: "bank"}
