"""Why the head won't, as codes of the message catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.drivers.head_events import Fault
from edged.drivers.head_messages import Status
from edged.drivers.head_update_messages import UpdateRefusal
from edged.errors import HeadRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.drivers.head_messages import Reply

FAULTS: Final[Mapping[Fault, str]] = {
    Fault.LAMP: "head.lamp_fault",
    Fault.OVERHEATED: "head.overheated",
    Fault.SUPPLY_LOW: "head.supply_low",
    Fault.BUTTON_STUCK: "head.button_stuck",
    Fault.PRESENCE_BLIND: "head.presence_blind",
    Fault.STORE_DAMAGED: "head.store_damaged",
    Fault.WATCHDOG: "head.watchdog",
}
"""What a head finds wrong with itself, as `edged.events.TroubleBegan` tells it."""

COVER: Final = "head.cover_open"

_STATUS: Final[Mapping[Status, str]] = {
    Status.UNSUPPORTED: "head.unsupported",
    Status.BAD_REQUEST: "head.bad_request",
    Status.BUSY: "head.busy",
    Status.LIMIT: "head.lamp_rests",
    Status.HOT: FAULTS[Fault.OVERHEATED],
    Status.COVER_OPEN: COVER,
    Status.FAULT: "head.fault",
    Status.FLASH: "head.flash_failed",
    Status.REFUSED: "head.update_refused",
    Status.ORDER: "head.update_order",
}

UPDATES: Final[Mapping[UpdateRefusal, str]] = {
    UpdateRefusal.NOT_BEGUN: "head.update_not_begun",
    UpdateRefusal.TOO_LARGE: "head.update_too_large",
    UpdateRefusal.NOT_AN_IMAGE: "head.update_no_image",
    UpdateRefusal.OTHER_BOARD: "head.update_other_board",
    UpdateRefusal.SIGNATURE: "head.update_signature",
    UpdateRefusal.DIGEST: "head.update_digest",
    UpdateRefusal.OLDER: "head.update_older",
    UpdateRefusal.BUSY: "head.update_slot_busy",
    UpdateRefusal.ON_TRIAL: "head.update_on_trial",
    UpdateRefusal.INCOMPLETE: "head.update_incomplete",
}


def refusal(reply: Reply) -> HeadRefusedError:
    """The error for a reply that isn't ok."""
    code = _STATUS[reply.status]
    if reply.status is Status.FAULT:
        code = next((FAULTS[fault] for fault in Fault if fault == reply.detail), code)
    elif reply.status is Status.REFUSED:
        code = next((UPDATES[reason] for reason in UpdateRefusal if reason == reply.detail), code)
    return HeadRefusedError(code, reply.status, reply.detail)
