"""What goes into a connection to a broker and comes out of it: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edged.uplink.sign import MAX_COMPACT

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PACKET: Final = MAX_COMPACT + 2048
"""Largest packet a peer may send us: a signed message, its topic and properties."""

DEFAULT_WINDOW: Final = 128
"""Publications in flight, unless the broker allows fewer: 200 a second over a satellite, and few to repeat."""


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a broker listens and as whom we come. The key file must have mode 0600."""

    host: str
    ca: Path
    """Certificates that the broker's own certificate must chain to."""
    certificate: Path
    key: Path
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 8883
    keepalive_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    """A silent connection is noticed within twice this. Never 0: that would switch noticing off."""
    connect_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    answer_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    """A broker that takes longer for a CONNACK, SUBACK or PUBACK is treated as gone; so is a peer whose kernel
    acknowledges nothing for so long."""


class Will(msgspec.Struct, frozen=True):
    """What the broker publishes, retained, when we vanish without a word."""

    topic: str
    payload: bytes
    retain: bool = True
    """Only a broker that keeps no retained messages at all is asked not to."""


class Session(msgspec.Struct, frozen=True):
    """What the broker keeps for us. `expiry_s` 0 means a clean start: nothing is kept, nothing comes late."""

    client_id: str
    expiry_s: int = 0
    receive_maximum: int = 100
    """Messages the broker may send before we acknowledge any: our bound on memory."""
    will: Will | None = None
    window: int = DEFAULT_WINDOW


@dataclass(frozen=True, slots=True)
class Received:
    """A message of QoS 1, to be given to `Connection.acknowledge` once it is stored."""

    topic: str
    payload: bytes
    retained: bool
    user_properties: Mapping[str, str]
    mid: int = field(repr=False)
