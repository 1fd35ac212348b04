"""The form 境外人员临时住宿登记: its fields, in order, and when each must be filled in.

Fields and widths are those of public specimens of the form and of police column names; which of them may stay empty is
our reading (`docs/lodging.md` says what is certain). No list of codes for visas, ports and reasons of stay was found in
public: they are bounded free text, and nothing here pretends to be an authority's code.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from edged.uplink.record_reply import RECORD_FIELDS

Kind = Literal[
    "name", "chinese_name", "sex", "date", "birth_date", "country", "document_kind", "number", "text"
]
Group = Literal["person", "document", "visa", "stay"]
Need = Literal["always", "with_visa", "with_entry", "never"]
"""When a field must be filled in: `with_visa` for documents that need a visa, `with_entry` for those of people who
entered to stay for a while."""

NAME_WIDTH: Final = 60
"""Letters of 英文姓 and of 英文名: the police columns ywx and ywm."""

VISA_NUMBER_WIDTH: Final = 20
"""Characters of the police column qzhm."""

TEXT_WIDTH: Final = 60
"""Characters of free text: ours, no column's; as wide as the widest column that is known."""

ROOM_WIDTH: Final = 20
NUMBER_WIDTH: Final = 30
"""Characters of a document's number: more than any document has, so that nothing is cut."""

CHINESE_WIDTH: Final = 30
"""Characters of a Chinese name: the longest names of minorities and transliterations have some twenty."""


class Field(NamedTuple):
    """One field of the form."""

    name: str
    group: Group
    kind: Kind
    need: Need
    width: int


FIELDS: Final[tuple[Field, ...]] = (
    Field("english_surname", "person", "name", "always", NAME_WIDTH),
    Field("english_given_names", "person", "name", "never", NAME_WIDTH),
    Field("chinese_name", "person", "chinese_name", "never", CHINESE_WIDTH),
    Field("sex", "person", "sex", "always", 1),
    Field("birth_date", "person", "birth_date", "always", 10),
    Field("country", "person", "country", "always", 3),
    Field("document_kind", "document", "document_kind", "always", 40),
    Field("document_number", "document", "number", "always", NUMBER_WIDTH),
    Field("visa_kind", "visa", "text", "with_visa", TEXT_WIDTH),
    Field("visa_number", "visa", "number", "never", VISA_NUMBER_WIDTH),
    Field("visa_issuer", "visa", "text", "never", TEXT_WIDTH),
    Field("stay_until", "visa", "date", "with_visa", 10),
    Field("entry_date", "visa", "date", "with_entry", 10),
    Field("entry_port", "visa", "text", "with_entry", TEXT_WIDTH),
    Field("stay_reason", "visa", "text", "always", TEXT_WIDTH),
    Field("host", "stay", "text", "always", TEXT_WIDTH),
    Field("coming_from", "stay", "text", "always", TEXT_WIDTH),
    Field("going_to", "stay", "text", "always", TEXT_WIDTH),
    Field("arrival_date", "stay", "date", "always", 10),
    Field("departure_date", "stay", "date", "always", 10),
    Field("room", "stay", "text", "always", ROOM_WIDTH),
)

BY_NAME: Final = {field.name: field for field in FIELDS}

assert tuple(BY_NAME) == RECORD_FIELDS


class DocumentKind(NamedTuple):
    """What a kind of document (证件种类) means for the other fields."""

    chinese_name: bool
    """Whether its holder's Chinese name is mandatory: people of Hong Kong, Macau and Taiwan, overseas Chinese."""
    visa: bool
    """Whether its holder stays by a visa, so that its kind and end belong in the record."""
    entry: bool
    """Whether its holder entered to stay for a while, so that entry date and port belong in the record."""


DOCUMENT_KINDS: Final[dict[str, DocumentKind]] = {
    "foreign_passport": DocumentKind(chinese_name=False, visa=True, entry=True),
    "overseas_chinese_passport": DocumentKind(chinese_name=True, visa=False, entry=True),
    "hk_macau_permit": DocumentKind(chinese_name=True, visa=False, entry=True),
    "hk_macau_permit_foreign": DocumentKind(chinese_name=False, visa=False, entry=True),
    "taiwan_permit": DocumentKind(chinese_name=True, visa=False, entry=True),
    "hk_macau_taiwan_residence_permit": DocumentKind(chinese_name=True, visa=False, entry=False),
    "permanent_resident_card": DocumentKind(chinese_name=False, visa=False, entry=False),
    "other_travel_document": DocumentKind(chinese_name=False, visa=True, entry=True),
}
"""Kinds by our own names, from the documents that rules of registration and of banks list; the recipient's system maps
them to its own codes, of which none is public."""


def needed(kind: str | None) -> tuple[str, ...]:
    """Fields that must be filled in for a document of this kind; while nobody knows it, as for a passport."""
    document = DOCUMENT_KINDS.get(kind or "", DOCUMENT_KINDS["foreign_passport"])
    wanted = {"always": True, "with_visa": document.visa, "with_entry": document.entry, "never": False}
    return tuple(
        field.name
        for field in FIELDS
        if wanted[field.need] or (field.name == "chinese_name" and document.chinese_name)
    )
