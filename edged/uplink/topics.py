"""The MQTT contract on one page: every topic of it, and those in use built and parsed here and nowhere else.

    edged/1/{fleet}/{device}/verdict/{audience}    device      signed envelope
    edged/1/{fleet}/{device}/gap/{audience}        device      signed gap record: what of a stream will not come
    edged/1/{fleet}/{device}/receipt               collector   signed receipt
    edged/1/{fleet}/{device}/status                device      retained, also its will
    edged/1/{fleet}/{device}/desired               admin       retained bundle: what the device shall apply
    edged/1/{fleet}/{device}/reported              device      retained, signed: what it has made of it
    edged/1/{fleet}/{device}/command/{name}        admin       signed command
    edged/1/{fleet}/{device}/reply/{id}            device      signed answer to one command
    edged/1/{fleet}/{device}/slips                 device      retained, signed: which of its slips hold no more
    edged/1/{fleet}/{device}/record/{audience}     audience    signed acceptance or correction of a sealed record
    edged/1/{fleet}/artefact/{sha256}/{part}       admin       retained: `index`, then chunk 0, 1, … of one file
    edged/1/{fleet}/replay/{audience}              audience    signed request for a replay
    edged/1/{fleet}/replay/{audience}/{request}    collector   stored envelopes and gap records, verbatim; then its end
    edged/1/{fleet}/keys                           admin       retained, signed directory: who belongs, who does no more
    edged/1/{fleet}/keys/{page}                    admin       retained, its pages 0, 1, …: the devices

Every name obeys `edged.uplink.names.valid_name`, so a topic never carries a wildcard, a slash or a dot out of
a name. The fleet is literal: a topic of another fleet isn't ours, whatever a broker let through.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from edged.errors import DecodeError
from edged.uplink.names import valid_name

PREFIX: Final = "edged/1"
"""Root and version of the contract; a breaking change takes the next number."""

RESERVED: Final = frozenset(
    {
        *("verdict", "gap", "receipt", "status", "desired", "reported", "command", "reply"),
        *("replay", "keys", "artefact", "slips", "record"),
    }
)
"""Words of the contract. Nobody may be called so: a device `replay` would answer for the collector, and
`replay/verdict/x` (an audience called `verdict`) would match the collector's own subscription."""

INDEX: Final = "index"
"""The part of an artefact that lists its chunks."""

MAX_PART: Final = 9_999
"""Highest number of an artefact's chunk, or of a page of the directory."""

MAX_TOPIC: Final = 400
"""Longest topic of the contract: the prefix, four names of 63, the words and slashes, rounded up."""


_SHA256: Final = re.compile(r"[0-9a-f]{64}")


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


def _last(name: str) -> str:
    """A command's name, or its id: below a word of the contract, where none is taken for another (`status` is one)."""
    if not valid_name(name):
        raise ValueError("not a name that may stand in a topic")
    return name


def _part(number: int) -> str:
    if not 0 <= number <= MAX_PART:
        raise ValueError(f"parts are numbered 0 to {MAX_PART}")
    return str(number)


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


def desired(fleet: str, device: str) -> str:
    """Retained topic of what `device` shall apply. Raises `ValueError`."""
    return _device(fleet, device, "desired")


def reported(fleet: str, device: str) -> str:
    """Retained topic of what `device` has made of it. Raises `ValueError`."""
    return _device(fleet, device, "reported")


def command(fleet: str, device: str, name: str) -> str:
    """Topic on which `device` is told to do `name`, one of the commands. Raises `ValueError`."""
    return _device(fleet, device, "command", _last(name))


def reply(fleet: str, device: str, identifier: str) -> str:
    """Topic of `device`'s answer to the command with that id. Raises `ValueError`."""
    return _device(fleet, device, "reply", _last(identifier))


def every_command(fleet: str, device: str) -> str:
    """Subscription filter: every command to `device`. Raises `ValueError`."""
    return _device(fleet, device, "command", "+")


def every_reply(fleet: str, device: str) -> str:
    """Subscription filter: every answer of `device`. Raises `ValueError`."""
    return _device(fleet, device, "reply", "+")


def every_reply_to(fleet: str, identifier: str) -> str:
    """Subscription filter: every device's answer to commands of that id. Raises `ValueError`."""
    return f"{PREFIX}/{_checked(fleet)}/+/reply/{_last(identifier)}"


def every_reported(fleet: str) -> str:
    """Subscription filter: what each device has made of what it was told. Raises `ValueError`."""
    return f"{PREFIX}/{_checked(fleet)}/+/reported"


def every_status(fleet: str) -> str:
    """Subscription filter: how each device is. Raises `ValueError`."""
    return f"{PREFIX}/{_checked(fleet)}/+/status"


def slips(fleet: str, device: str) -> str:
    """Retained topic of `device`'s own list of slips that are withdrawn or superseded. Raises `ValueError`."""
    return _device(fleet, device, "slips")


def every_slips(fleet: str) -> str:
    """Subscription filter: every device's list of slips. Raises `ValueError`."""
    return f"{PREFIX}/{_checked(fleet)}/+/slips"


def record(fleet: str, device: str, audience: str) -> str:
    """Topic on which `audience` answers `device`'s sealed records. Raises `ValueError`."""
    return _device(fleet, device, "record", _checked(audience))


def every_record(fleet: str, device: str) -> str:
    """Subscription filter: every recipient's answers to `device`'s records. Raises `ValueError`."""
    return _device(fleet, device, "record", "+")


def artefact(fleet: str, sha256: str, part: int | Literal["index"]) -> str:
    """Topic of one chunk of the file with that hash (64 hexadecimal digits), or of its index. Raises `ValueError`."""
    if _SHA256.fullmatch(sha256) is None:
        raise ValueError("not a SHA-256")
    return "/".join((PREFIX, _checked(fleet), "artefact", sha256, INDEX if part == INDEX else _part(part)))


def keys(fleet: str, page: int | None = None) -> str:
    """Topic of the signed directory's head, or of one of its pages. Raises `ValueError`."""
    return "/".join((PREFIX, _checked(fleet), "keys", *(() if page is None else (_part(page),))))


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


def parse_record(topic: str, fleet: str, device: str) -> str:
    """The audience that answers a record of `device` on `topic`. Raises `DecodeError` (`topic.not_ours`)."""
    match _levels(topic, fleet):
        case [found, "record", audience] if found == device and usable(audience):
            return audience
        case _:
            raise DecodeError("topic", "topic.not_ours")


def parse_of_device(topic: str, fleet: str, kind: Literal["reported", "status", "slips"]) -> str:
    """The device whose report, status or list of slips a message on `topic` is.

    Raises `DecodeError` (`topic.not_ours`).
    """
    match _levels(topic, fleet):
        case [device, found] if found == kind and usable(device):
            return device
        case _:
            raise DecodeError("topic", "topic.not_ours")


def parse_command(topic: str, fleet: str, device: str) -> str:
    """The name of the command that a message on `topic` gives `device`. Raises `DecodeError` (`topic.not_ours`)."""
    match _levels(topic, fleet):
        case [found, "command", name] if found == device and valid_name(name):
            return name
        case _:
            raise DecodeError("topic", "topic.not_ours")


def parse_reply(topic: str, fleet: str) -> tuple[str, str]:
    """The device, and the id of the command, that a message on `topic` answers. Raises `DecodeError`."""
    match _levels(topic, fleet):
        case [device, "reply", identifier] if usable(device) and valid_name(identifier):
            return device, identifier
        case _:
            raise DecodeError("topic", "topic.not_ours")


def parse_artefact(topic: str, fleet: str) -> tuple[str, int | None]:
    """The file's hash and the chunk's number, None for the index. Raises `DecodeError` (`topic.not_ours`)."""
    match _levels(topic, fleet):
        case ["artefact", sha256, part] if _SHA256.fullmatch(sha256) and (part == INDEX or _numbered(part)):
            return sha256, None if part == INDEX else int(part)
        case _:
            raise DecodeError("topic", "topic.not_ours")


def parse_keys(topic: str, fleet: str) -> int | None:
    """The page of the directory, None for its head. Raises `DecodeError` (`topic.not_ours`)."""
    match _levels(topic, fleet):
        case ["keys"]:
            return None
        case ["keys", page] if _numbered(page):
            return int(page)
        case _:
            raise DecodeError("topic", "topic.not_ours")


def _numbered(text: str) -> bool:
    return re.fullmatch(r"0|[1-9][0-9]{0,3}", text) is not None


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
