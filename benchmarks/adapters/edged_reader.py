"""Ours, through the same door as every peer."""

import datetime
import sys
from pathlib import Path

from protocol import serve

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import edged
from edged.core.image import decode_image
from edged.core.reading import read_page
from edged.core.vision import cv2

TODAY = datetime.date(2026, 11, 21)


def read(path):
    reading = read_page(decode_image(Path(path).read_bytes()), today=TODAY)
    return (None if reading.mrz is None else list(reading.mrz.lines.reveal())), reading.valid


cv2.setNumThreads(1)
serve(read, {"edged": edged.__version__})
