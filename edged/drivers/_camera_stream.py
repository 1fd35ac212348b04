"""The frames of one camera, through OpenCV: the only module that knows `VideoCapture`. Blocking."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from edged.core.vision import cv2
from edged.errors import DeviceError, DeviceGoneError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edged.drivers.v4l2 import Capability, Control, Range

DEVICE: Final = "camera"


class Stream(Protocol):
    """Frames as they come."""

    @property
    def period_s(self) -> float:
        """From one frame to the next, as the camera promises it."""
        ...

    def grab(self) -> bool:
        """Take the oldest frame that waits, or wait for the next one, a second at most; False when none came."""
        ...

    def stamp(self) -> float:
        """When the kernel had the frame grabbed last: seconds, of the monotonic clock if the driver is a good one."""
        ...

    def retrieve(self) -> NDArray[np.uint8] | None:
        """The frame grabbed last, BGR; None when it can't be decoded."""
        ...

    def release(self) -> None:
        """Stop filming."""
        ...


class Controls(Protocol):
    """Facts and controls of the same camera: `edged.drivers.v4l2.Node`, or a test's."""

    def capability(self) -> Capability: ...

    def formats(self) -> tuple[str, ...]: ...

    def sizes(self, pixel_format: str) -> tuple[tuple[int, int], ...]: ...

    def format(self) -> tuple[int, int, str] | None: ...

    def range(self, control: Control) -> Range | None: ...

    def get(self, control: Control) -> int | None: ...

    def set(self, control: Control, value: int) -> int | None: ...

    def close(self) -> None: ...


class OpenCvStream:
    """`Stream` of a V4L2 device, in the format asked for or the next that the camera has."""

    def __init__(self, path: Path, pixel_format: str, width: int, height: int) -> None:
        """Raises `DeviceGoneError` when it isn't there, `DeviceError` when another program films with it."""
        self._capture: Any = cv2.VideoCapture(os.path.realpath(path), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            self._capture.release()
            if path.exists():
                raise DeviceError(DEVICE, "camera.busy")
            raise DeviceGoneError(DEVICE, "camera.not_there")
        four = pixel_format.ljust(4)
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*four))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)

    @property
    def period_s(self) -> float:
        """By the camera's frame rate; the slowest usual one where it doesn't say."""
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        return 1 / rate if 1 <= rate <= 1000 else 1 / 15  # frames a second

    def grab(self) -> bool:
        """See `Stream`; OpenCV's own patience is set in `edged.core.vision`."""
        return bool(self._capture.grab())

    def stamp(self) -> float:
        """See `Stream`."""
        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000

    def retrieve(self) -> NDArray[np.uint8] | None:
        """See `Stream`. A camera of grey frames gives three equal channels."""
        try:
            taken, image = self._capture.retrieve()
        except cv2.error:  # a damaged JPEG, by the version of OpenCV; its text would quote the call
            return None
        if not taken or image is None:
            return None
        found: NDArray[np.uint8] = image if image.ndim > 2 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return found

    def release(self) -> None:
        """See `Stream`."""
        self._capture.release()
