"""Configuration and access list of a mosquitto 2.0 for one fleet: mutual TLS 1.3, rights by certificate.

The common name of a client's certificate is its user name, and the fleet's authority assigns it: a device's
name (no dots), or `role.name` for everybody else. It is the client id, too, whatever the client asks for:
otherwise anybody could connect under another's client id, end its connection and throw away its queue. So one
certificate is one connection. The fleet is literal in every line. The list keeps people apart; it proves
nothing: every receiver checks signatures as if there were no list.

Collectors share one subscription (`$share/…`). mosquitto has no right of its own for that: what a member reads is
checked, message by message, against the topic without the `$share/GROUP/` in front, so the lines are those of an
ordinary subscription, once for each collector. It goes on handing a member that is away its share, into its queue,
until its session ends (`edged central leave`, or `edged.central.settings.SESSION_EXPIRY_S` after it was last seen).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from edged.uplink.mqtt_types import MAX_PACKET
from edged.uplink.subscription import SESSION_EXPIRY_S
from edged.uplink.topics import PREFIX, RESERVED, usable

QUEUE_LENGTH: Final = 10_000
"""Messages kept for one subscriber that is away. What doesn't fit is acknowledged to the device and dropped.

A collector loses nothing by it: its outboxes send until it has signed. A partner that was away for longer than
its queue has a hole, which it asks the archive for.
"""

QUEUE_BYTES: Final = 64 << 20
"""Bytes kept for one subscriber that is away, whichever bound is reached first: `QUEUE_LENGTH` of the largest messages
would be ten times as much, in the broker's memory and again in its store."""

SAVED_EVERY_S: Final = 30
"""How often the broker saves sessions, queues and retained messages while it runs; it does when it is stopped as well.
Killed, it has forgotten what it took since. Nothing rests on that: boxes send until a receipt comes, say their status
anew, and a partner asks the archive. Saved at every change, the whole store is rewritten for each message: a hundred a
second on an ordinary disk, a tenth of it with one partner's queue full.
"""

INFLIGHT: Final = 200
"""Unacknowledged messages to one subscriber, where it doesn't ask for fewer."""


_LINE_ENDS: Final = frozenset("\n\r\0")


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who else than devices may use the broker. Devices need no entry: their certificate is enough."""

    fleet: str
    collectors: tuple[str, ...]
    audiences: tuple[str, ...]
    admins: tuple[str, ...] = ()
    helpdesk: tuple[str, ...] = ()
    """Who may look at how devices are, and change nothing."""

    def __post_init__(self) -> None:
        for name in (self.fleet, *self.collectors, *self.audiences, *self.admins, *self.helpdesk):
            if not usable(name):
                reserved = ", ".join(sorted(RESERVED))
                raise ValueError(
                    f"names are lower-case letters, digits, single hyphens, and none of {reserved}"
                )


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the broker listens, and the files it reads. `user` is whom a broker started by root becomes."""

    port: int
    ca: Path
    certificate: Path
    key: Path
    access_list: Path
    persistence: Path
    """Directory for what has to survive the broker: queued messages, sessions, retained topics."""
    address: str = "127.0.0.1"
    user: str | None = None
    revoked: Path | None = None
    """Certificate revocation list (PEM) of whoever issues the clients' certificates. SIGHUP makes the broker read it
    again; a connection that is open already stays until it ends or the broker is restarted. Once the list has expired,
    nobody gets in: replace it in time."""


def access_list(access: Access) -> str:
    """The text of mosquitto's `acl_file`."""
    root = f"{PREFIX}/{access.fleet}"
    lines = [
        "# A device may write below its own name. A name with a dot (a collector, a partner) gets the same",
        "# rights below that name, where no device can be and every receiver refuses what it finds.",
        f"pattern write {root}/%u/verdict/+",
        f"pattern write {root}/%u/gap/+",
        f"pattern write {root}/%u/status",
        f"pattern write {root}/%u/reported",
        f"pattern write {root}/%u/reply/+",
        f"pattern write {root}/%u/slips",
        f"pattern read {root}/%u/record/+",
        f"pattern read {root}/%u/receipt",
        f"pattern read {root}/%u/desired",
        f"pattern read {root}/%u/command/+",
        f"pattern read {root}/keys",
        f"pattern read {root}/keys/+",
        f"pattern read {root}/artefact/+/+",
    ]
    for name in access.collectors:
        lines += [
            "",
            f"user collector.{name}",
            f"topic read {root}/+/verdict/+",
            f"topic read {root}/+/gap/+",
            f"topic read {root}/replay/+",
            f"topic read {root}/+/status",
            f"topic read {root}/+/slips",
            f"topic read {root}/keys",
            f"topic read {root}/keys/+",
            f"topic write {root}/+/receipt",
            f"topic write {root}/replay/+/+",
        ]
    for name in access.audiences:
        lines += [
            "",
            f"user audience.{name}",
            f"topic read {root}/+/verdict/{name}",
            f"topic read {root}/+/gap/{name}",
            f"topic write {root}/replay/{name}",
            f"topic read {root}/replay/{name}/+",
            f"topic write {root}/+/record/{name}",
        ]
    for name in access.admins:
        lines += [
            "",
            f"user admin.{name}",
            f"topic read {root}/+/status",
            f"topic read {root}/+/reported",
            f"topic read {root}/+/reply/+",
            f"topic readwrite {root}/+/desired",
            f"topic write {root}/+/command/+",
            f"topic readwrite {root}/keys/#",
            f"topic readwrite {root}/artefact/+/+",
        ]
    for name in access.helpdesk:
        lines += [
            "",
            f"user helpdesk.{name}",
            f"topic read {root}/+/status",
            f"topic read {root}/+/reported",
            f"topic read {root}/+/reply/+",
        ]
    return "\n".join(lines) + "\n"


def configuration(listener: Listener) -> str:
    """The text of mosquitto's configuration file. Raises `ValueError` for a path that can't stand in it."""
    paths = [listener.ca, listener.certificate, listener.key, listener.access_list, listener.persistence]
    paths += [listener.revoked] if listener.revoked else []
    if any(not path.is_absolute() or not _LINE_ENDS.isdisjoint(str(path)) for path in paths):
        raise ValueError("mosquitto needs absolute paths on one line")
    lines = [
        "per_listener_settings false",
        *([f"user {listener.user}"] if listener.user else []),
        "",
        f"listener {listener.port} {listener.address}",
        f"cafile {listener.ca}",
        f"certfile {listener.certificate}",
        f"keyfile {listener.key}",
        *([f"crlfile {listener.revoked}"] if listener.revoked else []),
        "tls_version tlsv1.3",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "allow_anonymous false",
        f"acl_file {listener.access_list}",
        "",
        "persistence true",
        f"persistence_location {listener.persistence}/",
        "autosave_on_changes false",
        f"autosave_interval {SAVED_EVERY_S}",
        f"persistent_client_expiration {SESSION_EXPIRY_S // 86_400}d",
        "",
        f"max_inflight_messages {INFLIGHT}",
        f"max_queued_messages {QUEUE_LENGTH}",
        f"max_queued_bytes {QUEUE_BYTES}",
        f"max_packet_size {MAX_PACKET}",
        "set_tcp_nodelay true",  # or an answer of several packets waits 40 ms for the acknowledgement of the first
        "max_keepalive 600",
        "",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        "connection_messages true",
    ]
    return "\n".join(lines) + "\n"
