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
    Fault.LAMP: "reader_head.lamp_fault",
    Fault.OVERHEATED: "reader_head.overheated",
    Fault.SUPPLY_LOW: "reader_head.supply_low",
    Fault.BUTTON_STUCK: "reader_head.button_stuck",
    Fault.PRESENCE_BLIND: "reader_head.presence_blind",
    Fault.STORE_DAMAGED: "reader_head.store_damaged",
    Fault.WATCHDOG: "reader_head.watchdog",
}
"""What a head finds wrong with itself, as `edged.events.TroubleBegan` tells it."""

PASSED: Final = frozenset({FAULTS[Fault.STORE_DAMAGED], FAULTS[Fault.WATCHDOG]})
"""What happened before the head started, and stands until it starts again: worth telling, and hinders nothing."""

COVER: Final = "reader_head.cover_open"

_STATUS: Final[Mapping[Status, str]] = {
    Status.UNSUPPORTED: "reader_head.unsupported",
    Status.BAD_REQUEST: "reader_head.bad_request",
    Status.BUSY: "reader_head.busy",
    Status.LIMIT: "reader_head.lamp_rests",
    Status.HOT: FAULTS[Fault.OVERHEATED],
    Status.COVER_OPEN: COVER,
    Status.FAULT: "reader_head.fault",
    Status.FLASH: "reader_head.flash_failed",
    Status.REFUSED: "reader_head.update_refused",
    Status.ORDER: "reader_head.update_order",
}

UPDATES: Final[Mapping[UpdateRefusal, str]] = {
    UpdateRefusal.NOT_BEGUN: "reader_head.update_not_begun",
    UpdateRefusal.TOO_LARGE: "reader_head.update_too_large",
    UpdateRefusal.NOT_AN_IMAGE: "reader_head.update_no_image",
    UpdateRefusal.OTHER_BOARD: "reader_head.update_other_board",
    UpdateRefusal.SIGNATURE: "reader_head.update_signature",
    UpdateRefusal.DIGEST: "reader_head.update_digest",
    UpdateRefusal.OLDER: "reader_head.update_older",
    UpdateRefusal.BUSY: "reader_head.update_slot_busy",
    UpdateRefusal.ON_TRIAL: "reader_head.update_on_trial",
    UpdateRefusal.INCOMPLETE: "reader_head.update_incomplete",
}


def refusal(reply: Reply) -> HeadRefusedError:
    """The error for a reply that isn't ok."""
    code = _STATUS[reply.status]
    if reply.status is Status.FAULT:
        code = next((FAULTS[fault] for fault in Fault if fault == reply.detail), code)
    elif reply.status is Status.REFUSED:
        code = next((UPDATES[reason] for reason in UpdateRefusal if reason == reply.detail), code)
    return HeadRefusedError(code, reply.status, reply.detail)
