"""Why a push is refused: python-tuf's exceptions, and what lies behind them, as codes of the message catalogue.

Imports python-tuf, so it is imported with `edged.pushed.tuf_client` alone. Does no I/O.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError, SerializationError

from edged.errors import PushRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tuf.api.metadata import Key, Role

MAX_LENGTH: Final = {"root": 16_384, "timestamp": 4_096, "snapshot": 16_384}
"""Bytes of one metadata file: a root with two dozen keys, a snapshot of two hundred roles."""

MAX_TARGETS_LENGTH: Final = 32_768
"""Bytes of `targets` or a delegated role: a hundred artefacts in one."""

KIND: Final[Mapping[str, type[Signed]]] = {"root": Root, "timestamp": Timestamp, "snapshot": Snapshot}
"""Type of each role's metadata; of any other, `Targets`."""

CONFIG_DIRECTORY: Final = "config/"

S = TypeVar("S", bound=Signed)
Accepted = dict[str, "Metadata[Any]"]
"""Role to metadata that is verified."""

_FILE_NAME: Final = re.compile(r"(?:[0-9]+\.)?(.+)\.json")


def role_of(name: str) -> str:
    """The role whose metadata a file called `name` is: `3.snapshot.json` is `snapshot`'s."""
    match = _FILE_NAME.fullmatch(name)
    return match[1] if match else name


def parse(data: bytes) -> Metadata[Any]:
    """Metadata of any role, unverified. Raises `DeserializationError`."""
    return Metadata.from_bytes(data)


def read(data: bytes, kind: type[S]) -> S:
    """What is signed in `data`, unverified. Raises `DeserializationError`, `ValueError` for another role's kind."""
    signed = parse(data).signed
    if not isinstance(signed, kind):
        raise ValueError("metadata of another kind")
    return signed


def refusal(
    error: Exception, name: str, files: Mapping[str, str], accepted: Accepted, now: datetime
) -> PushRefusedError:
    """The refusal for what python-tuf raised over the file `name`, after it had accepted `accepted`."""
    role = role_of(name)
    data = files.get(name, "").encode()
    match error:
        case exceptions.DownloadLengthMismatchError() if len(data) > MAX_LENGTH.get(role, MAX_TARGETS_LENGTH):
            return PushRefusedError("push.too_large", role)
        case exceptions.DownloadLengthMismatchError() | exceptions.LengthOrHashMismatchError():
            another = _of_another(role, data, accepted)
            return PushRefusedError("push.incomplete" if another else "push.hash_wrong", role)
        case exceptions.DownloadError():
            return PushRefusedError("push.incomplete", role)
        case DeserializationError() | SerializationError():
            return PushRefusedError("push.malformed", role)
        case exceptions.ExpiredMetadataError():
            return PushRefusedError("push.expired", _expired(role, accepted, now))
        case exceptions.UnsignedMetadataError():
            return PushRefusedError(_signature_code(role, parse(data), accepted), role)
        case exceptions.BadVersionNumberError():
            return PushRefusedError(_version_code(role, name, data, accepted), role)
        case exceptions.RepositoryError() if isinstance(_signed(data), KIND.get(role, Targets)):
            return PushRefusedError("push.incomplete", role)  # the snapshot lacks a role
        case _:
            return PushRefusedError("push.malformed", role)


def not_found(path: str, files: Mapping[str, str]) -> PushRefusedError:
    """The refusal when no role that may speak of `path` does; `files` tell why, unverified."""
    listed = {
        target
        for name in files
        if isinstance(signed := _signed(files[name].encode()), Targets)
        for target in signed.targets
    }
    if path in listed:
        return PushRefusedError("push.wrong_role", path)
    if path.startswith(CONFIG_DIRECTORY) and any(other.startswith(CONFIG_DIRECTORY) for other in listed):
        return PushRefusedError("push.foreign_device", path)
    return PushRefusedError("push.incomplete", path)


def contradicts(role: str, delegators: Sequence[Root | Targets], claimed: bytes, believed: bytes) -> bool:
    """Whether `claimed` says something else under the version of `believed`, and has the signatures for it."""
    try:
        metadata, other = parse(claimed), parse(believed)
        differ = (
            metadata.signed.version == other.signed.version and metadata.signed_bytes != other.signed_bytes
        )
    except exceptions.RepositoryError:
        return False
    return differ and any(_verifies(delegator, role, metadata) for delegator in delegators)


def delegates(delegator: Root | Targets, role: str) -> bool:
    """Whether `delegator` says whose keys are `role`'s."""
    try:
        delegator.get_delegated_role(role)
    except ValueError:
        return False
    return True


def counts_a_key_twice(delegator: Root | Targets) -> bool:
    """Whether some role has one key under two identifiers: a threshold of two would be one person."""
    roles: list[Role]
    if isinstance(delegator, Root):
        keys, roles = delegator.keys, list(delegator.roles.values())
    elif delegator.delegations is not None:
        succinct = delegator.delegations.succinct_roles
        keys = delegator.delegations.keys
        roles = [*(delegator.delegations.roles or {}).values(), *([] if succinct is None else [succinct])]
    else:
        return False
    for role in roles:
        values = [
            str(keys[identifier].keyval.get("public")) for identifier in role.keyids if identifier in keys
        ]
        if len(set(values)) != len(values):
            return True
    return False


def _verifies(delegator: Root | Targets, role: str, metadata: Metadata[Any]) -> bool:
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (exceptions.UnsignedMetadataError, ValueError):
        return False
    return True


def _signed(data: bytes) -> Signed | None:
    try:
        signed: Signed = parse(data).signed
    except DeserializationError:
        return None
    return signed


def _expired(role: str, accepted: Accepted, now: datetime) -> str:
    """Which role's metadata has expired: the library may notice it only with the next role's."""
    for above in ("root", "timestamp", "snapshot", "targets"):
        if above == role:
            break
        if above in accepted and accepted[above].signed.is_expired(now):
            return above
    return role


def _signature_code(role: str, metadata: Metadata[Any], accepted: Accepted) -> str:
    """Whether somebody signed who may sign, but not this; otherwise strangers did, or too few."""
    own: set[str] = set()
    known: dict[str, Key] = {}
    for one in accepted.values():
        if isinstance(one.signed, Root | Targets) and delegates(one.signed, role):
            own |= set(one.signed.get_delegated_role(role).keyids)
        if isinstance(one.signed, Root):
            known |= one.signed.keys
        elif isinstance(one.signed, Targets) and one.signed.delegations is not None:
            known |= one.signed.delegations.keys
    for identifier, signature in metadata.signatures.items():
        if identifier in known and identifier not in own:
            try:
                known[identifier].verify_signature(signature, metadata.signed_bytes)
            except UnverifiedSignatureError:
                continue
            return "push.wrong_role"
    return "push.signature_wrong"


def _of_another(role: str, data: bytes, accepted: Accepted) -> bool:
    """Whether `data` is another version of `role`'s metadata than the role above it asks for."""
    signed = _signed(data)
    if role == "snapshot":
        asked = accepted["timestamp"].signed.snapshot_meta.version
    elif role in ("root", "timestamp") or f"{role}.json" not in accepted["snapshot"].signed.meta:
        return False
    else:
        asked = accepted["snapshot"].signed.meta[f"{role}.json"].version
    return signed is not None and signed.version != asked


def _version_code(role: str, name: str, data: bytes, accepted: Accepted) -> str:
    """A lower version than the box has seen is a replay; one that others don't ask for is of another push."""
    signed = _signed(data)
    if role == "root":
        asked = int(name.partition(".")[0])
        return "push.replayed" if signed is not None and signed.version < asked else "push.incomplete"
    if role == "timestamp" or (role == "snapshot" and not _of_another(role, data, accepted)):
        return "push.replayed"
    return "push.incomplete"
