"""What a broker says of itself in a CONNACK, and what follows from it. Takes values, does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from paho.mqtt.properties import Properties

DEFAULT_RECEIVE_MAXIMUM: Final = 65_535  # MQTT 5 §3.2.2.3.3: what a broker allows that doesn't say

MAX_SAID: Final = 200
"""Characters kept of what a broker says in its own words: a sentence, and no flood of the log."""


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """A CONNACK's properties (MQTT 5 §3.2.2.3), with the protocol's defaults for those left out."""

    receive_maximum: int = DEFAULT_RECEIVE_MAXIMUM
    max_packet: int | None = None
    """Bytes of the largest packet it takes."""
    max_qos: int = 2
    retain: bool = True
    wildcard: bool = True
    shared: bool = True
    keepalive_s: int | None = None
    """The longest silence it bears, in seconds, when that isn't what was asked for; 0: it doesn't look."""
    session_expiry_s: int | None = None
    """How long it keeps the session, when that isn't what was asked for."""
    client_id: str | None = None
    """The name it has given us."""

    def problem(self, client_id: str) -> str | None:
        """Code of why nothing can be entrusted to this broker, or None."""
        if self.max_qos == 0:
            return "uplink.broker_without_qos"
        if self.client_id not in (None, client_id):
            # Under another name the session isn't ours, and the broker's access list means somebody else.
            return "uplink.other_client_id"
        return None

    def refuses(self, topic_filter: str) -> str | None:
        """Code of why it takes no subscription to `topic_filter`, or None."""
        if topic_filter.startswith("$share/") and not self.shared:
            return "mqtt.shared_subscription_not_supported"
        if any(mark in topic_filter for mark in "+#") and not self.wildcard:
            return "mqtt.wildcard_subscription_not_supported"
        return None

    def keepalive(self, ours_s: int) -> int:
        """Seconds after which a silent connection is tested: ours, or less where the broker wants to hear more.

        A client may ask as often as it likes (MQTT 5 §3.1.2.10), so a patient broker, or one that never looks,
        doesn't make us blind.
        """
        return min(ours_s, self.keepalive_s) if self.keepalive_s else ours_s


def announced(properties: Properties | None) -> Announced:
    """Read the properties of a CONNACK."""

    def value(name: str, default: Any) -> Any:
        return getattr(properties, name, default)

    return Announced(
        receive_maximum=value("ReceiveMaximum", DEFAULT_RECEIVE_MAXIMUM),
        max_packet=value("MaximumPacketSize", None),
        max_qos=value("MaximumQoS", 2),
        retain=bool(value("RetainAvailable", 1)),
        wildcard=bool(value("WildcardSubscriptionAvailable", 1)),
        shared=bool(value("SharedSubscriptionAvailable", 1)),
        keepalive_s=value("ServerKeepAlive", None),
        session_expiry_s=value("SessionExpiryInterval", None),
        client_id=value("AssignedClientIdentifier", None),
    )


def said(properties: Properties | None) -> str:
    """Reason String and Server Reference of any packet, printable and bounded; empty when there are none."""
    words = [getattr(properties, name, "") for name in ("ReasonString", "ServerReference")]
    return " → ".join(printable(word) for word in words if word)


def printable(text: str) -> str:
    """A stranger's text as a log or a terminal may show it."""
    kept = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[: MAX_SAID + 1]
    )
    return kept if len(kept) <= MAX_SAID else f"{kept[:MAX_SAID]}…"
