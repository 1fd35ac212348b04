"""Several pictures of one page: what one hides the others show, and contradictions are never averaged away."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path

import numpy as np
import pytest

from edged.core import burst as bursts
from edged.core.burst import MAX_FRAMES, Burst, read_frames
from edged.core.image import decode_image
from edged.core.sight import _decided
from edged.errors import IdentityLeakError
from tests.reading_evidence import TD3, evidence

TODAY = datetime.date(2026, 11, 21)
SPECIMENS = Path(__file__).parents[1] / "edged" / "specimens"


def passport() -> np.ndarray:
    return decode_image((SPECIMENS / "passport.jpg").read_bytes())


def printed(reading) -> tuple[str, ...] | None:
    return None if reading.mrz is None else tuple(reading.mrz.lines.reveal())


def smeared(image: np.ndarray, left: float, right: float) -> np.ndarray:
    """The picture with a part of its first line blown out by a lamp."""
    reading = read_frames([image], today=TODAY)
    row = reading.rows[0]
    out = image.copy()
    start = row.moved((left - 0.5) * row.length, 0.0)
    stop = row.moved((right - 0.5) * row.length, 0.0)
    top, bottom = int(start.y - row.cap), int(start.y + row.cap)
    out[top:bottom, int(start.x) : int(stop.x)] = 245
    return out


def read_together(monkeypatch, *pictures):
    """What a burst says of pictures that show this evidence."""
    shown = iter(pictures)
    monkeypatch.setattr("edged.core.sight._read_blocks", lambda *_, **__: ([_decided(next(shown))], ""))
    page = np.full((600, 1200), 225, np.uint8)
    page[100:300:20, 100:1000] = 40
    burst = Burst(today=TODAY)
    for _ in pictures:
        reading = burst.add(page)
    return reading


def test_glare_that_wanders_hides_nothing():
    image = passport()
    whole = read_frames([image], today=TODAY)
    assert whole.valid
    frames = [smeared(image, 0.1, 0.2), smeared(image, 0.3, 0.4)]
    assert not any(read_frames([frame], today=TODAY).valid for frame in frames)
    together = read_frames(frames, today=TODAY)
    assert together.valid
    assert printed(together) == printed(whole)
    assert together.frames == 2


def test_no_further_picture_is_asked_for_once_it_is_sure():
    def pictures():
        yield passport()
        raise AssertionError("one picture was enough")

    assert read_frames(pictures(), today=TODAY).valid


def test_a_page_without_mrz_among_them_changes_nothing():
    blank = np.full((600, 900), 200, np.uint8)
    burst = Burst(today=TODAY)
    assert burst.add(blank).mrz is None
    assert burst.add(passport()).valid
    again = burst.add(blank)
    assert again.valid, "what was seen stays seen"
    assert again.frames == 1


@pytest.mark.parametrize("share", [0.6, 0.8, 0.9])
def test_two_doubtful_pictures_that_agree_are_surer_than_each(monkeypatch, share):
    doubt = [(0, 5, {"E": share, "F": 1 - share})]
    alone = read_together(monkeypatch, evidence(doubt))
    twice = read_together(monkeypatch, evidence(doubt), evidence(doubt))
    assert alone.name_confidence < twice.name_confidence < 1.0
    assert not alone.valid


def test_certain_pictures_that_contradict_each_other_make_nothing_sure(monkeypatch):
    other = [(0, 5, {"F": 0.999, "E": 0.001})]
    reading = read_together(monkeypatch, evidence(), evidence(other))
    assert not reading.valid
    assert not reading.sure
    assert not read_together(monkeypatch, evidence(), evidence(), evidence(), evidence(other)).valid
    assert read_together(monkeypatch, evidence(), evidence()).valid


def test_one_picture_does_not_outvote_several(monkeypatch):
    loud = [(0, 5, {"F": 1.0})]
    quiet = [(0, 5, {"E": 0.85, "F": 0.15})]
    reading = read_together(monkeypatch, evidence(loud), evidence(quiet), evidence(quiet), evidence(quiet))
    assert not reading.valid


def test_pictures_of_another_shape_are_left_out(monkeypatch):
    short = tuple(line[:36] for line in TD3)
    reading = read_together(monkeypatch, evidence(), evidence(), evidence(lines=short, legibility=0.7))
    assert printed(reading) == TD3


def test_memory_is_bounded_and_nothing_can_be_written_out(monkeypatch):
    burst = Burst(today=TODAY)
    image = passport()
    for _ in range(MAX_FRAMES + 2):
        burst.add(image)
    held = burst._sights
    assert len(held) == MAX_FRAMES
    assert sum(sight.grey.size for sight in held) < 2 * image.shape[0] * image.shape[1]
    with pytest.raises(IdentityLeakError):
        pickle.dumps(burst)
    with pytest.raises(ValueError, match="no picture"):
        read_frames([], today=TODAY)
    assert bursts.MAX_FRAMES >= 3


def test_the_picture_that_shows_the_mrz_best_is_known():
    burst = Burst(today=TODAY)
    burst.add(np.full((600, 900), 200, np.uint8))
    assert burst.merit == 0.0
    image = passport()
    burst.add(smeared(image, 0.1, 0.2))
    glared = burst.merit
    burst.add(image)
    assert 0.0 < glared < burst.merit <= 1.0


def test_two_documents_in_one_picture_are_not_made_good_by_another():
    burst = Burst(today=TODAY)
    first = burst.add(smeared(passport(), 0.1, 0.2))
    assert first.mrz is not None
    assert not first.sure
    two = burst.add(decode_image((SPECIMENS / "two-documents.jpg").read_bytes()))
    assert (two.mrz, two.sure) == (None, False)
    assert two.reasons[0].code == "reading.two_documents"


def test_the_library_takes_files_and_arrays_of_one_page():
    from edged import core

    image = passport()
    data = (SPECIMENS / "passport.jpg").read_bytes()
    reading = core.read_frames([smeared(image, 0.1, 0.2), data], today=TODAY)
    assert reading.valid
    assert reading.frames == 2
    again = core.read_page(image, today=TODAY, hint=reading.rows)
    assert again.valid
    assert printed(again) == printed(reading)
    elsewhere = tuple(row.moved(0.0, -20 * row.cap) for row in reading.rows)
    assert core.read_page(image, today=TODAY, hint=elsewhere).valid, "a wrong hint only costs time"


def test_two_documents_in_one_picture_end_the_reading():
    two = decode_image((SPECIMENS / "two-documents.jpg").read_bytes())
    for pictures in ([two, passport()], [smeared(passport(), 0.1, 0.2), two, passport()]):
        reading = read_frames(pictures, today=TODAY)
        assert (reading.mrz, reading.sure) == (None, False)
        assert reading.reasons[0].code == "reading.two_documents"


def test_a_misreading_that_every_picture_of_a_still_page_repeats_never_becomes_sure(monkeypatch):
    doubt = [(0, 5, {"F": 0.8, "E": 0.2})]
    reading = read_together(monkeypatch, *(evidence(doubt) for _ in range(MAX_FRAMES)))
    assert not reading.sure
    assert reading.name_confidence < 0.97


def test_what_passes_through_core_can_not_be_written_out():
    from edged.core.laps import Laps
    from edged.core.sight import look
    from edged.core.vision import grey_of

    sight = look(grey_of(passport()), Laps())
    for held in (sight, sight.decision, sight.reading):
        assert "ERIKSSON" not in f"{held!r}{held}"
        with pytest.raises(IdentityLeakError):
            pickle.dumps(held)
