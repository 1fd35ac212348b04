"""The journal of commands: nothing is done twice, whatever became of box, file and clock in between."""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edged.errors import SignatureRefusedError
from edged.pushed import command_journal
from edged.pushed.command_journal import FILE, KEPT_S, Answer, CommandJournal
from edged.uplink.command import MAX_ATTACHMENT, MAX_LIFE_S, OK, SKEW_S, Signed
from tests.command_bench import START, signed

if TYPE_CHECKING:
    from pathlib import Path


def opened(directory: Path, now: int = START) -> CommandJournal:
    return CommandJournal.open(directory / FILE, now)


def code_of(journal: CommandJournal, one: Signed, now: int = START) -> str:
    """Why a command isn't begun; "" when it is."""
    journal.tidy(now)
    try:
        journal.begin(one, now)
    except SignatureRefusedError as error:
        return error.code
    return ""


def told(journal: CommandJournal) -> list[Answer]:
    """Every answer that is to be told, told."""
    answers = []
    while (answer := journal.untold()) is not None:
        answers.append(answer)
        journal.told(answer)
    return answers


def test_an_answer_is_told_once_and_again_when_asked(tmp_path: Path) -> None:
    journal, one = opened(tmp_path), signed()
    assert journal.find(one) == "new"
    journal.begin(one, START)
    assert journal.find(one) == "running"
    assert journal.untold() is None
    journal.answer("c-1", result={"a": 1}, attachment=b"file", now=START + 1)
    assert journal.find(one) == "answered_with_file"
    first = told(journal)
    assert first == [Answer(one, OK, {"a": 1}, b"file", START + 1, None)]
    assert told(journal) == []
    journal.close()
    again = opened(tmp_path, START + 50)
    assert told(again) == []
    again.tell_again("c-1")
    assert told(again) == first


def test_the_same_id_with_another_content_is_refused(tmp_path: Path) -> None:
    journal, other = opened(tmp_path), signed(sha256="1" * 64)
    journal.begin(signed(), START)
    with pytest.raises(SignatureRefusedError, match=r"command\.id_reused"):
        journal.find(other)
    assert code_of(journal, other) == "command.id_reused"


def test_what_was_begun_when_the_box_went_down_is_answered_so(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.begin(signed(), START)
    journal.close()
    again = opened(tmp_path, START + 9)
    assert again.find(signed()) == "answered"
    assert told(again) == [Answer(signed(), "command.interrupted", {}, None, START + 9, None)]


def test_a_restart_is_answered_before_and_completed_after(tmp_path: Path) -> None:
    journal, one = opened(tmp_path), signed("restart")
    journal.begin(one, START)
    journal.answer("c-1", result={"restarted": False}, restarting=True, now=START)
    assert [answer.restarted for answer in told(journal)] == [None]
    assert journal.find(one) == "answered"
    journal.close()
    again = opened(tmp_path, START + 9)
    assert told(again) == [Answer(one, OK, {"restarted": False}, None, START, START + 9)]


def test_a_restart_that_failed_is_said_to_have(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.begin(signed("restart"), START)
    journal.answer("c-1", result={}, restarting=True, now=START)
    journal.answer("c-1", code="command.failed", result={}, now=START + 1)
    assert [answer.code for answer in told(journal)] == ["command.failed"]


def test_an_answer_given_while_another_is_told_is_told_too(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.begin(signed("restart"), START)
    journal.answer("c-1", result={}, restarting=True, now=START)
    first = journal.untold()
    assert first is not None
    journal.answer("c-1", code="command.failed", result={}, now=START + 1)
    journal.told(first)
    assert [answer.code for answer in told(journal)] == ["command.failed"]


def test_rows_go_long_after_expiry_and_nothing_slips_through(tmp_path: Path) -> None:
    journal, one = opened(tmp_path), signed()
    journal.begin(one, START)
    journal.answer("c-1", result={}, now=START)
    late = one.command.exp + KEPT_S
    journal.tidy(late)
    assert journal.find(one) == "answered"
    journal.tidy(late + 1)
    assert journal.find(one) == "new"
    assert code_of(journal, one, START) == "command.expired"  # the clock was set back
    assert code_of(journal, signed(identifier="c-2", exp=one.command.exp), START) == "command.expired"
    assert code_of(journal, signed(identifier="c-3", exp=one.command.exp + 1), START) == ""


def test_rows_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_journal, "MAX_ROWS", 2)
    journal = opened(tmp_path)
    codes = [code_of(journal, signed(identifier=f"c-{n}")) for n in range(3)]
    assert codes == ["", "", "command.journal_full"]


def test_files_are_bounded_and_a_repeat_hears_that_they_are_gone(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(10):
        journal.begin(signed(identifier=f"c-{number}"), START + number)
        journal.answer(f"c-{number}", result={}, attachment=bytes(MAX_ATTACHMENT), now=START + number)
    answers = told(journal)
    assert [answer.code for answer in answers] == ["command.answer_gone"] * 2 + [OK] * 8
    assert [answer.attachment for answer in answers][:2] == [None, None]


def test_a_broken_file_costs_an_hour_and_never_a_repetition(tmp_path: Path) -> None:
    journal, old = opened(tmp_path), signed(exp=START + MAX_LIFE_S)
    journal.begin(old, START)
    journal.answer("c-1", result={}, now=START)
    journal.close()
    (tmp_path / FILE).write_bytes(b"SQLite format 3\0" + random.Random(1).randbytes(8000))
    again = opened(tmp_path, 0)  # a clock that nobody had set yet
    assert (tmp_path / (FILE + ".broken")).exists()
    now = START + 60
    assert code_of(again, old, now) == "command.journal_lost"
    again.close()
    again = opened(tmp_path, now)
    until = now + SKEW_S + MAX_LIFE_S
    assert code_of(again, signed(identifier="c-2", exp=until), now + 1000) == "command.journal_lost"
    assert code_of(again, signed(identifier="c-3", exp=until + 1), now + 1000) == ""


@pytest.mark.parametrize("change", ["command = x'00'", "result = x'7b'"])
def test_rows_that_say_nothing_are_a_broken_file(tmp_path: Path, change: str) -> None:
    """Found when it is opened: found when it is to be told, it would end the box at every start."""
    journal = opened(tmp_path)
    journal.begin(signed(), START)
    journal.answer("c-1", result={}, now=START)
    journal.close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"UPDATE command SET {change}")
    connection.close()
    again = opened(tmp_path)
    assert (tmp_path / (FILE + ".broken")).exists()
    assert again.untold() is None
    assert code_of(again, signed()) == "command.journal_lost"


@pytest.mark.parametrize("seed", range(6))
def test_a_file_with_broken_pages_is_set_aside_or_read(tmp_path: Path, seed: int) -> None:
    journal = opened(tmp_path)
    for number in range(40):
        journal.begin(signed(identifier=f"c-{number}"), START)
        journal.answer(f"c-{number}", result={"a": "x" * 500}, now=START)
    journal.close()
    data = bytearray((tmp_path / FILE).read_bytes())
    chance = random.Random(seed)
    for _ in range(3):
        at = chance.randrange(4096, len(data))
        data[at : at + 200] = chance.randbytes(len(data[at : at + 200]))
    (tmp_path / FILE).write_bytes(data)
    again = opened(tmp_path)
    told(again)
    assert code_of(again, signed(identifier="c-99")) in ("", "command.journal_lost")


class Histories(RuleBasedStateMachine):
    """However commands come, repeat, crash and expire: each is begun once at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.begun: list[str] = []
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.row_factory = sqlite3.Row
        for statement in command_journal._SCHEMA.split(";"):
            connection.execute(statement)
        self.journal = CommandJournal(connection)

    @rule(number=st.integers(0, 5), born=st.integers(0, 3), life=st.integers(1, MAX_LIFE_S))
    def arrives(self, number: int, born: int, life: int) -> None:
        one = signed(identifier=f"c-{number}", sha256=f"{born:x}" * 64, exp=START + born * KEPT_S + life)
        if one.command.exp < self.now:
            return
        try:
            if self.journal.find(one) != "new":
                return
        except SignatureRefusedError:
            return
        if code_of(self.journal, one, self.now) == "":
            self.begun.append(f"{one.command.id} {one.sha256} {one.command.exp}")

    @rule(number=st.integers(0, 5))
    def is_answered(self, number: int) -> None:
        row = self.journal._row(f"c-{number}")
        if row is not None and row["state"] == "begun":
            self.journal.answer(f"c-{number}", result={}, now=self.now)

    @rule()
    def crashes(self) -> None:
        self.journal._settle(self.now)

    @rule(seconds=st.integers(-2 * KEPT_S, 2 * KEPT_S))
    def time_passes_or_is_set_back(self, seconds: int) -> None:
        self.now = max(self.now + seconds, START)

    @invariant()
    def nothing_was_begun_twice(self) -> None:
        assert len(self.begun) == len(set(self.begun))


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
