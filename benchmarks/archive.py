"""What the archive costs over a bare batch insert of the same rows, on SQLite and on PostgreSQL, in one run.

    python -m benchmarks.archive [--postgres URL] [--rows N] [--streams N]

Bare: a table with one unique key (device, seq), `INSERT … ON CONFLICT DO NOTHING` by `executemany`, one commit a batch,
the same bodies, the same durability (`PRAGMA synchronous=FULL`, `synchronous_commit=on`, fsync on). Ours: the rules of
streams, four indexes, receipts' hashes; no signatures (those are `edged.uplink.intake.check`'s). Both take turns within
a round, so that a noisy disk hits both; the boxes have sent before, as nearly all have. Without `--postgres` a cluster
of its own is started where PostgreSQL is installed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.central.archive import open_archive
from edged.uplink import database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edged.uplink.intake import Checked

BATCHES = (1, 50, 200)
LENGTH = 2000  # characters; an envelope is about 2 KiB, and base64 doesn't compress
BARE = """CREATE TABLE bare (
 device TEXT NOT NULL, seq BIGINT NOT NULL, sha256 TEXT NOT NULL, prev TEXT, jti TEXT NOT NULL,
 received_at BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (device, seq))"""
INSERT = "INSERT INTO bare VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"

Row = tuple[str, int, str, str | None, str, int, str]


class _Anchor:
    fleet = "north"


def material(rows: int, streams: int, run: int) -> list[Checked]:
    """`rows` envelopes of `streams` boxes, interleaved as a shared subscription hands them over."""
    from tests.archives import forged

    chance = random.Random(run)
    chains: list[str | None] = [None] * streams
    made = []
    for number in range(rows):
        index = number % streams
        body = base64.urlsafe_b64encode(chance.randbytes(LENGTH * 3 // 4)).decode()
        one = forged(
            number // streams + 1, chains[index], body, iss=f"box-{run}-{index}", jti=f"jti-{run}-{number}"
        )
        chains[index] = one.sha256
        made.append(one)
    return made


def plain(checked: Sequence[Checked]) -> list[Row]:
    rows = []
    for one in checked:
        assert one.found is not None
        payload: Any = one.found.payload
        body = one.incoming.payload.decode()
        rows.append(
            (payload.iss, payload.seq, one.sha256, payload.prev, payload.jti, 1_700_000_000_000, body)
        )
    return rows


@contextlib.contextmanager
def bare_sqlite(path: Path) -> Iterator[Callable[[Sequence[Row]], None]]:
    connection = database.connect(path, BARE)

    def store(rows: Sequence[Row]) -> None:
        with database.transaction(connection):
            connection.executemany(INSERT, rows)

    yield store
    connection.close()


@contextlib.contextmanager
def bare_postgres(url: str) -> Iterator[Callable[[Sequence[Row]], None]]:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute(BARE)
        connection.commit()

        def store(rows: Sequence[Row]) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(INSERT.replace("?", "%s"), rows)
            connection.commit()

        yield store
        connection.execute("DROP TABLE bare")


def timed(store: Callable[[Any], object], batches: Sequence[Any]) -> float:
    start = time.perf_counter()
    for batch in batches:
        store(batch)
    return time.perf_counter() - start


def measure(
    name: str, archive: Any, bare: Callable[[Sequence[Row]], None], rows: int, streams: int, rounds: int
) -> None:
    from tests.broker import NOW

    for size in BATCHES:
        count = min(rows, size * 100)
        ours, theirs, again = [], [], []
        for round_ in range(rounds):
            everything = material(streams + count, streams, 1000 * size + round_)
            archive.store(everything[:streams], NOW)
            envelopes = everything[streams:]
            batches = [envelopes[start : start + size] for start in range(0, count, size)]
            bare_batches = [plain(batch) for batch in batches]

            def store(batch: Sequence[Checked]) -> object:
                return archive.store(batch, NOW)

            theirs.append(timed(bare, bare_batches) / count)
            ours.append(timed(store, batches) / count)
            again.append(timed(store, batches) / count)
        bare_rate, rate, duplicate_rate = (1 / statistics.median(some) for some in (theirs, ours, again))
        print(
            f"{name:<11} {size:>5} {bare_rate:>12,.0f} {rate:>12,.0f} {bare_rate / rate:>8.2f}"
            f" {duplicate_rate:>14,.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres", metavar="URL", help="a database to use; tables are made in it")
    parser.add_argument("--rows", type=int, default=5000, help="rows a round at most (%(default)s)")
    parser.add_argument("--streams", type=int, default=100, help="boxes that the rows are of (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="the median of so many is printed (%(default)s)"
    )
    arguments = parser.parse_args()
    shape = (arguments.rows, arguments.streams, arguments.rounds)
    print(f"{'':<11} batch  bare rows/s  ours rows/s    ratio  duplicates/s")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as text, contextlib.ExitStack() as stack:
        directory = Path(text)
        archive = stack.enter_context(
            contextlib.closing(open_archive(str(directory / "ours.sqlite"), _Anchor()))
        )  # type: ignore[arg-type]
        measure(
            f"SQLite {sqlite3.sqlite_version[:4]}",
            archive,
            stack.enter_context(bare_sqlite(directory / "b")),
            *shape,
        )
    with contextlib.ExitStack() as stack:
        from tests import postgres

        url = arguments.postgres
        if url is None:
            if reason := postgres.missing():
                sys.exit(f"PostgreSQL: not measured: {reason}")
            url = stack.enter_context(postgres.cluster()).database()
        archive = stack.enter_context(contextlib.closing(open_archive(url, _Anchor())))  # type: ignore[arg-type]
        measure("PostgreSQL", archive, stack.enter_context(bare_postgres(url)), *shape)


if __name__ == "__main__":
    main()
