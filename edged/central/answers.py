"""What to sign for a batch: pure.

A receipt names what is stored (duplicates again: that heals a lost one), and what never will be. The latter only where
the device plausibly signed it: a refusal makes its box give the envelope up.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from edged.central.archive import Answer
from edged.errors import DecodeError, SignatureRefusedError
from edged.uplink import topics
from edged.uplink.fields import decoder
from edged.uplink.receipts import MAX_ENTRIES, ReceiptRange, Refusal, range_sha256
from edged.uplink.sign import unverified_payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edged.uplink.database import StreamKey
    from edged.uplink.intake import Checked

OUT_OF_TIME: Final = frozenset({"cert.expired", "cert.not_yet_valid"})
"""Refusals of a certificate that was the device's own once. Of all others nobody knows who signed them."""


T = TypeVar("T")


class _Issuer(msgspec.Struct):
    iss: str


def refusable(checked: Checked, code: str, fleet: str) -> str | None:
    """The device that is to hear that `checked` was refused for `code`; None when nobody is.

    What opened was signed by the device. What didn't may be a forgery: the device hears of it only when its
    certificate ran out, and topic and payload agree on whose it is. It ignores hashes it doesn't know.
    """
    if checked.found is not None:
        return checked.found.payload.iss
    if code not in OUT_OF_TIME:
        return None
    try:
        place = topics.parse_stream(checked.incoming.topic, fleet)
        payload = unverified_payload(checked.incoming.payload)
        issuer = decoder(_Issuer).decode(payload).iss
    except (DecodeError, SignatureRefusedError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return issuer if issuer == place.device else None


class Answers:
    """Collects what a batch has to say to each device."""

    def __init__(self) -> None:
        self._streams: dict[StreamKey, dict[int, str]] = defaultdict(dict)
        self._gaps: dict[str, dict[str, None]] = defaultdict(dict)
        self._refused: dict[str, dict[str, str]] = defaultdict(dict)

    def kept(self, stream: StreamKey, seq: int, sha256: str) -> None:
        """An envelope is stored, now or before."""
        self._streams[stream][seq] = sha256

    def gap(self, device: str, sha256: str) -> None:
        """A gap record is stored, now or before."""
        self._gaps[device][sha256] = None

    def refuse(self, device: str, sha256: str, code: str) -> None:
        """A message never will be."""
        self._refused[device].setdefault(sha256, code)

    def answers(self) -> tuple[Answer, ...]:
        """One or more for each device, by name, each fit for one receipt."""
        ranges: dict[str, list[ReceiptRange]] = defaultdict(list)
        for (device, log_id, audience), hashes in sorted(self._streams.items()):
            ranges[device].extend(_ranges(log_id, audience, hashes))
        devices = sorted({*ranges, *self._gaps, *self._refused})
        return tuple(answer for device in devices for answer in self._split(device, ranges[device]))

    def _split(self, device: str, ranges: list[ReceiptRange]) -> Iterator[Answer]:
        gaps = tuple(self._gaps[device])
        refused = tuple(Refusal(sha256, code) for sha256, code in self._refused[device].items())
        for start in range(0, len(ranges) + len(gaps) + len(refused), MAX_ENTRIES):
            # Counted on through the three lists, one behind the other.
            yield Answer(
                device,
                _from(ranges, start),
                _from(gaps, start - len(ranges)),
                _from(refused, start - len(ranges) - len(gaps)),
            )


def _from(entries: Sequence[T], first: int) -> tuple[T, ...]:
    """What of `entries` is in a receipt that begins with the `first`, which may lie before or behind them."""
    return tuple(entries[max(0, first) : max(0, first + MAX_ENTRIES)])


def _ranges(log_id: str, audience: str, hashes: dict[int, str]) -> Iterable[ReceiptRange]:
    # In a run of consecutive numbers, number minus index stays the same.
    for _, run in groupby(enumerate(sorted(hashes)), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        digest = range_sha256(hashes[number] for number in numbers)
        yield ReceiptRange(log_id, audience, numbers[0], numbers[-1], digest)
