"""Verifying one push: what this box may believe of it, from the bundle and the TUF metadata it trusts now.

A stateless question: nothing is kept but what the answer carries, and a refused push leaves no trace. Whoever stores an
accepted push stores `Accepted.trusted` in the same transaction; that is what makes the next older push a replay.

The rules are those of the TUF specification's client workflow (1.0.34 §5.3 to §5.7), done by python-tuf, and a few of
our own: a push names this box, lists nothing outside its roles' delegations, and one number means one content.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from edged.desired import (
    FILE,
    ArtefactKind,
    AudienceDocument,
    ConfigDocument,
    parse_audience,
    parse_config,
)
from edged.errors import ConfigError, DecodeError, PushRefusedError, StateError
from edged.privacy.policy import check_policy
from edged.uplink import fleet_authority, sealed_keys
from edged.uplink.artefact import Length, check_target, read_custom
from edged.uplink.bundle import Bundle, decode_bundle
from edged.uplink.fields import Sha256, decoder
from edged.uplink.reported import MAX_PATH, Push
from edged.uplink.sealed_keys import OrganisationKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from edged.pushed.tuf_client import Repository


class Trusted(msgspec.Struct, frozen=True):
    """What a box believes of its fleet's roles: TUF metadata that it has verified.

    Attributes:
        metadata: file name without its version (`root.json`, `timestamp.json`, `config.json`) to bytes.
    """

    metadata: dict[str, bytes]


class ArtefactTarget(msgspec.Struct, frozen=True):
    """A file too large for the bundle, as its role has signed for it.

    Attributes:
        path: of the TUF target.
        sha256: of the whole file, hexadecimal; its topic carries it.
        length: of the whole file, bytes.
        chunk: bytes of every chunk but the last.
        chunks: how many there are.
        index_sha256: of the index that lists the chunks' hashes, hexadecimal.
        name: what people call it.
        version: as in the fleet's list of artefacts.
    """

    path: str
    sha256: str
    length: int
    chunk: int
    chunks: int
    index_sha256: str
    name: str
    version: str


class Accepted(msgspec.Struct, frozen=True):
    """A push that may be staged.

    Attributes:
        trusted: to be stored in place of the old one, in the transaction that stages the push.
        push: its number, the version of the snapshot metadata.
        config: bytes of `config/{device}.json`.
        audiences: name to the bytes of `audience/{name}.json`, one of each that the configuration names.
        authority: bytes of `fleet/authority.json`; None where the offline keys have signed none.
        artefacts: what the configuration names, by kind; to be fetched before the switch.
        organisation_keys: of those audiences that have one, sealed to this box and vouched for by the privacy officer.
        document: `config`, parsed.
        audience_documents: `audiences`, parsed, their policies below the ceiling.
    """

    trusted: Trusted
    push: int
    config: bytes
    audiences: dict[str, bytes]
    authority: bytes | None
    artefacts: dict[ArtefactKind, ArtefactTarget]
    organisation_keys: dict[str, OrganisationKey]
    document: ConfigDocument
    audience_documents: dict[str, AudienceDocument]


class _Version(msgspec.Struct):
    version: Push


class _TimestampSigned(msgspec.Struct):
    meta: dict[str, _Version]


class _Timestamp(msgspec.Struct):
    """As much of timestamp metadata as says which push it is."""

    signed: _TimestampSigned


class _Target(msgspec.Struct):
    """An artefact's entry in its role's metadata."""

    length: Length
    hashes: dict[str, Sha256]
    custom: Any = None


def first_trust(root: bytes) -> Trusted:
    """What a box that knows only `root` trusts: the root metadata of its enrolment, or of its boot file.

    The bytes are believed as they came; they must be root metadata signed by its own threshold of keys. An expired
    root is taken, since a newer one may follow in the first push (TUF specification §5.3).
    Raises `PushRefusedError` (`push.malformed`, `push.signature_wrong`, `push.too_large`).
    """
    from edged.pushed.tuf_client import self_signed

    self_signed(root)
    return Trusted({"root.json": root})


def verify_bundle(data: bytes, *, trusted: Trusted, device: str, now: datetime) -> Accepted:
    """Verify the bundle that was pushed to `device`.

    `now` is timezone-aware and alone decides what has expired; the caller asks only while its clock is trusted. The
    push that the box has taken already is accepted again, with the same number, for as long as its metadata hasn't
    expired: a caller that wants to keep it beyond that compares the bytes first.

    Raises `PushRefusedError`: `push.too_large`, `push.too_many_roots`, `push.malformed`, `push.incomplete` (a file is
    missing, or doesn't belong to the others), `push.signature_wrong`, `push.wrong_role`, `push.replayed`,
    `push.expired`, `push.foreign_device`, `push.hash_wrong`, `push.equivocation`, `push.trust_unusable` (what the box
    trusts can't be read), the code of the `ConfigError` of a document, or of the `DecodeError` of an artefact's
    description (`edged.uplink.artefact`), of `fleet/authority.json` or of an organisation's key
    (`edged.uplink.sealed_keys`), `organisation_key.not_for_this_box`. Raises `StateError`
    (`push.no_temporary_files`) for trouble of the box's own, after which the same push may be tried again.
    """
    if now.tzinfo is None:
        raise ValueError("now must be timezone-aware")
    push = 0
    try:
        bundle = decode_bundle(data)
        push = _claimed_push(bundle)
        return _verified(bundle, trusted, device, now)
    except DecodeError as error:
        raise PushRefusedError(error.code) from None
    except PushRefusedError as error:
        where = error.where.encode(
            "utf-8", "replace"
        ).decode()  # a key's name may be what no report can spell
        raise PushRefusedError(error.code, where[:MAX_PATH], push, **error.params) from None
    except OSError as error:
        raise StateError("push.no_temporary_files", error.strerror or "") from error


def _verified(bundle: Bundle, trusted: Trusted, device: str, now: datetime) -> Accepted:
    from edged.pushed.tuf_client import Repository

    path = f"config/{device}.json"
    with Repository.opened(bundle.metadata, trusted.metadata, now) as repository:
        push = repository.refresh()
        config = repository.content(path, bundle.targets)
        with _documents():
            document = parse_config(config)
        if document.device != device:
            raise PushRefusedError("push.foreign_device", path)
        audiences = {
            name: repository.content(f"audience/{name}.json", bundle.targets) for name in document.audiences
        }
        authority = None
        if repository.lists(fleet_authority.TARGET):
            authority = repository.content(fleet_authority.TARGET, bundle.targets)
            _check_authority(authority)
        artefacts = {
            kind: _artefact(kind, target, repository.described(target))
            for kind, target in document.artefacts.items()
        }
        documents = {name: _audience(name, text) for name, text in audiences.items()}
        keys = _organisation_keys(repository, bundle.targets, device, documents)
        return Accepted(
            trusted=Trusted(repository.finish()),
            push=push,
            config=config,
            audiences=audiences,
            authority=authority,
            artefacts=artefacts,
            organisation_keys=keys,
            document=document,
            audience_documents=documents,
        )


def _claimed_push(bundle: Bundle) -> int:
    """The number that the bundle gives itself, unverified; 0 if none can be read."""
    try:
        timestamp = decoder(_Timestamp).decode(bundle.metadata.get("timestamp.json", ""))
    except (msgspec.DecodeError, RecursionError):
        return 0
    version = timestamp.signed.meta.get("snapshot.json")
    return 0 if version is None else version.version


def _audience(name: str, data: bytes) -> AudienceDocument:
    with _documents(f"audiences.{name}"):
        document = parse_audience(data)
        if document.name != name:
            raise ConfigError("name", "config.other_name")
        try:
            check_policy(document.policy)
        except ConfigError as error:
            raise error.within("policy", ".") from None
    return document


def _organisation_keys(
    repository: Repository, targets: Mapping[str, str], device: str, documents: Mapping[str, AudienceDocument]
) -> dict[str, OrganisationKey]:
    """The keys that the privacy officer has delivered to this box, of those audiences that need one.

    Where the officer has delivered one to boxes and none to this, the push is refused
    (`organisation_key.not_for_this_box`): whoever makes pushes can't leave a key out.
    """
    found: dict[str, OrganisationKey] = {}
    mine: sealed_keys.DeviceKeys | None = None
    for name, document in documents.items():
        path = sealed_keys.index_target(name)
        if document.policy.pseudonym_scope != "organisation" or not repository.offers(path):
            continue
        where = f"audiences.{name}.organisation_key"
        try:
            index = sealed_keys.parse_index(repository.content(path, targets), name)
            if mine is None and repository.offers(own := sealed_keys.device_target(device)):
                mine = sealed_keys.parse_device_keys(repository.content(own, targets), device)
            if mine is None or name not in mine.keys:
                raise PushRefusedError("organisation_key.not_for_this_box", where)
            found[name] = sealed_keys.proved(index, device, mine.keys[name])
        except DecodeError as error:
            raise PushRefusedError(error.code, where) from None
    return found


@contextlib.contextmanager
def _documents(outer: str = "") -> Iterator[None]:
    """A document's error is the push's, with the path of the key as `edged.desired.compose` gives it."""
    try:
        yield
    except ConfigError as error:
        parts = [part for part in (outer, error.where) if part and not (outer and part == FILE)]
        raise PushRefusedError(error.code, ".".join(parts), **error.params) from None


def _check_authority(data: bytes) -> None:
    try:
        fleet_authority.parse(data)
    except DecodeError as error:
        raise PushRefusedError(error.code, fleet_authority.TARGET) from None


def _artefact(kind: ArtefactKind, path: str, described: dict[str, Any]) -> ArtefactTarget:
    """Raises `PushRefusedError` (`artefact.bad_target`, `artefact.too_large`) where no file can be fetched by it."""
    try:
        target = msgspec.convert(described, _Target)
        artefact = read_custom(target.custom)
        wanted = ArtefactTarget(
            path=path,
            sha256=target.hashes["sha256"],
            length=target.length,
            chunk=artefact.chunk,
            chunks=artefact.chunks,
            index_sha256=artefact.index_sha256,
            name=artefact.name,
            version=artefact.version,
        )
        check_target(wanted, kind)
    except (msgspec.ValidationError, KeyError):
        raise PushRefusedError("artefact.bad_target", path) from None
    except DecodeError as error:
        raise PushRefusedError(error.code, path) from None
    if artefact.kind != kind:
        raise PushRefusedError("artefact.bad_target", path)
    return wanted
