"""Parameters of the desk's methods: taken as they are allowed, or refused."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edged.errors import ControlError
from edged.identity import withheld
from edged.lodging.form import BY_NAME
from edged.lodging.rates import MAX_DAYS
from edged.lodging.rules import MAX_TYPED
from edged.uplink.names import valid_name

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LISTED: Final = 200
"""Records in one answer of `lodging_list`."""

LISTED: Final = 20

MAX_CHECK_INS: Final = 100_000
"""Foreigners in one hotel on one day: more is a typing error."""

_RECORD_ID: Final = re.compile(r"[0-9a-f]{20}")
_OPAQUE: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
"""As a scan's references (`edged.control_methods`): without spaces and letters beyond ASCII, names don't slip in."""


@withheld
class Completion(NamedTuple):
    """What is typed for which record."""

    record_id: str | None
    fields: Mapping[str, str]
    corrects: str | None


class CheckIn(NamedTuple):
    """One day's count, or one check-in's reference."""

    day: date
    total: int | None
    reference: str | None


class Span(NamedTuple):
    """Days of a report."""

    first: date
    last: date
    audience: str | None
    tests: bool


def limit(params: Mapping[str, Any]) -> int:
    """Of `list`. Raises `ControlError` (`control.bad_parameter`), as all of these."""
    _only(params, "limit")
    found = params.get("limit", LISTED)
    _need(type(found) is int and 1 <= found <= MAX_LISTED)
    return int(found)


def completion(params: Mapping[str, Any]) -> Completion:
    """Of `complete`."""
    _only(params, "record_id", "fields", "corrects")
    fields = params.get("fields", {})
    _need(isinstance(fields, dict) and set(fields) <= set(BY_NAME))
    # Longer than anything is a fault that the clerk is told; much longer is nobody's typing.
    _need(all(isinstance(text, str) and len(text) <= 4 * MAX_TYPED for text in fields.values()))
    for name in ("record_id", "corrects"):
        found = params.get(name)
        _need(found is None or (isinstance(found, str) and _RECORD_ID.fullmatch(found) is not None))
    return Completion(params.get("record_id"), fields, params.get("corrects"))


def check_in(params: Mapping[str, Any], today: date) -> CheckIn:
    """Of `checkin`; today unless it says which day."""
    _only(params, "count", "reference", "day")
    count, reference = params.get("count"), params.get("reference")
    _need((count is None) != (reference is None))
    _need(count is None or (type(count) is int and 0 <= count <= MAX_CHECK_INS))
    _need(reference is None or (isinstance(reference, str) and _OPAQUE.fullmatch(reference) is not None))
    day = _day(params.get("day"), today)
    _need(today - timedelta(days=MAX_DAYS) <= day <= today)
    return CheckIn(day, count, reference)


def span(params: Mapping[str, Any], today: date) -> Span:
    """Of `rates`; this month up to today unless it says otherwise."""
    _only(params, "from", "to", "audience", "tests")
    last = _day(params.get("to"), today)
    first = _day(params.get("from"), last.replace(day=1))
    _need(0 <= (last - first).days < MAX_DAYS)
    audience, tests = params.get("audience"), params.get("tests", False)
    _need(isinstance(tests, bool))
    _need(audience is None or (isinstance(audience, str) and valid_name(audience)))
    return Span(first, last, audience, tests)


def _day(found: Any, default: date) -> date:
    if found is None:
        return default
    _need(isinstance(found, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", found) is not None)
    try:
        return date.fromisoformat(found)
    except ValueError:
        raise ControlError("control.bad_parameter") from None


def _only(params: Mapping[str, Any], *known: str) -> None:
    _need(set(params) <= set(known))


def _need(held: bool) -> None:
    if not held:
        raise ControlError("control.bad_parameter")
