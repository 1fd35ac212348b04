"""The box's book of slips: every change on the disk and in the journal, and no more kept than is needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edged.config import SlipSettings
from edged.errors import SlipError, StateError
from edged.journal.database import JOURNAL_FILE, Journal
from edged.slip import claims, cose
from edged.slip.book import MAX_COPIES, SlipBook, new_number
from edged.uplink.database import DatabaseThread
from edged.uplink.slip_status import MAX_LISTED, Superseded, open_list, seal_list
from tests import slips
from tests.trust_support import NOW, anchor, signer

SETTINGS = SlipSettings(site="滨江支行", url=slips.BASE, reprint_h=2)
T = int(NOW.timestamp())


def facts(**changes: Any) -> Any:
    return slips.facts(at=T, expires=T + 90 * slips.DAY, **changes)


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[tuple[SlipBook, DatabaseThread[Journal]]]:
    thread = await DatabaseThread.open("journal", lambda: Journal(directory / JOURNAL_FILE))
    try:
        yield SlipBook(thread, signer=signer, settings=lambda: SETTINGS), thread
    finally:
        await thread.close()


async def refused(code: str, work: Any) -> None:
    with pytest.raises(SlipError) as caught:
        await work
    assert caught.value.code == code


def test_copies_are_counted_signed_and_journalled(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as (book, journal):
            issued = await book.issue(facts(), now=NOW)
            number = issued.facts.number
            first = await book.copy(number, "print", now=NOW)
            second = await book.copy(number, "pdf", now=NOW)
            assert first == issued
            assert second.facts == facts(copy=2)
            assert claims.decode(cose.parse(second.cose).payload).copy == 2
            assert await book.latest() == number
            (row,) = await book.listed()
            assert (row.copies, row.status, row.cose) == (2, "valid", None)
            entries = await journal.run(lambda one: one.entries(subject=number))
            assert [(one.kind, one.detail) for one in reversed(entries)] == [
                ("slip.issued", {"kind": "live", "scene": "bank"}),
                ("slip.printed", {"copy": 1, "output": "print"}),
                ("slip.printed", {"copy": 2, "output": "pdf"}),
            ]
        async with opened(tmp_path) as (book, _):  # a restart
            assert (await book.copy(number, "print", now=NOW)).facts.copy == 3

    asyncio.run(story())


def test_copies_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as (book, journal):
            number = (await book.issue(facts(), now=NOW)).facts.number
            await refused("slip.no_such_slip", book.copy("0" * 12, "print", now=NOW))
            await refused("slip.number_taken", book.issue(facts(), now=NOW))
            late = NOW + timedelta(hours=2, seconds=1)
            await refused("slip.not_kept", book.copy(number, "print", now=late))
            await refused("slip.expired", book.copy(number, "print", now=NOW + timedelta(days=91)))
            await journal.write(
                lambda one: one.connection.execute("UPDATE slips SET copies = ?", (MAX_COPIES,))
            )
            await refused("slip.too_many_copies", book.copy(number, "print", now=NOW))

    asyncio.run(story())


def test_the_signed_slip_is_erased_when_its_time_is_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as (book, journal):
            number = (await book.issue(facts(), now=NOW)).facts.number
            kept = "SELECT count(*) FROM slips WHERE cose IS NOT NULL"

            async def count() -> int:
                found = await journal.run(lambda one: one.connection.execute(kept).fetchone()[0])
                assert isinstance(found, int)
                return found

            assert await count() == 1
            await book.tidy(NOW + timedelta(hours=1), clock_trusted=True)
            assert await count() == 1
            await book.tidy(NOW + timedelta(hours=3), clock_trusted=True)
            assert await count() == 0
            await refused("slip.not_kept", book.copy(number, "print", now=NOW))
            assert [row.number for row in await book.listed()] == [number]
            await book.tidy(NOW + timedelta(days=121), clock_trusted=True)
            assert await book.listed() == []

    asyncio.run(story())
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert "滨江支行".encode() not in data
    assert b"L8*****C3" not in data


def test_a_withdrawn_slip_is_listed_until_it_expires(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as (book, journal):
            number = (await book.issue(facts(), now=NOW)).facts.number
            assert not book.changed.is_set()
            await refused("slip.bad_reason", book.withdraw(number, "Mr Eriksson came back", now=NOW))
            await refused("slip.no_such_slip", book.withdraw("0" * 12, "lost", now=NOW))
            await book.withdraw(number, "wrong_person", now=NOW, operator="op-7")
            await book.withdraw(number, "lost", now=NOW)  # twice is once
            assert book.changed.is_set()
            await refused("slip.holds_no_more", book.copy(number, "print", now=NOW))
            ended = await book.ended(NOW)
            assert ended.withdrawn == {number: T + 90 * slips.DAY}
            compact = seal_list(ended.withdrawn, ended.superseded, now=NOW, signer=signer())
            assert number in open_list(compact, anchor=anchor(), at=NOW, device="box-1").withdrawn
            assert (await book.ended(NOW + timedelta(days=91))).withdrawn == {}
            found = await journal.run(lambda one: one.entries(kind="slip.withdrawn"))
            assert [one.detail for one in found] == [{"reason": "wrong_person", "operator": "op-7"}]

    asyncio.run(story())


def test_a_clock_that_was_far_ahead_loses_no_withdrawal(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as (book, _):
            number = (await book.issue(facts(), now=NOW)).facts.number
            await book.withdraw(number, "lost", now=NOW)
            ahead = NOW + timedelta(days=1500)
            await book.tidy(ahead, clock_trusted=False)
            at = int(ahead.timestamp())
            content = {"at": at, "expires": at + 90 * slips.DAY, "clock_trusted": False}
            late = slips.facts(number="000000000001", **content)
            later = slips.facts(number="000000000002", supersedes="000000000003", **content)
            await book.issue(slips.facts(number="000000000003", **content), now=ahead)
            for one in (late, later):
                await book.issue(one, now=ahead)
            # Now the clock is right again.
            await book.withdraw(late.number, "other", now=NOW)
            ended = await book.ended(NOW)
            assert set(ended.withdrawn) == {number, late.number}
            assert set(ended.superseded) == {"000000000003"}
            seal_list(ended.withdrawn, ended.superseded, now=NOW, signer=signer())  # and it may be said

    asyncio.run(story())


def test_a_slip_that_replaces_another_ends_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as (book, _):
            old = (await book.issue(facts(), now=NOW)).facts.number
            new = facts(number="000000000001", supersedes=old)
            await book.issue(new, now=NOW)
            until = T + 90 * slips.DAY
            assert (await book.ended(NOW)).superseded == {old: Superseded(new.number, until)}
            await refused("slip.holds_no_more", book.copy(old, "print", now=NOW))
            third = facts(number="000000000002")
            await book.issue(third, now=NOW)
            await book.supersede(old, third.number, now=NOW)  # it was replaced already
            await book.supersede(new.number, third.number, now=NOW)
            assert (await book.ended(NOW)).superseded == {
                old: Superseded(new.number, until),
                new.number: Superseded(third.number, until),
            }
            await book.withdraw(new.number, "other", now=NOW)
            ended = await book.ended(NOW)
            assert (set(ended.withdrawn), set(ended.superseded)) == ({new.number}, {old})

    asyncio.run(story())


def test_a_box_withdraws_no_more_than_its_list_takes(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path) as (book, journal):
            number = (await book.issue(facts(), now=NOW)).facts.number
            await journal.write(
                lambda one: one.connection.executemany(
                    "INSERT INTO slips (number, issued, expires, keep_until, status)"
                    " VALUES (?, 0, ?, 0, 'withdrawn')",
                    [(f"{at:012}", T + 9) for at in range(MAX_LISTED)],
                )
            )
            await refused("slip.too_many_withdrawn", book.withdraw(number, "lost", now=NOW))
            await book.withdraw(number, "lost", now=NOW + timedelta(seconds=10))

    asyncio.run(story())


def test_numbers_are_drawn_of_all_there_are() -> None:
    drawn = {new_number() for _ in range(200)}
    assert len(drawn) == 200
    assert all(claims.number_text(claims.number_bytes(number)) == number for number in drawn)
    assert all(claims.decode(claims.encode(facts(number=number))).number == number for number in drawn)


async def test_a_disk_that_refuses_the_tidying_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever locks the journal, or fills the disk, must not take the daemon down with it."""
    monkeypatch.setattr("edged.slip.book.TIDY_S", 0.0)
    async with opened(tmp_path) as (book, _):
        said, again = [StateError("state.locked"), StateError("state.disk_full")], asyncio.Event()

        async def tidy(now: Any, *, clock_trusted: bool) -> None:
            if said:
                raise said.pop()
            again.set()

        monkeypatch.setattr(book, "tidy", tidy)

        async def time_and_trust() -> tuple[Any, bool]:
            return NOW, True

        tidying = asyncio.create_task(book.keep_tidy(time_and_trust))
        await again.wait()
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)
