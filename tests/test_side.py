"""One side: its pictures are read together, the best of each light is kept, the same picture is no second witness."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edged import side as sides
from edged.errors import IdentityLeakError
from edged.events import Frame, Light
from edged.side import Side


class FakeBurst:
    """Says how often it was asked, and that each picture is as good as its first pixel."""

    def __init__(self) -> None:
        self.added = 0
        self.merit = 0.0

    def add(self, image: Any) -> Any:
        self.added += 1
        self.merit = float(image[0, 0, 0]) / 255
        return SimpleNamespace(frames=self.added)


def frame(shade: int, light: Light = Light.WHITE) -> Frame:
    return Frame(np.full((16, 16, 3), shade, np.uint8), light)


def made(*frames: Frame) -> tuple[Side, FakeBurst, Any]:
    burst = FakeBurst()
    side = Side(burst)  # type: ignore[arg-type]
    said = [side.add(one) for one in frames]
    return side, burst, said[-1]


def test_the_best_picture_of_each_light_is_kept_and_where_the_rows_are_is_known() -> None:
    white, better, infrared, worse = frame(20), frame(50), frame(90, Light.IR), frame(40, Light.IR)
    side, _, said = made(white, better, infrared, worse, frame(30))
    read = side.read(said)
    assert read.reading is said
    assert dict(read.frames) == {Light.WHITE: better, Light.IR: infrared}
    assert read.leading is Light.IR


def test_of_pictures_without_an_mrz_the_first_is_kept() -> None:
    first = frame(0)
    second = Frame(np.zeros((16, 24, 3), np.uint8), Light.WHITE)
    side, burst, said = made(first, second)
    assert burst.added == 2
    assert dict(side.read(said).frames) == {Light.WHITE: first}


def test_the_very_same_picture_again_is_no_second_witness() -> None:
    side, burst, said = made(frame(20), frame(20), frame(20, Light.IR))
    assert (burst.added, said.frames) == (1, 1)
    assert side.add(frame(21)).frames == 2
    assert side.add(frame(20)).frames == 2, "what all pictures say"


def test_a_picture_too_large_to_keep_is_read_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "MAX_KEPT_PIXELS", 255)
    side, burst, said = made(frame(20))
    assert burst.added == 1
    assert dict(side.read(said).frames) == {}


def test_what_was_handed_on_does_not_change_with_a_late_picture() -> None:
    side, _, said = made(frame(20))
    read = side.read(said)
    side.add(frame(90))
    assert int(read.frames[Light.WHITE].image()[0, 0, 0]) == 20


def test_nothing_of_it_can_be_written_out() -> None:
    side, _, said = made(frame(20))
    for holder in (side, side.read(said)):
        with pytest.raises(IdentityLeakError):
            pickle.dumps(holder)
        assert "withheld" in repr(holder)
