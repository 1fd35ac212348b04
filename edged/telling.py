"""What listeners at the control socket are told about one inspection: stages, advice, the outcome. No identity."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from edged import log
from edged.orders import Ending, Outcome

if TYPE_CHECKING:
    from edged.events import Light
    from edged.verdict import Reason

Notify = Callable[[Mapping[str, Any]], None]
"""Tells whoever listens at the control socket; what it is given holds no identity."""


class Telling:
    """The events of one inspection, with how long after the press each stage was reached."""

    def __init__(self, inspection: str, notify: Notify) -> None:
        self._inspection = inspection
        self._notify = notify
        self._pressed_at = time.monotonic()
        self._stages: dict[str, float] = {}
        self._chip = PhaseTimes()

    def pressed(self, scene: str, application: str | None = None) -> None:
        """An inspection began; `application` asked for it."""
        asked = {} if application is None else {"application": application}
        self._notify({"event": "pressed", "inspection": self._inspection, "scene": scene, **asked})

    def stage(self, name: str) -> None:
        """A stage was reached; of one that is reached twice the last time counts."""
        elapsed = round((time.monotonic() - self._pressed_at) * 1000, 1)
        self._stages[name] = elapsed
        if name == "chip":
            self._chip.end(elapsed)
        self._notify({"event": "stage", "inspection": self._inspection, "stage": name, "ms": elapsed})

    def chip_phase(self, name: str) -> None:
        """A phase of reading the chip began; one may begin more than once."""
        self.stage(f"chip_{name}")
        self._chip.begin(name, self._stages[f"chip_{name}"])

    def advice(self, reason: Reason, light: Light) -> None:
        """Another picture is taken under `light`: what would make it better."""
        told = {"reason": msgspec.to_builtins(reason), "light": light.value}
        self._notify({"event": "advice", "inspection": self._inspection, **told})

    def outcome(self, outcome: Outcome) -> None:
        """The press ended; the log says so, too."""
        self._notify({"event": "outcome", **self.described(outcome)})
        log.get("station").info(
            "inspection ended",
            inspection=self._inspection,
            outcome=outcome.ending.value,
            result=outcome.verdict.result.value if outcome.verdict else None,
            reason=outcome.reason.code if outcome.reason else None,
            envelopes=outcome.envelopes,
            chip_ms=self.chip_ms,
        )

    def described(self, outcome: Outcome) -> dict[str, Any]:
        """The outcome for whoever waits for it."""
        return describe(outcome, self._inspection, self._stages, self.chip_ms)

    @property
    def chip_ms(self) -> dict[str, float]:
        """How long each phase of reading the chip took, in milliseconds; empty when none was read."""
        return self._chip.taken


class PhaseTimes:
    """How long each phase took altogether, told when it begins and when all end; in milliseconds."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}
        self._running: tuple[str, float] | None = None

    def begin(self, name: str, now: float) -> None:
        """Another phase ends the one before it."""
        self.end(now)
        self._running = (name, now)

    def end(self, now: float) -> None:
        """The last phase ends; nothing happens when none runs."""
        if self._running is not None:
            name, began = self._running
            self.taken[name] = round(self.taken.get(name, 0.0) + now - began, 1)
            self._running = None


def describe_refusal(outcome: Outcome) -> dict[str, Any]:
    """A refused press as the control socket sends it: of no inspection."""
    assert outcome.ending is Ending.REFUSED
    return describe(outcome, "", {}, {})


def describe(
    outcome: Outcome, inspection: str, stages: Mapping[str, float], chip_ms: Mapping[str, float]
) -> dict[str, Any]:
    """An outcome as the control socket sends it: JSON-able, without identity."""
    described: dict[str, Any] = {
        "inspection": inspection,
        "outcome": outcome.ending.value,
        "stages": dict(stages),
        "chip_ms": dict(chip_ms),
        "envelopes": outcome.envelopes,
        "octets": outcome.octets,
        "reason": msgspec.to_builtins(outcome.reason) if outcome.reason else None,
        "verdict": None,
        "notice": msgspec.to_builtins(outcome.noticed) if outcome.noticed else None,
    }
    if outcome.verdict is not None:
        described["verdict"] = {
            **msgspec.to_builtins(outcome.verdict),
            "reasons": msgspec.to_builtins(outcome.verdict.reasons),
        }
    return described
