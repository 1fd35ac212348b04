"""Names and roles in a fleet: what a certificate says about its holder, and how the broker calls them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

MAX_NAME: Final = 63
"""Longest name of a fleet, device, collector, audience or person: one DNS label (RFC 1035 §2.3.4)."""

MAX_USERNAME: Final = 64
"""X.520's ub-common-name: the broker's user name is a certificate's common name and has to fit."""

SCHEME: Final = "edged://"
"""Scheme of the SAN URI that names a certificate's holder."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Role(StrEnum):
    """What the holder of a certificate may do in the fleet."""

    DEVICE = "device"  # signs verdicts
    COLLECTOR = "collector"  # signs receipts, archives
    AUDIENCE = "audience"  # a recipient organisation
    ADMIN = "admin"  # pushes configuration, commands devices
    HELPDESK = "helpdesk"  # looks at how devices are, and changes nothing
    PRIVACY = "privacy"  # decides what audiences may learn


class Usage(StrEnum):
    """What a certificate's key is for: never both."""

    TLS = "tls"
    SIGNING = "signing"


def valid_name(name: str) -> bool:
    """Whether `name` may name a fleet or somebody in it: `[a-z0-9]` with single hyphens inside, at most 63.

    No dots, so that a device can never be called `audience.bank`; no MQTT wildcards, no slashes.
    """
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


class Principal(msgspec.Struct, frozen=True):
    """Somebody in a fleet.

    Raises `ValueError` when a name breaks `valid_name` or its `username` is too long for the broker.
    """

    fleet: str
    role: Role
    name: str

    def __post_init__(self) -> None:
        if not valid_name(self.fleet) or not valid_name(self.name) or len(self.username) > MAX_USERNAME:
            raise ValueError("names are lower-case letters and digits with single hyphens, at most 63 long")

    @property
    def uri(self) -> str:
        """The SAN URI of this principal's certificates."""
        return f"{SCHEME}{self.fleet}/{self.role}/{self.name}"

    @property
    def username(self) -> str:
        """The certificate's common name, which the broker takes as user name: unique across roles."""
        return self.name if self.role is Role.DEVICE else f"{self.role}.{self.name}"

    @classmethod
    def from_uri(cls, uri: str) -> Principal:
        """The inverse of `uri`. Raises `ValueError` for anything that `uri` never returns."""
        if not uri.startswith(SCHEME) or uri.count("/") != 4:
            raise ValueError("not an edged URI of fleet, role and name")
        fleet, role, name = uri.removeprefix(SCHEME).split("/")
        return cls(fleet, Role(role), name)
