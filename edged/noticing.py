"""A box's notices to the holder: before a scan, as its settings make it; after it, of what was read and what left.

`edged.privacy.notice` and `edged.privacy.noticed` are what they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.privacy.notice import WITHOUT_CONSENT, Recipient, make_notice, told
from edged.privacy.noticed import Told, make_noticed
from edged.verdict import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from edged.config import AudienceSettings, BoxSettings
    from edged.drafting import Outgoing
    from edged.events import ScanRequest
    from edged.privacy.notice import Notice
    from edged.privacy.noticed import Noticed


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


def told_of(outgoing: Outgoing, audiences: Mapping[str, AudienceSettings]) -> Iterator[tuple[str, Told]]:
    """Who is told of this inspection, and what: not what they are told of others. By name of the audience.

    Whoever gets fields in clear comes first.
    """
    taker = () if outgoing.handover_to is None else (outgoing.handover_to,)
    sent = {draft.audience: draft for draft in outgoing.drafts}
    completed = {record.draft.audience for record in outgoing.unfinished}
    for name in dict.fromkeys((*taker, *sent)):
        policy = audiences[name].policy
        draft = sent.get(name)
        refused = draft is not None and draft.consent is not None and not draft.consent.given
        groups = WITHOUT_CONSENT if refused else told(policy)
        if draft is None:  # no claims: they travel in envelopes
            groups = tuple(group for group in groups if group in (*WITHOUT_CONSENT, "handover_fields"))
        never = {
            *(() if name == outgoing.handover_to else ("handover_fields",)),
            *(() if name in completed else ("sealed_record",)),
        }
        groups = tuple(group for group in groups if group not in never)
        yield name, Told(audiences[name].label or name, policy, groups, refused)


def noticed_of(
    request: ScanRequest,
    outgoing: Outgoing,
    read: Sequence[str],
    settings: BoxSettings,
    *,
    offered: bool,
    opened: Collection[str],
) -> Noticed:
    """What the holder is told of this inspection.

    `offered`: whether the application that asked may take fields now. `opened`: audiences whose record the clerk may
    complete now. What lies nowhere, because the journal can't be written, say, is told to nobody.
    """
    found: dict[str, Told] = {}
    for name, one in told_of(outgoing, settings.audiences):
        never = {*(() if offered else ("handover_fields",)), *(() if name in opened else ("sealed_record",))}
        groups = tuple(group for group in one.groups if group not in never)
        found[name] = Told(one.label, one.policy, groups, one.refused)
    asker = request.application
    if (
        asker is not None and asker not in found
    ):  # it gets no field for want of consent, but hears how it ended
        audience = settings.audiences[asker]
        refused = audience.policy.consent == "required" and not request.consent
        found[asker] = Told(audience.label or asker, audience.policy, ("checks",), refused)
    needed = any(one.policy.consent == "required" for one in found.values())
    return make_noticed(
        read,
        tuple(found.values()),
        consent=request.consent if needed else None,
        notice=notice_of(settings, request.scene).sha256 if needed else None,
    )
