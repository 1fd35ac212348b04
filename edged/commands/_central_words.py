"""A collector's events as sentences, fit for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged import messages
from edged.commands import _delivery
from edged.commands._saying import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


def in_words(event: Mapping[str, Any], lang: str) -> str:
    """One event in words. Names stand beside the sentences, never in them (see `_delivery.in_words`)."""

    def say(code: str, **params: object) -> str:
        return messages.text(code, lang, **params)

    match event["event"]:
        case "batch":
            counts = {name: event[name] for name in ("stored", "duplicates", "gaps", "refused")}
            said = say("central.batch", **counts)
            if event["seconds"] >= 1:
                rate = round(event["stored"] / event["seconds"])
                said = f"{said} {say('central.rate', rate=rate, seconds=round(event['seconds']))}"
            return said
        case "replayed":
            code = "central.replayed_more" if event["more"] else "central.replayed"
            return printable(f"{event['audience']}: {say(code, sent=event['sent'])}")
        case "replay_failed":
            return printable(f"{event['audience']}: {say('central.replay_failed', reason=event['code'])}")
        case "alarm_command_failed":
            return say(event["code"], status="–" if event["status"] is None else event["status"])
        case "pruned":
            lines = [
                f"{name}: {say('retention.took', count=count)}" for name, count in event["bodies"].items()
            ]
            if event["evidence"]:
                lines.append(say("retention.took_evidence", count=event["evidence"]))
            return "\n".join(map(printable, lines))
        case "pruning_failed":
            return say("retention.failed", reason=event["code"])
        case _:
            return _delivery.in_words(event, lang)
