"""TUF's client workflow over one bundle: python-tuf's `Updater`, fed from memory, in a directory that lives as long.

Importing this costs what python-tuf costs (urllib3 among it), so `edged.pushed.verifying` does it with the first push.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tuf.api.exceptions import (
    DownloadHTTPError,
    DownloadLengthMismatchError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from edged.errors import PushRefusedError
from edged.pushed import refusing
from edged.uplink.fields import MAX_SEQ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

BASE: Final = "bundle:/"
"""Where python-tuf believes to download from."""

MAX_ROTATIONS: Final = 32
"""Roots newer than the box's own in one push: a root lasts a year or so, and more of them hardly fit a bundle."""

MAX_DELEGATIONS: Final = 8
"""Roles visited in the search for one target: a fleet has four below `targets`."""

_ROOT_FILE: Final = re.compile(r"([1-9][0-9]{0,15})\.root\.json")


class BundleFetcher(FetcherInterface):
    """Serves files of a bundle from memory, and remembers the last name it was asked for."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self.asked = ""

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.asked = url.removeprefix(BASE)
        text = self._files.get(self.asked)
        if text is None:
            raise DownloadHTTPError("not in the bundle", 404)
        return iter((text.encode(),))

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """One file, without the temporary file that the inherited method would make."""
        data = b"".join(self.fetch(url))
        if len(data) > max_length:
            raise DownloadLengthMismatchError("longer than it may be")
        return data


class Repository:
    """What the metadata of a bundle says, verified against what the box trusts.

    First `refresh`, then `target` for whatever is of interest, then `finish`. All raise `PushRefusedError` (see
    `edged.pushed.verifying.verify_bundle`), and `OSError` for trouble with the temporary directory.
    """

    def __init__(
        self, files: Mapping[str, str], trusted: Mapping[str, bytes], now: datetime, directory: Path
    ) -> None:
        self._files = files
        self._trusted = trusted
        self._now = now
        self._directory = directory
        self._fetcher = BundleFetcher(files)
        self._known = _known(trusted)
        for name in ("timestamp.json", "snapshot.json"):  # what a rollback is measured against
            if name in trusted:
                (directory / name).write_bytes(trusted[name])
        self._updater = self._made_updater()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, files: Mapping[str, str], trusted: Mapping[str, bytes], now: datetime) -> Iterator[Self]:
        """A repository in a private directory that is removed in every case."""
        with tempfile.TemporaryDirectory(prefix="edged-push-") as directory:
            yield cls(files, trusted, now, Path(directory))

    def _made_updater(self) -> Updater:
        try:
            self._own_root = refusing.read(self._trusted["root.json"], Root)
            updater = Updater(
                metadata_dir=str(self._directory),
                metadata_base_url=BASE,
                fetcher=self._fetcher,
                config=UpdaterConfig(
                    max_root_rotations=MAX_ROTATIONS,
                    max_delegations=MAX_DELEGATIONS,
                    root_max_length=refusing.MAX_LENGTH["root"],
                    timestamp_max_length=refusing.MAX_LENGTH["timestamp"],
                    snapshot_max_length=refusing.MAX_LENGTH["snapshot"],
                    targets_max_length=refusing.MAX_TARGETS_LENGTH,
                ),
                bootstrap=self._trusted["root.json"],
            )
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the box's own root is of no use
            raise PushRefusedError("push.trust_unusable", "root") from None
        # The library judges expiry by the system's clock and offers no other way. `finish` judges everything again,
        # should a later release call this differently.
        updater._trusted_set.reference_time = self._now
        return updater

    def refresh(self) -> int:
        """Load and verify the four top-level roles; returns the push's number, the snapshot's version."""
        self._check_root_chain()
        with self._refusing():
            self._updater.refresh()
        self._check_root_keys()
        root = self._signed("root", Root)
        push = self._signed("snapshot", Snapshot).version
        if push > MAX_SEQ:
            raise PushRefusedError("push.malformed", "snapshot")
        self._check_replaced("timestamp", "timestamp.json", root)
        prefix = f"{push}." if root.consistent_snapshot else ""
        self._check_replaced("snapshot", f"{prefix}snapshot.json", root)
        return push

    def target(self, path: str) -> TargetFile:
        """What those roles that may speak of `path` say of it."""
        with self._refusing():
            found = self._updater.get_targetinfo(path)
        if found is None:
            raise refusing.not_found(path, self._files)
        return found

    def content(self, path: str, targets: Mapping[str, str]) -> bytes:
        """The bytes of a target that is in the bundle itself, verified."""
        found = self.target(path)
        if path not in targets:
            raise PushRefusedError("push.incomplete", path)
        data = targets[path].encode()
        if "sha256" not in found.hashes:
            raise PushRefusedError("push.malformed", path)
        try:
            found.verify_length_and_hashes(data)
        except LengthOrHashMismatchError:
            raise PushRefusedError("push.hash_wrong", path) from None
        return data

    def described(self, path: str) -> dict[str, Any]:
        """What is signed of a target that is not in the bundle: its length, hashes, and custom data."""
        return self.target(path).to_dict()

    def offers(self, path: str) -> bool:
        """Whether a role that may speak of `path` has signed a target of that name."""
        with self._refusing():
            return self._updater.get_targetinfo(path) is not None

    def lists(self, path: str) -> bool:
        """Whether the offline keys themselves have signed a target `path`."""
        return path in self._signed("targets", Targets).targets

    def finish(self) -> dict[str, bytes]:
        """The metadata to be trusted from now on, by file name without version."""
        roles = self._roles()
        accepted = {f"{role}.json": self._bytes(role) for role in roles}
        for role in roles:
            if refusing.parse(self._bytes(role)).signed.is_expired(self._now):
                raise PushRefusedError("push.expired", role)
        self._check_targets([role for role in roles if role not in refusing.KIND])
        # What was trusted of roles this push doesn't need still tells two contents of one version apart.
        listed = self._signed("snapshot", Snapshot).meta
        return {name: data for name, data in self._trusted.items() if name in listed} | accepted

    def _check_root_chain(self) -> None:
        """Every root between the box's and the newest is here: a missing one would end the chain unnoticed."""
        versions = {int(match[1]) for name in self._files if (match := _ROOT_FILE.fullmatch(name))}
        newest = max(versions, default=0)
        if newest - self._own_root.version > MAX_ROTATIONS:
            raise PushRefusedError("push.too_many_roots", "root", roots=str(MAX_ROTATIONS))
        if not versions.issuperset(range(self._own_root.version + 1, newest + 1)):
            raise PushRefusedError("push.incomplete", "root")
        same = self._files.get(f"{self._own_root.version}.root.json")
        if same is not None and refusing.contradicts(
            "root", [self._own_root], same.encode(), self._trusted["root.json"]
        ):
            raise PushRefusedError("push.equivocation", "root")

    def _check_root_keys(self) -> None:
        """No new root counts one key as two."""
        for version in range(self._own_root.version + 1, self._signed("root", Root).version + 1):
            if refusing.counts_a_key_twice(refusing.read(self._files[f"{version}.root.json"].encode(), Root)):
                raise PushRefusedError("push.signature_wrong", "root")

    def _check_replaced(self, role: str, name: str, root: Root) -> None:
        """`role` as offered says what was accepted of it, which is the box's own where that has the same version."""
        offered = self._files.get(name)
        if offered is None:
            raise PushRefusedError("push.incomplete", role)
        accepted = self._bytes(role)
        if offered.encode() == accepted:
            return
        with self._refusing():
            self._fetcher.asked = name
            metadata: Metadata[Snapshot] = refusing.parse(offered.encode())
            root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        if refusing.contradicts(role, [root], offered.encode(), accepted):
            raise PushRefusedError("push.equivocation", role)
        if metadata.signed.version != self._signed(role, type(metadata.signed)).version:
            raise PushRefusedError("push.incomplete", role)

    def _check_targets(self, roles: list[str]) -> None:
        """No role says anything else under the version the box has seen of it, or counts one key as two."""
        signed = {role: self._signed(role, Targets) for role in roles}
        root = self._signed("root", Root)
        for role in roles:
            if refusing.counts_a_key_twice(signed[role]):
                raise PushRefusedError("push.signature_wrong", role)
            before = self._trusted.get(f"{role}.json")
            above: list[Root | Targets] = [root, *signed.values()]
            if before is not None and refusing.contradicts(role, above, before, self._bytes(role)):
                raise PushRefusedError("push.equivocation", role)

    def _bytes(self, role: str) -> bytes:
        return (self._directory / f"{role}.json").read_bytes()

    def _signed(self, role: str, kind: type[refusing.S]) -> refusing.S:
        return refusing.read(self._bytes(role), kind)

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn whatever the library says of the bundle into a refusal."""
        try:
            yield
        except (OSError, PushRefusedError):
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's bytes must never be able to take the daemon down
            name = self._fetcher.asked
            accepted = {role: refusing.parse(self._bytes(role)) for role in self._roles()}
            raise refusing.refusal(error, name, self._files, self._known | accepted, self._now) from None

    def _roles(self) -> list[str]:
        return sorted(path.name.removesuffix(".json") for path in self._directory.glob("*.json"))


def _known(trusted: Mapping[str, bytes]) -> refusing.Accepted:
    """What the box trusts, parsed. The library would pass over what it can't read, and rollbacks with it."""
    known = {}
    for name, data in trusted.items():
        role = name.removesuffix(".json")
        try:
            refusing.read(data, refusing.KIND.get(role, Targets))
            known[role] = refusing.parse(data)
        except (RepositoryError, ValueError):
            raise PushRefusedError("push.trust_unusable", role) from None
    return known


def self_signed(root: bytes) -> None:
    """Check root metadata that is believed as it came. Raises `PushRefusedError`."""
    if len(root) > refusing.MAX_LENGTH["root"]:
        raise PushRefusedError("push.too_large", "root")
    try:
        metadata = refusing.parse(root)
        signed = refusing.read(root, Root)
        signed.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError:
        raise PushRefusedError("push.signature_wrong", "root") from None
    except Exception:  # noqa: BLE001 - a stranger's bytes must never be able to take the daemon down
        raise PushRefusedError("push.malformed", "root") from None
    if refusing.counts_a_key_twice(signed):
        raise PushRefusedError("push.signature_wrong", "root")
