"""Keys that were lost, stolen or are about to expire: the ways back that the TUF specification has (§6).

An offline key is replaced by a root that old and new keys sign. An online key, the privacy officer's or the
release role's is replaced by the offline keys: what was signed with it is worth nothing from the moment a box takes the
next push, however high the versions were that a thief gave it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from tuf.api.metadata import TargetFile

from edged.errors import StateError
from edged.fleet import authorities
from edged.fleet.bundles import ONLINE_KEY
from edged.fleet.key_files import OfflineKey, file_name, make_offline, read_key, signer_of
from edged.fleet.layers import audience_files
from edged.fleet.repository import Repository, set_delegated_key, set_root_keys
from edged.fleet.tuf_roles import ADMIN_FILES, HOLDER_OF, PRIVACY, RELEASE, ROOT, SHARED, TARGETS, Holder
from edged.uplink.fleet_authority import TARGET, encode, sha256_of
from edged.uplink.keys import generate_key, private_pem, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from tuf.api.metadata import Key, Targets

    from edged.fleet.repository import RoleStatus
    from edged.fleet.state import FleetState


class Rotation(NamedTuple):
    """A root's next set of offline keys."""

    kept: Mapping[str, Key]
    forgotten: Mapping[str, Key]
    threshold: int


class Refreshed(NamedTuple):
    """What a refresh signed anew, and what it couldn't: those whose keys weren't there."""

    signed: tuple[str, ...]
    waiting: tuple[RoleStatus, ...]


def repository_of(state: FleetState) -> Repository:
    """The repository in a state directory."""
    return Repository(state.directory / "metadata")


def plan_rotation(state: FleetState, forget: Sequence[str], new: int, threshold: int | None) -> Rotation:
    """The next set: without the keys whose ids begin as one of `forget`, with `new` more.

    The threshold stays unless another is given. Raises `StateError`: `fleet.no_such_key` (none, or several, begin so),
    `fleet.bad_threshold`.
    """
    root = repository_of(state).root().signed
    entry = root.get_delegated_role(ROOT)
    held = {keyid: root.get_key(keyid) for keyid in entry.keyids}
    forgotten: dict[str, Key] = {}
    for start in forget:
        named = [keyid for keyid in held if start and keyid.startswith(start)]
        if len(named) != 1:
            raise StateError("fleet.no_such_key", start)
        forgotten[named[0]] = held[named[0]]
    kept = {keyid: key for keyid, key in held.items() if keyid not in forgotten}
    wanted = entry.threshold if threshold is None else threshold
    if not 1 <= wanted <= len(kept) + new:
        raise StateError("fleet.bad_threshold", keys=str(len(kept) + new))
    return Rotation(kept, forgotten, wanted)


def rotate_root(
    state: FleetState,
    rotation: Rotation,
    present: Sequence[OfflineKey],
    new_directories: Sequence[Path],
    now: datetime,
) -> int:
    """The next root with new keys in `new_directories`, and `targets` signed by the new set; the root's version.

    Raises `StateError`: `fleet.role_not_signed` (not enough of the old keys are present, or of the new set),
    `fleet.key_exists`.
    """
    check_rotation(state, rotation, present, new_directories)
    repository = repository_of(state)
    number = repository.root().signed.version + 1
    made = [
        make_offline(Holder.ROOT, directory, f"root-{number}-{place}")
        for place, directory in enumerate(new_directories, 1)
    ]
    offline = {**rotation.kept, **{key.keyid: key.signer.public_key for key in made}}
    root = repository.root().signed
    admin = root.get_key(root.get_delegated_role("timestamp").keyids[0])
    signers = [key.signer for key in _each(present, made)]
    # Targets first, signed for the old root and for the new: a power cut leaves nothing that isn't signed.
    repository.revise(TARGETS, _as_it_is, signers, now)
    return repository.revise_root(
        lambda root: set_root_keys(root, offline, rotation.threshold, admin), signers, now
    )


def check_rotation(
    state: FleetState, rotation: Rotation, present: Sequence[OfflineKey], new_directories: Sequence[Path]
) -> None:
    """Before a key is made: whether the old root and the new one will both find their thresholds.

    Raises as `rotate_root` does; changes nothing.
    """
    entry = repository_of(state).root().signed.get_delegated_role(ROOT)
    here = {key.keyid for key in present}
    old, kept = here & set(entry.keyids), here & set(rotation.kept)
    new = len(new_directories)
    if len(old) < entry.threshold or len(kept) + new < rotation.threshold:
        detail = f"{len(old)}/{entry.threshold}, {len(kept) + new}/{rotation.threshold}"
        raise StateError("fleet.role_not_signed", detail, role=ROOT)
    _check_new(state, Holder.ROOT, new_directories)


def _check_new(state: FleetState, holder: Holder, directories: Sequence[Path]) -> None:
    """Directories for new keys: each its own, outside of what git keeps, and without a key."""
    resolved = [directory.resolve() for directory in directories]
    for number, directory in enumerate(resolved):
        if directory in resolved[:number]:
            raise StateError("fleet.same_directory", str(directory))
        if directory.is_relative_to(state.directory.resolve()):
            raise StateError("fleet.keys_inside_state", str(directory))
        if (directory / file_name(holder)).exists():
            raise StateError("fleet.key_exists", str(directory / file_name(holder)))


def _each(*groups: Sequence[OfflineKey]) -> list[OfflineKey]:
    return list({key.keyid: key for group in groups for key in group}.values())


def _as_it_is(_: Targets) -> None:
    pass


def replace_officer(
    state: FleetState, holder: Holder, offline: Sequence[OfflineKey], directory: Path, now: datetime
) -> tuple[str, ...]:
    """Give `privacy` or `release` a new key in `directory`; the targets it vouches for again.

    Of the privacy officer's documents those are signed again that lie in `audiences/` as they were signed; the rest of
    the list is for people to look through. Raises `StateError` (`fleet.role_not_signed`, `fleet.key_exists`).
    """
    check_replacement(state, holder, offline, directory)
    repository = repository_of(state)
    role = PRIVACY if holder is Holder.PRIVACY else RELEASE
    made = make_offline(holder, directory, holder)
    repository.revise(
        TARGETS,
        lambda targets: set_delegated_key(targets, holder, made.signer.public_key),
        [key.signer for key in offline],
        now,
    )
    files = {f"audience/{name}.json": data for name, data in audience_files(state).items()}

    def change(targets: Targets) -> None:
        if holder is Holder.PRIVACY:
            targets.targets = {
                path: target for path, target in targets.targets.items() if _is(target, files.get(path))
            }

    repository.revise(role, change, [made.signer], now, replaced=True)
    return tuple(sorted(repository.targets(role).signed.targets))


def _is(target: TargetFile, data: bytes | None) -> bool:
    return data is not None and target.hashes.get("sha256") == hashlib.sha256(data).hexdigest()


def replace_admin(state: FleetState, offline: Sequence[OfflineKey], now: datetime) -> tuple[str, ...]:
    """Give the fleet admin new keys for metadata, TLS and signing; SHA-256 of the certificates revoked thereby.

    The issuing authority's key lay beside them: `edged fleet authority renew` replaces that. Raises `StateError`
    (`fleet.role_not_signed`).
    """
    check_replacement(state, Holder.ADMIN, offline, None)
    repository = repository_of(state)
    signers = [key.signer for key in offline]
    key = generate_key()
    online = signer_of(key, f"admin {state.file.admin}")
    root = repository.root().signed
    entry = root.get_delegated_role(ROOT)
    keys = {keyid: root.get_key(keyid) for keyid in entry.keyids}
    revoked = tuple(map(sha256_of, authorities.admin_certificates(state)))
    document = authorities.with_revoked(authorities.current(state), revoked, "key_compromise", now)
    write_private(state.secrets / ONLINE_KEY, private_pem(key))
    repository.revise_root(
        lambda root: set_root_keys(root, keys, entry.threshold, online.public_key), signers, now
    )

    def change(targets: Targets) -> None:
        set_delegated_key(targets, Holder.ADMIN, online.public_key)
        targets.targets[TARGET] = TargetFile.from_data(TARGET, encode(document), ["sha256"])

    authorities.lay_aside(state, document)
    repository.revise(TARGETS, change, signers, now)
    authorities.write_files(state.directory, document)
    repository.revise(ADMIN_FILES, _as_it_is, [online], now, replaced=True)
    authorities.write_admin(state, now)
    return revoked


def check_replacement(
    state: FleetState, holder: Holder, offline: Sequence[OfflineKey], directory: Path | None
) -> None:
    """Before anything is written: whether the offline keys that are here reach the threshold.

    Raises as the replacement does; changes nothing.
    """
    entry = repository_of(state).root().signed.get_delegated_role(ROOT)
    here = len({key.keyid for key in offline} & set(entry.keyids))
    if here < entry.threshold:
        raise StateError("fleet.role_not_signed", f"{here}/{entry.threshold}", role=TARGETS)
    if directory is not None:
        _check_new(state, holder, [directory])


def due(state: FleetState, now: datetime) -> list[RoleStatus]:
    """Shared roles whose end is near, or whose metadata isn't signed by those who hold the role now."""
    repository = repository_of(state)
    return [
        status
        for status in repository.statuses(now)
        if status.role in (ROOT, *SHARED)
        and (status.soon or (status.role != ROOT and not repository.is_signed(status.role)))
    ]


def refresh(state: FleetState, present: Mapping[Holder, Sequence[OfflineKey]], now: datetime) -> Refreshed:
    """Sign anew what is `due`, as far as the keys for it are present; the admin's own always is.

    Raises `StateError`, `CertificateError` (of the admin's key).
    """
    repository = repository_of(state)
    signed: list[str] = []
    waiting: list[RoleStatus] = []
    online = read_key(state.secrets / ONLINE_KEY)
    for status in due(state, now):
        keys = [online] if HOLDER_OF[status.role] is Holder.ADMIN else list(present.get(status.holder, ()))
        matching = {key.keyid: key.signer for key in keys if key.keyid in status.keyids}
        signed_now = status.role == ROOT or repository.is_signed(status.role)
        if len(matching) < status.threshold or not signed_now:
            waiting.append(status)
            continue
        signers = list(matching.values())
        if status.role == ROOT:
            repository.revise_root(lambda _: None, signers, now)
        else:
            repository.revise(status.role, _as_it_is, signers, now)
        signed.append(status.role)
    return Refreshed(tuple(signed), tuple(waiting))
