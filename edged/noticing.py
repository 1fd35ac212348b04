"""The notice of a scene as a box's settings make it: `edged.privacy.notice` is what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.privacy.notice import Recipient, make_notice
from edged.verdict import Kind

if TYPE_CHECKING:
    from edged.config import BoxSettings
    from edged.privacy.notice import Notice


def notice_of(settings: BoxSettings, scene: str, kind: Kind = Kind.LIVE) -> Notice:
    """What a holder is told before a document is read in `scene`. Raises `ConfigError` for an unknown scene."""
    settings.scene(scene)
    return make_notice(
        scene,
        site=None if settings.slip is None else settings.slip.site,
        recipients=recipients_of(settings, scene, kind),
        reads=reads_of(settings),
    )


def recipients_of(settings: BoxSettings, scene: str, kind: Kind = Kind.LIVE) -> tuple[Recipient, ...]:
    """The audiences of a scene and kind, as people know them.

    An application that gets fields handed over gets them of every kind of inspection, whichever envelopes it receives.
    """
    return tuple(
        Recipient(audience.label or name, audience.policy)
        for name, audience in settings.audiences.items()
        if scene in audience.scenes and (kind in audience.receives or audience.policy.handover is not None)
    )


def reads_of(settings: BoxSettings) -> tuple[str, ...]:
    """What the box can read a document with: of `edged.privacy.notice.READS`."""
    found = ["picture", "mrz"]
    found += ["chip"] * (settings.chip_reader is not None)
    found += ["id_card"] * (settings.id_card is not None)
    found += ["text"] * (settings.swipe is not None)
    return tuple(found)
