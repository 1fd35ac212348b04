"""Peers are asked over JSON lines, and whatever they do is said and never made up."""

from __future__ import annotations

import sys

import pytest

from benchmarks.accuracy import engines, side_by_side
from benchmarks.accuracy.conversation import Peer, PeerError
from benchmarks.accuracy.sources import specimens

FAKE = """
import sys, time
sys.path.insert(0, {adapters!r})
from protocol import serve, zone
def read(path):
    print("a library that prints")
    name = path.rsplit("/", 1)[-1]
    if name == "hang.png": time.sleep(60)
    if name == "die.png": raise SystemExit(3)
    if name == "raise.png": raise KeyError(path)
    return zone(["Passport No", "P<UTO" + "A" * 39, "L898902C3 6UTO7408122F1204159ZE184226B<<<<<10"]), None
serve(read, {{"fake": "1.0"}})
"""


@pytest.fixture
def fake(tmp_path):
    script = tmp_path / "fake.py"
    script.write_text(FAKE.format(adapters=str(engines.ADAPTERS)))
    return [sys.executable, str(script)]


def test_a_peer_says_its_versions_and_answers(fake, tmp_path):
    with Peer(fake, {}) as peer:
        assert peer.versions == {"fake": "1.0"}
        for _ in range(2):
            answer = peer.ask(tmp_path / "page.png")
            assert [len(line) for line in answer["lines"]] == [44, 44]
            assert answer["valid"] is None
            assert answer["ms"] >= 0


def test_an_exception_of_a_peer_is_its_answer(fake, tmp_path):
    with Peer(fake, {}) as peer:
        answer = peer.ask(tmp_path / "raise.png")
        assert answer["error"] == "KeyError"
        assert answer["lines"] is None
        assert peer.ask(tmp_path / "page.png")["lines"]


@pytest.mark.parametrize(("page", "what"), [("die.png", "died"), ("hang.png", "fell silent")])
def test_a_peer_that_dies_or_hangs_is_said_to(fake, tmp_path, page, what):
    with Peer(fake, {}) as peer, pytest.raises(PeerError, match=what):
        peer.ask(tmp_path / page, answer_s=60.0 if what == "died" else 0.2)


@pytest.mark.parametrize("script", ["print('hello')", "raise SystemExit(1)", "print('[]')"])
def test_what_does_not_speak_the_protocol_does_not_start(script):
    with pytest.raises(PeerError, match=r"died|spoke something else"):
        Peer([sys.executable, "-c", script], {})


def test_a_missing_peer_is_reported_as_missing(tmp_path):
    for engine in engines.ENGINES:
        with pytest.raises(RuntimeError, match="not installed"):
            engines.command(engine, tmp_path)


def test_side_by_side_counts_ours_and_names_the_missing(tmp_path):
    item = next(item for item in specimens() if item.path is not None and item.path.name == "passport.jpg")
    found = side_by_side.run({"specimens": [item]}, tmp_path)
    ours = found["sets"]["specimens"]["engines"]["edged"]
    assert (ours["exact"], ours["positives"], ours["wrong_as_valid"], ours["failed"]) == (1, 1, 0, 0)
    assert set(found["missing"]) == {engine.name for engine in engines.ENGINES}
    assert found["versions"]["edged"].startswith("edged ")


def test_plain_text_is_valid_where_its_check_digits_hold():
    good = ["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"]
    assert side_by_side._valid_by_digits(good)
    assert not side_by_side._valid_by_digits([good[0], good[1][:-1] + "1"])
    assert not side_by_side._valid_by_digits(["nonsense"])
    assert not side_by_side._valid_by_digits(None)
