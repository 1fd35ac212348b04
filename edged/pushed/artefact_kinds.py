"""Whether a file is of its kind: asked by the admin's tool before it publishes, by the box before it switches.

What uses them takes them by path: a scene pack is composed into the settings (`edged.pushed.versions`), a trust store
and thresholds are named in the settings, a catalogue of messages is laid over the shipped one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import messages
from edged.core import optical_fit
from edged.desired import MAX_DOCUMENT, parse_scene_pack
from edged.drivers import head_image
from edged.errors import ConfigError, DecodeError, StateError
from edged.messages import overlay
from edged.trust.loading import read_generation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edged.desired import ArtefactKind


def check_file(kind: ArtefactKind, path: Path) -> None:
    """Whether the file at `path` is of `kind`; blocks on the disk.

    A package is not looked into: whoever installs it does (`edged.pushed.package_update`).

    Raises `ConfigError`, its `where` under `artefacts.{kind}`: a code of `edged.desired`, `overlay.…`, `truststore.…`,
    `optical.bad_thresholds`, `head_image.…`.
    """
    where = f"artefacts.{kind}"
    match kind:
        case "scenes":
            try:
                parse_scene_pack(_read(path, MAX_DOCUMENT, where))
            except ConfigError as error:
                raise error.within(where) from None
        case "messages":
            read_messages(path)
        case "trust":
            try:
                read_generation(path)
            except StateError as error:
                raise ConfigError(where, error.code) from None
        case "thresholds":
            try:
                optical_fit.decode(_read(path, optical_fit.MOST_BYTES, where))
            except DecodeError as error:
                raise ConfigError(where, error.code) from None
        case "firmware":
            try:
                head_image.parse(_read(path, head_image.MAX_IMAGE, where))
            except DecodeError as error:
                raise ConfigError(where, error.code) from None
        case "software":
            pass


def check_files(files: Mapping[ArtefactKind, Path]) -> None:
    """`check_file` for all of a version. Raises `ConfigError`."""
    for kind, path in files.items():
        check_file(kind, path)


def read_messages(path: Path) -> tuple[bytes, Mapping[str, Mapping[str, str]]]:
    """A catalogue of messages: as it was pushed, for `edged.messages.shared.share`, and for `edged.messages.lay_over`.

    Raises `ConfigError`, its `where` under `artefacts.messages`.
    """
    where = "artefacts.messages"
    data = _read(path, overlay.MAX_BYTES, where)
    try:
        return data, messages.overlay_of(data)
    except ConfigError as error:
        raise error.within(where) from None


def _read(path: Path, most: int, where: str) -> bytes:
    """At most one octet more than it may have, which its parser refuses."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise ConfigError(where, "config.unreadable", error=error.strerror or "") from None
