"""What goes on a box's `…/desired`: its own view of the TUF repository, with all that it needs, in one message.

Root, targets, privacy, release and admin-files are the fleet's; config, snapshot and timestamp are signed here for the
one box. What a box would refuse is refused here, where somebody can do something about it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from edged.errors import ConfigError, StateError
from edged.fleet.authorities import signed_bytes
from edged.fleet.compile import Compiled, compile_config
from edged.fleet.delivered_keys import DeliveredKeys
from edged.fleet.key_files import read_key
from edged.fleet.layers import audience_files, deliveries, layers_of, parsed_audience
from edged.fleet.repository import Repository, S, to_bytes, until
from edged.fleet.tuf_roles import (
    ADMIN_FILES,
    CONFIG,
    PATHS,
    PRIVACY,
    RELEASE,
    ROOT,
    SNAPSHOT,
    TIMESTAMP,
    WARN_BEFORE,
)
from edged.uplink.bundle import MAX_BUNDLE, MAX_FILES, encode_bundle
from edged.uplink.fleet_authority import TARGET as AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edged.desired import ConfigDocument
    from edged.fleet.compile import Layer
    from edged.fleet.state import DeviceRecord, FleetState

ONLINE_KEY: Final = "admin-tuf.key"
"""The fleet admin's key for metadata, in `secrets/`."""


class Made(NamedTuple):
    """One push to one box."""

    device: str
    number: int
    data: bytes
    """The message."""
    document: ConfigDocument
    root_version: int
    """Of the newest root in it: whoever took this push has all up to that one."""
    expires: datetime
    """When boxes that come late begin to refuse it."""

    @property
    def version(self) -> str:
        """The configuration's."""
        return self.document.version


class BundleMaker:
    """Makes pushes: reads and verifies what all boxes share once, so that each box costs three signatures.

    Raises `StateError` (`fleet.role_expired`, `fleet.role_not_signed`, `fleet.no_metadata`, …) and
    `CertificateError` (of the admin's key).
    """

    def __init__(self, state: FleetState, now: datetime) -> None:
        self._state = state
        self._now = now
        repository = Repository(state.directory / "metadata")
        repository.check(now)
        self._signer = read_key(state.secrets / ONLINE_KEY).signer
        self._root = repository.root().signed
        self._top = repository.targets().signed
        self._targets = {role: repository.targets(role).signed for role in (PRIVACY, RELEASE, ADMIN_FILES)}
        self._roots = {version: repository.file(ROOT, version) for version in repository.versions(ROOT)}
        self._versions = {self._top.type: self._top.version} | {
            role: signed.version for role, signed in self._targets.items()
        }
        self._shared = {
            f"{version}.{role}.json": repository.file(role) for role, version in self._versions.items()
        }
        self._authority = signed_bytes(state)
        self._audiences = audience_files(state)
        self._documents = {name: parsed_audience(name, data) for name, data in self._audiences.items()}
        self._delivered = DeliveredKeys(
            deliveries(state),
            {name for name, one in self._documents.items() if one.policy.pseudonym_scope == "organisation"},
        )
        self._pinned = {
            path: target.hashes["sha256"]
            for role, signed in self._targets.items()
            for path, target in signed.targets.items()
            if path.startswith(tuple(pattern.removesuffix("*") for pattern in PATHS[role]))
        }

    def compile(self, record: DeviceRecord, layers: Sequence[Layer] | None = None) -> Compiled:
        """The configuration of a box as it would be pushed now, of its own layers or of others.

        Raises `ConfigError`: file, path and what is wrong.
        """
        found = layers_of(self._state, record) if layers is None else layers
        delivered = self._delivered.pins(record.name)
        compiled = compile_config(record.name, found, self._documents, self._pinned, delivered)
        for name in compiled.document.audiences:
            self._audience(name)
        self._delivered.check(record.name, compiled.document.audiences)
        return compiled

    def make(
        self, record: DeviceRecord, number: int, *, known_root: int = 1, compiled: Compiled | None = None
    ) -> Made:
        """The push of that number (of `push_numbers.reserve`) to a box, of what `compile` made of it.

        Roots up to `known_root` are left out: the first, which boxes are enrolled with, unless more are known to be
        there. Raises `ConfigError`, `StateError` (`fleet.push_too_large`).
        """
        compiled = compiled or self.compile(record)
        config = Targets(version=number, expires=until(CONFIG, self._now))
        path = f"config/{record.name}.json"
        audiences = compiled.document.audiences
        indexes = {
            target: self._vouched(target, data, self._targets[PRIVACY])
            for target, data in self._delivered.indexes(audiences).items()
        }
        own = {path: compiled.data} | self._delivered.own(record.name, audiences)
        for target, data in own.items():
            config.targets[target] = TargetFile.from_data(target, data, ["sha256"])
        versions = {**self._versions, CONFIG: number}
        snapshot = Snapshot(
            version=number,
            expires=until(SNAPSHOT, self._now),
            meta={f"{role}.json": MetaFile(version) for role, version in sorted(versions.items())},
        )
        timestamp = Timestamp(
            version=number, expires=until(TIMESTAMP, self._now), snapshot_meta=MetaFile(number)
        )
        metadata = {
            **{
                f"{version}.{ROOT}.json": data
                for version, data in self._roots.items()
                if version > known_root
            },
            **self._shared,
            f"{number}.{CONFIG}.json": self._signed(CONFIG, config, self._top),
            f"{number}.{SNAPSHOT}.json": self._signed(SNAPSHOT, snapshot, self._root),
            f"{TIMESTAMP}.json": self._signed(TIMESTAMP, timestamp, self._root),
        }
        targets = {
            **own,
            **indexes,
            AUTHORITY: self._authority,
            **{f"audience/{name}.json": self._audience(name) for name in audiences},
        }
        return Made(
            record.name,
            number,
            _encoded(metadata, targets),
            compiled.document,
            self._root.version,
            timestamp.expires,
        )

    def _audience(self, name: str) -> bytes:
        path = f"audience/{name}.json"
        try:
            return self._vouched(path, self._audiences[name], self._targets[PRIVACY])
        except KeyError:
            raise ConfigError(f"audiences.{name}", "config.no_such_audience") from None

    @staticmethod
    def _vouched(path: str, data: bytes, signed: Targets) -> bytes:
        """`data`, if it is what was signed as `path`."""
        target = signed.targets.get(path)
        if target is None or target.hashes.get("sha256") != hashlib.sha256(data).hexdigest():
            raise StateError("fleet.file_not_signed", path)
        return data

    def _signed(self, role: str, signed: S, by: Root | Targets) -> bytes:
        if self._signer.public_key.keyid not in by.get_delegated_role(role).keyids:
            raise StateError("fleet.wrong_admin_key", role=role)
        metadata = Metadata(signed)
        metadata.sign(self._signer)
        return to_bytes(metadata)


def noted(record: DeviceRecord, made: Made) -> DeviceRecord:
    """A box's record with `made` as its last push."""
    return msgspec.structs.replace(record, push=made.number, push_until=int(made.expires.timestamp()))


def due_devices(state: FleetState, now: datetime) -> list[str]:
    """Boxes whose push is refused soon by whoever comes for it late: it has to be pushed again, unchanged."""
    limit = (now + WARN_BEFORE[TIMESTAMP]).timestamp()
    return [
        name
        for name, record in state.devices().items()
        if record.revoked_at is None and record.push_until is not None and record.push_until < limit
    ]


def _encoded(metadata: dict[str, bytes], targets: dict[str, bytes]) -> bytes:
    if max(len(metadata), len(targets)) > MAX_FILES:
        raise StateError("fleet.too_many_files", most=str(MAX_FILES))
    try:
        return encode_bundle(metadata, targets)
    except ValueError:
        sizes = sorted(((len(data), name) for name, data in (metadata | targets).items()), reverse=True)
        largest = ", ".join(f"{name} ({size})" for size, name in sizes[:3])
        raise StateError("fleet.push_too_large", most=str(MAX_BUNDLE), largest=largest) from None
