"""Every command explains itself in every language, and tables line up in all of them."""

from __future__ import annotations

import argparse
import unicodedata
from typing import TYPE_CHECKING

import pytest

from edged import messages
from edged.cli import COMMANDS, main
from edged.commands._table import show_pairs, show_table

if TYPE_CHECKING:
    from collections.abc import Iterator


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


def command(name: str, lang: str) -> argparse.ArgumentParser:
    """The whole of one command."""
    from edged.cli import _parser

    return _parser([name], lang)


@pytest.mark.parametrize("lang", messages.LANGUAGES)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_is_there_in_every_language(name: str, lang: str) -> None:
    found = [one for one in parsers(command(name, lang)) if f" {name}" in one.prog]
    assert found
    for parser in found:
        text = parser.format_help()
        assert "help." not in text.replace("--help", ""), parser.prog
        assert "%(" not in text, parser.prog
        assert "%%" not in text, parser.prog
        for action in parser._actions:
            said = action.help
            if isinstance(
                action, argparse._SubParsersAction | argparse._HelpAction | argparse._VersionAction
            ):
                continue
            assert said == argparse.SUPPRESS or (said and messages.known(said)), (parser.prog, action.dest)


def test_the_help_that_once_choked_on_a_sign_of_per_cent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fleet", "rollout", "start", "--help"])
    assert ended.value.code == 0
    assert "%" in capsys.readouterr().out


def columns(line: str) -> int:
    """Where a terminal shows the last word."""
    before = line[: line.rindex(" ") + 1]
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in before)


def test_wide_characters_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["终端", "x"], [("box-1", "y"), ("第三号终端", "z")])
    show_pairs([("名称", "x"), ("name-of-it", "y")])
    lines = capsys.readouterr().out.splitlines()
    assert {columns(line) for line in lines[:3]} == {12}
    assert {columns(line) for line in lines[3:]} == {12}
