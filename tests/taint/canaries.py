"""People who don't exist, from a seed: no value shorter than eight characters, none of them anybody else's."""

from __future__ import annotations

import datetime
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edged.core.layouts import LAYOUTS, MrzFormat
from edged.core.mrz import format_mrz, parse_mrz
from edged.emulator.id_cards import EmulatedIdCard, card_text, noise
from edged.privacy.leakscan import LeakScanner
from edged.specimens import FIXED_TODAY

if TYPE_CHECKING:
    from collections.abc import Iterable

SEED: Final = 9303
_CONSONANTS, _VOWELS = "BDFGKLMNPRSTVZ", "AEIOU"
_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_DIGITS: Final = "0123456789"
_HAN: Final = "赵钱孙李周吴郑冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏"
_CYRILLIC: Final = "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ"
_ARABIC: Final = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"
_CODES: Final = {
    MrzFormat.TD1: "I", MrzFormat.TD2: "I", MrzFormat.TD3: "P", MrzFormat.MRVA: "V", MrzFormat.MRVB: "V",
    MrzFormat.FRA_ID: "ID", MrzFormat.PRC_PERMIT: "CS", MrzFormat.PRC_CARD: "CR", MrzFormat.PRC_HOME_RETURN: "W",
}  # fmt: skip
PLAIN: Final = (MrzFormat.TD1, MrzFormat.TD2, MrzFormat.TD3, MrzFormat.MRVA, MrzFormat.MRVB)
"""The layouts of Doc 9303. Those of one issuer have their own kinds of document: `Canary.lines` of them come from
published specimens in other tests."""


@dataclass(frozen=True)
class Canary:
    """One person and their documents. Not an identity type: nobody is identified by it, and tests compare it."""

    number: int
    format: MrzFormat
    surname: str
    given_names: str
    document_number: str
    optional_data: str
    birth: datetime.date
    expiry: datetime.date
    han: str
    """Twelve Chinese characters: a name, as long as the ID card has room for."""
    cyrillic: str
    arabic: str
    address: str
    card_number: str
    coming_from: str
    """What a clerk types of them, this and the next two."""
    going_to: str
    visa_number: str
    lines: tuple[str, ...] = field(default=())

    def forged(self) -> tuple[str, ...]:
        """The same document with one wrong check digit: that of the birth date."""
        layout = LAYOUTS[self.format]
        check = next(one for one in layout.checks if one.name == "birth_date")
        text = "".join(self.lines)
        wrong = str((int(text[check.position]) + 1) % 10)
        text = text[: check.position] + wrong + text[check.position + 1 :]
        return tuple(text[at : at + layout.width] for at in range(0, len(text), layout.width))

    def id_card(self) -> EmulatedIdCard:
        """A citizen's card with this person's Chinese name, number and address."""
        text = card_text(
            *((0, self.han), (30, "2"), (32, "01"), (36, f"{self.birth:%Y%m%d}"), (52, self.address)),
            *(
                (122, self.card_number),
                (158, "样本市公安局"),
                (188, "20210301"),
                (204, f"{self.expiry:%Y%m%d}"),
            ),
        )
        return EmulatedIdCard(f"canary-{self.number}", {"en": "canary"}, text, noise(f"canary {self.number}"))

    def texts(self) -> list[tuple[str, str]]:
        """(kind, value) of everything raw that must never come out, dates apart."""
        text = "".join(self.lines)
        spans = LAYOUTS[self.format].spans
        dates = text[spans["birth_date"][0] : spans["expiry_date"][1]]
        return [
            ("surname", self.surname),
            ("given_names", self.given_names),
            ("name", f"{self.surname} {self.given_names}"),
            ("name", f"{self.given_names} {self.surname}"),
            ("document_number", self.document_number),
            ("optional_data", self.optional_data),
            ("dates", dates),
            *(("mrz", line) for line in (*self.lines, *self.forged())),
            ("chinese_name", self.han),
            ("native_name", self.cyrillic),
            ("native_name", self.arabic),
            ("address", self.address),
            ("card_number", self.card_number),
            ("coming_from", self.coming_from),
            ("going_to", self.going_to),
            ("visa_number", self.visa_number),
        ]

    def dates(self) -> list[tuple[str, datetime.date]]:
        """Dates, of which every long way to write them is searched for."""
        return [("birth_date", self.birth), ("expiry_date", self.expiry)]


def canary(number: int, format_: MrzFormat | None = None, *, seed: int = SEED) -> Canary:
    """Person `number` of a seed; without a layout each gets another one."""
    chance = random.Random(f"{seed} {number}")
    layout = format_ or PLAIN[number % len(PLAIN)]
    start, stop = LAYOUTS[layout].spans["optional_data"]
    today = datetime.datetime.now(datetime.UTC).date()
    born = _away_from(today, datetime.date(1941 + chance.randrange(60), 1, 1), chance)
    person = Canary(
        number=number,
        format=layout,
        surname=_name(chance, 8 + chance.randrange(3)),
        given_names=_name(chance, 8),
        document_number=_some(chance, _LETTERS, 2) + _some(chance, _DIGITS, 6) + _some(chance, _LETTERS, 1),
        optional_data=_some(chance, _LETTERS + _DIGITS, min(stop - start, 11)),
        birth=born,
        expiry=_away_from(today, datetime.date(2028 + chance.randrange(6), 1, 1), chance),
        han=_some(chance, _HAN, 12),
        cyrillic=_some(chance, _CYRILLIC, 9),
        arabic=_some(chance, _ARABIC, 9),
        address=_some(chance, _HAN, 14) + f"路{chance.randrange(100, 999)}号",
        card_number=_citizen_number(chance, born),
        coming_from=_name(chance, 10),
        going_to=_name(chance, 11),
        visa_number=_some(chance, _LETTERS, 3) + _some(chance, _DIGITS, 7),
    )
    fields = {
        "document_code": _CODES[layout],
        "issuing_state": "UTO",
        "nationality": "UTO",
        "surname": person.surname,
        "given_names": person.given_names,
        "document_number": person.document_number,
        "birth_date": f"{person.birth:%y%m%d}",
        "expiry_date": f"{person.expiry:%y%m%d}",
        "sex": chance.choice("MF"),
        "optional_data": person.optional_data,
    }
    lines = format_mrz(layout, fields)
    assert parse_mrz(lines, today=FIXED_TODAY).valid, "a canary's own document is genuine"
    return Canary(**{**person.__dict__, "lines": lines})


def scanner(people: Iterable[Canary]) -> LeakScanner:
    """Finds whatever is theirs."""
    everybody = tuple(people)
    return LeakScanner(
        [text for person in everybody for text in person.texts()],
        [day for person in everybody for day in person.dates()],
        shortest=8,
    )


def _name(chance: random.Random, length: int) -> str:
    pair = (_CONSONANTS, _VOWELS)
    return "".join(chance.choice(pair[at % 2]) for at in range(length))


def _some(chance: random.Random, of: str, count: int) -> str:
    return "".join(chance.choice(of) for _ in range(count))


def _away_from(today: datetime.date, year: datetime.date, chance: random.Random) -> datetime.date:
    """A day of the year that no certificate and no log line of today is likely to name."""
    day = year + datetime.timedelta(chance.randrange(365))
    return day if day.month != today.month else day - datetime.timedelta(45)


def _citizen_number(chance: random.Random, born: datetime.date) -> str:
    """Of GB 11643-1999: a place, the birth date, a sequence, and the check character of ISO 7064 MOD 11-2."""
    body = f"110105{born:%Y%m%d}{chance.randrange(1000):03}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True))
    return body + "10X98765432"[total % 11]


_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
