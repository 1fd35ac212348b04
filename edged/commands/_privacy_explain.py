"""`edged privacy explain`: what each recipient gets of a specimen, field by field, and why.

The specimen comes with edged and its person is fiction; it is photographed, read and disclosed as any document is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edged.commands import _privacy_tables
from edged.commands._saying import say, show_json
from edged.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from datetime import date

    from edged.config import AudienceSettings, BoxSettings
    from edged.core.document import DocumentData
    from edged.core.reading import PageReading


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
    from edged.worked_example import slip_of, work_through

    asked = _asked(args)
    read = _read(args)
    explained = [
        work_through(name, asked.settings, read.readings, scene=scene, today=read.today)
        for name, scene in asked.recipients
    ]
    slip = slip_of(asked.settings, read.readings, scene=asked.scene, today=read.today)
    raw = _raw(read) if args.show_specimen else None
    if args.json:
        shown = {} if raw is None else {"on_the_document": raw}
        found = {
            "specimen": args.specimen,
            "today": read.today,
            **shown,
            "audiences": explained,
            "slip": slip,
        }
        show_json(found)
    elif args.markdown:
        _privacy_tables.show_markdown(args, explained, slip, raw)
    else:
        _privacy_tables.show_terminal(args, explained, slip, raw)
    return os.EX_OK


class _Read(NamedTuple):
    """A specimen as it was read; its person doesn't exist."""

    readings: tuple[PageReading, ...]
    document: DocumentData | None
    certain: bool
    today: date


class _Asked(NamedTuple):
    """Whose policies: `recipients` are audiences of `settings` and the scene to show each in; `scene` is the slip's."""

    settings: BoxSettings
    recipients: tuple[tuple[str, str], ...]
    scene: str


def _asked(args: argparse.Namespace) -> _Asked:
    from edged.config_checks import SCENES, unknown_scene
    from edged.privacy.ready_made import FOR_SCENE, load, names

    if args.scene is not None and args.scene not in SCENES:
        raise unknown_scene("--scene")
    if args.config is not None:
        return _of_box(args.config, args.scene)
    if args.policy is not None:
        try:
            load(args.policy)
        except ConfigError as error:
            raise ConfigError("--policy", error.code, **error.params) from None
    if args.policy is not None:
        wanted: tuple[str, ...] = (args.policy,)
    else:
        wanted = names() if args.scene is None else FOR_SCENE[args.scene]

    def scene_of(name: str) -> str:
        meant = (scene for scene, policies in FOR_SCENE.items() if name in policies)
        return args.scene or next(meant)

    recipients = tuple((name, scene_of(name)) for name in wanted)
    return _Asked(_example_box(recipients), recipients, recipients[0][1])


def _of_box(file: Path, scene: str | None) -> _Asked:
    """The audiences of a boot file that get anything of the scene. Raises `ConfigError`."""
    from edged.config import load_box
    from edged.noticing import recipients_of

    settings = load_box(file)
    scene = scene or settings.default_scene
    found = recipients_of(settings, scene)
    if not found:
        raise ConfigError("--scene", "explain.no_recipient")
    labels = {one.label for one in found}
    names = (name for name, one in settings.audiences.items() if (one.label or name) in labels)
    return _Asked(
        settings, tuple((name, scene) for name in names if scene in settings.audiences[name].scenes), scene
    )


def _example_box(recipients: tuple[tuple[str, str], ...]) -> BoxSettings:
    """A box with an audience for every ready-made policy, its settings the defaults, and a slip for the holder."""
    import msgspec

    from edged.commands.config import EXAMPLE
    from edged.config import BoxSettings, SlipSettings, parse_toml

    box = parse_toml(EXAMPLE.encode(), BoxSettings, base=Path("/"))
    return msgspec.structs.replace(
        box,
        audiences={name: _example_audience(name, scene) for name, scene in recipients},
        slip=SlipSettings(site="example", url="https://slip.example"),
    )


def _example_audience(name: str, scene: str) -> AudienceSettings:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from edged.config import AudienceSettings
    from edged.privacy.ready_made import load

    policy = load(name)
    keys: tuple[str, ...] = ()
    if policy.encrypt or policy.record is not None:
        public = ec.generate_private_key(
            ec.SECP256R1()
        ).public_key()  # nobody ever opens what is sealed to it
        keys = (public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),)
    return AudienceSettings(scenes=(scene,), policy=policy, encryption_keys=keys)


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
    readings: list[PageReading] = []
    for number, side in enumerate(sides, 1):
        if sys.stderr.isatty():
            told = say(args, "explain.reading", specimen=args.specimen, side=number, sides=len(sides))
            print(told, file=sys.stderr, flush=True)
        reading = read_page(decode_image(side.read_bytes()), today=FIXED_TODAY)
        readings.append(reading)
        if reading.mrz is not None:
            certain = any(
                check.name == "mrz_read" and check.result is Result.SUCCESSFUL for check in reading.checks
            )
            return _Read(tuple(readings), reading.mrz, certain, FIXED_TODAY)
    return _Read(tuple(readings), None, False, FIXED_TODAY)


def _raw(read: _Read) -> dict[str, str]:
    """What stands on the specimen, by claim: fiction, and shown only when it was asked for."""
    from edged.privacy.ceiling import CEILING
    from edged.privacy.held import FIELDS, hold

    held = hold(read.document, [field for field in FIELDS if field in CEILING], certain=read.certain)
    shown = {field: value for field in held.names if (value := held.reveal(field)) is not None}
    held.forget()
    return shown
