"""What judging and disclosure need to know of a document, whichever way it was read: an MRZ, or an ID card's chip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edged.core.layouts import DocumentClass
    from edged.core.mrz_checks import FieldCheck
    from edged.core.mrz_dates import MrzDate
    from edged.identity import Sensitive


class DocumentData(Protocol):
    """Fields of one document; `edged.core.mrz.Mrz` and `edged.core.id_card.IdCardData` have them.

    Every text is behind `Sensitive` and empty where the document hasn't the field. `check_digits` and `field_checks`
    name the fields they speak for: what none of them contradicts may be disclosed.
    """

    @property
    def document_class(self) -> DocumentClass:
        """Passport, identity card, visa, permit or unknown."""
        ...

    @property
    def document_code(self) -> str:
        """As printed, or "I" for an ID card."""
        ...

    @property
    def issuing_state(self) -> str:
        """Code without fillers."""
        ...

    @property
    def surname(self) -> Sensitive[str]:
        """The primary identifier, or the whole name where nothing tells its parts."""
        ...

    @property
    def given_names(self) -> Sensitive[str]:
        """The secondary identifier."""
        ...

    @property
    def chinese_name(self) -> Sensitive[str] | None:
        """In Chinese characters; None where the document has none."""
        ...

    @property
    def document_number(self) -> Sensitive[str]:
        """The document's number."""
        ...

    @property
    def nationality(self) -> Sensitive[str]:
        """Code without fillers."""
        ...

    @property
    def sex(self) -> Sensitive[str]:
        """`M`, `F`, or `X` for unspecified."""
        ...

    @property
    def birth_date(self) -> MrzDate | None:
        """None when the document has none."""
        ...

    @property
    def expiry_date(self) -> MrzDate | None:
        """None when the document has none: it never expires, or does not say."""
        ...

    @property
    def never_expires(self) -> bool:
        """Whether the document says that it is valid for ever (长期)."""
        ...

    @property
    def check_digits(self) -> tuple[FieldCheck, ...]:
        """One check for each check digit, by the name of the field it speaks for."""
        ...

    @property
    def field_checks(self) -> tuple[FieldCheck, ...]:
        """One check for each field: characters, dates that exist, known codes."""
        ...
