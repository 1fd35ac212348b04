"""argparse that speaks the catalogue: its texts are codes until they are shown."""

from __future__ import annotations

import argparse
import os
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from edged import messages

if TYPE_CHECKING:
    from collections.abc import Iterable

_USAGE_ERRORS: Final = tuple(
    (re.compile(pattern, re.DOTALL), code)
    for pattern, code in (
        (r"the following arguments are required: (?P<names>.+)", "usage.required"),
        (r"unrecognized arguments: (?P<names>.+)", "usage.unknown"),
        (r"argument (?P<name>.+?): expected .*arguments?", "usage.no_value"),
        (r"argument (?P<name>.+?): invalid choice: .+ \(choose from (?P<known>.+)\)", "usage.choice"),
        (r"argument (?P<name>.+?): (?P<problem>.+)", "usage.wrong"),
        (r"(?P<problem>.+)", "usage.other"),
    )
)
"""What argparse says in English, and the code of the same sentence. The last take anything, so that a wording of
another Python version only costs the translation of a detail. A type's own `ArgumentTypeError` may be a code."""


_PERCENT: Final = re.compile(r"%(?!\()")


class Parser(argparse.ArgumentParser):
    """Every help, description, epilog and title given to it is a code of the catalogue, shown in `lang`.

    Texts that aren't codes are shown as they are. Subparsers speak the same language. Usage errors end with
    EX_USAGE, as sysexits.h has it.
    """

    lang: ClassVar[str] = messages.LANGUAGES[0]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", partial(_Formatter, lang=self.lang))
        super().__init__(*args, **kwargs)
        self._positionals.title = "help.positionals"
        self._optionals.title = "help.options"

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end."""
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {usage_error(message, self.lang)}\n")


def speaking(language: str) -> type[Parser]:
    """`Parser` in a language; argparse makes subparsers of the class of their parent."""

    class SpeakingParser(Parser):
        lang = language

    return SpeakingParser


def usage_error(message: str, lang: str) -> str:
    """argparse's message about a wrong command line as a sentence of the catalogue."""
    for pattern, code in _USAGE_ERRORS:
        if found := pattern.fullmatch(message):
            return messages.text(code, lang, **found.groupdict())
    return message


class _Formatter(argparse.HelpFormatter):
    def __init__(self, prog: str, *, lang: str) -> None:
        super().__init__(prog)
        self._lang = lang

    def _say(self, text: str | None) -> str | None:
        return messages.text(text, self._lang) if text is not None and messages.known(text) else text

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        if prefix is None:
            prefix = f"{self._say('help.usage')} "
        super().add_usage(usage, actions, groups, prefix)

    def start_section(self, heading: str | None) -> None:
        super().start_section(self._say(heading))

    def add_text(self, text: str | None) -> None:
        super().add_text(self._say(text))

    def _get_help_string(self, action: argparse.Action) -> str | None:
        said = self._say("help.help" if "--help" in action.option_strings else action.help)
        # argparse fills in "%(default)s", and chokes on the sign of per cent.
        return None if said is None else _PERCENT.sub("%%", said)
