"""Finds raw identity in bytes that should hold none: outputs, logs, databases, whole files.

For tests and auditors. Given the raw values of documents, `LeakScanner.scan` looks for them in the bytes and
in everything that can be decoded out of them (`edged.privacy.leakviews`), and says what kind of value stands
where, never the value.

How sure a match must be depends on what chance makes of the value:

- Under 4 letters or digits (`LI`, `WU`): not searched for alone, only together with the other names.
- 4 to 7 (`ANNA`, `740812`): between characters that are neither letter nor digit; letters in upper, lower or
  title case; inside decoded bytes also surrounded by printable ones.
- 8 digits (`19740812`): not inside a longer number.
- Everything else: anywhere, in any case, with any punctuation, spaces or fillers within.

Non-ASCII values (Chinese names) of two characters and more are searched for as they are, in UTF-8, UTF-16 and
GB 18030; where that makes only 4 bytes, decoded bytes need printable ones around them. From three characters on they
are found in UTF-8 with punctuation and spaces within, too.

Whatever has 8 letters or digits, or isn't ASCII, is found backwards as well.

A year, a month, a masked or pseudonymised value is not raw and is not found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edged.core.mrz_dates import MrzDate
from edged.identity import Identity
from edged.privacy.leaksieve import Sieve
from edged.privacy.leakviews import View, views

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import date

    from edged.core.barcode import Barcode
    from edged.core.card_numbers import CardNumber
    from edged.core.document import DocumentData
    from edged.core.id_card import IdCardData
    from edged.core.mrz import Mrz
    from edged.core.viz import VisualZone

MAX_FINDINGS: Final = 1000
"""A scan of a file full of leaks ends here: nobody reads more, and the first says enough."""

SHORTEST: Final = 4
SHORTEST_OTHER: Final = 2
"""Letters and digits of a value that is searched for by itself: of one in ASCII, of any other."""

_LONG: Final = 8
_PRINTABLE: Final = frozenset(b"\0\t\n\r" + bytes(range(0x20, 0x7F)))
_ALNUM: Final = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")
_IGNORED: Final = bytes(byte for byte in range(1, 0x80) if byte not in _ALNUM and not 0x41 <= byte <= 0x5A)
"""ASCII punctuation and control characters: fillers, spaces, hyphens. Not NUL, which UTF-16 is told by."""
_LOWERED: Final = bytes(range(256)).lower()

_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


class Finding(msgspec.Struct, frozen=True):
    """Raw identity, or bytes that could not be searched through (`kind` "not_scanned").

    `offset` is in the scanned bytes (see `View.offset`), `encoding` how the value was hidden.
    """

    kind: str
    offset: int
    encoding: str


class _Needle(NamedTuple):
    """`text`: lower case, letters and digits alone. `pattern`: what must stand in the lower-cased bytes."""

    kind: str
    text: bytes
    pattern: re.Pattern[bytes] | None


class _Form(NamedTuple):
    """`text`: octets as they stand, or what is left of them without ASCII's punctuation."""

    kind: str
    text: bytes


class LeakScanner(Identity):
    """Searches bytes for raw values. Holds them, so it refuses `repr` and the rest."""

    __slots__ = ("_bare", "_exact")

    def __init__(
        self,
        texts: Iterable[tuple[str, str]],
        dates: Iterable[tuple[str, date]] = (),
        *,
        ignore: Collection[str] = (),
        shortest: int = SHORTEST,
    ) -> None:
        """Take (kind, value) pairs: names and numbers as printed or with fillers, and dates.

        `ignore` are values that the searched bytes hold anyway: a specimen's holder may be called `TEST`. ASCII values
        with fewer letters and digits than `shortest` are left out: where very many documents are searched for at once,
        six digits are somebody's birth date.
        """
        needles: dict[tuple[str, bytes], _Needle] = {}
        exact: set[tuple[str, bytes]] = set()
        squeezed: set[tuple[str, bytes]] = set()
        spelt = [(kind, form) for kind, day in dates for form in _date_forms(day)]
        for kind, value in (*texts, *spelt):
            if value in ignore:
                continue
            if not value.isascii():
                exact |= {(kind, form) for form in _exact_forms(value)}
                squeezed |= {(kind, form) for form in _squeezed_forms(value)}
            elif (needle := _needle(kind, value)) and len(needle.text) >= shortest:
                needles |= {(kind, one.text): one for one in (needle, *_backwards(needle))}
        bare: tuple[_Needle | _Form, ...] = (
            *needles.values(),
            *(_Form(kind, form) for kind, form in squeezed),
        )
        self._bare = Sieve(((one.text, one) for one in bare), lowered=_LOWERED, dropped=_IGNORED)
        self._exact = Sieve((form, _Form(kind, form)) for kind, form in exact)

    @classmethod
    def for_documents(
        cls,
        documents: Iterable[Mrz],
        seen: Iterable[CardNumber | VisualZone | Barcode | IdCardData] = (),
        *,
        ignore: Collection[str] = (),
    ) -> LeakScanner:
        """A scanner for what these documents' MRZs say about their holders, and what else was `seen`.

        That is on their pages, and in the chips of ID cards. Of a visual zone those lines that hold figures: the others
        are names, which the MRZ has as well, and captions, which are no secret. `ignore` as above.
        """
        texts: list[tuple[str, str]] = []
        dates: list[tuple[str, date]] = []
        for one in seen:
            texts += _texts_seen(one)
            dates += _dates_of(one)
        for mrz in documents:
            texts += _texts_of(mrz)
            dates += _dates_of(mrz)
        return cls(texts, dates, ignore=ignore)

    def scan(self, data: bytes) -> list[Finding]:
        """Every finding, by offset; empty when the bytes are clean."""
        found: dict[tuple[str, int], Finding] = {}
        for view in views(data):
            if not view.complete:
                found.setdefault(("not_scanned", 0), Finding("not_scanned", 0, view.encoding))
            for kind, position in self._positions(view):
                offset = view.offset(position)
                found.setdefault((kind, offset), Finding(kind, offset, view.encoding))
                if len(found) >= MAX_FINDINGS:
                    return _in_order(found.values())
        return _in_order(found.values())

    def _positions(self, view: View) -> Iterator[tuple[str, int]]:
        if candidates := self._bare.may_hold(view.data):
            yield from self._written(view, candidates)
        for kind, form in self._exact.may_hold(view.data):
            at = view.data.find(form)
            while at >= 0:
                if len(form) > SHORTEST or _is_surrounded(view, at, at + len(form)):
                    yield kind, at
                at = view.data.find(form, at + 1)

    def _written(self, view: View, candidates: Iterable[_Needle | _Form]) -> Iterator[tuple[str, int]]:
        """Where they stand, in any case and with punctuation within; `candidates` may."""
        lowered = view.data.lower()
        bare = lowered.translate(None, _IGNORED)
        for one in candidates:
            if one.text not in bare:
                continue
            if isinstance(one, _Needle) and one.pattern is not None:
                for match in one.pattern.finditer(lowered):
                    if _is_credible(view, match.start(), match.end()):
                        yield one.kind, match.start()
            else:
                yield from ((one.kind, at) for at in _bare_positions(one.text, lowered, bare))


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (finding.offset, finding.kind))


def _dates_of(held: object) -> Iterator[tuple[str, date]]:
    """Dates of birth and expiry, of whatever has them as fields."""
    for kind in ("birth_date", "expiry_date"):
        found = getattr(held, kind, None)
        if isinstance(found, MrzDate) and found.date is not None:
            yield kind, found.date


def _common_texts(document: DocumentData) -> Iterator[tuple[str, str]]:
    surname, given = document.surname.reveal(), document.given_names.reveal()
    yield "surname", surname
    yield "given_names", given
    for kind, name in (("surname", surname), ("given_names", given)):
        yield from ((kind, part) for part in name.split())
    if surname and given:
        yield from (("name", f"{surname} {given}"), ("name", f"{given} {surname}"))
    yield "document_number", document.document_number.reveal()
    if document.chinese_name is not None:
        yield "chinese_name", document.chinese_name.reveal()


def _texts_of(mrz: Mrz) -> Iterator[tuple[str, str]]:
    yield from _common_texts(mrz)
    yield "optional_data", mrz.optional_data.reveal()
    yield "optional_data", mrz.optional_data_2.reveal()
    if (russian := mrz.russian_passport) is not None:
        for kind in ("surname", "given_names"):
            name = getattr(russian, kind).reveal()
            yield from ((kind, part) for part in {name, *name.split()})
        yield "document_number", russian.number.reveal()
    lines = mrz.lines.reveal()
    yield from (("mrz", line) for line in (*lines, "".join(lines)))


def _texts_of_id_card(card: IdCardData) -> Iterator[tuple[str, str]]:
    yield from _common_texts(card)
    for kind in ("address", "additional_address", "permit_number"):
        yield kind, getattr(card, kind).reveal()
    if card.earlier_number is not None:
        yield "document_number", card.earlier_number.reveal()


def _texts_seen(one: CardNumber | VisualZone | Barcode | IdCardData) -> Iterator[tuple[str, str]]:
    from edged.core.card_numbers import (
        CardNumber,
    )  # loaded only where something was seen: two of them need OpenCV
    from edged.core.id_card import IdCardData
    from edged.core.viz import VisualZone

    if isinstance(one, IdCardData):
        yield from _texts_of_id_card(one)
    elif isinstance(one, CardNumber):
        yield "card_number", one.number.reveal()
    elif isinstance(one, VisualZone):
        for line in one.lines:
            text = line.spaced.reveal().replace("?", " ")
            if any(map(str.isdigit, text)) and sum(map(str.isalnum, text)) >= _LONG:
                yield "print", text
    else:
        said = one.content.reveal().decode("utf-8", "ignore")
        yield from (("barcode", part) for part in {said, *said.splitlines()} if len(part) >= _LONG)


def _date_forms(day: date) -> Iterator[str]:
    """The usual forms; punctuation is ignored in long ones, and wanted where digits alone say nothing."""
    yield from (day.strftime(form) for form in ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d"))
    month = _MONTHS[day.month - 1]
    for name in (month, month[:3]):
        yield from (f"{day:%d}{name}{day.year}", f"{day.day}{name}{day.year}", f"{name}{day.day}{day.year}")
    yield from (f"{day.year}年{day.month}月{day.day}日", f"{day:%Y年%m月%d日}")
    if day.month < 10 or day.day < 10:
        for parts in ((day.year, day.month, day.day), (day.day, day.month, day.year)):
            yield "/".join(str(part) for part in parts)


def _exact_forms(value: str) -> Iterator[bytes]:
    if len(value) < SHORTEST_OTHER:
        return
    for way in {value, value[::-1]}:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
            yield from (form.encode(encoding) for form in {way, way.upper(), way.lower(), way.title()})


def _squeezed_forms(value: str) -> Iterator[bytes]:
    """What is left of the value in UTF-8 where ASCII's punctuation is taken out; enough of it not to be chance."""
    for form in {value, value.upper(), value.lower(), value.title()}:
        for way in {form, form[::-1]}:
            left = way.encode().lower().translate(None, _IGNORED)
            if len(left) > _LONG:
                yield left


def _backwards(needle: _Needle) -> Iterator[_Needle]:
    """The needle written from its end, where it is long enough to be nothing else."""
    text = needle.text[::-1]
    if len(text) >= _LONG and text != needle.text:
        yield _Needle(needle.kind, text, _eight_digits(text) if needle.pattern else None)


def _needle(kind: str, value: str) -> _Needle | None:
    raw = value.lower().encode()
    text = raw.translate(None, _IGNORED)
    if len(text) < SHORTEST:
        return None
    if len(text) > _LONG or (len(text) == _LONG and not text.isdigit()):
        return _Needle(kind, text, None)
    if len(text) == _LONG:
        return _Needle(kind, text, _eight_digits(text))
    # A filler may stand where the value has one, and anywhere in a number; a short date needs its slashes.
    gap = rb"[^a-z0-9]" if "/" in value else rb"[^a-z0-9]{0,2}"
    inner = rb"[^a-z0-9]?" if any(character.isdigit() for character in value) and "/" not in value else b""
    words = [inner.join(bytes([byte]) for byte in word) for word in re.findall(rb"[a-z0-9]+", raw)]
    return _Needle(kind, text, re.compile(rb"(?<![a-z0-9])" + gap.join(words) + rb"(?![a-z0-9])"))


def _eight_digits(text: bytes) -> re.Pattern[bytes]:
    """With up to four octets between them: `", "`, as in a list of single characters, and no more."""
    gaps = b"[^a-z0-9]{0,4}".join(bytes([byte]) for byte in text)
    return re.compile(rb"(?<![0-9])" + gaps + rb"(?![0-9])")


def _bare_positions(text: bytes, lowered: bytes, bare: bytes) -> Iterator[int]:
    """Where `text` stands, counted in `lowered`, though it was found in `bare`, which lacks punctuation."""
    at = bare.find(text)
    while at >= 0:
        low, high = at, len(lowered)
        while low < high:  # the place of the at-th byte that was kept
            middle = (low + high) // 2
            if len(lowered[: middle + 1].translate(None, _IGNORED)) > at:
                high = middle
            else:
                low = middle + 1
        yield low
        at = bare.find(text, at + len(text))


def _is_credible(view: View, start: int, end: int) -> bool:
    """Whether a short match looks written rather than random."""
    match = view.data[start:end]
    if not (match.isupper() or match.islower() or match.istitle() or not any(map(_is_letter, match))):
        return False
    return _is_surrounded(view, start, end)


def _is_surrounded(view: View, start: int, end: int) -> bool:
    """In decoded bytes, most of which mean nothing: whether printable ASCII (or UTF-16's NUL) is around."""
    around = view.data[max(start - 2, 0) : start] + view.data[end : end + 2]
    return view.encoding == "plain" or _PRINTABLE.issuperset(around)


def _is_letter(byte: int) -> bool:
    return chr(byte).isalpha() and byte < 0x80
