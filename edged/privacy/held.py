"""Raw fields of one document that outlive its judging for a moment: for a handover, or for a record to be completed.

In buffers of their own that are overwritten when they are forgotten. What Python copies on the way (a `str` made of a
buffer, what a library keeps) can't be overwritten: `docs/privacy.md` says what that means.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from edged.identity import Identity
from edged.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edged.core.document import DocumentData
    from edged.core.mrz_dates import MrzDate

FIELDS: Final = (
    *("document_class", "document_code", "issuing_state", "document_number"),
    *("surname", "given_names", "chinese_name", "nationality", "sex", "birth_date", "expiry_date"),
)
"""What may be held, by the names that policies use. Dates are ISO 8601 (`1974-08-12`), or as far as they are known."""


_DATES: Final = ("birth_date", "expiry_date")


class HeldFields(Identity):
    """Named raw values. `forget` overwrites them, at the latest when the object goes away."""

    __slots__ = ("_values", "withheld")

    def __init__(self, values: dict[str, str], withheld: dict[str, str]) -> None:
        """`values` by field; `withheld`: field to the reason code why it has none."""
        self._values = {name: bytearray(value.encode()) for name, value in values.items()}
        self.withheld = dict(withheld)

    def __del__(self) -> None:
        self.forget()

    @property
    def names(self) -> tuple[str, ...]:
        """Fields that have a value, for a journal: names are no identity."""
        return tuple(self._values)

    @property
    def forgotten(self) -> bool:
        """Whether nothing is held any more."""
        return not self._values

    def reveal(self, name: str) -> str | None:
        """One raw value, None where there is none. Never store or log what this returns."""
        held = self._values.get(name)
        return None if held is None else held.decode()

    @contextmanager
    def buffer(self, name: str) -> Iterator[memoryview]:
        """The octets (UTF-8) of one raw value where they lie, for whoever can do without a text of it.

        As guarded as `reveal`. Raises `KeyError` where there is none.
        """
        with memoryview(self._values[name]) as view:
            yield view

    def size(self, name: str) -> int:
        """How many octets `buffer` has. Raises `KeyError`."""
        return len(self._values[name])

    def forget(self) -> None:
        """Overwrite everything."""
        for value in self._values.values():
            value[:] = bytes(len(value))
        self._values.clear()


def hold(
    document: DocumentData | None, names: Iterable[str], *, certain: bool = True, clock_trusted: bool = True
) -> HeldFields:
    """The named `FIELDS` of a document, and why the others have no value (codes as `edged.privacy.policy` gives them).

    As with disclosure, a value that its own check digit contradicts, or that was read without confidence and has no
    check digit, isn't held; nor is a date whose century rests on a clock that can't be believed.
    Raises `ValueError` for a name that isn't one of `FIELDS`.
    """
    values: dict[str, str] = {}
    withheld: dict[str, str] = {}
    for name in names:
        if name not in FIELDS:
            raise ValueError("no such field")
        if document is None:
            withheld[name] = "claim.not_read"
        elif name in _DATES and not clock_trusted:
            withheld[name] = "claim.clock_not_trusted"
        elif (code := _fault(document, name, certain)) is not None:
            withheld[name] = code
        elif value := _value(document, name):
            values[name] = value
        else:
            withheld[name] = "claim.not_on_document"
    return HeldFields(values, withheld)


def _fault(document: DocumentData, name: str, certain: bool) -> str | None:
    spoken_for = {name, "name"} if name in ("surname", "given_names") else {name}
    if any(check.name == name and check.result is not Result.SUCCESSFUL for check in document.check_digits):
        return "claim.check_digit_wrong"
    if any(check.name in spoken_for and check.result is Result.FAILED for check in document.field_checks):
        return "claim.not_plausible"
    if (
        not certain
        and name != "document_class"
        and all(check.name != name for check in document.check_digits)
    ):
        return "claim.not_certain"
    return None


def _value(document: DocumentData, name: str) -> str:
    if name == "document_class":
        return document.document_class.value
    found = getattr(document, name)
    if name in _DATES:
        return "" if found is None else _as_far_as_known(found)
    return found if isinstance(found, str) else "" if found is None else found.reveal()


def _as_far_as_known(date: MrzDate) -> str:
    if date.year is None:
        return ""
    if date.month is None:
        return f"{date.year:04d}"
    if date.day is None:
        return f"{date.year:04d}-{date.month:02d}"
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"
