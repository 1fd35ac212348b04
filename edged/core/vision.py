"""OpenCV, set up once: quiet, and on one thread, because a terminal's other processes need the other core.

Everything in edged that needs OpenCV imports it from here. Its own type hints make every array's type a union
that says less than our signatures, so it is `Any` here.
"""

from __future__ import annotations

import os
from typing import Any, Final

# Its warnings name files and bytes of documents; our reasons don't.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2 as _cv2

_cv2.setNumThreads(1)

cv2: Final[Any] = _cv2
