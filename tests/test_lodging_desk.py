"""The desk: from a committed inspection to a sealed record, its journal, the recipient's answers and the rates."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from edged import log
from edged.errors import CertificateError, ControlError, SignatureRefusedError, StateError
from edged.journal import lodging as journal_of
from edged.partner.opening import open_contents
from edged.privacy.leakscan import LeakScanner
from edged.uplink.envelope import StreamPosition, open_envelope, seal
from edged.verdict import Kind
from tests.lodging import DISK_FULL, PASSPORT, RECIPIENT, TODAY, TYPED, Bench, bench, held, reply
from tests.trust_support import NOW, anchor, signer
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

VALUES = [*(PASSPORT[name] for name in ("surname", "given_names", "document_number")), "证件样本金丝雀"]
VALUES += [value for value in TYPED.values() if "canary" in value]


THIS_DAY = {"from": TODAY.isoformat(), "to": TODAY.isoformat()}


async def state_of(desk: Bench, record_id: str) -> str:
    line = await desk.journal.run(lambda journal: journal_of.find(journal, record_id))
    assert line is not None
    return line.state


async def kinds(desk: Bench) -> list[str]:
    entries = await desk.journal.run(lambda journal: journal.entries(kind="lodging."))
    return [entry.kind for entry in reversed(entries)]


async def code(call: Any) -> str:
    with pytest.raises((ControlError, StateError, SignatureRefusedError)) as told:
        await call
    return told.value.code  # type: ignore[no-any-return]


async def test_from_a_committed_inspection_to_what_the_recipient_opens(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        record_id = await desk.open()
        assert desk.events[-1]["missing"] == list(TYPED)
        told = await desk.desk.complete({"fields": {"room": "1"}})
        assert told["state"] == "open"
        assert told["seconds_left"] == 300
        assert "room" not in told["missing"]
        assert not desk.committed
        told = await desk.desk.complete({"record_id": record_id, "fields": TYPED})
        assert told["state"] == "sealed"
        assert told["missing"] == []
        (made,) = desk.committed
        envelope = seal(
            made,
            position=StreamPosition(2, "b" * 64),
            log_id="l",
            jti="j",
            iat=1,
            config_version="1",
            signer=signer(),
        )
        payload = open_envelope(envelope.jws, anchor=anchor(), at=NOW, audience="police").payload
        contents = open_contents(payload, [RECIPIENT])
        assert contents.record is not None
        assert payload.record_id == record_id
        assert contents.record["fields"]["room"] == "ROOM1203CANARY"
        assert await kinds(desk) == ["lodging.opened", "lodging.sealed"]
        assert desk.events[-1]["state"] == "sealed"
        assert await code(desk.desk.complete({"record_id": record_id})) == "lodging.not_open"


async def test_what_nobody_completes_in_time_is_abandoned(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        fields = held()
        record_id = await desk.open(fields)
        running = asyncio.create_task(desk.desk.run())
        await desk.desk.complete({"fields": {"room": "1"}})
        desk.steady += 300
        listed = await desk.desk.list({})
        assert listed["open"] == []
        assert fields.forgotten
        assert [one["state"] for one in (await desk.desk.list({}))["records"]] == ["abandoned"]
        assert await state_of(desk, record_id) == "abandoned"
        assert desk.events[-1] == {
            "event": "lodging",
            "record_id": record_id,
            "state": "abandoned",
            "code": "lodging.not_completed",
        }
        running.cancel()


async def test_the_timer_forgets_without_being_asked(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        fields = held()
        await desk.open(fields)
        desk.steady += 299.99
        running = asyncio.create_task(desk.desk.run())
        await asyncio.sleep(0)
        desk.steady += 1
        await until(lambda: fields.forgotten)
        await until(lambda: desk.events[-1]["state"] == "abandoned")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_stop_forgets_all_and_the_next_start_says_so(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        fields = held()
        stopped = await desk.open(fields)
        await desk.desk.forget_all()
        assert fields.forgotten
        assert await state_of(desk, stopped) == "abandoned"
        killed = await desk.open()
    async with bench(tmp_path) as again:
        assert await state_of(again, killed) == "open"
        await again.desk.start()
        assert await state_of(again, killed) == "abandoned"
        entry = (await again.journal.run(lambda journal: journal.entries(subject=killed)))[0]
        assert (entry.kind, entry.detail) == ("lodging.abandoned", {"code": "lodging.stopped"})


async def test_what_the_outbox_does_not_take_stays_open(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        record_id = await desk.open()
        desk.fails = [DISK_FULL]
        assert await code(desk.desk.complete({"fields": TYPED})) == "state.disk_full"
        assert await state_of(desk, record_id) == "open"
        assert (await desk.desk.complete({}))["state"] == "sealed"
        assert len(desk.committed) == 1
        assert await state_of(desk, record_id) == "sealed"


async def test_a_power_cut_on_the_way_out_leaves_a_doubt_that_an_answer_ends(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        desk.fails = [asyncio.CancelledError()]
        record_id = await desk.open()
        with pytest.raises(asyncio.CancelledError):
            await desk.desk.complete({"fields": TYPED})
    async with bench(tmp_path) as again:
        await again.desk.start()
        assert await state_of(again, record_id) == "sealing"
        found = await again.figures.rates(THIS_DAY)
        assert found["reports"][0]["total"]["registration"]["unknown"] == 2  # and no check-ins
        await again.desk.reply(reply(record_id))
        assert await state_of(again, record_id) == "accepted"


async def test_a_clerk_who_hangs_up_does_not_undo_what_was_begun(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        record_id = await desk.open()
        gate = asyncio.Event()
        stored = desk.commit

        async def slow(made: Any) -> None:
            await gate.wait()
            await stored(made)

        desk.desk._commit = slow
        asking = asyncio.create_task(desk.desk.complete({"fields": TYPED}))
        await until(lambda: bool(desk.desk._sealing))
        assert await code(desk.desk.complete({"record_id": record_id})) == "lodging.being_sealed"
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        gate.set()
        await until(lambda: not desk.desk._sealing)
        assert len(desk.committed) == 1
        assert await state_of(desk, record_id) == "sealed"


async def test_a_journal_that_cannot_be_written_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as desk:

        def full(*_: Any, **__: Any) -> None:
            raise DISK_FULL

        monkeypatch.setattr(journal_of, "begin", full)
        fields = held()
        with pytest.raises(AssertionError):
            await desk.open(fields)
        assert fields.forgotten
        assert desk.events == [
            {"event": "lodging", "record_id": None, "state": "not_opened", "code": "state.disk_full"}
        ]
        assert (await desk.desk.list({}))["open"] == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        *(("list", {"limit": 0}), ("list", {"limit": True}), ("list", {"x": 1})),
        *(("complete", {"fields": []}), ("complete", {"fields": {"shoe_size": "43"}})),
        *(("complete", {"fields": {"room": 12}}), ("complete", {"fields": {"room": "1" * 801}})),
        *(("complete", {"record_id": "../x"}), ("complete", {"corrects": 1}), ("complete", {"extra": 1})),
        *(("checkin", {}), ("checkin", {"count": -1}), ("checkin", {"count": 1, "reference": "a"})),
        *(("checkin", {"count": True}), ("checkin", {"reference": "Erika Mustermann"})),
        *(("checkin", {"count": 1, "day": "2199-01-01"}), ("checkin", {"count": 1, "day": "2026-02-30"})),
        *(("rates", {"from": "2026-11-02", "to": "2026-11-01"}), ("rates", {"from": "2020-01-01"})),
        *(("rates", {"audience": "No"}), ("rates", {"tests": 1})),
    ],
)
async def test_bad_parameters_are_refused(tmp_path: Path, method: str, params: dict[str, Any]) -> None:
    async with bench(tmp_path) as desk:
        await desk.open()
        asked = desk.figures if method in ("checkin", "rates") else desk.desk
        assert await code(getattr(asked, method)(params)) == "control.bad_parameter"


async def test_answers_are_applied_once_in_order_and_strangers_refused(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        record_id = await desk.seal()
        at = int(NOW.timestamp())
        assert await code(desk.desk.reply(reply("0" * 20))) == "record_reply.unknown_record"
        assert await code(desk.desk.reply(reply(record_id, iss="bank"))) == "record_reply.other_audience"
        early = reply(record_id, received_at=at - 3600)
        assert await code(desk.desk.reply(early)) == "record_reply.before_sealing"
        opened = await desk.open()
        assert await code(desk.desk.reply(reply(opened))) == "record_reply.not_sealed"
        wanted = reply(record_id, verdict="correction", fields=("room", "birth_date"))
        await desk.desk.reply(wanted)
        await desk.desk.reply(wanted)  # a broker delivers at least once
        assert await state_of(desk, record_id) == "correction_wanted"
        await desk.desk.reply(reply(record_id, iat=at + 59, received_at=at + 59))  # recorded, and older
        assert await state_of(desk, record_id) == "correction_wanted"
        await desk.desk.reply(reply(record_id, iat=at + 99))
        assert await state_of(desk, record_id) == "accepted"
        await desk.desk.reply(wanted)  # replayed
        assert await state_of(desk, record_id) == "accepted"
        assert (await kinds(desk)).count("lodging.correction_wanted") == 1
        line = await desk.journal.run(lambda journal: journal_of.find(journal, record_id))
        assert line is not None
        assert line.ever_corrected


async def test_a_corrected_record_replaces_the_one_that_was_wanted_corrected(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        first = await desk.seal()
        second = await desk.open()
        params = {"record_id": second, "fields": TYPED, "corrects": first}
        assert await code(desk.desk.complete(params)) == "lodging.corrects_nothing"
        await desk.desk.reply(reply(first, verdict="correction", fields=("room",)))
        assert (await desk.desk.complete(params))["state"] == "sealed"
        assert await state_of(desk, first) == "corrected"
        await desk.desk.reply(reply(second))
        await desk.figures.checkin({"count": 1})
        (found,) = (await desk.figures.rates(THIS_DAY))["reports"]
        total = found["total"]
        assert (total["registration"]["value"], total["accuracy"]["value"]) == (1.0, 0.0)


async def test_lateness_is_shown_and_counted(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        record_id = await desk.seal()
        desk.now += timedelta(hours=23)
        assert [one["state"] for one in (await desk.desk.list({}))["records"]] == ["sealed"]
        desk.now += timedelta(hours=2)
        assert [one["state"] for one in (await desk.desk.list({}))["records"]] == ["late"]
        at = int(desk.now.timestamp())
        await desk.desk.reply(reply(record_id, iat=at, received_at=at))
        (found,) = (await desk.figures.rates(THIS_DAY))["reports"]
        assert found["total"]["timeliness"]["value"] == 0.0


async def test_check_ins_by_count_and_by_reference(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        day = TODAY.isoformat()
        assert await desk.figures.checkin({"count": 5}) == {"day": day, "check_ins": 5, "new": True}
        assert (await desk.figures.checkin({"count": 2}))["check_ins"] == 2  # a day's count, not so many more
        for reference in ("stay-1", "stay-2", "stay-3"):
            await desk.figures.checkin({"reference": reference})
        assert await desk.figures.checkin({"reference": "stay-1"}) == {
            "day": day,
            "check_ins": 3,
            "new": False,
        }
        await desk.seal()  # of stay-1
        listed = await desk.desk.list({})
        assert [one["reference"] for one in listed["unregistered"]] == ["stay-2", "stay-3"]
        (found,) = (await desk.figures.rates({}))["reports"]
        assert found["total"]["registration"]["value"] is None  # the days before were never told
        assert found["days"][-1]["registration"]["numerator"] == 1
        assert found["days"][-1]["registration"]["denominator"] == 3


async def test_guests_of_whom_nobody_made_a_record_show_in_the_rate(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        desk.figures._recipients = lambda: ("police",)
        assert (await desk.figures.rates(THIS_DAY))["reports"] == []
        await desk.figures.checkin({"count": 4})
        (found,) = (await desk.figures.rates(THIS_DAY))["reports"]
        rate = found["total"]["registration"]
        assert (found["audience"], rate["value"], rate["denominator"]) == ("police", 0.0, 4)


async def test_tests_count_for_those_who_ask_for_them_alone(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        await desk.open(kind=Kind.TEST)
        assert (await desk.desk.complete({"fields": TYPED}))["state"] == "sealed"
        assert (await desk.figures.rates({}))["reports"] == []
        assert len((await desk.figures.rates({"tests": True}))["reports"]) == 1


async def test_a_clock_that_is_not_believed_tells_no_deadline(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        desk.trusted = False
        await desk.open()
        assert (await desk.desk.list({}))["open"][0]["clock_trusted"] is False
        assert (await desk.desk.complete({"fields": TYPED}))["state"] == "sealed"
        line = (await desk.journal.run(lambda journal: journal_of.latest(journal, 1)))[0]
        assert not line.clock_trusted


async def test_what_is_old_is_deleted(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        await desk.seal()
        await desk.figures.checkin({"count": 1})
        await desk.figures.checkin({"reference": "stay-1"})
        desk.now += journal_of.KEEP + timedelta(days=1)
        await desk.desk.start()
        assert await desk.journal.run(lambda journal: journal_of.latest(journal, 9)) == []
        assert await desk.journal.run(lambda journal: journal_of.check_ins(journal, TODAY, TODAY)) == {}


def on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


async def leaks(directory: Path, capsys: pytest.CaptureFixture[str], *, plant: bool = False) -> list[str]:
    """What of a whole walk's values is in journal, logs, answers, events or errors."""
    scanner = LeakScanner([(value[:4], value) for value in VALUES])
    said: list[Any] = []
    log.configure("debug")
    async with bench(directory) as desk:
        await desk.open(held(chinese_name="证件样本金丝雀"))
        said.append(await desk.desk.complete({"fields": TYPED | {"arrival_date": "roomcanary#1203"}}))
        said.append(await code(desk.desk.complete({"fields": {"room": "1" * 900}})))
        desk.fails = [DISK_FULL, ValueError("touristcanary")]
        said.append(await code(desk.desk.complete({"fields": TYPED})))
        with pytest.raises(ValueError, match="tourist"):
            await desk.desk.complete({})
        record_id = await desk.seal()
        await desk.desk.reply(reply(record_id, verdict="correction", fields=("room",)))
        said += [await desk.desk.list({}), await desk.figures.rates({}), desk.events]
        await desk.open()
        await desk.desk.forget_all()
        if plant:
            await desk.journal.write(
                lambda journal: journal.append("lodging.sealed", record_id, {"room": TYPED["room"]}, NOW)
            )
        draft = desk.committed[-1]
    written = on_disk(directory)
    printed = capsys.readouterr()
    everything = {
        "journal": written,
        "said": json.dumps(said, ensure_ascii=False, default=repr).encode(),
        "printed": (printed.out + printed.err).encode(),
        "repr": repr(draft).encode(),
    }
    assert b"lodging.sealed" in written
    assert b"not stored" in everything["printed"]
    return [name for name, data in everything.items() if scanner.scan(data)]


@pytest.fixture
def quiet_logging() -> Any:
    yield
    log.configure("warning")
    logging.getLogger().setLevel(logging.WARNING)


async def test_no_value_is_in_journal_logs_answers_and_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet_logging: None
) -> None:
    assert await leaks(tmp_path, capsys) == []


async def test_a_planted_value_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet_logging: None
) -> None:
    assert await leaks(tmp_path, capsys, plant=True) == ["journal"]


async def test_a_guest_without_a_record_is_no_hundred_per_cent(tmp_path: Path) -> None:
    """Two check-ins by reference, two records, both of them for the first booking."""
    async with bench(tmp_path) as desk:
        for reference in ("stay-1", "stay-2"):
            await desk.figures.checkin({"reference": reference})
        await desk.seal()
        await desk.seal()
        (report,) = (await desk.figures.rates(THIS_DAY))["reports"]
        registration = report["total"]["registration"]
        assert (registration["value"], registration["met"]) == (None, None)
        assert report["total"]["days_without_check_ins"] == 1


async def test_a_training_s_record_registers_nobody(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        await desk.figures.checkin({"reference": "stay-1"})
        record_id = await desk.open(kind=Kind.TRAINING)
        await desk.desk.complete({"record_id": record_id, "fields": TYPED})
        (report,) = (await desk.figures.rates({**THIS_DAY, "audience": "police"}))["reports"]
        assert report["total"]["registration"]["value"] == 0.0


async def test_a_hotel_that_registered_nobody_is_told_so(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        assert (await desk.figures.rates(THIS_DAY))["reports"] == []
        await desk.figures.checkin({"count": 12})
        (report,) = (await desk.figures.rates(THIS_DAY))["reports"]
        assert report["audience"] == "police"
        registration = report["total"]["registration"]
        assert (registration["numerator"], registration["denominator"]) == (0, 12)
        assert registration["met"] is False


@pytest.mark.parametrize("other", [{"audience": "customs"}, {"kind": Kind.TRAINING}], ids=str)
async def test_a_record_corrects_only_its_like(tmp_path: Path, other: dict[str, Any]) -> None:
    """Otherwise a training, or what another recipient got, would end the correction that the first one waits for."""
    async with bench(tmp_path) as desk:
        first = await desk.seal()
        await desk.desk.reply(reply(first, verdict="correction", fields=("room",)))
        record_id = await desk.open(**other)
        asked = {"record_id": record_id, "fields": TYPED, "corrects": first}
        assert await code(desk.desk.complete(asked)) == "lodging.corrects_nothing"
        assert await state_of(desk, first) == "correction_wanted"


async def test_a_key_that_cannot_sign_now_costs_no_record(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        record_id = await desk.open()
        desk.fails.append(CertificateError("cert.unreadable"))
        with pytest.raises(CertificateError):
            await desk.desk.complete({"record_id": record_id, "fields": TYPED})
        assert await state_of(desk, record_id) == "open"
        assert (await desk.desk.complete({"record_id": record_id}))["state"] == "sealed"
        assert len(desk.committed) == 1


async def test_without_a_clock_a_count_needs_its_day(tmp_path: Path) -> None:
    """It replaces the count of its day, which must not be another's."""
    async with bench(tmp_path) as desk:
        desk.trusted = False
        assert await code(desk.figures.checkin({"count": 3})) == "lodging.which_day"
        assert (await desk.figures.checkin({"count": 3, "day": TODAY.isoformat()}))["check_ins"] == 3


async def test_an_answer_to_a_correction_in_doubt_ends_what_it_corrects(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        first = await desk.seal()
        await desk.desk.reply(reply(first, verdict="correction", fields=("room",)))
        second = await desk.open()
        desk.fails.append(asyncio.CancelledError())  # the power goes: nobody knows whether it left
        with pytest.raises(asyncio.CancelledError):
            await desk.desk.complete({"record_id": second, "fields": TYPED, "corrects": first})
        assert await state_of(desk, second) == "sealing"
        await desk.desk.reply(reply(second))
        assert [await state_of(desk, one) for one in (first, second)] == ["corrected", "accepted"]
