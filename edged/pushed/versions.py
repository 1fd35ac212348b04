"""One version of what was pushed: its documents as they were signed, and the settings they make with the boot file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from edged.desired import (
    MAX_DOCUMENT,
    ArtefactKind,
    compose,
    parse_audience,
    parse_config,
    parse_scene_pack,
)
from edged.errors import ConfigError
from edged.pushed.verifying import Accepted, ArtefactTarget
from edged.uplink.sealed_keys import OrganisationKey

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config import BoxSettings
    from edged.pushed.host import Files


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What the disk keeps of one push beside its metadata."""

    push: int
    config: bytes
    audiences: dict[str, bytes]
    authority: bytes | None
    artefacts: dict[ArtefactKind, ArtefactTarget]
    probation_s: float
    """How long it has to prove itself, seconds."""
    organisation_keys: dict[str, OrganisationKey] = {}
    """By audience; sealed to this box, and vouched for by the privacy officer."""
    boot_ca: str = ""
    """SHA-256 of the boot file's authorities when it was taken: a box that is enrolled anew gets others."""

    @classmethod
    def of(cls, accepted: Accepted, boot_ca: str) -> Version:
        """What is kept of a push that was accepted by a box with these authorities in its boot file."""
        return cls(
            push=accepted.push,
            config=accepted.config,
            audiences=accepted.audiences,
            authority=accepted.authority,
            artefacts=accepted.artefacts,
            probation_s=accepted.document.probation_s,
            organisation_keys=accepted.organisation_keys,
            boot_ca=boot_ca,
        )

    @property
    def content(self) -> str:
        """Hash of everything that makes a difference to the box: two pushes may differ in nothing but their number."""
        return hashlib.sha256(encode(msgspec.structs.replace(self, push=0))).hexdigest()


_DECODER: Final = msgspec.json.Decoder(Version)


def encode(version: Version) -> bytes:
    """As the store keeps it."""
    return msgspec.json.encode(version, order="deterministic")


def decode(data: bytes) -> Version:
    """What `encode` made. Raises `msgspec.DecodeError`."""
    return _DECODER.decode(data)


def settings_of(version: Version, boot: BoxSettings, files: Files) -> BoxSettings:
    """The settings of a box whose boot file says `boot`, with the version's artefacts in place; blocks on the disk.

    Raises `ConfigError`, its `where` the path of the bad key in the documents, or of the artefact's kind.
    """
    document = parse_config(version.config)
    audiences = {name: parse_audience(data) for name, data in version.audiences.items()}
    pack = None
    if (path := files.get("scenes")) is not None:
        try:
            pack = parse_scene_pack(_read(path))
        except ConfigError as error:
            raise error.within("artefacts.scenes", ".") from error
    settings = compose(boot, document, audiences, pack, version.organisation_keys)
    if (trust := files.get("trust")) is not None and settings.chip_reader is not None:
        chip = msgspec.structs.replace(settings.chip_reader, trust=trust)
        settings = msgspec.structs.replace(settings, chip_reader=chip)
    if (thresholds := files.get("thresholds")) is not None:
        head = msgspec.structs.replace(settings.head, optical_thresholds=thresholds)
        settings = msgspec.structs.replace(settings, head=head)
    return settings


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_DOCUMENT + 1)
    except OSError as error:
        raise ConfigError("file", "config.unreadable", error=error.strerror or "") from error
