"""The first message of a kind may come to two threads at once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from __future__ import annotations

import sys
import threading

import msgspec

from edged.uplink.fields import parse

read = []


def meanwhile():
    # Called in the middle of msgspec's first look at Outer. The other thread must wait until that look is over, so all
    # that can be waited for here is that it had every opportunity not to.
    other.start()
    other.join(0.5)
    return int


class Inner(msgspec.Struct):
    number: meanwhile()


class Outer(msgspec.Struct):
    first: Inner
    name: str


def decode():
    read.append(parse(b'{"first":{"number":1},"name":"x"}', Outer, "gap.malformed"))


other = threading.Thread(target=decode)
decode()
other.join(10)
sys.exit(0 if len(read) == 2 and read[0] == read[1] else 1)
"""


def test_two_threads_may_read_the_first_message_of_a_kind() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
