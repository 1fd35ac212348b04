"""What the daemon needs before it serves: devices and files that its configuration names, slow libraries."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from edged import log, service
from edged.errors import ConfigError, DecodeError, StateError
from edged.events import Frame, Light
from edged.evidence import gather
from edged.journal.database import JOURNAL_FILE, Journal
from edged.side import ReadSide
from edged.uplink import outbox_aside, outbox_recovery
from edged.uplink.database import DatabaseThread
from edged.uplink.outbox_types import DATABASE_FILE, Bounds, RetryPolicy

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config import BoxSettings, ChipReaderSettings
    from edged.core.optical_fit import Thresholds
    from edged.trust.loading import Trust
    from edged.uplink.outbox import StateDatabase


PATIENCE_S: Final = 10.0
"""How often the service manager is asked for patience while a broken database is repaired: a minute for a gigabyte."""


def state_path(settings: BoxSettings) -> Path:
    """The state database's file."""
    return settings.state.directory / DATABASE_FILE


def retry(settings: BoxSettings) -> RetryPolicy:
    """How long the outbox waits for receipts."""
    return RetryPolicy(receipt_s=settings.broker.receipt_timeout_s)


def bounds(settings: BoxSettings) -> Bounds:
    """How much the outbox keeps."""
    outbox = settings.outbox
    return Bounds(
        max_bytes=outbox.max_mib << 20,
        max_age=timedelta(days=outbox.max_age_days),
        ledger=timedelta(days=outbox.ledger_days),
    )


async def state(settings: BoxSettings, device: str) -> DatabaseThread[StateDatabase]:
    """Open the state database in its own thread; a broken one is repaired first, which may take a while.

    Raises `StateError`.
    """

    def opened() -> StateDatabase:
        database, recovered = outbox_recovery.open_state(
            state_path(settings),
            device=device,
            now=datetime.now(UTC),
            audiences=tuple(settings.audiences),
            retry=retry(settings),
            bounds=bounds(settings),
        )
        if recovered is not None:
            log.get("outbox").error(
                "the state database was broken and has been replaced",
                aside=recovered.aside,
                log_id=database.log_id,
                **msgspec.structs.asdict(recovered.salvaged),
            )
        return database

    opening = asyncio.ensure_future(DatabaseThread.open("state", opened))
    while not (await asyncio.wait((opening,), timeout=PATIENCE_S))[0]:
        service.notify(
            f"EXTEND_TIMEOUT_USEC={round(3 * PATIENCE_S * service.MICROSECONDS)}", "STATUS=repairing"
        )
    return opening.result()


async def journal(settings: BoxSettings) -> DatabaseThread[Journal]:
    """Open the counter's journal in its own thread; a broken one is set aside, and said so. Raises `StateError`.

    Broken is what can't be opened, and what an earlier run found broken (`Journal.note_corrupt`): a start must not end
    over the same page again and again.

    What was in it is lost to the box and not to whoever reads the file that was set aside: it is evidence, and nothing
    that a counter needs to go on.
    """
    path = settings.state.directory / JOURNAL_FILE

    def opened() -> Journal:
        if not outbox_aside.note_path(path).exists():
            try:
                return Journal(path)
            except StateError as error:
                if error.code != "state.corrupt":
                    raise
        try:
            aside = _set_aside(path)
        except OSError as error:
            raise StateError("state.unusable", f"{path}: {error.strerror}") from error
        log.get("journal").error("the journal was broken and has been set aside", aside=aside)
        return Journal(path)

    return await DatabaseThread.open("journal", opened)


def _set_aside(path: Path) -> str:
    """Move a broken database and its log away, as durably as `outbox_aside` does it; its new name. Raises `OSError`."""
    outbox_aside.note_corrupt(path)
    aside = outbox_aside.set_aside(path, outbox_aside.noted_number(path))
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)  # an empty file is a database without tables
    outbox_aside.take_place(new, path)
    outbox_aside.forget_note(path)
    return aside.name


def warm_up(*, chip: bool) -> None:
    """Read a shipped specimen, so that the first document doesn't wait for OpenCV and the model to load.

    With a `chip` reader its libraries as well: they take longer to load than any chip to be judged.
    """
    from edged.core.burst import read_frames
    from edged.core.image import decode_image
    from edged.specimens import FIXED_TODAY, shipped

    page = decode_image(shipped()[0].sides[0].read_bytes())
    reading = read_frames([page], today=FIXED_TODAY)
    gather(
        [ReadSide(reading, {Light.WHITE: Frame(page, Light.WHITE)}, Light.WHITE)], reading, today=FIXED_TODAY
    )
    if chip:
        import edged.core.emrtd.judging  # noqa: F401 - loaded for what it needs
        from edged.core.emrtd import curves

        curves.curves()


def thresholds(path: Path | None) -> Thresholds | None:
    """The reader model's optical thresholds, None where none are configured. Raises `ConfigError`."""
    from edged.core.optical_fit import MOST_BYTES, decode

    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return decode(file.read(MOST_BYTES + 1))
    except OSError as error:
        raise ConfigError(
            "head.optical_thresholds", "config.unreadable", error=error.strerror or ""
        ) from error
    except DecodeError as error:
        raise ConfigError("head.optical_thresholds", error.code) from error


def trust(settings: ChipReaderSettings | None) -> Trust | None:
    """Which states are trusted to sign chips; None without a reader or a store. Raises `StateError`."""
    if settings is None or settings.trust is None:
        return None
    from edged.trust.loading import open_trust

    return open_trust(settings.trust)


def make_private(directory: Path) -> None:
    """Make the state directory. Raises `StateError` when it can't be, or when others may look into it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = directory.stat().st_mode
    except OSError as error:
        raise StateError("state.unusable", f"{directory}: {error.strerror}") from error
    if mode & 0o077:
        raise StateError("state.open_to_others", f"chmod 700 {directory}")
