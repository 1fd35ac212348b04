"""What slips are verified by, from disk or by HTTPS: the fleet's signed directory, the list of slips that hold no more.

Where is a file (as `edged fleet directory show --output` and collectors keep it), a directory of files as
`edged central slips` writes it, or the URL that a web server gives that directory out under.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

from edged.errors import ConfigError, DecodeError, SignatureRefusedError
from edged.uplink.directory import MAX_PAGE, MAX_PAGES, open_head
from edged.uplink.directory_reader import MAX_STORED, DirectoryReader
from edged.uplink.slip_status import MAX_STATUS, open_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edged.uplink.directory import Directory
    from edged.uplink.roles import TrustAnchor
    from edged.uplink.slip_status import SlipStatus

_STATUS: Final = "status.jws"
_HEAD: Final = "directory/head.jws"
_PAGE: Final = "directory/{}.json"
_MAX_HEAD: Final = 256 * 1024
"""Bytes of a head: it travels in MQTT packets of 64 KiB, and a file may have white space around it."""
_SECONDS: Final = 10.0
"""For one answer of a web server."""


T = TypeVar("T")


class Lists(NamedTuple):
    """Attributes: `directory`; `status`: None when there is none at hand; `asked`: there should be one."""

    directory: Directory | None
    status: SlipStatus | None
    asked: bool


def load(directory: str | None, status: str | None, anchor: TrustAnchor, at: datetime) -> Lists:
    """Whatever is named; beside a directory of files the status list that lies there.

    Raises `ConfigError` with the name that is at fault: "slip_command.unreadable", "slip_command.https_only", or what
    is wrong with what was read (a code of `open_head`, `open_status`).
    """
    members = None if directory is None else _within(directory, lambda: _directory(directory, anchor, at))
    listed = None
    if status is not None:
        data = _get(status, MAX_STATUS)
        if data is None:
            raise ConfigError(status, "slip_command.unreadable")
        listed = _within(status, lambda: open_status(data.strip(), anchor=anchor, at=at))
    elif directory is not None and not _is_file(directory):
        beside = _joined(directory, _STATUS)
        found = _get(beside, MAX_STATUS)
        if found is not None:
            listed = _within(beside, lambda: open_status(found.strip(), anchor=anchor, at=at))
    # Who holds back one answer of a web server must not make withdrawn slips good; files may come without a list.
    asked = listed is not None or (directory is not None and _is_url(directory))
    return Lists(members, listed, asked)


def _directory(where: str, anchor: TrustAnchor, at: datetime) -> Directory | None:
    reader = DirectoryReader(anchor)
    if _is_file(where):
        reader.restore(_need(where, MAX_STORED), at=at, ours=False)
    else:
        head = _need(_joined(where, _HEAD), _MAX_HEAD).strip()
        # Whoever verifies a slip next year has an old head, and its pages, too: what it says, `verify` weighs.
        for sha256 in open_head(head, anchor=anchor, at=at)[0].pages[:MAX_PAGES]:
            reader.take_page(_need(_joined(where, _PAGE.format(sha256)), MAX_PAGE))
        reader.take_head(head, at=at)
    anchor.revoke("directory", reader.revocations)
    return reader.current


def _within(where: str, opening: Callable[[], T]) -> T:
    try:
        return opening()
    except (DecodeError, SignatureRefusedError) as error:
        raise ConfigError(where, error.code) from None


def _is_url(where: str) -> bool:
    return "://" in where


def _is_file(where: str) -> bool:
    return not _is_url(where) and not Path(where).is_dir()


def _joined(where: str, name: str) -> str:
    return f"{where.rstrip('/')}/{name}"


def _need(where: str, most: int) -> bytes:
    data = _get(where, most)
    if data is None:
        raise ConfigError(where, "slip_command.unreadable")
    return data


def _get(where: str, most: int) -> bytes | None:
    """The bytes, one more than `most` at most; None when there is nothing to read. Raises `ConfigError`."""
    if not _is_url(where):
        try:
            with Path(where).open("rb") as file:
                return file.read(most + 1)
        except OSError:
            return None
    if urlsplit(where).scheme != "https":
        raise ConfigError(where, "slip_command.https_only")
    try:
        with build_opener(_HttpsOnly).open(where, timeout=_SECONDS) as answer:
            data: bytes = answer.read(most + 1)
            return data
    except (URLError, OSError, ValueError):
        return None


class _HttpsOnly(HTTPRedirectHandler):
    """Follows a server's word no further than HTTPS goes."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if urlsplit(newurl).scheme != "https":
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)
