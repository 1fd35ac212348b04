"""What a camera adds to every picture, measured and taken out: its dark pattern, and the uneven light of the window.

Made from a burst in the dark and one of an evenly white sheet under each light: what is common to a burst's frames is
the camera's, what differs is noise. A picture becomes (picture - dark) x gain.

The file: a line of JSON, the arrays one behind the other, the SHA-256 of all that. It belongs to one camera at one
resolution, pixel format and exposure; for any other it is refused.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np

from edged.core.vision import cv2, grey_of
from edged.errors import DecodeError
from edged.events import Light

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

VERSION: Final = 1
LEAST_FRAMES: Final = 8
"""With fewer the frames' own noise would be taken for the camera's pattern."""
MOST_PIXELS: Final = 24_000_000
"""As many as a picture that is kept may have (`edged.side`)."""
MOST_BYTES: Final = 1 << 30
"""Of a file: 24 megapixels, three colours, the dark and three lights in two octets, compressed not at all."""
_MAGIC: Final = b"edged camera calibration\n"
_MOST_HEADER: Final = 16 * 1024
_SHA256: Final = 32
_DARK_SCALE: Final = 256.0
"""Steps of the stored dark pattern in one step of the picture."""
_GAIN_SCALE: Final = 8192.0
_LEAST_GAIN, _MOST_GAIN = 0.5, 4.0
"""A corner that gets less than a quarter of the light is no corner to be read, and would be noise when amplified."""
_DARK_ENOUGH: Final = 40.0
"""Mean of a dark frame above which light fell in."""
_FLAT_LEAST, _FLAT_MOST = 40.0, 235.0
"""Median of the white sheet, of 255: darker is noise, brighter is cut off."""
_FLAT_BURNT: Final = 0.01
_STEADY: Final = 0.05
"""Share by which the brightness of a burst's frames may differ: more is a flickering lamp, or somebody's hand."""
_SMOOTH: Final = 9
"""Pixels over which the sheet's own texture is smoothed away; shading and the lamps' pattern are coarser."""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a calibration improves, on frames that it was not made from: standard deviation in steps of 255.

    Attributes:
        pattern_before: fixed-pattern noise of the dark, from pixel to pixel.
        pattern_after: the same with the dark pattern taken out.
        noise: of one frame, that no calibration takes out.
        shading_before: by light, the spread of the white sheet's brightness over the window, as a share of its median.
        shading_after: the same with the gain.
    """

    pattern_before: float
    pattern_after: float
    noise: float
    shading_before: dict[str, float]
    shading_after: dict[str, float]


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a calibration belongs to, and how it came about.

    Attributes:
        camera: its identity (`edged.drivers.v4l2.identity_of`).
        exposure_us: by light; 0 where the camera chose.
        gain: the camera's; None when it chose.
        made: when, with the time zone.
        frames: of each burst.
        simulated: whether it was made with a camera of software.
    """

    version: int
    camera: Annotated[str, msgspec.Meta(max_length=256)]
    width: Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
    height: Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
    pixel_format: Annotated[str, msgspec.Meta(max_length=4)]
    exposure_us: dict[str, int]
    gain: int | None
    made: datetime
    frames: Annotated[int, msgspec.Meta(ge=LEAST_FRAMES)]
    simulated: bool
    measured: Measured


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: About
    lights: tuple[Light, ...]
    lengths: tuple[int, ...]
    """Octets of the compressed arrays: dark, then a gain for each light."""


class Situation(NamedTuple):
    """How a camera stands when a calibration is to be used; as in `About`."""

    camera: str
    width: int
    height: int
    pixel_format: str


class Calibration:
    """A calibration ready to be applied. `name` is short and stands in every frame that was corrected with it."""

    def __init__(
        self, about: About, dark: NDArray[np.uint16], gains: Mapping[Light, NDArray[np.uint16]], name: str
    ) -> None:
        self.about = about
        self.name = name
        self.stored = (dark, dict(gains))
        self._dark = np.asarray(dark / _DARK_SCALE, np.float32)
        self._gains = {light: np.asarray(gain / _GAIN_SCALE, np.float32) for light, gain in gains.items()}

    @property
    def lights(self) -> frozenset[Light]:
        """Under which lights it was measured; pictures under others lose the dark pattern alone."""
        return frozenset(self._gains)

    def fits(self, now: Situation) -> str | None:
        """None when it is this camera's, or the code of what isn't so."""
        about = self.about
        if about.camera != now.camera:
            return "camera.calibration_of_other"
        if (about.width, about.height, about.pixel_format) != (now.width, now.height, now.pixel_format):
            return "camera.calibration_other_format"
        return None

    def exposed_alike(self, light: Light, exposure_us: int | None) -> bool:
        """Whether it was measured with this exposure."""
        return self.about.exposure_us.get(light.value, 0) == (exposure_us or 0)

    def apply(self, image: NDArray[np.uint8], light: Light) -> NDArray[np.uint8]:
        """The picture as an even camera under even light had taken it; some ten milliseconds for two megapixels."""
        even = cv2.subtract(image, self._dark, dtype=cv2.CV_32F)
        gain = self._gains.get(light)
        if gain is None:
            return np.asarray(cv2.add(even, 0.0, dtype=cv2.CV_8U), np.uint8)
        return np.asarray(cv2.multiply(even, gain, dtype=cv2.CV_8U), np.uint8)


class Mean:
    """Frames as they come, kept as their sum alone. `code` says at the end what was wrong with them."""

    def __init__(self) -> None:
        self.frames = 0
        self._sum: NDArray[np.float32] | None = None
        self._squares = 0.0
        self._means: list[float] = []
        self._last: NDArray[np.uint8] | None = None

    def add(self, image: NDArray[np.uint8]) -> None:
        """One more frame, BGR."""
        if self._sum is None:
            self._sum = np.zeros(image.shape, np.float32)
        if self._last is not None:
            difference = cv2.subtract(image, self._last, dtype=cv2.CV_32F)
            self._squares += float(cv2.meanStdDev(difference)[1].mean()) ** 2 / 2
        cv2.accumulate(image, self._sum)
        self._means.append(float(image.mean()))
        self._last = image.copy()
        self.frames += 1

    def mean(self) -> NDArray[np.float32]:
        """What is common to the frames. At least one was added."""
        assert self._sum is not None
        return np.asarray(self._sum / self.frames, np.float32)

    @property
    def noise(self) -> float:
        """Standard deviation of one pixel from frame to frame."""
        return float((self._squares / max(self.frames - 1, 1)) ** 0.5)

    @property
    def steady(self) -> bool:
        """Whether all frames were equally bright."""
        middle = float(np.median(self._means))
        return max(abs(one - middle) for one in self._means) <= max(_STEADY * middle, 1.0)


def dark_fault(burst: Mean) -> str | None:
    """What is wrong with a burst in the dark, as a code; None when it can be used."""
    if burst.frames < LEAST_FRAMES:
        return "camera.calibration_too_few"
    return "camera.dark_not_dark" if float(burst.mean().mean()) > _DARK_ENOUGH else None


def flat_fault(burst: Mean) -> str | None:
    """The same of a burst of the white sheet."""
    if burst.frames < LEAST_FRAMES:
        return "camera.calibration_too_few"
    grey = burst.mean().mean(axis=2)
    middle = float(np.median(grey))
    if middle < _FLAT_LEAST:
        return "camera.flat_too_dark"
    if middle > _FLAT_MOST or float((grey > _FLAT_MOST + 15).mean()) > _FLAT_BURNT:
        return "camera.flat_too_bright"
    return None if burst.steady else "camera.flat_unsteady"


def make(dark: Mean, flats: Mapping[Light, Mean], about: About) -> Calibration:
    """A calibration of bursts that have no fault. `about.measured` is whatever `measure` says of the result."""
    pattern = dark.mean()
    stored = np.clip(pattern * _DARK_SCALE + 0.5, 0, 65535).astype(np.uint16)
    gains = {}
    for light, burst in flats.items():
        sheet = cv2.blur(np.maximum(burst.mean() - pattern, 1.0), (_SMOOTH, _SMOOTH))
        target = np.median(sheet.reshape(-1, 3), axis=0)
        gain = np.clip(target / np.maximum(sheet, 1.0), _LEAST_GAIN, _MOST_GAIN)
        gains[light] = np.clip(gain * _GAIN_SCALE + 0.5, 0, 65535).astype(np.uint16)
    return _named(about, stored, gains)


def measure(
    made: Calibration,
    noise: float,
    dark: Sequence[NDArray[np.uint8]],
    flats: Mapping[Light, Sequence[NDArray[np.uint8]]],
) -> Measured:
    """What `made` improves, on frames it wasn't made from: a few in the dark and a few of the sheet under each light.

    They are averaged, so that little but the pattern is left in them.
    """
    pattern = made.stored[0] / _DARK_SCALE
    plain = _average(dark)
    before, after = {}, {}
    for light, frames in flats.items():
        before[light.value] = round(_shading(_average(frames)), 4)
        after[light.value] = round(_shading(_average([made.apply(one, light) for one in frames])), 4)
    return Measured(
        pattern_before=round(_pattern(plain), 3),
        pattern_after=round(_pattern(plain - pattern), 3),
        noise=round(noise, 3),
        shading_before=before,
        shading_after=after,
    )


def _average(frames: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
    return np.asarray(np.mean([frame.astype(np.float32) for frame in frames], axis=0), np.float64)


def _pattern(dark: NDArray[np.float64]) -> float:
    """Standard deviation from pixel to pixel, slow changes over the picture included."""
    return float(dark.reshape(-1, dark.shape[-1]).std(axis=0).mean())


def _shading(sheet: NDArray[np.float64]) -> float:
    """From the darkest to the brightest twentieth of the window, over the median; the sheet's texture averaged away."""
    small = cv2.resize(sheet.mean(axis=2), (64, 48), interpolation=cv2.INTER_AREA)
    low, middle, high = np.percentile(small, (5, 50, 95))
    return float((high - low) / max(middle, 1.0))


def encode(calibration: Calibration) -> bytes:
    """The file."""
    dark, gains = calibration.stored
    arrays = [zlib.compress(array.astype("<u2").tobytes(), 1) for array in (dark, *gains.values())]
    header = _Header(calibration.about, tuple(gains), tuple(len(array) for array in arrays))
    body = _MAGIC + msgspec.json.encode(header) + b"\n" + b"".join(arrays)
    return body + hashlib.sha256(body).digest()


def decode(data: bytes) -> Calibration:
    """The calibration in a file. Raises `DecodeError`: not one, damaged, or of another version of edged."""
    header, arrays = _parts(data)
    about = header.about
    shape = (about.height, about.width, 3)
    if about.height * about.width > MOST_PIXELS or len(arrays) != 1 + len(header.lights):
        raise _bad()
    planes = [_plane(array, shape) for array in arrays]
    return Calibration(about, planes[0], dict(zip(header.lights, planes[1:], strict=True)), _name(data))


def describe(data: bytes) -> tuple[About, tuple[Light, ...], str]:
    """What a file says of itself, its lights and its name, once its checksum holds. Raises as `decode`."""
    header, _ = _parts(data)
    return header.about, header.lights, _name(data)


def _parts(data: bytes) -> tuple[_Header, list[bytes]]:
    body, digest = data[:-_SHA256], data[-_SHA256:]
    if not data.startswith(_MAGIC):
        raise _bad()
    if hashlib.sha256(body).digest() != digest:
        raise DecodeError("calibration", "camera.calibration_damaged")
    end = body.find(b"\n", len(_MAGIC), len(_MAGIC) + _MOST_HEADER)
    try:
        header = msgspec.json.decode(body[len(_MAGIC) : max(end, 0)], type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad() from error
    if header.about.version != VERSION:
        raise _bad()
    arrays, at = [], end + 1
    for length in header.lengths:
        if length < 0 or at + length > len(body):
            raise _bad()
        arrays.append(body[at : at + length])
        at += length
    if at != len(body):
        raise _bad()
    return header, arrays


def _plane(packed: bytes, shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    """Never inflates to more than the shape asks for."""
    size = 2 * int(np.prod(shape))
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise _bad() from error
    if len(raw) != size:
        raise _bad()
    return np.frombuffer(raw, "<u2").astype(np.uint16).reshape(shape)


def _named(about: About, dark: NDArray[np.uint16], gains: Mapping[Light, NDArray[np.uint16]]) -> Calibration:
    unnamed = Calibration(about, dark, gains, "")
    unnamed.name = _name(encode(unnamed))
    return unnamed


def renewed(calibration: Calibration, measured: Measured) -> Calibration:
    """The same with what was measured of it."""
    about = msgspec.structs.replace(calibration.about, measured=measured)
    return _named(about, *calibration.stored)


def _name(data: bytes) -> str:
    """Twelve hex digits of the checksum: what a frame says it was corrected with."""
    return data[-_SHA256:].hex()[:12]


def _bad() -> DecodeError:
    return DecodeError("calibration", "camera.not_a_calibration")


def unmeasured() -> Measured:
    """Before `measure`."""
    return Measured(0.0, 0.0, 0.0, {}, {})


def is_flat(image: NDArray[np.uint8]) -> bool:
    """Whether a picture could be of the white sheet: no print, no edge, nothing that lies in the window."""
    small: Any = cv2.resize(grey_of(image), (64, 48), interpolation=cv2.INTER_AREA)
    spread = cv2.subtract(cv2.dilate(small, np.ones((3, 3))), cv2.erode(small, np.ones((3, 3))))
    return float(np.percentile(spread, 95)) < _SHEET_STEP


_SHEET_STEP: Final = 24.0
"""Of 255, from one 64th of the window to the next: shading is slower, a document's edge is a step."""
