"""`edged fleet artefact push|list|publish|drop`: large files, which configurations name by path."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edged.commands._fleet_common import add_dry_run, add_key_directory, add_state, open_state
from edged.commands._saying import printable, say, show, show_json, show_line
from edged.desired import ArtefactKind
from edged.errors import ConfigError, StateError
from edged.fleet import artefacts
from edged.fleet.bundles import ONLINE_KEY
from edged.fleet.key_files import read_key, read_offline
from edged.fleet.link import admin_link
from edged.fleet.recovery import repository_of
from edged.fleet.tuf_roles import HOLDER_OF, Holder, role_of
from edged.uplink.artefact import Cut, tables_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from securesystemslib.signer import Signer

    from edged.fleet.artefacts import Signed
    from edged.fleet.state import FleetState

EVERY: float = 10
"""Per cent between two lines of progress."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments."""
    actions = parser.add_subparsers(dest="what", required=True, metavar="push|list|publish|drop")
    push, listing, again, drop = (
        actions.add_parser(
            name, help=f"help.fleet.artefact.{name}", description=f"help.fleet.artefact.{name}"
        )
        for name in ("push", "list", "publish", "drop")
    )
    push.add_argument("file", type=Path, metavar="FILE", help="help.fleet.artefact.file")
    kinds = get_args(ArtefactKind)
    push.add_argument("--kind", choices=kinds, required=True, help="help.fleet.artefact.kind")
    push.add_argument("--name", required=True, help="help.fleet.artefact.name")
    push.add_argument("--version", required=True, dest="file_version", help="help.fleet.artefact.version")
    for action in (again, drop):
        action.add_argument("paths", nargs="*", metavar="PATH", help="help.fleet.artefact.paths")
    for action in (push, drop):
        add_key_directory(action, "--release-keys", required=False)
        add_dry_run(action)
    for action in (push, listing, again, drop):
        add_state(action)


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_CONFIG for a file that isn't of its kind; EX_UNAVAILABLE without a broker."""
    return {"push": _push, "list": _list, "publish": _publish, "drop": _drop}[args.what](args)


def _push(args: argparse.Namespace) -> int:
    state = open_state(args)
    source = artefacts.source_of(args.kind, args.file)
    path = artefacts.path_of(args.kind, args.name, args.file_version)
    made = artefacts.cut_file(args.kind, source)
    try:
        custom = made.custom(args.kind, args.name, args.file_version)
    except ValueError:
        raise ConfigError("--name, --version", "artefact.bad_name") from None
    artefacts.check_new(state, path, made)
    signers = _signers(args, state, path)
    version = None
    if not args.dry_run:
        kept = artefacts.keep(state, source, made)
        asyncio.run(_publish_one(args, state, kept, made))
        with state.changing():
            version = artefacts.sign(state, path, made, custom, signers, datetime.now(UTC))
    found = {"path": path, "sha256": made.sha256, "length": made.length, "chunks": made.chunks}
    if args.json:
        show_json(found | {"metadata_version": version, "dry_run": args.dry_run})
        return os.EX_OK
    code = "fleet_artefact.would_push" if args.dry_run else "fleet_artefact.pushed"
    show_line(say(args, code, path=path, bytes=made.length, chunks=made.chunks))
    if not args.dry_run:
        show_line(say(args, "fleet_artefact.name_it", kind=args.kind, path=path))
    return os.EX_OK


def _signers(args: argparse.Namespace, state: FleetState, path: str) -> list[Signer]:
    """The key that may sign for a path, checked before anything is published.

    Raises `ConfigError` (`artefact.needs_release_keys`), `CertificateError`, `StateError` (`fleet.role_not_signed`).
    """
    role = role_of(path)
    if HOLDER_OF[role] is Holder.RELEASE:
        if args.release_keys is None:
            raise ConfigError("--release-keys", "artefact.needs_release_keys")
        (key,) = read_offline(Holder.RELEASE, [args.release_keys])
    else:
        key = read_key(state.secrets / ONLINE_KEY)
    if key.keyid not in repository_of(state).targets().signed.get_delegated_role(role).keyids:
        raise StateError("fleet.role_not_signed", str(key.path), role=role)
    return [key.signer]


async def _publish_one(args: argparse.Namespace, state: FleetState, kept: Path, made: Cut) -> None:
    async with admin_link(state) as link:
        await artefacts.publish(link, kept, made, _progress(args))


def _progress(args: argparse.Namespace) -> Callable[[int, int], None]:
    """Lines on stderr, now and then."""
    told = -EVERY

    def tell(done: int, of: int) -> None:
        nonlocal told
        percent = 100 * done // of
        if not args.json and (percent >= told + EVERY or done == of):
            told = percent
            said = say(args, "fleet_artefact.progress", done=done, parts=of, percent=percent)
            print(printable(said), file=sys.stderr)

    return tell


def _chosen(args: argparse.Namespace, known: dict[str, Signed]) -> list[Signed]:
    """Those that were asked for. Raises `ConfigError` (`artefact.not_signed`)."""
    for path in args.paths:
        if path not in known:
            raise ConfigError(path, "artefact.not_signed")
    return [known[path] for path in dict.fromkeys(args.paths)] or list(known.values())


def _list(args: argparse.Namespace) -> int:
    state = open_state(args)
    known, named = artefacts.signed(state), artefacts.named(state)
    if args.json:
        lines = [
            {
                "path": one.path,
                "kind": one.artefact.kind,
                "name": one.artefact.name,
                "version": one.artefact.version,
                "sha256": one.sha256,
                "length": one.length,
                "named_by": named.get(one.path, []),
            }
            for one in known.values()
        ]
        show_json({"artefacts": lines})
        return os.EX_OK
    if not known:
        show_line(say(args, "fleet_artefact.none"))
    width = max((len(path) for path in known), default=0)
    show(_line(args, one, width, named.get(one.path, [])) for one in known.values())
    return os.EX_OK


def _line(args: argparse.Namespace, one: Signed, width: int, by: Sequence[str]) -> str:
    used = say(args, "fleet_artefact.named_by", count=len(by)) if by else say(args, "fleet_artefact.unnamed")
    return f"{one.path:<{width}}  {one.length:>11}  {one.sha256[:12]}  {used}"


def _publish(args: argparse.Namespace) -> int:
    state = open_state(args)
    chosen = _chosen(args, artefacts.signed(state))

    async def all_of_them() -> None:
        async with admin_link(state) as link:
            for one in chosen:
                kept = artefacts.whole(state.directory / artefacts.DIRECTORY / one.sha256, one.sha256)
                made = artefacts.cut_file(one.artefact.kind, kept)
                await artefacts.publish(link, kept, made, _progress(args))

    if chosen:
        asyncio.run(all_of_them())
    return _told(args, "fleet_artefact.published", [one.path for one in chosen])


def _drop(args: argparse.Namespace) -> int:
    state = open_state(args)
    known, named = artefacts.signed(state), artefacts.named(state)
    chosen = _chosen(args, known)
    if not args.paths:
        chosen = [one for one in chosen if one.path not in named]
    for one in chosen:
        if one.path in named:
            raise ConfigError(one.path, "artefact.in_use", where=", ".join(named[one.path][:3]))
    signers = {one.path: _signers(args, state, one.path) for one in chosen}
    if chosen and not args.dry_run:
        with state.changing():
            # Signed for no longer first: stopped in between, chunks stay that nobody can ask for.
            for one in chosen:
                artefacts.forget(state, [one.path], signers[one.path], datetime.now(UTC))
            asyncio.run(
                _unpublish(args, state, chosen, {one.sha256 for one in artefacts.signed(state).values()})
            )
    return _told(
        args,
        "fleet_artefact.would_drop" if args.dry_run else "fleet_artefact.dropped",
        [one.path for one in chosen],
    )


async def _unpublish(
    args: argparse.Namespace, state: FleetState, chosen: Sequence[Signed], still: set[str]
) -> None:
    async with admin_link(state) as link:
        for one in chosen:
            if one.sha256 in still:  # the same file under another path
                continue
            chunks = one.artefact.chunks
            await artefacts.unpublish(link, one.sha256, chunks, tables_of(chunks), _progress(args))
            (state.directory / artefacts.DIRECTORY / one.sha256).unlink(missing_ok=True)


def _told(args: argparse.Namespace, code: str, paths: Sequence[str]) -> int:
    if args.json:
        show_json({"artefacts": list(paths), "dry_run": bool(getattr(args, "dry_run", False))})
    else:
        show_line(say(args, code, count=len(paths)))
        show(f"  {path}" for path in paths)
    return os.EX_OK
