"""A fleet's TUF repository in memory, as one box is shown it: built with python-tuf's metadata classes alone.

Independent of `edged.fleet` on purpose: what the box's side is tested against must not share its mistakes. A test
changes the objects it wants wrong (`root`, `timestamp`, `snapshot`, `roles[...]`), signs with whichever keys it wants,
and asks for the `bundle`. Keys are numbers: key 7 is the same P-256 key in every run.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edged.errors import PushRefusedError
from edged.pushed import refusing
from edged.pushed.verifying import Accepted, first_trust, verify_bundle
from edged.uplink.artefact import CHUNK, cut
from edged.uplink.authority import FleetAuthority
from edged.uplink.bundle import encode_bundle

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DEVICE = "box-1"
CONFIG_PATH = f"config/{DEVICE}.json"
AUTHORITY_PATH = "fleet/authority.json"

OFFLINE = [1, 2, 3]
ADMIN, PRIVACY, RELEASE = 11, 12, 13
STRANGER = 99

DELEGATED = {
    "config": ("config/*", ADMIN),
    "privacy": ("audience/*", PRIVACY),
    "release": (("software/*", "firmware/*", "trust/*"), RELEASE),
    "admin-files": (("scene/*", "messages/*"), ADMIN),
}
PER_DEVICE = ("config", "snapshot", "timestamp")

CONFIG: dict[str, Any] = {"format": 1, "device": DEVICE, "version": "first", "audiences": ["bank"]}
AUDIENCE: dict[str, Any] = {
    "format": 1,
    "name": "bank",
    "scenes": ["bank"],
    "policy": {"claims": {"nationality": "keep", "surname": "mask"}},
}


@cache
def signer(number: int) -> CryptoSigner:
    private = ec.derive_private_key(number * 0xED6ED + 5, ec.SECP256R1())
    return CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))


def key(number: int) -> SSlibKey:
    public = signer(number).public_key
    assert isinstance(public, SSlibKey)
    return SSlibKey.from_dict(public.keyid, public.to_dict())  # a copy: tests change keys, too


def signed(content: Signed, keys: list[int]) -> bytes:
    """Metadata bytes, signed by the keys of these numbers."""
    metadata = Metadata(content)
    for number in keys:
        metadata.sign(signer(number), append=True)
    return metadata.to_bytes()


def canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


@cache
def authorities() -> bytes:
    """The fleet's X.509 authorities, as the offline keys sign for them."""
    anchor = FleetAuthority.create("acme", demo=False, now=NOW).certificate_pem
    return canonical({"format": 1, "anchors": [anchor.decode()]})


class TufRepository:
    """Everything starts at version 1, is signed by who should, and holds for a year (`timestamp`: a month)."""

    def __init__(self, device: str = DEVICE, *, hashes: bool = False, threshold: int = 2) -> None:
        self.device = device
        self.hashes = hashes
        self.metadata: dict[str, bytes] = {}
        """What has been published, by file name; a bundle carries all that its snapshot needs."""
        self.contents: dict[str, bytes] = {}
        year = NOW + timedelta(days=365)
        self.root = Root(expires=year, consistent_snapshot=True)
        self.timestamp = Timestamp(expires=NOW + timedelta(days=30))
        self.snapshot = Snapshot(expires=year)
        self.roles = {"targets": Targets(expires=year, delegations=Delegations({}, {}))}
        self.signers: dict[str, list[int]] = {}
        self.set_keys("root", OFFLINE, threshold)
        self.set_keys("targets", OFFLINE, threshold)
        self.set_keys("timestamp", [ADMIN])
        self.set_keys("snapshot", [ADMIN])
        for name, (paths, number) in DELEGATED.items():
            self.delegate("targets", name, [paths] if isinstance(paths, str) else list(paths), [number])
        self.set_target("targets", AUTHORITY_PATH, authorities())
        self.set_document("config", f"config/{device}.json", CONFIG | {"device": device})
        self.set_document("privacy", "audience/bank.json", AUDIENCE)
        self.write("root")
        self.first_root = self.metadata["1.root.json"]
        self.publish()

    # --- keys and delegations ---

    def set_keys(self, role: str, keys: list[int], threshold: int = 1) -> None:
        """The keys of a top-level role; they sign it from now on."""
        self.root.roles[role].keyids.clear()
        self.root.roles[role].threshold = threshold
        for number in keys:
            self.root.add_key(key(number), role)
        self.signers[role] = list(keys)

    def delegate(
        self,
        delegator: str,
        name: str,
        paths: list[str],
        keys: list[int],
        *,
        threshold: int = 1,
        terminating: bool = True,
    ) -> None:
        """Delegate `paths` to `name`, which is made if there is none; they sign it from now on."""
        above = self.roles[delegator]
        if above.delegations is None:
            above.delegations = Delegations({}, {})
        assert above.delegations.roles is not None
        above.delegations.roles[name] = DelegatedRole(name, [], threshold, terminating, paths)
        for number in keys:
            above.add_key(key(number), name)
        self.signers[name] = list(keys)
        self.roles.setdefault(name, Targets(expires=NOW + timedelta(days=365)))

    # --- targets ---

    def set_target(self, role: str, path: str, content: bytes, custom: dict[str, Any] | None = None) -> None:
        target = TargetFile.from_data(path, content, ["sha256"])
        if custom is not None:
            target.unrecognized_fields["custom"] = custom
        self.roles[role].targets[path] = target
        if custom is None:
            self.contents[path] = content

    def set_document(self, role: str, path: str, document: dict[str, Any]) -> None:
        self.set_target(role, path, canonical(document))

    def set_artefact(self, role: str, kind: str, path: str, content: bytes) -> None:
        """A target that travels in chunks."""
        made = cut(content[at : at + CHUNK] for at in range(0, len(content), CHUNK))
        self.set_target(role, path, content, made.custom(kind, path.rpartition("/")[2], "1"))

    # --- publishing ---

    def write(self, role: str, keys: list[int] | None = None) -> bytes:
        """Sign a role's metadata as it stands, and publish it under its version."""
        content = {"root": self.root, "timestamp": self.timestamp, "snapshot": self.snapshot}.get(role)
        content = self.roles[role] if content is None else content
        data = signed(content, self.signers[role] if keys is None else keys)
        prefix = role == "root" or (role != "timestamp" and self.root.consistent_snapshot)
        self.metadata[f"{content.version}.{role}.json" if prefix else f"{role}.json"] = data
        return data

    def meta(self, version: int, data: bytes) -> MetaFile:
        return MetaFile.from_data(version, data, ["sha256"]) if self.hashes else MetaFile(version)

    def publish(self, roles: list[str] | None = None, keys: dict[str, list[int]] | None = None) -> bytes:
        """Write `roles` (by default all under the root), in the order in which they name each other; the bundle."""
        self.sign(roles, keys)
        return self.bundle()

    def sign(self, roles: list[str] | None = None, keys: dict[str, list[int]] | None = None) -> None:
        """What `publish` does, without a bundle."""
        for role in (
            [*self.roles, "snapshot", "timestamp"]
            if roles is None
            else [
                *(role for role in self.roles if role in roles),
                *(role for role in ("snapshot", "timestamp") if role in roles),
            ]
        ):
            if role == "timestamp":
                self.write(role, (keys or {}).get(role))
                continue
            data = self.write(role, (keys or {}).get(role))
            if role == "snapshot":
                self.timestamp.snapshot_meta = self.meta(self.snapshot.version, data)
            else:
                self.snapshot.meta[f"{role}.json"] = self.meta(self.roles[role].version, data)

    def push(self, **config: Any) -> bytes:
        """The next push to the box, its configuration changed by `config`; the bundle."""
        path = f"config/{self.device}.json"
        self.set_document("config", path, json.loads(self.contents[path]) | config)
        self.roles["config"].version += 1
        self.snapshot.version += 1
        self.timestamp.version += 1
        return self.publish(list(PER_DEVICE))

    def publish_root(self, keys: list[int] | None = None) -> bytes:
        """The next version of the root, signed by its own keys and the former ones unless told otherwise."""
        self.root.version += 1
        return self.write("root", keys)

    def rotate(self, role: str, keys: list[int], threshold: int = 1) -> None:
        """Give a top-level role other keys, in a new root signed by who should sign it."""
        former = list(self.signers["root"])
        self.set_keys(role, keys, threshold)
        self.publish_root(list(dict.fromkeys([*former, *self.signers["root"]])))

    # --- the bundle ---

    def current(self) -> dict[str, bytes]:
        """Metadata files that the timestamp leads to, and every root."""
        consistent = bool(self.root.consistent_snapshot)
        names = [
            "timestamp.json",
            f"{self.snapshot.version}.snapshot.json" if consistent else "snapshot.json",
        ]
        names += [
            f"{self.roles[role].version}.{role}.json" if consistent else f"{role}.json" for role in self.roles
        ]
        names += [name for name in self.metadata if name.endswith(".root.json")]
        return {name: self.metadata[name] for name in names if name in self.metadata}

    def bundle(self, without: tuple[str, ...] = (), **replaced: Any) -> bytes:
        """The bundle of what is published: without some files, or with `metadata` or `targets` in its place."""
        metadata = replaced.get("metadata", self.current())
        targets = replaced.get("targets", self.contents)
        return encode_bundle(
            {name: data for name, data in metadata.items() if name not in without},
            {path: data for path, data in targets.items() if path not in without},
        )


class Box:
    """What one box has stored, and what it makes of bundles."""

    def __init__(self, repository: TufRepository) -> None:
        self.trusted = first_trust(repository.first_root)

    def take(self, bundle: bytes, now: datetime = NOW) -> Accepted:
        accepted = verify_bundle(bundle, trusted=self.trusted, device=DEVICE, now=now)
        self.trusted = accepted.trusted
        return accepted

    def refuse(self, bundle: bytes, now: datetime = NOW) -> tuple[str, str]:
        """Code and place of the refusal, which must come and change nothing."""
        try:
            self.take(bundle, now)
        except PushRefusedError as error:
            return error.code, error.where
        raise AssertionError("the push was accepted")

    def version(self, role: str) -> int:
        version: int = refusing.parse(self.trusted.metadata[f"{role}.json"]).signed.version
        return version

    @property
    def roles(self) -> set[str]:
        return {name.removesuffix(".json") for name in self.trusted.metadata}
