"""EF.CardAccess is read before the chip is open and nobody signs it: DG14 says under signature what it should say.

Whoever sits between reader and chip could hide that it offers PACE, or offer a weaker kind, and listen to what follows
(Doc 9303-11 §4.2, §9.2.11). Only DG14 that passive authentication has proven counts here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.core.emrtd.security_infos import PaceInfo, read_card_access, read_dg14
from edged.errors import DecodeError
from edged.verdict import Reason

if TYPE_CHECKING:
    from edged.core.emrtd.security_infos import SecurityInfos


def compare_offer(card_access: bytes | None, dg14: bytes) -> Reason | None:
    """What speaks against the offer that was read; None where nothing does, or DG14 says nothing of PACE.

    `card_access` is None when the chip had no such file. Some chips leave PACE out of DG14, which proves nothing.
    """
    try:
        signed = _pace(read_dg14(dg14))
        offered = frozenset() if card_access is None else _pace(read_card_access(card_access))
    except DecodeError:
        return None  # whoever reads the file for its keys says so
    if not signed or signed <= offered:
        return None
    return Reason("chip.pace_hidden" if not offered else "chip.pace_offer_changed")


def _pace(infos: SecurityInfos) -> frozenset[tuple[str, int, int | None]]:
    return frozenset((info.oid, info.version, info.parameter_id) for info in infos.of(PaceInfo))
