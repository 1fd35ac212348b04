"""Reason codes of MQTT 5 (§2.4) as codes of the message catalogue, so that each reaches a person as words."""

from __future__ import annotations

from typing import Final

FAILURE: Final = 0x80
"""Codes from here on are failures; 0x10, "no matching subscribers", is success."""

NO_SUBSCRIBERS: Final = 0x10
UNSPECIFIED_ERROR: Final = 0x80
PROTOCOL_ERROR: Final = 0x82
KEEP_ALIVE_TIMEOUT: Final = 0x8D
SESSION_TAKEN_OVER: Final = 0x8E
PACKET_TOO_LARGE: Final = 0x95
MESSAGE_RATE_TOO_HIGH: Final = 0x96
QUOTA_EXCEEDED: Final = 0x97
RETAIN_NOT_SUPPORTED: Final = 0x9A

PATIENT: Final = frozenset({0x8A, SESSION_TAKEN_OVER, MESSAGE_RATE_TOO_HIGH, QUOTA_EXCEEDED, 0x9F})
"""Ends of a connection after which the next attempt waits as long as any: banned; somebody else under our name, whom
our coming back would throw out in turn; too fast, too much, too often."""

REASONS: Final[dict[int, str]] = {
    0x80: "mqtt.unspecified_error",
    0x81: "mqtt.malformed_packet",
    0x82: "mqtt.protocol_error",
    0x83: "mqtt.implementation_specific_error",
    0x84: "mqtt.unsupported_protocol_version",
    0x85: "mqtt.client_identifier_not_valid",
    0x86: "mqtt.bad_user_name_or_password",
    0x87: "mqtt.not_authorized",
    0x88: "mqtt.server_unavailable",
    0x89: "mqtt.server_busy",
    0x8A: "mqtt.banned",
    0x8B: "mqtt.server_shutting_down",
    0x8C: "mqtt.bad_authentication_method",
    0x8D: "mqtt.keep_alive_timeout",
    0x8E: "mqtt.session_taken_over",
    0x8F: "mqtt.topic_filter_invalid",
    0x90: "mqtt.topic_name_invalid",
    0x91: "mqtt.packet_identifier_in_use",
    0x93: "mqtt.receive_maximum_exceeded",
    0x94: "mqtt.topic_alias_invalid",
    0x95: "mqtt.packet_too_large",
    0x96: "mqtt.message_rate_too_high",
    0x97: "mqtt.quota_exceeded",
    0x98: "mqtt.administrative_action",
    0x99: "mqtt.payload_format_invalid",
    0x9A: "mqtt.retain_not_supported",
    0x9B: "mqtt.qos_not_supported",
    0x9C: "mqtt.use_another_server",
    0x9D: "mqtt.server_moved",
    0x9E: "mqtt.shared_subscription_not_supported",
    0x9F: "mqtt.connection_rate_exceeded",
    0xA0: "mqtt.maximum_connect_time",
    0xA1: "mqtt.subscription_identifiers_not_supported",
    0xA2: "mqtt.wildcard_subscription_not_supported",
}
"""MQTT 5 §2.4: every failure that CONNACK, PUBACK, SUBACK and DISCONNECT can carry, as a catalogue code."""


def reason_code(value: int) -> str:
    """The catalogue code of an MQTT 5 reason code."""
    return REASONS.get(value, "mqtt.unknown_reason")
