"""The MQTT contract on one page: every topic of it, and those in use built and parsed here and nowhere else.

    edged/1/{fleet}/{device}/verdict/{audience}    device      signed envelope
    edged/1/{fleet}/{device}/gap/{audience}        device      signed gap record: what of a stream will not come
    edged/1/{fleet}/{device}/receipt               collector   signed receipt
    edged/1/{fleet}/{device}/status                device      retained, also its will
    edged/1/{fleet}/{device}/desired               admin       what the device shall apply
    edged/1/{fleet}/{device}/reported              device      retained, what it has applied
    edged/1/{fleet}/{device}/command/{name}        admin       signed command
    edged/1/{fleet}/{device}/reply/{id}            device      answer to one command
    edged/1/{fleet}/replay/{audience}              audience    signed request for a replay
    edged/1/{fleet}/replay/{audience}/{request}    collector   stored envelopes and gap records, verbatim; then its end
    edged/1/{fleet}/keys                           admin       retained, signed directory

`desired`, `reported`, `command`, `reply` and `keys` are not in use yet. They are laid down, in the broker's access list
and among the words nobody may be called, so that a fleet in the field need not change either for them.

Every name obeys `edged.uplink.names.valid_name`, so a topic never carries a wildcard, a slash or a dot out of
a name. The fleet is literal: a topic of another fleet isn't ours, whatever a broker let through.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from edged.errors import DecodeError
from edged.uplink.names import valid_name

PREFIX: Final = "edged/1"
"""Root and version of the contract; a breaking change takes the next number."""

RESERVED: Final = frozenset(
    {"verdict", "gap", "receipt", "status", "desired", "reported", "command", "reply", "replay", "keys"}
)
"""Words of the contract. Nobody may be called so: a device `replay` would answer for the collector, and
`replay/verdict/x` (an audience called `verdict`) would match the collector's own subscription."""

MAX_TOPIC: Final = 400
"""Longest topic of the contract: the prefix, four names of 63, the words and slashes, rounded up."""


class StreamTopic(msgspec.Struct, frozen=True):
    """Where one device's envelopes (`verdict`) or gap records (`gap`) for one audience appear."""

    kind: Literal["verdict", "gap"]
    fleet: str
    device: str
    audience: str


def usable(name: str) -> bool:
    """Whether `name` may stand in a topic, as a fleet, a device, an audience or anything else."""
    return valid_name(name) and name not in RESERVED


def _checked(name: str) -> str:
    if not usable(name):
        raise ValueError("not a name that may stand in a topic")
    return name


def _device(fleet: str, device: str, *rest: str) -> str:
    return "/".join((PREFIX, _checked(fleet), _checked(device), *rest))


def verdict(fleet: str, device: str, audience: str) -> str:
    """Topic of `device`'s envelopes for `audience`. Raises `ValueError` for a name no topic may carry."""
    return _device(fleet, device, "verdict", _checked(audience))


def gap(fleet: str, device: str, audience: str) -> str:
    """Topic of `device`'s gap records for `audience`. Raises `ValueError` for a name no topic may carry."""
    return _device(fleet, device, "gap", _checked(audience))


def receipt(fleet: str, device: str) -> str:
    """Topic of the collectors' receipts for `device`. Raises `ValueError`."""
    return _device(fleet, device, "receipt")


def status(fleet: str, device: str) -> str:
    """Retained topic that says whether `device` is online, and how it is. Raises `ValueError`."""
    return _device(fleet, device, "status")


def replay_request(fleet: str, audience: str) -> str:
    """Topic on which `audience` asks for a replay. Raises `ValueError`."""
    return "/".join((PREFIX, _checked(fleet), "replay", _checked(audience)))


def replay_answer(fleet: str, audience: str, request: str) -> str:
    """Topic of the answer to one request of `audience`. Raises `ValueError`."""
    return f"{replay_request(fleet, audience)}/{_checked(request)}"


def every_stream(fleet: str, audience: str | None = None) -> tuple[str, str]:
    """Subscription filters: envelopes and gap records of every device, for one audience or for all.

    Raises `ValueError`.
    """
    level = "+" if audience is None else _checked(audience)
    root = f"{PREFIX}/{_checked(fleet)}/+"
    return f"{root}/verdict/{level}", f"{root}/gap/{level}"


def every_replay_request(fleet: str) -> str:
    """Subscription filter: requests for a replay, of every audience. Raises `ValueError`."""
    return f"{PREFIX}/{_checked(fleet)}/replay/+"


def every_replay_answer(fleet: str, audience: str) -> str:
    """Subscription filter: answers to whatever `audience` asks. Raises `ValueError`."""
    return f"{replay_request(fleet, audience)}/+"


def shared(topic_filter: str, group: str) -> str:
    """`topic_filter` as a shared subscription (MQTT 5 §4.8.2): each message to one member of `group`.

    Raises `ValueError`.
    """
    return f"$share/{_checked(group)}/{topic_filter}"


def parse_stream(topic: str, fleet: str) -> StreamTopic:
    """Whose envelope or gap record for whom a message on `topic` has to be.

    Raises `DecodeError` (`topic.not_ours`) for anything that `verdict(fleet, …)` and `gap(fleet, …)` never return.
    """
    match _levels(topic, fleet):
        case [device, "verdict" | "gap" as kind, audience] if usable(device) and usable(audience):
            return StreamTopic("verdict" if kind == "verdict" else "gap", fleet, device, audience)
        case _:
            raise DecodeError("topic", "topic.not_ours")


def parse_replay_request(topic: str, fleet: str) -> str:
    """The audience that may ask on `topic`. Raises `DecodeError` (`topic.not_ours`)."""
    match _levels(topic, fleet):
        case ["replay", audience] if usable(audience):
            return audience
        case _:
            raise DecodeError("topic", "topic.not_ours")


def parse_replay_answer(topic: str, fleet: str, audience: str) -> str:
    """The name of the request of `audience` that a message on `topic` answers.

    Raises `DecodeError` (`topic.not_ours`).
    """
    match _levels(topic, fleet):
        case ["replay", found, request] if found == audience and usable(request):
            return request
        case _:
            raise DecodeError("topic", "topic.not_ours")


def _levels(topic: str, fleet: str) -> list[str]:
    """What comes after the fleet's own beginning; nothing for a topic that doesn't begin so."""
    start = f"{PREFIX}/{fleet}/"
    if len(topic) > MAX_TOPIC or not topic.startswith(start):
        return []
    return topic[len(start) :].split("/")
