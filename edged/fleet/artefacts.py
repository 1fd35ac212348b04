"""Large files of a fleet: cut, published to the broker in pieces, signed for by their role, and taken back.

Published first and signed for last: what is signed can be named in a configuration, and then boxes look for it. A copy
stays in `artefacts/`, so that a broker that has lost everything gets it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tuf.api.metadata import TargetFile

from edged.config import load_toml
from edged.desired import DIRECTORY_OF, ArtefactKind
from edged.errors import ConfigError, DecodeError, StateError
from edged.fleet.pushes import Pushes
from edged.fleet.recovery import repository_of
from edged.fleet.tuf_roles import ADMIN_FILES, RELEASE, role_of
from edged.trust.store import TrustStore
from edged.uplink import topics
from edged.uplink.artefact import CHUNK, MAX_BYTES, Artefact, Cut, cut, read_custom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import Signer

    from edged.fleet.link import AdminLink
    from edged.fleet.state import FleetState

DIRECTORY: Final = "artefacts"

AT_ONCE: Final = 8
"""Parts on their way to the broker at once."""


class Signed(NamedTuple):
    """A file that a role has signed for."""

    path: str
    sha256: str
    length: int
    artefact: Artefact


def source_of(kind: ArtefactKind, path: Path) -> Path:
    """The file to be pushed: of a trust store's directory the generation in force. Raises `StateError`."""
    if kind == "trust" and path.is_dir():
        manifest = TrustStore(path).manifest()
        if manifest is None:
            raise StateError("truststore.no_generation", str(path))
        return path / f"generation-{manifest.current}"
    return path


def path_of(kind: ArtefactKind, name: str, version: str) -> str:
    """The target's path: `software/edged-2.0`. A version's `+` and `~` can't stand in one."""
    return f"{DIRECTORY_OF[kind]}/{name}-{version.lower().replace('~', '-').replace('+', '-')}"


def cut_file(kind: ArtefactKind, path: Path) -> Cut:
    """Cut a file; blocks on the disk.

    Raises `ConfigError` where it isn't a file of its kind, or is empty or larger than one may be; `OSError`.
    """
    from edged.pushed.artefact_kinds import check_file  # loads what reads documents: seldom wanted here

    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES[kind]:
        raise ConfigError(str(path), "artefact.bad_size", most=str(MAX_BYTES[kind] // 1024))
    try:
        check_file(kind, path)
    except ConfigError as error:
        raise error.within(str(path)) from None
    return cut(chunks_of(path))


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file in chunks. Raises `OSError`."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def signed(state: FleetState) -> dict[str, Signed]:
    """Every file that is signed for, by its target's path. Raises `StateError`."""
    found = {}
    for role in (RELEASE, ADMIN_FILES):
        for path, target in repository_of(state).targets(role).signed.targets.items():
            try:
                artefact = read_custom(target.custom)
            except DecodeError:  # a target of another kind
                continue
            found[path] = Signed(path, target.hashes["sha256"], target.length, artefact)
    return dict(sorted(found.items()))


def check_new(state: FleetState, path: str, made: Cut) -> None:
    """Whether a file may be signed for under this path: one path is one content for ever.

    Raises `ConfigError` (`artefact.path_taken`).
    """
    known = signed(state).get(path)
    if known is not None and known.sha256 != made.sha256:
        raise ConfigError(path, "artefact.path_taken")


def keep(state: FleetState, source: Path, made: Cut) -> Path:
    """Keep a copy of a file; where it lies. Raises `OSError`, `StateError` when the file was changed meanwhile."""
    directory = state.directory / DIRECTORY
    directory.mkdir(exist_ok=True)
    kept = directory / made.sha256
    if not kept.exists():
        temporary = directory / f".{made.sha256}.new"
        shutil.copyfile(source, temporary)
        temporary.replace(kept)
    return whole(kept, made.sha256)


def whole(path: Path, sha256: str) -> Path:
    """The path, when what lies there has that hash. Raises `StateError` (`artefact.not_kept`)."""
    try:
        with path.open("rb") as file:
            right = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        right = False
    if not right:
        path.unlink(missing_ok=True)
        raise StateError("artefact.not_kept", str(path))
    return path


async def publish(link: AdminLink, path: Path, made: Cut, on_progress: Callable[[int, int], None]) -> int:
    """Publish all parts of a file, retained, the index last; the bytes that were published.

    Doing it again changes nothing on the broker. Raises `UplinkError` (a group of them), `OSError`.
    """
    slots = asyncio.Semaphore(AT_ONCE)
    total = made.chunks + len(made.tables) + 1
    done = size = 0

    async def one(part: int | str, payload: bytes) -> None:
        nonlocal done, size
        try:
            topic = topics.artefact(link.fleet, made.sha256, part)  # type: ignore[arg-type]
            await link.publish(topic, payload, retain=True)
        finally:
            slots.release()
        done += 1
        size += len(payload)
        on_progress(done, total)

    async with asyncio.TaskGroup() as group:
        for number, chunk in enumerate(chunks_of(path)):
            await slots.acquire()
            group.create_task(one(number, chunk))
        for number, table in enumerate(made.tables):
            await slots.acquire()
            group.create_task(one(made.chunks + number, table))
    await slots.acquire()
    await one(topics.INDEX, made.index)
    return size


def sign(
    state: FleetState,
    path: str,
    made: Cut,
    custom: Mapping[str, Any],
    signers: Sequence[Signer],
    now: datetime,
) -> int:
    """Sign for a file, under `FleetState.changing()`; the metadata's version. What is signed already stays as it is.

    Raises `StateError` (`fleet.role_not_signed`), `ConfigError` (`artefact.path_taken`).
    """
    check_new(state, path, made)
    known = signed(state).get(path)
    if known is not None and known.artefact == read_custom(custom):
        return repository_of(state).targets(role_of(path)).signed.version
    target = TargetFile(made.length, {"sha256": made.sha256}, path, {"custom": dict(custom)})
    return repository_of(state).put_targets(role_of(path), {path: target}, signers, now)


def named(state: FleetState) -> dict[str, list[str]]:
    """By target path: what names it, layers of configuration and the last and the last good push of a box.

    Raises `ConfigError`, `StateError`.
    """
    found: dict[str, list[str]] = {}

    def note(artefacts: object, where: str) -> None:
        if isinstance(artefacts, dict):
            for path in artefacts.values():
                found.setdefault(str(path), []).append(where)

    for layer in sorted((state.directory / "config").rglob("*.toml")):
        note(load_toml(layer, dict).get("artefacts"), str(layer.relative_to(state.directory)))
    pushes = Pushes(state)
    for device in state.devices():
        last = pushes.last(device)
        if last is not None:
            note(last.content.get("artefacts"), f"{device} #{last.number}")
            good = pushes.good(device, last.number)
            if good is not None:
                note(good.content.get("artefacts"), f"{device} #{good.number}")
    return found


async def unpublish(
    link: AdminLink, sha256: str, chunks: int, tables: int, on_progress: Callable[[int, int], None]
) -> None:
    """Take all parts of a file off the broker, the index first. Raises `UplinkError`."""
    total = chunks + tables + 1
    for done, part in enumerate((topics.INDEX, *range(chunks + tables)), 1):
        await link.publish(topics.artefact(link.fleet, sha256, part), b"", retain=True)
        on_progress(done, total)


def forget(state: FleetState, paths: Sequence[str], signers: Sequence[Signer], now: datetime) -> None:
    """Sign for these no longer, under `FleetState.changing()`; they are of one role. Raises `StateError`."""
    for role in sorted({role_of(path) for path in paths}):
        of_role = {path: None for path in paths if role_of(path) == role}
        repository_of(state).put_targets(role, of_role, signers, now)
