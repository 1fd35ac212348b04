"""`edged privacy explain`: what each recipient gets of a specimen, field by field, and why.

The specimen comes with edged and its person is fiction; it is photographed, read and disclosed as any document is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from edged.commands import _privacy_tables
from edged.commands._saying import say, show_json
from edged.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from datetime import date

    from edged.core.document import DocumentData
    from edged.privacy.explaining import Explained
    from edged.privacy.notice import Recipient

EXAMPLE_KEY: Final = bytes(32)
"""Pseudonyms of specimens are made with it: an example needs no secret, and is the same every time."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose policies, on which specimen, and how it is shown."""
    parser.add_argument("--scene", metavar="SCENE", help="help.privacy.explain.scene")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--policy", metavar="NAME", help="help.privacy.explain.policy")
    whose.add_argument("--config", type=Path, metavar="FILE", help="help.privacy.explain.config")
    parser.add_argument(
        "--specimen", default="passport", metavar="NAME", help="help.privacy.explain.specimen"
    )
    parser.add_argument("--show-specimen", action="store_true", help="help.privacy.explain.show_specimen")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="help.json")
    form.add_argument("--markdown", action="store_true", help="help.privacy.explain.markdown")
    parser.epilog = "help.privacy.explain.more"


def run(args: argparse.Namespace) -> int:
    """Print it. Raises `ConfigError` for a scene, policy or specimen that there isn't, or a bad boot file."""
    recipients = _recipients(args)
    read = _read(args)
    explained = [_explain(recipient, read) for recipient in recipients]
    raw = _raw(read) if args.show_specimen else None
    if args.json:
        shown = {} if raw is None else {"on_the_document": raw}
        found = {"specimen": args.specimen, "today": read.today, **shown, "audiences": explained}
        show_json(found)
    elif args.markdown:
        _privacy_tables.show_markdown(args, explained, raw)
    else:
        _privacy_tables.show_terminal(args, explained, raw)
    return os.EX_OK


class _Read(NamedTuple):
    """A specimen as it was read; its person doesn't exist."""

    document: DocumentData | None
    certain: bool
    today: date


def _recipients(args: argparse.Namespace) -> tuple[Recipient, ...]:
    from edged.config_checks import SCENES, unknown_scene
    from edged.privacy.notice import Recipient
    from edged.privacy.ready_made import FOR_SCENE, load, names

    if args.scene is not None and args.scene not in SCENES:
        raise unknown_scene("--scene")
    if args.config is not None:
        from edged.config import load_box
        from edged.noticing import recipients_of

        settings = load_box(args.config)
        found = recipients_of(settings, args.scene or settings.default_scene)
        if not found:
            raise ConfigError("--scene", "explain.no_recipient")
        return found
    if args.policy is not None:
        try:
            return (Recipient(args.policy, load(args.policy)),)
        except ConfigError as error:
            raise ConfigError("--policy", error.code, **error.params) from None
    wanted = names() if args.scene is None else FOR_SCENE[args.scene]
    return tuple(Recipient(name, load(name)) for name in wanted)


def _read(args: argparse.Namespace) -> _Read:
    """The specimen's sides, read until one has an MRZ."""
    from edged.specimens import FIXED_TODAY, shipped

    specimens = {specimen.name: specimen for specimen in shipped()}
    if args.specimen not in specimens:
        raise ConfigError("--specimen", "config.unknown_name", known=", ".join(specimens))
    from edged.core.image import decode_image
    from edged.core.reading import read_page
    from edged.verdict import Result

    sides = specimens[args.specimen].sides
    for number, side in enumerate(sides, 1):
        if sys.stderr.isatty():
            told = say(args, "explain.reading", specimen=args.specimen, side=number, sides=len(sides))
            print(told, file=sys.stderr, flush=True)
        reading = read_page(decode_image(side.read_bytes()), today=FIXED_TODAY)
        if reading.mrz is not None:
            certain = any(
                check.name == "mrz_read" and check.result is Result.SUCCESSFUL for check in reading.checks
            )
            return _Read(reading.mrz, certain, FIXED_TODAY)
    return _Read(None, False, FIXED_TODAY)


def _explain(recipient: Recipient, read: _Read) -> Explained:
    from edged.privacy.explaining import explain
    from edged.privacy.pseudonym import Pseudonymiser

    return explain(
        recipient.label,
        recipient.policy,
        read.document,
        pseudonyms=Pseudonymiser(EXAMPLE_KEY, f"box:{recipient.label}"),
        today=read.today,
        certain=read.certain,
    )


def _raw(read: _Read) -> dict[str, str]:
    """What stands on the specimen, by claim: fiction, and shown only when it was asked for."""
    from edged.privacy.ceiling import CEILING
    from edged.privacy.held import FIELDS, hold

    held = hold(read.document, [field for field in FIELDS if field in CEILING], certain=read.certain)
    shown = {field: value for field in held.names if (value := held.reveal(field)) is not None}
    held.forget()
    return shown
