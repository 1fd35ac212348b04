"""The journal of commands under power cuts: what was begun is never new again, what was answered keeps its answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edged.pushed.command_journal import FILE, CommandJournal
from edged.uplink.command import Command, Signed
from tests.broker import FLEET
from tests.proof.outbox_subjects import BEGIN, DEVICE, Keys, sound

ROUNDS = 14
START = int(BEGIN.timestamp())


def _signed(number: int) -> Signed:
    command = Command(
        *("ops", FLEET, DEVICE, f"c-{number}", "status", {}, START + number, START + number + 60)
    )
    return Signed(command, f"{number:064x}")


class Commands:
    """A box is told things, does them, goes down between any two writes."""

    def __init__(self, keys: Keys) -> None:
        assert keys.anchor.fleet == FLEET

    def prepare(self, home: Path) -> list[dict[str, Any]]:
        """Nothing is there before."""
        return []

    def work(self, home: Path, promise: Callable[..., None], chance: random.Random) -> None:
        journal = CommandJournal.open(home / FILE, START)
        for number in range(ROUNDS):
            now = START + number
            journal.tidy(now)
            journal.begin(_signed(number), now)
            promise(done=number)  # from here on the light may blink, the key may be changed
            if chance.random() < 0.8:
                attachment = chance.randbytes(chance.randrange(9000)) if chance.random() < 0.5 else None
                restarting = chance.random() < 0.2
                journal.answer(
                    f"c-{number}", result={"n": number}, attachment=attachment, restarting=restarting, now=now
                )
                promise(answered=number, bytes=None if attachment is None else len(attachment))
            if chance.random() < 0.5:
                answer = journal.untold()
                if answer is not None:
                    journal.told(answer)
        journal.close()

    def check(self, home: Path, promises: list[dict[str, Any]]) -> None:
        done = {one["done"] for one in promises if "done" in one}
        answered = {one["answered"]: one["bytes"] for one in promises if "answered" in one}
        journal = CommandJournal.open(home / FILE, START + ROUNDS)
        try:
            sound(home / FILE)
            assert not (home / (FILE + ".broken")).exists(), "a power cut is no broken file"
            for number in done:
                assert journal.find(_signed(number)) not in ("new", "running"), (
                    f"command {number} could be done again"
                )
                journal.tell_again(f"c-{number}")
            while (answer := journal.untold()) is not None:
                number = int(answer.signed.command.id[2:])
                if number in answered:
                    size = None if answer.attachment is None else len(answer.attachment)
                    assert (answer.code, answer.result, size) == ("ok", {"n": number}, answered[number])
                else:
                    assert answer.code in ("command.interrupted", "ok")
                journal.told(answer)
        finally:
            journal.close()
