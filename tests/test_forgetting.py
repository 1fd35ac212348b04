"""Pictures and what is known of their characters are overwritten when an inspection ends, however it ends."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import numpy as np
import pytest

from edged.core.burst import Burst
from edged.core.image import decode_image
from edged.events import Frame, Light
from edged.identity import wipe
from edged.optics import Optics
from edged.side import ReadDocument, Side
from tests.box import SPECIMENS, Box

TODAY = datetime.date(2026, 6, 15)


def frame(light: Light = Light.WHITE) -> Frame:
    return Frame(decode_image(SPECIMENS["passport"].sides[0].read_bytes()), light)


def side() -> Side:
    return Side(Burst(today=TODAY))


def test_a_read_document_is_overwritten() -> None:
    one, white, infrared = side(), frame(), frame(Light.IR)
    one.add(white)
    reading = one.add(infrared)
    kept = [evidence for sight in one._burst._sights for evidence in (sight.grey, *sight.reading.cells)]  # type: ignore[union-attr]
    assert reading.mrz is not None
    assert all(array.any() for array in (white.image(), infrared.image(), *kept))
    ReadDocument((one.read(reading),)).forget()
    one.forget()
    assert not any(array.any() for array in (white.image(), infrared.image(), *kept))
    assert reading.mrz is None
    assert reading.characters.reveal() == ()


def test_pictures_that_were_not_kept_are_overwritten_too() -> None:
    one, first, again = side(), frame(), frame()
    one.add(first)
    one.add(again)  # the very same picture is no second witness
    one.forget()
    assert not first.image().any()
    assert not again.image().any()


def test_what_is_being_read_when_the_inspection_ends_is_overwritten_after_it() -> None:
    class Slow(Burst):
        def add(self, image: np.ndarray) -> object:  # type: ignore[override]
            said = super().add(image)
            one.forget()  # from another thread
            return said

    one = Side(Slow(today=TODAY))
    late = frame()
    reading = one.add(late)
    assert not late.image().any()
    assert reading.mrz is None


def test_whoever_ends_an_inspection_has_its_sides_overwritten() -> None:
    optics = Optics(None, None, side, lambda lines: None)  # type: ignore[arg-type, return-value]
    begun, picture = side(), frame()
    begun.add(picture)
    optics._sides.append(begun)
    optics.forget()
    assert not picture.image().any()
    optics.close()


def test_bytes_of_somebody_elses_are_told_apart() -> None:
    assert wipe(np.ones(3, np.uint8))
    assert not wipe(np.frombuffer(b"abc", np.uint8))


async def test_what_is_left_in_the_daemons_memory_after_a_scan(tmp_path: Path) -> None:
    """As root sees it. Python's strings can't be overwritten, so some copies may stay until their place is used again
    (`docs/privacy.md`); the picture's pixels may not."""
    if os.geteuid() != 0:
        pytest.skip("only root reads another process's memory")
    picture = decode_image(SPECIMENS["passport"].sides[0].read_bytes())
    height, width = picture.shape[:2]
    pixels = [
        picture[y, width // 3 : width // 3 + 200].tobytes() for y in range(height // 4, height, height // 8)
    ]
    pixels = [row for row in pixels if len(set(row)) > 40]
    assert len(pixels) >= 3
    async with Box(tmp_path) as box:
        await box.scan("passport")
        memory = held(box.process.pid)
        expected = SPECIMENS["passport"].expected
        assert expected is not None
        assert expected.lines is not None
        lines = sum(memory.count(line.encode()) for line in expected.lines)
    assert [row for row in pixels if row in memory] == []
    assert lines <= MOST_COPIES, f"{lines} copies of MRZ lines"


MOST_COPIES = 8
"""Of two lines, in freed memory. Measured: see `docs/privacy.md`; more would be somebody keeping them."""


def held(pid: int) -> bytes:
    """All that a process may write, joined."""
    found = []
    process = Path(f"/proc/{pid}")
    with (process / "maps").open() as maps, (process / "mem").open("rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(begin)
                found.append(memory.read(end - begin))
            except OSError:  # a guard, or a device's
                continue
    return b"\n".join(found)
