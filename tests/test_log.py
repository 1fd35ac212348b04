"""Log lines can't print identity, whatever is given to them, and exceptions are not quoted."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from edged import log
from edged.errors import DecodeError
from edged.identity import Identity, Sensitive
from tests import logging_state

SECRET = "ERIKSSON"


@pytest.fixture
def lines() -> Any:
    stream = io.StringIO()
    with logging_state.restored():
        log.configure("debug", stream=stream)
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def child(
    code: str, *, level: str = "info", stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """A process that logs as ours do and runs `code`; says "still here" when it got to its end."""
    program = f"from edged import log; log.configure({level!r}); exec({code!r}); print('still here')"
    return subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=stderr, text=True)


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
        {Chatty(): 1},
        np.array([SECRET, SECRET]),
    ],
)
def test_identity_is_withheld_however_it_is_wrapped(lines: Any, value: Any) -> None:
    log.get("test").info("reading", found=value)
    (line,) = lines()
    assert SECRET not in json.dumps(line)
    assert line["identity_withheld"] is True
    assert line["part"] == "test"


def test_plain_facts_are_logged(lines: Any) -> None:
    error = DecodeError("mrz", "mrz.unknown_format")
    log.get("test").info(
        "ended", envelopes=3, checks=["expiry"], reason=None, ranges=((1, 2),), seqs={1: 2}, problem=error
    )
    (line,) = lines()
    assert (line["envelopes"], line["checks"], line["reason"]) == (3, ["expiry"], None)
    assert (line["ranges"], line["seqs"]) == ([[1, 2]], {"1": 2})
    assert line["problem"] == "mrz: mrz.unknown_format"
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
    done = child(crash)
    assert SECRET not in done.stderr + done.stdout
    assert json.loads(done.stderr.splitlines()[-1])["error"]["type"] == "ValueError"


FAILING_FINALISER = f"""
class Chatty:
    def __repr__(self): return "{SECRET}"
    def __del__(self): int("{SECRET}")
Chatty()
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (FAILING_FINALISER, {"raised": "ValueError", "level": "error", "part": "process"}),
        (f"import warnings; warnings.warn('{SECRET}')", {"type": "UserWarning", "where": "<string>:1"}),
        (
            f"import logging; logging.getLogger('paho').critical('sent %s', '{SECRET}')",
            {"event": "a library complained", "library": "paho"},
        ),
        (f"import logging; logging.getLogger('paho').critical('%d', '{SECRET}')", {"library": "paho"}),
    ],
    ids=["finaliser", "warning", "library", "library that logs wrongly"],
)
def test_what_nobody_logs_on_purpose_is_told_by_type_and_place(code: str, said: dict[str, str]) -> None:
    done = child(code)
    assert SECRET not in done.stderr + done.stdout
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert line.items() >= said.items()
    assert done.stdout == "still here\n"


SEVERAL_LINES = "for n in range(3): log.get('test').info('something', n=n)"


def test_a_full_disk_stops_the_log_and_nothing_else() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = child(SEVERAL_LINES, stderr=full)
    finally:
        os.close(full)
    assert (done.stdout, done.returncode) == ("still here\n", 0)


def test_a_reader_that_has_gone_stops_the_log_and_nothing_else() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = child(SEVERAL_LINES, stderr=writing)
    finally:
        os.close(writing)
    assert (done.stdout, done.returncode) == ("still here\n", 0)


def test_a_reader_that_stopped_reading_is_not_waited_for_and_hears_how_much_it_missed() -> None:
    code = """
import os, sys
for n in range(2000): log.get('test').info('x' * 100, n=n)
print('not held up', flush=True)
sys.stdin.readline()
log.get('test').info('last')
"""
    with subprocess.Popen(
        [sys.executable, "-c", f"from edged import log; log.configure('info'); exec({code!r})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "not held up\n"
        first = [json.loads(process.stderr.readline()) for _ in range(100)]
        process.stdin.write("\n")
        process.stdin.close()
        lines = first + [json.loads(line) for line in process.stderr]
    told = [line["n"] for line in lines if "n" in line]
    (note,) = [line for line in lines if "lost" in line]
    assert told == list(range(len(told)))
    assert len(told) + note["lost"] == 2000
    assert lines[-1]["event"] == "last"


def test_a_process_without_a_standard_error_runs_all_the_same() -> None:
    program = f"from edged import log; log.configure('info')\n{SEVERAL_LINES}"
    command = f'exec {sys.executable} -c "$0" 2>&-'
    assert subprocess.run(["sh", "-c", command, program]).returncode == 0
