"""What a chip says about its holder, for a person at a terminal who asked for it. The one way out of the raw fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edged import messages
from edged.core.emrtd.dg1 import parse_dg1
from edged.core.emrtd.dg11 import parse_dg11
from edged.core.emrtd.dg12 import parse_dg12
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.portrait_file import find_portrait
from edged.errors import DecodeError
from edged.identity import Sensitive

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator

    from edged.core.emrtd.chip_reading import ChipReading

_MRZ: Final = (
    "document_number",
    "surname",
    "given_names",
    "nationality",
    "sex",
    "optional_data",
    "chinese_name",
)
_HOLDER: Final = (
    "full_name",
    "other_names",
    "personal_number",
    "birth_place",
    "address",
    "telephone",
    "profession",
    "title",
    "summary",
    "custody",
)
_DOCUMENT: Final = ("authority", "endorsements", "exit_requirements")


def lines(reading: ChipReading, today: datetime.date, lang: str) -> Iterator[str]:
    """DG1, DG11 and DG12 in words, DG2 by its kind and size. A file that can't be read says why."""
    for file in (ElementaryFile.DG1, ElementaryFile.DG11, ElementaryFile.DG12, ElementaryFile.DG2):
        octets = reading.files.get(file)
        if octets is not None:
            yield f"{file.value}:"
            try:
                yield from _told(file, octets, today, lang)
            except DecodeError as error:
                yield f"  {messages.text(error.code, lang)}"


def _told(file: ElementaryFile, octets: bytes, today: datetime.date, lang: str) -> Iterator[str]:
    match file:
        case ElementaryFile.DG1:
            yield from _mrz(octets, today, lang)
        case ElementaryFile.DG11:
            yield from _fields(parse_dg11(octets), _HOLDER, lang)
        case ElementaryFile.DG12:
            yield from _fields(parse_dg12(octets), _DOCUMENT, lang)
        case _:
            yield _portrait(octets, lang)


def _mrz(octets: bytes, today: datetime.date, lang: str) -> Iterator[str]:
    mrz = parse_dg1(octets, today=today).mrz
    for line in mrz.lines.reveal():
        yield f"  {line}"
    yield from _fields(mrz, _MRZ, lang)
    for name in ("birth_date", "expiry_date"):
        date = getattr(mrz, name)
        if date is not None:
            yield f"  {messages.word(name, lang)}: {date.raw}"


def _fields(held: Any, names: tuple[str, ...], lang: str) -> Iterator[str]:
    for name in names:
        value = getattr(held, name)
        parts = [value] if isinstance(value, Sensitive) else value or ()
        text = ", ".join(str(part.reveal()) for part in parts)
        if text:
            yield f"  {messages.word(name, lang)}: {text}"


def _portrait(octets: bytes, lang: str) -> str:
    found = find_portrait(octets)
    return "  " + messages.text(
        "chipread.portrait",
        lang,
        kind={"jpeg": "JPEG", "jpeg2000": "JPEG 2000"}[found.kind],
        width=found.width,
        height=found.height,
    )
