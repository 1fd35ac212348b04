"""Retrying dead letters on an operator's word: what the daemon answers to `outbox_retry` on its control socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edged.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edged.uplink.database import DatabaseThread
    from edged.uplink.outbox import StateDatabase

MAX_IDS: Final = 1000
"""Letters that one request may name; whoever means more means all."""


async def retry(
    state: DatabaseThread[StateDatabase], params: Mapping[str, Any], now: datetime
) -> dict[str, int]:
    """Bring dead letters back: `{"ids": [3, 5]}`, or `{"all": true}`; answers `{"retried": how many}`.

    The caller wakes the uplink. Raises `ControlError` (`control.bad_parameter`) and `StateError`.
    """
    ids = wanted(params)
    retried = 0
    while True:
        back = await state.write(lambda database: database.retry_dead(ids, now))
        retried += back
        if back == 0 or ids is not None:
            return {"retried": retried}


def retry_now(database: StateDatabase, params: Mapping[str, Any], now: datetime) -> dict[str, int]:
    """The same without a daemon, for whoever holds the state directory's lock."""
    ids = wanted(params)
    retried = back = database.retry_dead(ids, now)
    while back and ids is None:
        back = database.retry_dead(None, now)
        retried += back
    return {"retried": retried}


def wanted(params: Mapping[str, Any]) -> list[int] | None:
    """The ids that `params` name, None for all. Raises `ControlError`."""
    match dict(params):
        case {"all": True, **rest} if not rest:
            return None
        case {"ids": [*ids], **rest} if not rest and 0 < len(ids) <= MAX_IDS and all(map(_is_id, ids)):
            return ids
        case _:
            raise ControlError("control.bad_parameter")


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 63
