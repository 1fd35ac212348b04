"""Large files in pieces: how they are cut and checked, the plan of a fetch, and the file on its way."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.desired import ArtefactKind
from edged.errors import DecodeError, StateError
from edged.pushed import part_file
from edged.pushed.artefact_fetch import FetchFailedError, FetchPlan, Limits
from edged.pushed.artefact_store import ArtefactStore
from edged.pushed.part_file import PartFile
from edged.uplink import artefact, topics
from edged.uplink.artefact import CHUNK, MAX_BYTES, MAX_INDEX, MAX_TABLES, cut
from edged.uplink.fields import encode
from edged.uplink.mqtt import packet_size
from edged.uplink.mqtt_types import MAX_PACKET
from edged.uplink.token_bucket import TokenBucket
from tests.artefacts import content, parts, pieces, target

DATA = content(3.5)
FAST = Limits(rate=1e12, window=2, answer_s=10.0, tries=3, retry_s=1.0)


def plan(data: bytes = DATA, limits: Limits = FAST, **changes: Any) -> FetchPlan:
    bucket = TokenBucket(limits.rate, limits.window * CHUNK, 0.0)
    return FetchPlan(target(data, **changes), limits=limits, bucket=bucket)


def run(plan: FetchPlan, published: dict[int | str, bytes], here: set[int] = frozenset()) -> dict[int, bytes]:  # type: ignore[assignment]
    """Follow a plan to its end; the chunks it brought."""
    brought, now = {}, 0.0
    while not plan.complete:
        step = plan.step(now)
        for part in step.subscribe:
            if part in published and (number := plan.arrived(part, published[part], now)) is not None:
                brought[number] = published[part]
        if plan.asks_what_is_here:
            plan.resume(here)
        elif not step.subscribe:
            assert step.again_s is not None, "nothing is left to do"
            now += step.again_s
    return brought


# --- cut and checked ---


def test_every_kind_has_a_bound_and_every_part_a_topic_and_a_packet() -> None:
    assert set(MAX_BYTES) == set(get_args(ArtefactKind))
    chunks = artefact.chunks_of(artefact.MAX_LENGTH)
    assert chunks + artefact.tables_of(chunks) <= topics.MAX_PART + 1
    topic = topics.artefact("f" * 63, "0" * 64, topics.MAX_PART)
    assert packet_size(topic, bytes(CHUNK)) <= MAX_PACKET
    index = artefact.Index(
        format=1, sha256="0" * 64, length=artefact.MAX_LENGTH, chunk=CHUNK, tables=("0" * 64,) * MAX_TABLES
    )
    assert len(encode(index)) <= MAX_INDEX


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_file_is_cut_and_comes_together(size: int) -> None:
    data = content(4)[:size]
    brought = run(plan(data), parts(data))
    assert b"".join(brought[number] for number in sorted(brought)) == data


def test_a_file_with_several_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefact, "A_TABLE", 2)
    monkeypatch.setattr(artefact, "MAX_TABLES", 9)
    index = cut(pieces(content(4.5))).index
    assert len(msgspec.json.decode(index)["tables"]) == 3
    brought = run(plan(content(4.5)), parts(content(4.5)))
    assert b"".join(brought[number] for number in sorted(brought)) == content(4.5)


@pytest.mark.parametrize(
    "chunks", [[], [b""], [b"short", b"more"], [bytes(CHUNK + 1)]], ids=["none", "empty", "two short", "long"]
)
def test_what_is_no_file_is_not_cut(chunks: list[bytes]) -> None:
    with pytest.raises(ValueError):
        cut(chunks)


def test_a_file_above_every_bound_is_not_cut() -> None:
    with pytest.raises(ValueError, match="at most"):
        cut(bytes(CHUNK) for _ in range(artefact.chunks_of(artefact.MAX_LENGTH) + 1))


def test_custom_says_what_the_box_checks() -> None:
    made = cut(pieces(DATA))
    custom = made.custom("software", "edged", "2.0~rc1+deb12")
    assert artefact.read_custom(custom).index_sha256 == made.index_sha256
    for kind, name, version in [("cheese", "x", "1"), ("trust", "Not a name", "1"), ("trust", "x", "1:2")]:
        with pytest.raises(ValueError):
            made.custom(kind, name, version)


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [
        ("scenes", {"length": MAX_BYTES["scenes"] + 1}, "artefact.too_large"),
        ("software", {"length": artefact.MAX_LENGTH + 1}, "artefact.too_large"),
        ("cheese", {}, "artefact.too_large"),
        ("software", {"chunks": 5}, "artefact.bad_target"),
        ("software", {"chunk": CHUNK * 2, "chunks": 2}, "artefact.bad_target"),
        ("software", {"length": 0, "chunks": 0}, "artefact.bad_target"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused_before_the_first_byte(
    kind: str, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(DecodeError) as refused:
        artefact.check_target(target(DATA, **changes), kind)
    assert refused.value.code == code


def index_with(**changes: Any) -> tuple[bytes, dict[str, Any]]:
    """An index that its target vouches for, and that is wrong in itself."""
    fields = msgspec.json.decode(cut(pieces(DATA)).index) | changes
    data = msgspec.json.encode(fields)
    return data, {"index_sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 64},
        {"length": len(DATA) + 1},
        {"length": -1},
        {"length": 10**30},
        {"tables": []},
        {"tables": ["0" * 64] * 2},
        {"tables": ["0" * 64] * (MAX_TABLES + 1)},
        {"chunk": 1},
        {"format": 2},
        {"more": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_index_that_is_signed_and_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    data, told = index_with(**changes)
    with pytest.raises(DecodeError) as refused:
        artefact.read_index(data, target(DATA, **told))
    assert refused.value.code == "artefact.wrong_index"


def test_a_huge_index_is_refused_unread() -> None:
    data = b" " * (MAX_INDEX + 1) + cut(pieces(DATA)).index
    with pytest.raises(DecodeError) as refused:
        artefact.read_index(data, target(DATA, index_sha256=hashlib.sha256(data).hexdigest()))
    assert refused.value.code == "artefact.wrong_index"


@given(st.binary(max_size=200) | st.sampled_from(list(parts(DATA).values())), st.data())
@settings(max_examples=150, deadline=None)
def test_fuzz_an_index_of_any_bytes_is_read_or_refused(data: bytes, draw: st.DataObject) -> None:
    """Even signed for: the hash is right, the content anything."""
    data = mutated(data, draw)
    told = target(DATA, index_sha256=hashlib.sha256(data).hexdigest())
    try:
        index = artefact.read_index(data, told)
    except DecodeError as error:
        assert error.code == "artefact.wrong_index"
    else:
        assert (index.sha256, index.length) == (told.sha256, told.length)


def mutated(data: bytes, draw: st.DataObject) -> bytes:
    if not data or draw.draw(st.booleans()):
        return data
    at = draw.draw(st.integers(0, len(data) - 1))
    return data[:at] + draw.draw(st.binary(max_size=3)) + data[at + draw.draw(st.integers(0, 3)) :]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_fuzz_no_order_and_no_wrong_part_makes_another_file(draw: st.DataObject) -> None:
    """Parts come late, twice, unasked, changed and under other numbers; what is here in the end is the file."""
    published = parts(DATA)
    wanted, brought, now = plan(), dict[int, bytes](), 0.0
    for _ in range(60):
        if wanted.complete:
            break
        try:
            asked = wanted.step(now).subscribe
            for part in (*asked, *draw.draw(st.lists(st.sampled_from(list(published)), max_size=2))):
                data = published[draw.draw(st.sampled_from([part, part, part, topics.INDEX, 0, 1]))]
                number = wanted.arrived(part, mutated(data, draw), now)
                if number is not None:
                    brought[number] = published[number]
                    assert part == number
        except FetchFailedError as error:
            assert error.code in {"artefact.wrong_chunk", "artefact.wrong_index", "artefact.incomplete"}
            return
        if wanted.asks_what_is_here:
            wanted.resume(())
        now += 1.5
    if wanted.complete:
        assert b"".join(brought[number] for number in sorted(brought)) == DATA


# --- the plan ---


def test_only_what_is_missing_is_asked_for() -> None:
    assert set(run(plan(), parts(DATA), here={0, 2})) == {1, 3}


def test_few_parts_are_asked_for_at_once() -> None:
    wanted = plan()
    assert wanted.step(0.0).subscribe == ("index",)
    wanted.arrived("index", parts(DATA)["index"], 0.0)
    step = wanted.step(0.0)
    assert (step.subscribe, step.unsubscribe) == ((4,), ("index",))
    wanted.arrived(4, parts(DATA)[4], 0.0)
    wanted.resume(())
    assert wanted.step(0.0).subscribe == (0, 1)
    assert wanted.step(0.0).subscribe == ()
    wanted.arrived(1, parts(DATA)[1], 1.0)
    step = wanted.step(1.0)
    assert (step.subscribe, step.unsubscribe) == ((2,), (1,))


def test_the_rate_is_kept() -> None:
    """Ten chunks at a chunk a second take about as many seconds, less what the bucket lets through at once."""
    data = content(10)
    limits = Limits(rate=CHUNK, window=2)
    wanted, now, times = plan(data, limits), 0.0, []
    while not wanted.complete:
        step = wanted.step(now)
        for part in step.subscribe:
            times += [now] if wanted.arrived(part, parts(data)[part], now) is not None else []
        if wanted.asks_what_is_here:
            wanted.resume(())
        elif not step.subscribe:
            now += max(step.again_s or 0.0, 1e-3)
    assert 6.5 < times[-1] < 9.5
    assert max(sum(start <= one < start + 1 for one in times) for start in times) <= 3


def test_nothing_new_is_asked_for_while_the_line_is_needed() -> None:
    wanted = plan()
    step = wanted.step(0.0, hold=True)
    assert step.subscribe == ()
    assert step.again_s is not None
    assert wanted.step(1.0).subscribe == ("index",)


@pytest.mark.parametrize("missing", ["index", 4, 2])
def test_a_part_that_never_comes_ends_the_fetch_in_bounded_time(missing: int | str) -> None:
    published = {part: data for part, data in parts(DATA).items() if part != missing}
    wanted = plan()
    with pytest.raises(FetchFailedError) as failed:
        run(wanted, published)
    assert failed.value.code == "artefact.incomplete"
    if missing == 2:
        assert wanted.bytes_here == len(DATA) - CHUNK


@pytest.mark.parametrize(
    ("wrong", "code"),
    [("index", "artefact.wrong_index"), (4, "artefact.wrong_chunk"), (2, "artefact.wrong_chunk")],
)
def test_a_part_that_stays_wrong_ends_the_fetch(wrong: int | str, code: str) -> None:
    published = parts(DATA)
    published[wrong] = published[0][:-1] + b"?"
    wanted = plan()
    with pytest.raises(FetchFailedError) as failed:
        run(wanted, published)
    assert failed.value.code == code


def test_a_part_that_is_put_right_is_taken() -> None:
    wanted = plan()
    assert wanted.step(0.0).subscribe == ("index",)
    wanted.arrived("index", b"{}", 0.0)
    assert wanted.step(0.5).subscribe == ()
    assert run(wanted, parts(DATA)).keys() == set(range(4))


def test_a_lost_connection_is_no_try() -> None:
    wanted = plan()
    for _ in range(10):
        assert wanted.step(0.0).subscribe == ("index",)
        wanted.lost()
    assert run(wanted, parts(DATA)).keys() == set(range(4))


def test_leaving_names_what_is_subscribed_to() -> None:
    wanted = plan()
    wanted.step(0.0)
    wanted.arrived("index", parts(DATA)["index"], 0.0)
    assert set(wanted.leave()) == {"index"}


# --- on the disk ---


def hashes() -> list[bytes]:
    return [hashlib.sha256(piece).digest() for piece in pieces(DATA)]


def test_what_was_written_is_found_again_and_a_torn_write_is_not(tmp_path: Path) -> None:
    part = PartFile(tmp_path, target(DATA))
    for number in (0, 1, 3):
        part.write(number, pieces(DATA)[number])
    part.close()
    with part.path.open("r+b") as file:  # a power cut in the middle of the last write
        file.seek(3 * CHUNK + 100)
        file.write(bytes(1000))
    again = PartFile(tmp_path, target(DATA))
    assert again.here(hashes()) == {0, 1}
    for number in (2, 3):
        again.write(number, pieces(DATA)[number])
    whole = again.finish(hashes())
    assert again.finish(hashes()) == whole, "the second connection may ask as well"
    again.close()
    assert whole is not None
    assert whole.read_bytes() == DATA
    assert whole.stat().st_mode & 0o777 == 0o400
    assert not part.path.exists()


def test_what_is_not_the_signed_whole_gets_no_name(tmp_path: Path) -> None:
    wanted = target(DATA, sha256="0" * 64)
    part = PartFile(tmp_path, wanted)
    for number, piece in enumerate(pieces(DATA)):
        part.write(number, piece)
    assert part.finish(hashes()) is None
    part.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_forgets_a_chunk_is_found_out(tmp_path: Path) -> None:
    part = PartFile(tmp_path, target(DATA))
    for number, piece in enumerate(pieces(DATA)[:3]):
        part.write(number, piece)
    with pytest.raises(StateError) as trouble:
        part.finish(hashes())
    part.close()
    assert trouble.value.code == "artefact.disk_trouble"
    assert part.path.exists()


def test_a_full_disk_is_known_before_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_file, "free_bytes", lambda _: part_file.SPARE + len(DATA) - 1)
    with pytest.raises(StateError) as full:
        PartFile(tmp_path, target(DATA))
    assert full.value.code == "artefact.disk_full"


def test_a_closed_file_is_not_written_to(tmp_path: Path) -> None:
    part = PartFile(tmp_path, target(DATA))
    part.close()
    with pytest.raises(StateError):
        part.write(0, pieces(DATA)[0])


# --- the store ---


def put(store: ArtefactStore, data: bytes) -> str:
    store.open()
    wanted = target(data)
    (store.directory / wanted.sha256).write_bytes(data)
    return wanted.sha256


def test_what_no_version_needs_is_removed(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path)
    good, trial, old = (put(store, content(1, seed)) for seed in (1, 2, 3))
    store.part(target(content(2, 4))).close()
    (store.directory / "notes").write_text("nobody of ours")
    assert store.keep([good, trial]) == CHUNK + 2 * CHUNK
    assert {path.name for path in store.directory.iterdir()} == {good, trial, "notes"}
    assert store.find(target(content(1, 1))) == store.directory / good
    assert store.find(target(content(1, 3))) is None, old


def test_a_file_that_rotted_is_not_here(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path)
    name = put(store, DATA)
    (store.directory / name).write_bytes(DATA[:-1] + b"?")
    assert store.find(target(DATA)) is None
    assert not (store.directory / name).exists()


def test_the_files_together_are_bounded(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path, max_total=5 * CHUNK)
    kept = put(store, content(2, 1))
    put(store, content(2, 2))
    store.room_for([target(content(1, 3))])
    with pytest.raises(StateError) as full:
        store.room_for([target(content(2, 3))])
    assert full.value.code == "artefact.no_room"
    assert len(list(store.directory.iterdir())) == 2, "nobody has said yet what is needed"
    store._kept = frozenset([kept])
    store.room_for([target(content(2, 3))])
    assert [path.name for path in store.directory.iterdir()] == [kept]
