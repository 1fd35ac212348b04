"""OpenCV, set up once: quiet, and on one thread, because a terminal's other processes need the other core.

Everything in edged that needs OpenCV imports it from here.
"""

from __future__ import annotations

import os

os.environ.setdefault(
    "OPENCV_LOG_LEVEL", "SILENT"
)  # its warnings name files and bytes of documents; ours don't

import cv2  # noqa: E402

cv2.setNumThreads(1)

__all__ = ["cv2"]
