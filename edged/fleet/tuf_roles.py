"""Who signs what of a push: the TUF roles of a fleet, and how long their word holds.

    root           offline keys, a threshold of them     whose keys the other three are
    targets        the same offline keys                 the delegations; fleet/authority.json
    timestamp      the fleet admin's online key          which snapshot is the newest
    snapshot       the fleet admin's online key          which versions belong together
    config         the fleet admin's online key          config/*: how one box works; made for each box
    privacy        the privacy officer                   audience/*: what one recipient may learn
    release        the release role                      software/*, firmware/*, trust/*
    admin-files    the fleet admin's online key          scene/*, messages/*

A trust list is the release role's: a wrong state's certificate makes a false passport genuine.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
CONFIG: Final = "config"
PRIVACY: Final = "privacy"
RELEASE: Final = "release"
ADMIN_FILES: Final = "admin-files"

SHARED: Final = (TARGETS, PRIVACY, RELEASE, ADMIN_FILES)
"""Roles, root aside, whose metadata is the same for all boxes."""

PER_DEVICE: Final = (CONFIG, SNAPSHOT, TIMESTAMP)
"""Roles whose metadata is made for each box; their version is the push's number."""

PATHS: Final[dict[str, tuple[str, ...]]] = {
    CONFIG: ("config/*",),
    PRIVACY: ("audience/*",),
    RELEASE: ("software/*", "firmware/*", "trust/*"),
    ADMIN_FILES: ("scene/*", "messages/*"),
}
"""What each delegated role may sign, in the order in which a target is looked for."""


class Holder(StrEnum):
    """Whose keys they are."""

    ROOT = "root"
    ADMIN = "admin"
    PRIVACY = "privacy"
    RELEASE = "release"


HOLDER_OF: Final[dict[str, Holder]] = {
    ROOT: Holder.ROOT,
    TARGETS: Holder.ROOT,
    SNAPSHOT: Holder.ADMIN,
    TIMESTAMP: Holder.ADMIN,
    CONFIG: Holder.ADMIN,
    PRIVACY: Holder.PRIVACY,
    RELEASE: Holder.RELEASE,
    ADMIN_FILES: Holder.ADMIN,
}

LIFETIME: Final[dict[str, timedelta]] = {
    # Offline keys come together for it: rarely enough to be bearable, often enough that it is not forgotten how.
    ROOT: timedelta(days=730),
    # Somebody has to look once a year at what is delegated, who may learn what, and what software is still good.
    TARGETS: timedelta(days=365),
    PRIVACY: timedelta(days=365),
    RELEASE: timedelta(days=365),
    ADMIN_FILES: timedelta(days=365),
    # A box may be offline for half a year (`outbox.max_age_days`) and still takes what was pushed meanwhile, as soon
    # as its timestamp was renewed.
    CONFIG: timedelta(days=180),
    SNAPSHOT: timedelta(days=180),
    # How long a broker in wrong hands can keep an old push before the boxes refuse it: freeze attacks end here.
    TIMESTAMP: timedelta(days=30),
}
"""How long each role's metadata holds."""

WARN_BEFORE: Final[dict[str, timedelta]] = {
    role: timedelta(days=10) if role == TIMESTAMP else timedelta(days=60) for role in LIFETIME
}
"""From when on an end is near: two months to bring offline keys together; a third of a timestamp's life."""


def role_of(target: str) -> str:
    """The delegated role that may sign a target, by the first level of its path. Raises `ValueError`."""
    first = target.partition("/")[0] + "/*"
    for role, paths in PATHS.items():
        if first in paths:
            return role
    raise ValueError("no role signs targets of this path")
