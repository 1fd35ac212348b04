"""The MQTT contract on one page: every topic of it, and those in use built and parsed here and nowhere else.

    edged/1/{fleet}/{device}/verdict/{audience}    device      signed envelope
    edged/1/{fleet}/{device}/receipt               collector   signed receipt
    edged/1/{fleet}/{device}/status                device      retained, also its will
    edged/1/{fleet}/{device}/desired               admin       what the device shall apply
    edged/1/{fleet}/{device}/reported              device      retained, what it has applied
    edged/1/{fleet}/{device}/command/{name}        admin       signed command
    edged/1/{fleet}/{device}/reply/{id}            device      answer to one command
    edged/1/{fleet}/replay/{audience}/{request}    collector   stored envelopes, verbatim
    edged/1/{fleet}/keys                           admin       retained, signed directory

The first three are in use. The others are laid down, in the broker's access list and among the words nobody may
be called, so that a fleet in the field need not change either for them.

Every name obeys `edged.uplink.names.valid_name`, so a topic never carries a wildcard, a slash or a dot out of
a name. The fleet is literal: a topic of another fleet isn't ours, whatever a broker let through.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edged.errors import DecodeError
from edged.uplink.names import valid_name

PREFIX: Final = "edged/1"
"""Root and version of the contract; a breaking change takes the next number."""

RESERVED: Final = frozenset(
    {"verdict", "receipt", "status", "desired", "reported", "command", "reply", "replay", "keys"}
)
"""Words of the contract. Nobody may be called so: a device `replay` would answer for the collector, and
`replay/verdict/x` (an audience called `verdict`) would match the collector's own subscription."""

MAX_TOPIC: Final = 400
"""Longest topic of the contract: the prefix, four names of 63, the words and slashes, rounded up."""


class VerdictTopic(msgspec.Struct, frozen=True):
    """Where one device's envelopes for one audience appear."""

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


def receipt(fleet: str, device: str) -> str:
    """Topic of the collectors' receipts for `device`. Raises `ValueError`."""
    return _device(fleet, device, "receipt")


def status(fleet: str, device: str) -> str:
    """Retained topic that says whether `device` is online, and how it is. Raises `ValueError`."""
    return _device(fleet, device, "status")


def every_verdict(fleet: str, audience: str | None = None) -> str:
    """Subscription filter: verdicts of every device, for one audience or for all. Raises `ValueError`."""
    level = "+" if audience is None else _checked(audience)
    return f"{PREFIX}/{_checked(fleet)}/+/verdict/{level}"


def parse_verdict(topic: str, fleet: str) -> VerdictTopic:
    """Whose envelope for whom a message on `topic` has to be.

    Raises `DecodeError` (`topic.not_ours`) for anything that `verdict(fleet, …)` never returns.
    """
    levels = topic.split("/") if len(topic) <= MAX_TOPIC else []
    match levels:
        case [root, version, found, device, "verdict", audience] if (
            f"{root}/{version}" == PREFIX and found == fleet
        ):
            pass
        case _:
            raise DecodeError("topic", "topic.not_ours")
    try:
        built = verdict(found, device, audience)
    except ValueError:
        raise DecodeError("topic", "topic.not_ours") from None
    assert built == topic
    return VerdictTopic(fleet, device, audience)
