"""The fleet's TUF repository: metadata that all boxes share, every version of it, in `metadata/`.

A new version is verified against the keys of whoever delegates it before it is written, as every box will do; what was
written is never changed. Metadata that is made for one box is `edged.fleet.bundles`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError
from tuf.api.serialization.json import JSONSerializer

from edged.errors import StateError
from edged.fleet.key_files import owner_of
from edged.fleet.state import write_text
from edged.fleet.tuf_roles import (
    HOLDER_OF,
    LIFETIME,
    PATHS,
    ROOT,
    SHARED,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    WARN_BEFORE,
    Holder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import Signer
    from tuf.api.metadata import Key

MAX_METADATA: Final = 1 << 20
"""Bytes of one metadata file; a push takes far less, so anything larger is the wrong file."""

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


class RoleStatus(NamedTuple):
    """One role as it stands."""

    role: str
    holder: Holder
    owners: tuple[str, ...]
    """Whose keys they are, as the metadata says."""
    keyids: tuple[str, ...]
    threshold: int
    version: int | None
    """None: made anew for each box."""
    expires: datetime | None
    soon: bool
    """Whether its end is near, or behind."""


def to_bytes(metadata: Metadata[S]) -> bytes:
    """Metadata as it travels: without spaces."""
    return metadata.to_bytes(JSONSerializer(compact=True))


def until(role: str, now: datetime) -> datetime:
    """When metadata of `role` that is signed `now` expires; TUF counts whole seconds."""
    return (now + LIFETIME[role]).replace(microsecond=0)


class Repository:
    """The metadata in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    # --- reading ---

    def versions(self, role: str) -> list[int]:
        """Versions of a role's metadata that are here, ascending."""
        names = (path.name.removesuffix(f".{role}.json") for path in self._directory.glob(f"*.{role}.json"))
        return sorted(int(name) for name in names if name.isdecimal())

    def file(self, role: str, version: int | None = None) -> bytes:
        """One version's bytes, the newest by default. Raises `StateError` (`fleet.no_metadata`)."""
        versions = self.versions(role) if version is None else [version]
        path = self._directory / f"{versions[-1] if versions else 1}.{role}.json"
        try:
            with path.open("rb") as file:
                return file.read(MAX_METADATA + 1)
        except FileNotFoundError:
            raise StateError("fleet.no_metadata", str(path)) from None

    def root(self) -> Metadata[Root]:
        """The newest root. Raises `StateError` (`fleet.no_metadata`, `fleet.bad_metadata`)."""
        return self._read(ROOT, Root)

    def targets(self, role: str = TARGETS) -> Metadata[Targets]:
        """The newest metadata of `targets` or of a role under it. Raises as `root` does."""
        return self._read(role, Targets)

    def _read(self, role: str, kind: type[S], version: int | None = None) -> Metadata[S]:
        data = self.file(role, version)
        try:
            metadata: Metadata[S] = Metadata.from_bytes(data)
        except (DeserializationError, RecursionError) as error:
            raise StateError("fleet.bad_metadata", f"{role}: {error}") from None
        if not isinstance(metadata.signed, kind):
            raise StateError("fleet.bad_metadata", role)
        return metadata

    # --- verifying ---

    def check(self, now: datetime) -> None:
        """Whether a box would take all shared metadata.

        Raises `StateError`: `fleet.role_not_signed` (by those who should have), `fleet.role_expired`.
        """
        root = self.root()
        self._checked(ROOT, root, root.signed, now)
        targets = self.targets()
        self._checked(TARGETS, targets, root.signed, now)
        for role in SHARED:
            if role != TARGETS:
                self._checked(role, self.targets(role), targets.signed, now)

    def _checked(self, role: str, metadata: Metadata[S], by: Root | Targets, now: datetime) -> None:
        _verify(role, metadata, by)
        if metadata.signed.is_expired(now):
            raise StateError("fleet.role_expired", role=role, expired=f"{metadata.signed.expires:%Y-%m-%d}")

    def is_signed(self, role: str) -> bool:
        """Whether the newest metadata of a shared role verifies against whoever delegates it."""
        try:
            _verify(
                role, self.targets(role), self.root().signed if role == TARGETS else self.targets().signed
            )
        except StateError as error:
            if error.code != "fleet.role_not_signed":
                raise
            return False
        return True

    def statuses(self, now: datetime) -> list[RoleStatus]:
        """All roles, in the order in which they are delegated. Raises `StateError`."""
        root, targets = self.root().signed, self.targets().signed
        found = [self._status(ROOT, root, root, now), self._status(TARGETS, targets, root, now)]
        found += [self._status(role, None, root, now) for role in (SNAPSHOT, TIMESTAMP)]
        for role in PATHS:
            signed = self.targets(role).signed if role in SHARED else None
            found.append(self._status(role, signed, targets, now))
        return found

    @staticmethod
    def _status(role: str, signed: Signed | None, by: Root | Targets, now: datetime) -> RoleStatus:
        entry = by.get_delegated_role(role)
        keys = [by.get_key(keyid) for keyid in entry.keyids]
        return RoleStatus(
            role,
            HOLDER_OF[role],
            tuple(map(owner_of, keys)),
            tuple(entry.keyids),
            entry.threshold,
            None if signed is None else signed.version,
            None if signed is None else signed.expires,
            signed is not None and signed.expires - now < WARN_BEFORE[role],
        )

    # --- signing ---

    def begin(
        self,
        *,
        offline: Mapping[str, Key],
        threshold: int,
        holders: Mapping[Holder, Key],
        targets: Mapping[str, bytes],
        signers: Mapping[Holder, Sequence[Signer]],
        now: datetime,
    ) -> None:
        """The first version of everything: `offline` by key id sign root and targets, `holders` the rest.

        Raises `StateError` (`fleet.role_not_signed`) when `signers` aren't enough.
        """
        root = Root(version=1, expires=until(ROOT, now), consistent_snapshot=True)
        set_root_keys(root, offline, threshold, holders[Holder.ADMIN])
        self._write(ROOT, _signed(ROOT, root, signers[Holder.ROOT]), [root])
        top = Targets(version=1, expires=until(TARGETS, now))
        top.delegations = _delegations(holders)
        top.targets = {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in targets.items()}
        self._write(TARGETS, _signed(TARGETS, top, signers[Holder.ROOT]), [root])
        for role in SHARED:
            if role != TARGETS:
                empty = Targets(version=1, expires=until(role, now))
                self._write(role, _signed(role, empty, signers[HOLDER_OF[role]]), [top])

    def revise_root(self, change: Callable[[Root], None], signers: Sequence[Signer], now: datetime) -> int:
        """The next root, signed as the one before and the new one demand (TUF §5.3.4); its version.

        Raises `StateError` (`fleet.role_not_signed`): fewer of the keys than the threshold were there;
        `fleet.not_signed_before`.
        """
        old = self.root()
        _enough(ROOT, old.signed, signers)
        self._check_chain(signers)
        new = Metadata[Root].from_bytes(old.to_bytes()).signed
        change(new)
        new.version, new.expires = old.signed.version + 1, until(ROOT, now)
        self._write(ROOT, _signed(ROOT, new, signers), [old.signed, new])
        return new.version

    def revise(
        self,
        role: str,
        change: Callable[[Targets], None],
        signers: Sequence[Signer],
        now: datetime,
        *,
        replaced: bool = False,
    ) -> int:
        """The next version of `targets` or of a role under it that all boxes share; its number.

        Whoever signs it signs all that is in it, so what is there already has to be theirs: the directory is
        everybody's to write who works with it. `replaced`: the role has just been given another key, and somebody looks
        through what is signed again. Raises `StateError` (`fleet.role_not_signed`, `fleet.not_signed_before`).
        """
        old = self.targets(role)
        by = self.root().signed if role == TARGETS else self.targets().signed
        _enough(role, by, signers)
        if role == TARGETS:
            self._check_chain(signers)
        elif not replaced and not any(_carries(old, signer.public_key) for signer in signers):
            raise StateError("fleet.not_signed_before", role=role)
        if not replaced:
            _verify(role, old, by)
        signed = old.signed
        change(signed)
        signed.version, signed.expires = signed.version + 1, until(role, now)
        self._write(role, _signed(role, signed, signers), [by])
        return signed.version

    def put_targets(
        self,
        role: str,
        files: Mapping[str, bytes | TargetFile | None],
        signers: Sequence[Signer],
        now: datetime,
    ) -> int:
        """Sign for `files` by target path (content, or a target with `custom`); None takes one out. The version.

        Raises `StateError` (`fleet.role_not_signed`), and `ValueError` for a path that isn't the role's to sign.
        """
        delegated = None if role == TARGETS else DelegatedRole(role, [], 1, True, list(PATHS[role]))
        for path in files:
            if delegated is not None and not delegated.is_delegated_path(path):
                raise ValueError("the role signs no targets of this path")

        def change(signed: Targets) -> None:
            for path, content in files.items():
                if content is None:
                    signed.targets.pop(path, None)
                elif isinstance(content, TargetFile):
                    signed.targets[path] = content
                else:
                    signed.targets[path] = TargetFile.from_data(path, content, ["sha256"])

        return self.revise(role, change, signers, now)

    def _check_chain(self, signers: Sequence[Signer]) -> None:
        """The newest root follows, root by root, from one that one of these has signed.

        Raises `StateError` (`fleet.not_signed_before`, `fleet.role_not_signed`).
        """
        trusted: Root | None = None
        for version in reversed(self.versions(ROOT)):
            found = self._read(ROOT, Root, version)
            if any(_carries(found, signer.public_key) for signer in signers):
                _verify(ROOT, found, found.signed)
                trusted = found.signed
                break
        if trusted is None:
            raise StateError("fleet.not_signed_before", role=ROOT)
        for version in range(trusted.version + 1, self.root().signed.version + 1):
            found = self._read(ROOT, Root, version)
            for delegator in (trusted, found.signed):
                _verify(ROOT, found, delegator)
            trusted = found.signed

    def _write(self, role: str, metadata: Metadata[S], delegators: Sequence[Root | Targets]) -> None:
        for delegator in delegators:
            _verify(role, metadata, delegator)
        path = self._directory / f"{metadata.signed.version}.{role}.json"
        if path.exists():
            raise StateError("fleet.metadata_exists", str(path))
        write_text(path, to_bytes(metadata).decode())


def set_root_keys(root: Root, offline: Mapping[str, Key], threshold: int, admin: Key) -> None:
    """Give root and targets to the offline keys, snapshot and timestamp to the admin's. Raises `ValueError`."""
    if not 1 <= threshold <= len(offline):
        raise ValueError("the threshold is between one and the number of keys")
    for role, entry in root.roles.items():
        for keyid in list(entry.keyids):
            root.revoke_key(keyid, role)
        keys = offline.values() if role in (ROOT, TARGETS) else (admin,)
        for key in keys:
            root.add_key(key, role)
        entry.threshold = threshold if role in (ROOT, TARGETS) else 1


def set_delegated_key(targets: Targets, holder: Holder, key: Key) -> None:
    """Give every role of `holder` under `targets` to `key` alone."""
    for role in PATHS:
        if HOLDER_OF[role] is holder:
            for keyid in list(targets.get_delegated_role(role).keyids):
                targets.revoke_key(keyid, role)
            targets.add_key(key, role)


def _delegations(holders: Mapping[Holder, Key]) -> Delegations:
    keys, roles = {}, {}
    for role, paths in PATHS.items():
        key = holders[HOLDER_OF[role]]
        keys[key.keyid] = key
        roles[role] = DelegatedRole(role, [key.keyid], 1, terminating=True, paths=list(paths))
    return Delegations(keys, roles)


def _signed(role: str, signed: S, signers: Sequence[Signer]) -> Metadata[S]:
    metadata = Metadata(signed)
    for signer in signers:
        try:
            metadata.sign(signer, append=True)
        except RepositoryError as error:  # a token that was pulled out, say
            raise StateError("fleet.role_not_signed", str(error), role=role) from None
    return metadata


def _enough(role: str, by: Root | Targets, signers: Sequence[Signer]) -> None:
    entry = by.get_delegated_role(role)
    here = {signer.public_key.keyid for signer in signers} & set(entry.keyids)
    if len(here) < entry.threshold:
        raise StateError("fleet.role_not_signed", f"{len(here)}/{entry.threshold}", role=role)


def _carries(metadata: Metadata[S], key: Key) -> bool:
    """Whether `key` has signed it."""
    signature = metadata.signatures.get(key.keyid)
    if signature is None:
        return False
    try:
        key.verify_signature(signature, metadata.signed_bytes)
    except (UnverifiedSignatureError, VerificationError):
        return False
    return True


def _verify(role: str, metadata: Metadata[S], delegator: Root | Targets) -> None:
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise StateError("fleet.role_not_signed", str(error), role=role) from None
