"""From a reader model's own captures to the bounds of what is genuine there, and from the bounds to checks.

The bounds are tolerance limits that assume no distribution (S. S. Wilks, 1941): a share p of all values lies beyond
the r-th smallest of n with the probability that a binomial of n and 1 - p is at least r. Every check is evaluatory,
and undetermined until its features have enough captures.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec

from edged.core.optical import Features
from edged.errors import DecodeError
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COVERAGE: Final = 0.95
CONFIDENCE: Final = 0.95
"""The bounds hold for 95 % of genuine documents, with 95 % confidence."""
LEAST_CAPTURES: Final = 59
"""With fewer not even the outermost capture bounds so many so surely: 0.95 to the 59th is 0.0485, to the 58th 0.051."""
LEAST_ISSUERS: Final = 5
"""With fewer the bounds would describe those states' paper and ink, not the reader."""
MOST_CAPTURES: Final = 100_000
"""Bounds memory and time of a fit; the bounds of ten thousand captures don't get better."""
MODEL_NAME: Final = r"^[a-z0-9][a-z0-9.-]{0,62}$"
"""What a reader model may be called: it becomes part of a file's name."""
VERSION: Final = 1
MOST_BYTES: Final = 64 * 1024
"""A thresholds file has eight bounds; anything longer is no thresholds file."""


class Side(NamedTuple):
    """A feature, whether it is suspicious when low or high, the check it belongs to, and what is said then."""

    feature: str
    high: bool
    check: str
    light: str
    reason: str


SIDES: Final = (
    Side("mrz_ir", False, "optical_mrz_ir", "ir", "optical.mrz_ir_faint"),
    Side("mrz_ir_least", False, "optical_mrz_ir", "ir", "optical.mrz_ir_faint"),
    Side("viz_ir", True, "optical_viz_ir", "ir", "optical.viz_ir_stays"),
    Side("uv_paper", True, "optical_uv_paper", "uv", "optical.uv_paper_shines"),
    Side("uv_blue", True, "optical_uv_paper", "uv", "optical.uv_paper_shines"),
    Side("portrait_ir", False, "optical_portrait", "ir", "optical.portrait_differs"),
    Side("portrait_ir", True, "optical_portrait", "ir", "optical.portrait_differs"),
)
OPTICAL_CHECKS: Final = tuple(dict.fromkeys(side.check for side in SIDES))
"""Names of the checks made here."""


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One side's limit of a feature.

    Attributes:
        feature: a field of `Features`.
        high: values above the limit are suspicious, not those below.
        limit: the value itself.
        captures: how many captures it rests on.
        rank: which of them it is, counted from the outermost.
        confidence: that it holds for `COVERAGE` of genuine documents.
    """

    feature: str
    high: bool
    limit: float
    captures: int
    rank: int
    confidence: float


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was learned about one reader model; `samples_sha256` is of the features it was learned from, sorted."""

    version: int
    reader_model: Annotated[str, msgspec.Meta(pattern=MODEL_NAME)]
    captures: int
    issuers: int
    samples_sha256: str
    bounds: tuple[Bound, ...]

    def bound(self, feature: str, high: bool) -> Bound | None:
        """The limit of one side of a feature, where there were enough captures."""
        return next((b for b in self.bounds if b.feature == feature and b.high is high), None)


def fit(captures: Iterable[Features], reader_model: str) -> Thresholds:
    """The bounds of captures of genuine documents by one reader model; none where they are too few.

    A capture given twice counts once. Raises `DecodeError` ("optical.too_many") above `MOST_CAPTURES`.
    """
    distinct = dict.fromkeys(captures)
    if len(distinct) > MOST_CAPTURES:
        raise DecodeError("optical samples", "optical.too_many")
    issuers = {capture.issuer for capture in distinct if capture.issuer}
    bounds = []
    if len(issuers) >= LEAST_ISSUERS:
        for side in SIDES:
            values = [getattr(capture, side.feature) for capture in distinct]
            found = _bound(side, [value for value in values if value is not None])
            bounds += [] if found is None else [found]
    samples = b"\n".join(sorted(msgspec.json.encode(capture) for capture in distinct))
    digest = hashlib.sha256(samples).hexdigest()
    return Thresholds(VERSION, reader_model, len(distinct), len(issuers), digest, tuple(bounds))


def _bound(side: Side, values: Sequence[float]) -> Bound | None:
    rank = rank_of(len(values))
    if rank == 0:
        return None
    ordered = sorted(values, reverse=side.high)
    confidence = round(confidence_of(len(values), rank), 4)
    return Bound(side.feature, side.high, ordered[rank - 1], len(values), rank, confidence)


def confidence_of(captures: int, rank: int) -> float:
    """Confidence that the `rank`-th outermost of `captures` values leaves `COVERAGE` of all genuine ones inside."""
    missed = 1 - COVERAGE
    # Logarithms: binomial coefficients of ten thousand captures are larger than a float.
    below = sum(
        math.exp(
            math.lgamma(captures + 1)
            - math.lgamma(i + 1)
            - math.lgamma(captures - i + 1)
            + i * math.log(missed)
            + (captures - i) * math.log(COVERAGE)
        )
        for i in range(min(rank, captures + 1))
    )
    return max(0.0, 1.0 - below)


def rank_of(captures: int) -> int:
    """How far from the outermost capture the limit may stand, counted from 1; 0 when there are too few captures.

    With more captures the limit moves inwards, so that a few bad ones don't set it.
    """
    low, high = 0, max(1, math.ceil(captures * (1 - COVERAGE)) + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if confidence_of(captures, middle) >= CONFIDENCE else (low, middle)
    return low


def judge(features: Features | None, thresholds: Thresholds | None) -> tuple[Check, ...]:
    """The optical checks of one document; evaluatory in every scene.

    `features` is None when no frame but the white one was taken; `thresholds` is None for a reader model that has
    none. Missing frames, features and bounds are undetermined; a feature outside its bound fails its check.
    """
    return tuple(_judge(name, features, thresholds) for name in OPTICAL_CHECKS)


def _judge(name: str, features: Features | None, thresholds: Thresholds | None) -> Check:
    sides = [side for side in SIDES if side.check == name]
    values = [None if features is None else getattr(features, side.feature) for side in sides]
    if all(value is None for value in values):
        return Check(name, Result.UNDETERMINED, (Reason("optical.no_frame", {"light": sides[0].light}),))
    bounds = [None if thresholds is None else thresholds.bound(side.feature, side.high) for side in sides]
    judged = [
        (side, value, bound)
        for side, value, bound in zip(sides, values, bounds, strict=True)
        if value is not None and bound is not None
    ]
    for side, value, bound in judged:
        if value > bound.limit if side.high else value < bound.limit:
            return Check(name, Result.FAILED, (Reason(side.reason),))
    if len(judged) < sum(value is not None for value in values):
        return Check(name, Result.UNDETERMINED, (Reason("optical.not_calibrated"),))
    return Check(name, Result.SUCCESSFUL)


def summary(checks: Sequence[Check]) -> Check:
    """The check `optical_security` that stands for them in a verdict: failed when one is, successful when all are."""
    results = {check.result for check in checks}
    reasons = dict.fromkeys(
        (reason.code, tuple(reason.params.items())) for check in checks for reason in check.reasons
    )
    told = tuple(Reason(code, dict(params)) for code, params in reasons)
    if Result.FAILED in results:
        return Check("optical_security", Result.FAILED, told)
    if results == {Result.SUCCESSFUL}:
        return Check("optical_security", Result.SUCCESSFUL)
    return Check("optical_security", Result.UNDETERMINED, told)


def decode_capture(line: bytes) -> Features:
    """One line of `edged optical measure`. Raises `DecodeError`: "optical.bad_samples"."""
    try:
        return msgspec.json.decode(line, type=Features)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("optical samples", "optical.bad_samples") from error


def encode(thresholds: Thresholds) -> bytes:
    """The thresholds file: JSON, indented for people."""
    return msgspec.json.format(msgspec.json.encode(thresholds), indent=2) + b"\n"


def decode(data: bytes) -> Thresholds:
    """A thresholds file. Raises `DecodeError`: "optical.bad_thresholds"."""
    problem = DecodeError("optical thresholds", "optical.bad_thresholds")
    if len(data) > MOST_BYTES:
        raise problem
    try:
        found = msgspec.json.decode(data, type=Thresholds)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem from error
    known = {(side.feature, side.high) for side in SIDES}
    for bound in found.bounds:
        if (
            (bound.feature, bound.high) not in known
            or bound.rank != rank_of(bound.captures)
            or bound.rank < 1
        ):
            raise problem
    if found.version != VERSION or len(found.bounds) != len({(b.feature, b.high) for b in found.bounds}):
        raise problem
    return found


assert rank_of(LEAST_CAPTURES) == 1
assert rank_of(LEAST_CAPTURES - 1) == 0
