"""Log lines can't print identity, whatever is given to them, and exceptions are not quoted."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest
import structlog

from edged import log
from edged.errors import DecodeError
from edged.identity import Identity, Sensitive

SECRET = "ERIKSSON"


@pytest.fixture
def lines() -> Any:
    stream = io.StringIO()
    hook, thread_hook = sys.excepthook, __import__("threading").excepthook
    log.configure("debug", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    sys.excepthook, __import__("threading").excepthook = hook, thread_hook


class Holder(Identity):
    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name = SECRET


class Chatty:
    def __repr__(self) -> str:
        return SECRET


@pytest.mark.parametrize(
    "value",
    [
        Sensitive(SECRET),
        Holder(),
        [Sensitive(SECRET)],
        {"deep": ({"er": [Holder()]},)},
        {Sensitive(SECRET): 1},
        Chatty(),
        [Chatty()],
    ],
)
def test_identity_is_withheld_however_it_is_wrapped(lines: Any, value: Any) -> None:
    log.get("test").info("reading", found=value)
    (line,) = lines()
    assert SECRET not in json.dumps(line)
    assert line["identity_withheld"] is True
    assert line["part"] == "test"


def test_plain_facts_are_logged(lines: Any) -> None:
    log.get("test").info("inspection ended", envelopes=3, checks=["expiry"], reason=None)
    (line,) = lines()
    assert (line["envelopes"], line["checks"], line["reason"]) == (3, ["expiry"], None)
    assert "identity_withheld" not in line


def test_a_foreign_exception_is_named_but_not_quoted(lines: Any) -> None:
    try:
        int(SECRET)
    except ValueError as error:
        log.get("test").error("failed", exc_info=error)
    (line,) = lines()
    assert line["error"]["type"] == "ValueError"
    assert line["error"]["where"][-1].startswith("test_log.py:")
    assert SECRET not in json.dumps(line)


def test_our_own_exception_is_quoted_and_its_cause_is_not(lines: Any) -> None:
    try:
        try:
            int(SECRET)
        except ValueError as cause:
            raise DecodeError("mrz", "mrz.unknown_format") from cause
    except DecodeError:
        log.get("test").error("failed", exc_info=True)
    (line,) = lines()
    assert line["error"]["text"] == "mrz: mrz.unknown_format"
    assert line["error"]["cause"] == {
        "type": "ValueError",
        "where": line["error"]["cause"]["where"],
    }
    assert SECRET not in json.dumps(line)


def test_a_group_of_exceptions_is_described(lines: Any) -> None:
    group = ExceptionGroup("tasks", [ValueError(SECRET), DecodeError("mrz", "mrz.unknown_format")])
    log.get("test").error("failed", exc_info=group)
    (line,) = lines()
    assert [error["type"] for error in line["error"]["errors"]] == ["ValueError", "DecodeError"]
    assert SECRET not in json.dumps(line)


@pytest.mark.parametrize(
    "crash",
    [
        f"raise ValueError('{SECRET}')",
        f"import threading; t = threading.Thread(target=lambda: int('{SECRET}')); t.start(); t.join()",
        f"import asyncio; asyncio.run(asyncio.wait_for(asyncio.to_thread(int, '{SECRET}'), 1))",
    ],
)
def test_an_uncaught_exception_of_a_process_is_not_quoted(crash: str) -> None:
    code = f"from edged import log; log.configure('info'); exec({crash!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert SECRET not in done.stderr + done.stdout
    assert json.loads(done.stderr.splitlines()[-1])["error"]["type"] == "ValueError"
