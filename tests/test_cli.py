"""The `edged` command: help, version, usage errors, and that it stays light."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edged import __version__, messages
from edged.cli import COMMANDS, main
from edged.commands import scan, status
from edged.commands._parser import speaking, usage_error
from edged.errors import ConfigError, ControlError, EdgedError, StateError
from edged.pushed.steps import Report


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"edged {__version__}\n"


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_help_names_every_command(lang: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help", "--lang", lang])
    assert ended.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert all(
        name in printed and messages.text(command.help, lang) in printed for name, command in COMMANDS.items()
    )
    assert printed.count(messages.text("help.options", lang)) == 1


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "--lang" in capsys.readouterr().out


def texts(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Everything a parser and its subparsers may show to a person."""
    yield from (text for text in (parser.description, parser.epilog) if text)
    for action in parser._actions:
        hidden = action.help is None or action.help is argparse.SUPPRESS  # shown to nobody
        if not hidden and "--help" not in action.option_strings:
            yield str(action.help)
        if isinstance(action, argparse._SubParsersAction):
            yield from (str(pseudo.help) for pseudo in action._choices_actions)
            for subparser in action.choices.values():
                yield from texts(subparser)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_help_text_is_in_the_catalogue(name: str) -> None:
    parser = speaking("en")()
    importlib.import_module(COMMANDS[name].module).add_arguments(parser)
    unknown = [text for text in texts(parser) if not messages.known(text)]
    assert unknown == []


def test_help_in_another_language_has_no_english_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["scan", "--help", "--lang", "zh-CN"])
    printed = capsys.readouterr().out
    assert "核验场景" in printed
    assert re.findall(r"\b(usage|options?|arguments?|show|exit|default|required)\b", printed) == []


def test_without_a_command_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 64
    assert "usage: edged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "english", "chinese"),
    [
        (["dance"], "edged: COMMAND must be one of 'demo', ", "edged: COMMAND 只能是 'demo'"),
        (["scan", "--scene", "casino"], "edged scan: --scene must be one of", "edged scan: --scene 只能是"),
        (["run"], "edged run: something is missing: --config", "缺少参数：--config"),
        (["scan", "--reference"], "--reference needs a value", "--reference 需要一个值"),
        (["scan", "--colour", "red"], "not known here: --colour red", "未知参数：--colour red"),
        (["verify", "--ca", "c.pem", "--at", "soon"], "--at: a date is needed", "--at 有误：应为日期"),
        (["config", "check"], "edged config check: something is missing: FILE", "缺少参数：FILE"),
    ],
)
def test_usage_errors_end_with_ex_usage_and_a_sentence(
    arguments: list[str], english: str, chinese: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for lang, sentence, usage in (("en", english, "usage: "), ("zh-CN", chinese, "用法： ")):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--lang", lang])
        assert ended.value.code == 64
        told = capsys.readouterr().err
        assert told.startswith(usage + "edged")
        assert sentence in told.splitlines()[-1]


def test_what_argparse_may_say_one_day_is_shown_behind_a_sentence() -> None:
    assert usage_error("something new", "en") == "the command line isn't understood: something new"
    assert usage_error("argument --x: something new", "zh-CN") == "--x 有误：something new"


def test_a_language_that_is_not_spoken_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["scan", "--lang", "tlh"])
    assert ended.value.code == 64
    assert "'zh-CN'" in capsys.readouterr().err


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of a command whose work ends with `error`."""

    def fail(_args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(status, "run", fail)
    return main(["status", "--lang", "en"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ControlError("control.bad_parameter"), os.EX_USAGE),
        (ControlError("control.no_permission", "/run/x.sock"), os.EX_NOPERM),
        (ControlError("control.lost"), os.EX_UNAVAILABLE),
        (ConfigError("broker.port", "config.unknown_key"), os.EX_CONFIG),
        (StateError("state.corrupt"), os.EX_CANTCREAT),
        (ExceptionGroup("tasks", [ExceptionGroup("more", [StateError("state.corrupt")])]), os.EX_CANTCREAT),
        (ExceptionGroup("tasks", [ConfigError("a", "config.unknown_key"), StateError("state.corrupt")]), 78),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else type(value).__name__,
)
def test_what_went_wrong_is_told_in_a_sentence_and_by_the_exit_code(
    error: EdgedError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error, monkeypatch) == code
    told = capsys.readouterr().err
    assert told.startswith("edged: ")
    assert len(told.splitlines()) == 1


def test_a_group_with_another_error_in_it_hides_neither(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hooked: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: hooked.append(error))
    group = ExceptionGroup("tasks", [ZeroDivisionError(), StateError("state.corrupt")])
    assert failing(group, monkeypatch) == os.EX_CANTCREAT
    assert "The database is damaged" in capsys.readouterr().err
    (rest,) = hooked
    assert isinstance(rest, ExceptionGroup)
    assert [type(error) for error in rest.exceptions] == [ZeroDivisionError]
    with pytest.raises(ExceptionGroup):
        failing(ExceptionGroup("tasks", [ZeroDivisionError()]), monkeypatch)


def test_a_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(PermissionError(13, "Permission denied", "/run/edged"), monkeypatch) == os.EX_OSERR
    assert capsys.readouterr().err.startswith("edged: /run/edged can't be used: Permission denied.")
    with pytest.raises(ConnectionResetError):
        failing(ConnectionResetError(104, "Connection reset by peer"), monkeypatch)


@pytest.mark.parametrize("command", ["scan", "cancel", "complete", "status"])
def test_without_a_daemon_the_command_says_so(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--socket", str(tmp_path / "none.sock"), "--lang", "en"]) == 69
    assert "No edged daemon is running here" in capsys.readouterr().err
    assert main([command, "--socket", str(tmp_path / "none.sock"), "--lang", "zh-CN"]) == 69
    assert "没有运行" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("scan", ("cv2", "numpy", "aiomqtt", "sqlite3")),
        ("fleet", ("cv2", "numpy", "edged.core.optical_fit", "edged.trust.loading")),
    ],
)
def test_the_command_line_imports_nothing_heavy(command: str, heavy: tuple[str, ...]) -> None:
    code = (
        "import sys, edged.cli\n"
        f"try: edged.cli.main(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_daemon_loads_nothing_of_the_centre_or_of_partners() -> None:
    """A box has not the room for them, and not their libraries."""
    code = (
        "import sys, edged.commands.run, edged.commands.status, edged.daemon\n"
        "others = ('psycopg', 'pyarrow', 'prometheus_client', 'edged.central', 'edged.partner')\n"
        "print([name for name in sys.modules if name.startswith(others)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]"]


def test_a_waiting_clerk_is_told_what_would_make_the_picture_better() -> None:
    advice = {"event": "advice", "inspection": "1", "reason": {"code": "reading.glare"}, "light": "white"}
    assert scan.progress(advice, "en") == messages.text("reading.glare", "en")
    assert scan.progress({"event": "indication", "indication": "reading"}, "zh-CN") == messages.text(
        "indication.reading", "zh-CN"
    )
    assert scan.progress({"event": "stage", "stage": "read", "ms": 1.0}, "en") is None


@pytest.mark.parametrize(
    ("running", "push", "said"),
    [
        (0, None, []),
        (0, Report(push=0, outcome="none"), ["Settings: v1, from the boot file"]),
        (7, Report(push=7, outcome="applied"), ["Settings: v1, from push 7 of the fleet"]),
        (
            7,
            Report(push=8, outcome="rolled_back", probe="head", code="probe.too_slow"),
            [
                "Settings: v1, from push 7 of the fleet",
                "Push 8: rolled back",
                "  probe reader head",
                f"  {messages.text('probe.too_slow', 'en')}",
            ],
        ),
        (
            0,
            Report(push=8, outcome="staged", fetched=37),
            ["Settings: v1, from the boot file", "Push 8: staged", "  37 % of its files are here."],
        ),
        (
            7,
            Report(push=8, outcome="rejected", path="scenes.bank", code="x.later"),
            ["Settings: v1, from push 7 of the fleet", "Push 8: rejected", "  scenes.bank", "  x.later"],
        ),
    ],
)
def test_the_status_says_whose_settings_are_in_force(
    running: int, push: Report | None, said: list[str]
) -> None:
    told = status.lines(
        {
            "device": "box-1",
            "fleet": "north",
            "version": "1",
            "indication": "ready",
            "uplink": {"connected": True, "pending": 0, "problem": None, "refused": 0},
            "clock": {"trusted": True},
            "chip": None,
            "devices_gone": [],
            "troubles": [],
            "config_version": "v1",
            "push": push and {"running": running, **msgspec.to_builtins(push)},
        },
        "en",
    )
    assert told[3:] == said


def test_a_chip_reader_that_is_gone_is_told_once_with_what_helps() -> None:
    told = status.lines(
        {
            "device": "box-1",
            "fleet": "demo-fleet",
            "version": "1",
            "indication": "ready",
            "uplink": {"connected": True, "pending": 0, "problem": None, "refused": 0},
            "clock": {"trusted": True},
            "chip": {"present": False, "trouble": "chip.no_service", "authorities": 0},
            "devices_gone": ["camera", "chip"],
            "troubles": [],
        },
        "en",
    )
    assert [line for line in told if "pcscd" in line] == [messages.text("chip.no_service", "en")]
    assert [line for line in told if "cable" in line] == ["The camera doesn't answer: check its cable."]


def test_a_pushed_path_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    push = {"running": 0, "push": 4, "outcome": "rejected", "code": "config.not_json", "path": "a.\x1b[2J.b"}
    answer = {
        "device": "box-1",
        "fleet": "north",
        "version": "1",
        "config_version": "7",
        "indication": "ready",
        "uplink": {"connected": True, "pending": 0, "problem": None, "refused": 0},
        "clock": {"trusted": True},
        "chip": None,
        "devices_gone": [],
        "troubles": [],
        "push": push,
    }
    monkeypatch.setattr(status._daemon, "call", lambda *_: answer)
    status.run(argparse.Namespace(json=False, lang="en"))
    told = capsys.readouterr().out
    assert "  a.\ufffd[2J.b" in told.splitlines()
    assert "\x1b" not in told
