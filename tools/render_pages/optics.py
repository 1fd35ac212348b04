"""A page is photographed: where it lies, the light on it, the lens, the sensor, the file.

Every fault is known as a function of place, so that `Shot.contrast` can say what is left of each character: the
grey levels between its ink and its paper that reach the file, after light, glare, dirt, folds and blur.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .ornament import tabletop

if TYPE_CHECKING:
    import random

    from .ink import Plane
    from .sheet import Sheet

Matrix = NDArray[np.float64]
Field = NDArray[np.float32]


@dataclass
class Pose:
    """Where a sheet lies in the picture: millimetres to pixels."""

    matrix: Matrix
    frame: tuple[int, int]
    """(width, height)."""
    bend: float = 0.0
    """Height in millimetres by which a booklet's page arches (0: flat)."""


def place(points: NDArray[np.floating], pose: Pose, size: tuple[float, float]) -> NDArray[np.float32]:
    """Where points of the sheet (millimetres) come to lie in the picture (pixels)."""
    points = np.asarray(points, np.float32).reshape(-1, 1, 2)
    if not len(points):
        return np.zeros((0, 2), np.float32)
    if pose.bend:
        points = points.copy()
        points[..., 1] += arch(points[..., 0], pose.bend, size[0])
    return np.asarray(cv2.perspectiveTransform(points, pose.matrix), np.float32).reshape(-1, 2)


def arch(x: NDArray[np.float32], bend: float, width: float) -> NDArray[np.float32]:
    """How far an arched page's points seem moved down, in millimetres: an opened booklet near its spine."""
    return np.asarray(bend * np.sin(np.pi * np.clip(x / width, 0, 1)) ** 2, np.float32)


def flat_pose(
    size: tuple[float, float],
    dpi: float,
    quarter: int,
    angle: float,
    margin: tuple[float, float],
    rng: random.Random,
) -> Pose:
    """A window of glass seen straight on: the sheet, turned, somewhere within the margins (millimetres)."""
    scale = dpi / 25.4
    turn = math.radians(90 * quarter + angle)
    cosine, sine = math.cos(turn), math.sin(turn)
    corners = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], float) @ np.array(
        [[cosine, sine], [-sine, cosine]]
    )
    low, high = corners.min(0), corners.max(0)
    around = [rng.uniform(*margin) for _ in range(4)]
    frame = np.ceil((high - low + np.array([around[0] + around[1], around[2] + around[3]])) * scale).astype(
        int
    )
    shift = (np.array([around[0], around[2]]) - low) * scale
    matrix = np.array(
        [[cosine * scale, -sine * scale, shift[0]], [sine * scale, cosine * scale, shift[1]], [0, 0, 1]]
    )
    return Pose(matrix, (int(frame[0]), int(frame[1])))


def camera_pose(
    size: tuple[float, float], frame: tuple[int, int], filling: float, quarter: int, tilts: tuple[float, float, float],
    rng: random.Random,
) -> Pose:  # fmt: skip
    """A camera above a counter: the sheet fills `filling` of the frame's tighter side, tilted (degrees, three axes)."""
    roll, pitch, yaw = (math.radians(v) for v in tilts)
    roll += math.radians(90 * quarter)
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    about_x = np.array(
        [[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]]
    )
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    turn = about_x @ about_y @ about_z
    across, down = (size[1], size[0]) if quarter % 2 else size
    focal = 1.1 * max(frame)
    scale = filling * min(frame[0] / across, frame[1] / down)
    distance = focal / scale
    centre = np.array([[1, 0, -size[0] / 2], [0, 1, -size[1] / 2], [0, 0, 1]], float)
    project = np.array([[focal, 0, frame[0] / 2], [0, focal, frame[1] / 2], [0, 0, 1]])
    plane = np.column_stack([turn[:, 0], turn[:, 1], [0, 0, distance]])
    matrix = project @ plane @ centre
    corners = cv2.perspectiveTransform(
        np.array([[[0, 0]], [[size[0], 0]], [[size[0], size[1]]], [[0, size[1]]]], np.float64), matrix
    ).reshape(-1, 2)
    low, high = corners.min(0), corners.max(0)
    room = np.maximum(0, np.array(frame) - (high - low) - 8)
    shift = 4 - low + room * np.array([rng.random(), rng.random()])
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ matrix
    return Pose(matrix / matrix[2, 2], frame)


@dataclass
class Shot:
    """A picture being taken of one sheet."""

    picture: Plane
    sheet: Sheet
    pose: Pose
    points: NDArray[np.float32]
    """(characters, 2) the cells' middles in the picture."""
    pitch: float
    """Pixels a cell is wide, at the zone's narrowest."""
    sigma: float = 0.0
    """Blur so far, pixels."""
    noise: float = 0.0
    """Standard deviation of the noise, grey levels."""
    ink: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    paper: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """Grey levels at each cell, followed through every fault."""

    def contrast(self) -> NDArray[np.float32]:
        """Grey levels between ink and paper that each character has left, its thinnest strokes' share."""
        if self.sheet.how is None or not len(self.points):
            return np.zeros(0, np.float32)
        left = (self.paper - self.ink) * self.sharpness()
        width, height = self.pose.frame
        half = self.pitch * 0.4
        x, y = self.points[:, 0], self.points[:, 1]
        outside = (x < half) | (y < half) | (x > width - half) | (y > height - half)
        if self.sheet.whole is not None:
            outside |= self.sheet.whole < _MOST_DAMAGE
        return np.where(outside, np.float32(0), left).astype(np.float32)

    def stroke(self) -> float:
        """Pixels a stroke is wide."""
        assert self.sheet.how is not None
        return self.sheet.how.stroke * self.pitch / self.sheet.how.pitch

    def sharpness(self) -> float:
        """0..1: what blur leaves of a stroke's contrast."""
        return math.erf(self.stroke() / (2 * math.sqrt(2) * math.hypot(self.sigma, 0.3)))

    def legible(self) -> bool:
        """Whether every character can still be told by a person's eye: sharp enough, dark enough, above the noise."""
        left = self.contrast()
        if not len(left) or self.sharpness() < _LEAST_SHARPNESS:
            return False
        noise = _ABOVE_NOISE * self.noise / math.sqrt(max(1.0, self.stroke()))
        return bool((left > np.maximum(max(_LEAST_CONTRAST, noise), _LEAST_SHARE * self.paper)).all())


_LEAST_CONTRAST, _LEAST_SHARE = 14.0, 0.1
"""Grey levels between a thin stroke and its paper, and their share of the paper's own, that an eye needs."""
_LEAST_SHARPNESS = 0.42
_ABOVE_NOISE = 5.0
"""Standard deviations of noise that a stroke one pixel wide must stand out by; wider ones average it."""
_MOST_DAMAGE = 0.8
"""Share of a cell that must be as it was printed: a crease or a spot through a stroke takes more."""


def expose(
    sheet: Sheet, pose: Pose, rng: random.Random, noise: np.random.Generator, backdrop: Plane | None = None
) -> Shot:
    """The sheet in its pose before a backdrop (the counter when none is given), evenly lit, in focus."""
    width, height = pose.frame
    if backdrop is None:
        backdrop = tabletop((height, width), rng, noise)
    to_pixels = pose.matrix @ np.diag([1 / sheet.scale, 1 / sheet.scale, 1])
    # the sheet's own pixels are averaged over what one of the picture's covers
    reduction = sheet.scale / math.sqrt(abs(np.linalg.det(pose.matrix[:2, :2])) + 1e-9)
    image = sheet.image
    if reduction > 1.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.42 * reduction), np.uint8)
    solid = np.full(image.shape[:2], 255, np.uint8)
    if sheet.rounded:
        _round_corners(solid, int(3 * sheet.scale))
    if pose.bend:
        image, solid = _arched(image, sheet, pose.bend), _arched(solid, sheet, pose.bend)
    flags = cv2.INTER_CUBIC if reduction < 1.6 else cv2.INTER_LINEAR
    warped = cv2.warpPerspective(
        image, to_pixels, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    mask = cv2.warpPerspective(solid, to_pixels, (width, height), flags=cv2.INTER_LINEAR)
    shadow = cv2.blur(mask, (2 * (width // 160) + 3,) * 2)
    picture = cv2.multiply(backdrop, cv2.merge([255 - shadow // 3] * 3), scale=1 / 255)
    inside = mask > 127
    picture[inside] = warped[inside]
    points = place(sheet.cells, pose, sheet.size)
    pitch = _pitch(points)
    count = len(points)
    shot = Shot(
        np.asarray(picture, np.uint8),
        sheet,
        pose,
        points,
        pitch,
        sigma=0.35 + 0.3 * min(1.0, 1 / max(reduction, 0.3)),
    )
    shot.ink = np.full(count, sheet.ink_grey, np.float32)
    shot.paper = np.full(count, sheet.paper_grey, np.float32)
    return shot


def _round_corners(mask: Plane, radius: int) -> None:
    height, width = mask.shape
    for y, x in ((0, 0), (0, width - radius), (height - radius, 0), (height - radius, width - radius)):
        mask[y : y + radius, x : x + radius] = 0
        centre = (radius if x == 0 else width - radius - 1, radius if y == 0 else height - radius - 1)
        cv2.circle(mask, centre, radius, 255, -1)


def _arched(image: Plane, sheet: Sheet, bend: float) -> Plane:
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    y -= arch(x / sheet.scale, bend, sheet.size[0]) * sheet.scale
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _pitch(points: NDArray[np.float32]) -> float:
    if len(points) < 2:
        return 1.0
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return float(np.sort(steps)[len(steps) // 10])


def sample(plane: Field, shot: Shot) -> NDArray[np.float32]:
    """Values of a picture-sized field, or of a coarse one spread over the picture, at the cells."""
    width, height = shot.pose.frame
    x = np.clip(shot.points[:, 0] / width * plane.shape[1] - 0.5, 0, plane.shape[1] - 1).astype(np.float32)
    y = np.clip(shot.points[:, 1] / height * plane.shape[0] - 0.5, 0, plane.shape[0] - 1).astype(np.float32)
    if not len(x):
        return np.zeros(0, np.float32)
    return np.asarray(cv2.remap(plane, x[:, None], y[:, None], cv2.INTER_LINEAR), np.float32).reshape(-1)


def spread(plane: Field, shot: Shot) -> Plane:
    """A coarse field of grey levels as big as the picture."""
    small = np.clip(plane, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(small, shot.pose.frame, interpolation=cv2.INTER_LINEAR), np.uint8)


def coordinates(shot: Shot, side: int = 96) -> tuple[Field, Field]:
    """Coarse (x, y) grids over the picture, in pixels."""
    width, height = shot.pose.frame
    rows = max(8, round(side * height / width))
    x, y = np.meshgrid((np.arange(side) + 0.5) * width / side, (np.arange(rows) + 0.5) * height / rows)
    return x.astype(np.float32), y.astype(np.float32)


def darken(shot: Shot, light: Field) -> None:
    """Multiply by light 0..1 (a coarse field)."""
    level = spread(light * 255, shot)
    shot.picture = np.asarray(cv2.multiply(shot.picture, cv2.merge([level] * 3), scale=1 / 255), np.uint8)
    at = sample(light, shot)
    shot.ink, shot.paper = shot.ink * at, shot.paper * at


def brighten(shot: Shot, glare: Field) -> None:
    """Add light (a coarse field of grey levels); what exceeds white is lost."""
    level = spread(glare, shot)
    shot.picture = np.asarray(cv2.add(shot.picture, cv2.merge([level] * 3)), np.uint8)
    at = np.minimum(sample(glare, shot), 255)
    shot.ink, shot.paper = np.minimum(shot.ink + at, 255), np.minimum(shot.paper + at, 255)


def expose_by(shot: Shot, gain: float, offset: float, gamma: float = 1.0) -> None:
    """The camera's tone curve: gain and offset in grey levels, then gamma."""
    curve = np.clip(255 * np.clip((np.arange(256) * gain + offset) / 255, 0, 1) ** gamma, 0, 255)
    shot.picture = np.asarray(cv2.LUT(shot.picture, curve.astype(np.uint8)), np.uint8)
    steps = np.arange(256, dtype=np.float32)
    shot.ink = np.interp(shot.ink, steps, curve).astype(np.float32)
    shot.paper = np.interp(shot.paper, steps, curve).astype(np.float32)


def defocus(shot: Shot, sigma: float) -> None:
    """The lens is off by a blur of this many pixels."""
    if sigma > 0.2:
        shot.picture = np.asarray(cv2.GaussianBlur(shot.picture, (0, 0), sigma), np.uint8)
        shot.sigma = math.hypot(shot.sigma, sigma)


def smear(shot: Shot, length: float, angle: float) -> None:
    """The document moves `length` pixels while it is photographed."""
    if length < 0.8:
        return
    half = math.ceil(length / 2) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    step = np.array([math.cos(angle), math.sin(angle)]) * length / 2 * 16
    ends = [tuple(int(v) for v in (half * 16 + s * step)) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    shot.picture = np.asarray(cv2.filter2D(shot.picture, -1, kernel / kernel.sum()), np.uint8)
    shot.sigma = math.hypot(shot.sigma, length / math.sqrt(12))


_TILE = 512


def grain(
    shot: Shot, sigma: float, noise: np.random.Generator, *, coloured: bool = True, coarse: float = 0.0
) -> None:
    """The sensor's noise: more of it in the light than in the dark; `coarse` blurs it as noise reduction does."""
    tile = noise.normal(0, 1, (_TILE, _TILE, 3 if coloured else 1)).astype(np.float32)
    if coarse:
        tile = np.asarray(cv2.GaussianBlur(tile, (0, 0), coarse)).reshape(tile.shape)
        tile /= tile.std()
    if not coloured:
        tile = np.repeat(tile, 3, 2)
    height, width = shot.picture.shape[:2]
    copies = (height // _TILE + 1, width // _TILE + 1, 1)
    added = np.tile(np.round(tile * 16).astype(np.int16), copies)[:height, :width]
    weight = np.round(sigma * (0.5 + 0.5 * np.sqrt(np.arange(256) / 255)) * 16).astype(np.uint8)
    scaled = cv2.multiply(added, cv2.LUT(shot.picture, weight), scale=1 / 256, dtype=cv2.CV_16S)
    shot.picture = np.asarray(cv2.add(shot.picture, scaled, dtype=cv2.CV_8U), np.uint8)
    shot.noise = math.hypot(shot.noise, sigma)


def sharpen(shot: Shot, amount: float) -> None:
    """What a phone does to its pictures."""
    soft = cv2.GaussianBlur(shot.picture, (0, 0), 1.2)
    shot.picture = np.asarray(cv2.addWeighted(shot.picture, 1 + amount, soft, -amount, 0), np.uint8)


def compress(shot: Shot, quality: int) -> None:
    """Through JPEG and back."""
    data = cv2.imencode(".jpg", shot.picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    shot.picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    shot.noise = math.hypot(shot.noise, max(0.0, (60 - quality) / 12))
