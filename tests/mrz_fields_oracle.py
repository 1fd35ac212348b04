"""The slow, obvious parser: every typed field of an MRZ, read off the standards' tables as a person does.

Like `mrz_oracle`, whose classification and check digits it uses, it shares nothing with edged; the list of known
codes is data and given to it. Places are (line, start, stop).
"""

from __future__ import annotations

import calendar
import datetime
import re
import string
from typing import TYPE_CHECKING, Any

from tests import mrz_oracle

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

DIGITS, LETTERS = set(string.digits), set(string.ascii_uppercase)
NUMERIC, NAME, ANY = DIGITS | {"<"}, LETTERS | {"<"}, DIGITS | LETTERS | {"<"}
GA = set("ABCDEFGHIJKLMNOP<")

Place = tuple[int, int, int]
HEAD: dict[str, Place] = {"document_code": (0, 0, 2), "issuing_state": (0, 2, 5)}
PERSON: dict[str, Place] = {
    "document_number": (1, 0, 9),
    "nationality": (1, 10, 13),
    "birth_date": (1, 13, 19),
    "sex": (1, 20, 21),
    "expiry_date": (1, 21, 27),
}
PLACES: dict[str, dict[str, Place]] = {
    "TD1": {
        **HEAD,
        "document_number": (0, 5, 14),
        "optional_data": (0, 15, 30),
        "birth_date": (1, 0, 6),
        "sex": (1, 7, 8),
        "expiry_date": (1, 8, 14),
        "nationality": (1, 15, 18),
        "optional_data_2": (1, 18, 29),
        "name": (2, 0, 30),
    },
    "TD2": {**HEAD, "name": (0, 5, 36), **PERSON, "optional_data": (1, 28, 35)},
    "TD3": {**HEAD, "name": (0, 5, 44), **PERSON, "optional_data": (1, 28, 42)},
    "MRVA": {**HEAD, "name": (0, 5, 44), **PERSON, "optional_data": (1, 28, 44)},
    "MRVB": {**HEAD, "name": (0, 5, 36), **PERSON, "optional_data": (1, 28, 36)},
    "FRA_ID": {
        **HEAD,
        "surname": (0, 5, 30),
        "administrative_code": (0, 30, 36),
        "document_number": (1, 0, 12),
        "given_names": (1, 13, 27),
        "birth_date": (1, 27, 33),
        "sex": (1, 34, 35),
    },
    "PRC_PERMIT": {
        "document_code": (0, 0, 2),
        "document_number": (0, 2, 11),
        "filler": (0, 12, 13),
        "expiry_date": (0, 13, 19),
        "filler_2": (0, 20, 21),
        "birth_date": (0, 21, 27),
        "filler_3": (0, 28, 29),
    },
    "PRC_CARD": {
        "document_code": (0, 0, 2),
        "document_number": (0, 2, 11),
        "renewals": (0, 12, 14),
        "expiry_date": (0, 15, 21),
        "sex": (0, 22, 23),
        "birth_date": (0, 23, 29),
        "chinese_name": (1, 0, 16),
        "omitted_characters": (1, 16, 17),
        "omitted_letters": (1, 17, 18),
        "birth_century": (1, 18, 19),
        "optional_data": (1, 19, 29),
        "name": (2, 0, 26),
        "authority": (2, 26, 30),
    },
    "PRC_HOME_RETURN": {
        **HEAD,
        "chinese_name": (0, 5, 25),
        "omitted_characters": (0, 25, 26),
        "filler": (0, 27, 29),
        "birth_date": (1, 0, 6),
        "sex": (1, 7, 8),
        "expiry_date": (1, 8, 14),
        "document_number": (1, 15, 24),
        "renewals": (1, 24, 26),
        "birth_century": (1, 27, 28),
        "expiry_century": (1, 28, 29),
        "name": (2, 0, 30),
    },
}
USUAL: dict[str, set[str]] = {
    "issuing_state": NAME,
    "name": NAME,
    "surname": NAME,
    "given_names": NAME,
    "nationality": NAME,
    "birth_date": NUMERIC,
    "expiry_date": NUMERIC,
    "sex": set("MFX<"),
    "renewals": NUMERIC,
    "birth_century": NUMERIC,
    "expiry_century": NUMERIC,
    "authority": NUMERIC,
    "omitted_characters": NAME,
    "omitted_letters": NAME,
    "filler": {"<"},
    "filler_2": {"<"},
    "filler_3": {"<"},
}
"""What a field may hold; anything of the alphabet where nothing is said."""

NUMBERS = {
    "CS": r"C[0-9A-HJ-NP-Z][0-9]{7}",
    "CD": r"L[0-9]{8}",
    "CR": r"[HM][0-9]{8}",
    "CT": r"[0-9]{8}<",
    "CF": r"[HM]A[0-9]{7}",
}

Day = dict[str, Any]


def take(lines: Sequence[str], place: Place) -> str:
    line, start, stop = place
    return lines[line][start:stop]


def words(raw: str) -> str:
    return " ".join(part for part in raw.split("<") if part)


def number_or_none(text: str) -> int | None:
    return int(text) if len(text) == 2 and set(text) <= DIGITS else None


def day_exists(year: int | None, month: int | None, day: int | None) -> bool:
    """Whether some day of the calendar agrees with what is known."""
    for one in [2000] if year is None else [year]:
        for month_ in range(1, 13) if month is None else [month]:
            if 1 <= month_ <= 12:
                if day is None:
                    return True
                # a month without its year is as long as it ever gets
                longest = calendar.monthrange(one if year is not None else 2000, month_)[1]
                if 1 <= day <= longest:
                    return True
    return False


def dated(raw: str, year: int | None) -> Day:
    month, day = number_or_none(raw[2:4]), number_or_none(raw[4:6])
    found: Day = {"raw": raw, "year": year, "month": month, "day": day, "date": None, "problem": None}
    whole = None not in (year, month, day)
    if not day_exists(year if whole else None, month, day):
        found["problem"] = "mrz.date_impossible"
    elif whole:
        found["date"] = datetime.date(year or 0, month or 0, day or 0)
    elif any(
        number_or_none(raw[at : at + 2]) is None and raw[at : at + 2] != "<<" for at in range(0, len(raw), 2)
    ):
        found["problem"] = "mrz.date_malformed"
    return found


def birth(raw: str, today: datetime.date, century: int | None = None) -> Day:
    short, month, day = (number_or_none(raw[at : at + 2]) for at in (0, 2, 4))
    if short is None:
        return dated(raw, None)

    def ahead(year: int) -> bool:
        """Certainly later than today, with what is unknown as early as can be."""
        known = (year,) if month is None else (year, month) if day is None else (year, month, day)
        return known > (today.year, today.month, today.day)[: len(known)]

    if century is None:
        years = [year for year in range(today.year, today.year - 101, -1) if year % 100 == short]
        return dated(raw, next(year for year in years if not ahead(year)))
    found = dated(raw, 100 * century + short)
    if ahead(100 * century + short):
        found |= {"date": None, "problem": found["problem"] or "mrz.birth_in_future"}
    return found


def expiry(raw: str, today: datetime.date, century: int | None = None) -> Day:
    short = number_or_none(raw[:2])
    if short is None:
        return dated(raw, None)
    if century is not None:
        return dated(raw, 100 * century + short)
    (year,) = [year for year in range(today.year - 49, today.year + 51) if year % 100 == short]
    return dated(raw, year)


def decoded(raw: str, encoding: str) -> str | None:
    raw = raw.rstrip("<")
    if not raw or len(raw) % 4:
        return None
    if encoding == "gbk":
        if not set(raw) <= GA - {"<"}:
            return None
        nibbles = ["ABCDEFGHIJKLMNOP".index(letter) for letter in raw]
        coded = bytes(16 * high + low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))
    else:
        if not set(raw) <= DIGITS:
            return None
        numbers = [int(raw[at : at + 2]) for at in range(0, len(raw), 2)]
        if max(numbers) > 94:
            return None
        coded = bytes(160 + number for number in numbers)
    try:
        name = coded.decode(encoding)
    except UnicodeDecodeError:
        return None
    return name if len(name) == len(raw) // 4 else None


def prc(format_: str, lines: Sequence[str]) -> dict[str, Any]:
    """Chinese name, characters and letters left out, centuries, whether a name codes nothing."""
    found: dict[str, Any] = dict.fromkeys(["name", "omitted", "letters", "birth", "expiry"])
    found["unreadable"] = False
    if format_ == "TD3" and lines[0][2:5] == "CHN":
        data = lines[1][28:42]
        name = decoded(data[:12], "gbk")
        if name and data[12] in GA - {"<"} and data[13] in DIGITS:
            century = {"9": 19, "0": 20}.get(data[13])
            found |= {"name": name, "omitted": ord(data[12]) - 65, "birth": century}
    if format_ == "PRC_CARD":
        found["birth"] = {"B": 19, "C": 20}.get(lines[1][18])
        raw = lines[1][:12] if lines[0][1] == "F" else lines[1][:16]
        found["name"] = decoded(raw, "gbk")
        found["unreadable"] = found["name"] is None and not (lines[0][1] == "F" and set(raw) == {"<"})
        if lines[0][1] != "F":
            counts = {letter: count for count, letter in enumerate("ABCDEFGHIJKLMNOP")}
            found |= {"omitted": counts.get(lines[1][16]), "letters": counts.get(lines[1][17])}
    if format_ == "PRC_HOME_RETURN":
        found["name"] = decoded(lines[0][5:25], "gb2312")
        found["unreadable"] = found["name"] is None
        found["omitted"] = int(lines[0][25]) if lines[0][25] in DIGITS else None
        found["birth"] = {"1": 19, "2": 20}.get(lines[1][27])
        found["expiry"] = {"1": 19, "2": 20}.get(lines[1][28])
    return found


def issue(format_: str, lines: Sequence[str], today: datetime.date) -> Day | None:
    if format_ == "FRA_ID":
        return birth(lines[1][:4], today)
    if format_ == "TD3" and lines[0].startswith("PNRUS") and re.fullmatch("[0-9]{13}<", lines[1][28:42]):
        return birth(lines[1][29:35], today)
    return None


def document_class(format_: str, code: str) -> str:
    if format_ in {"MRVA", "MRVB"}:
        return "visa"
    if format_.startswith("PRC_"):
        return "permit"
    if format_ == "FRA_ID":
        return "identity_card"
    if format_ == "TD3":
        return "passport" if code[:1] == "P" else "unknown"
    if code in {"RP", "TR", "IR", "AR"}:
        return "permit"
    if code[:1] == "P":
        return "passport"
    return "identity_card" if code[:1] in {"A", "C", "I"} else "unknown"


def region(format_: str, lines: Sequence[str]) -> str | None:
    if format_ != "TD3" or lines[0][2:5] != "CHN":
        return None
    number, data = lines[1][:9], lines[1][28:42]
    if re.fullmatch(r"([A-P]{4}){1,3}<*", data[:12]) and data[12] in GA - {"<"} and data[13] in DIGITS:
        return "mainland"
    if number[0] in "KH" and re.fullmatch(r"[A-Z]{1,2}[0-9]{7}<*", data):
        return "hong_kong"
    return "macao" if number[0] == "M" else None


def misplaced(format_: str, field: str, raw: str) -> bool:
    if field == "document_code":
        return format_ not in {"PRC_PERMIT", "PRC_CARD", "PRC_HOME_RETURN"} and raw[0] not in LETTERS
    if field == "chinese_name":
        if format_ == "PRC_HOME_RETURN":
            return not set(raw) <= NUMERIC
        return not (set(raw[:12]) <= GA and set(raw[12:]) <= NAME)
    if format_ == "PRC_CARD" and field == "birth_century":
        return raw not in GA
    if format_ == "PRC_HOME_RETURN" and field == "omitted_characters":
        return raw not in NUMERIC
    if format_ == "FRA_ID" and field == "document_number":
        return not (set(raw[:4]) <= NUMERIC and set(raw[7:]) <= NUMERIC)
    return not set(raw) <= USUAL.get(field, ANY)


def name_has_gap(raw: str) -> bool:
    """`<` at the start, or more than one `<<`, or three fillers in a row, before the name's end."""
    return raw.startswith("<") or re.search("<<.*<<|<<<", raw.rstrip("<")) is not None


def field_problems(
    format_: str, lines: Sequence[str], known: Collection[str], days: dict[str, Day], unreadable: bool
) -> dict[str, tuple[str, str]]:
    """Field to (result, reason code) of every field that isn't fine."""
    failed: dict[str, str] = {}
    warned: dict[str, str] = {}
    russian = lines[0].startswith("PNRUS") and format_ == "TD3" and not set(lines[0][5:]) & set("015")
    for field, place in PLACES[format_].items():
        raw = take(lines, place)
        if misplaced(format_, field, raw) and not (field == "name" and russian):
            failed.setdefault(field, "mrz.field_characters")
        if field in {"issuing_state", "nationality"} and (
            raw.rstrip("<") not in known or "<" in raw.rstrip("<")
        ):
            warned[field] = "mrz.unknown_country"
        if field in {"name", "document_number"} or (field == "surname" and format_ == "FRA_ID"):
            if set(raw) == {"<"}:
                failed.setdefault(field, "mrz.field_empty")
            elif field != "document_number" and name_has_gap(raw):
                warned[field] = "mrz.name_gap"
        if field in days and days[field]["date"] is None:
            if days[field]["problem"]:
                failed.setdefault(field, days[field]["problem"])
            else:
                warned[field] = "mrz.date_incomplete"
        if field == "sex" and raw == "X":
            warned[field] = "mrz.sex_letter_x"
        if field == "document_code":
            letters = {"TD1": "ACI", "TD2": "ACI", "TD3": "P"}.get(format_)
            if letters and (raw[0] not in letters or raw[1] == "V"):
                warned[field] = "mrz.unusual_document_code"
        form = NUMBERS[lines[0][:2]] if format_ in {"PRC_PERMIT", "PRC_CARD"} else ".*"
        if field == "document_number" and not re.fullmatch(form, raw):
            warned[field] = "mrz.unusual_number"
        if field == "chinese_name" and unreadable:
            warned[field] = "mrz.chinese_name_unreadable"
    found = {field: ("undetermined", code) for field, code in warned.items()}
    found |= {field: ("failed", code) for field, code in failed.items()}
    return {("filler" if field.startswith("filler") else field): problem for field, problem in found.items()}


def parse(lines: Sequence[str], today: datetime.date, known: Collection[str]) -> dict[str, Any] | None:
    """Every field by its name; None for what is no MRZ."""
    format_, failing = mrz_oracle.judge(lines)
    if format_ is None:
        return None
    places = PLACES[format_]

    def printed(field: str) -> str:
        return take(lines, places[field]).rstrip("<") if field in places else ""

    coded = prc(format_, lines)
    if "name" in places:
        primary, _, secondary = printed("name").partition("<<")
        surname, given = words(primary), words(secondary)
    else:
        surname, given = words(printed("surname")), words(printed("given_names"))
    number, optional = printed("document_number"), printed("optional_data")
    check = {"TD1": lines[0][14], "TD2": lines[-1][9]}.get(format_, "")
    rest = optional.split("<")[0]
    if check == "<" and len(number) == 9 and len(rest) >= 2:
        number, optional = number + rest[:-1], optional[len(rest) + 1 :]
    nationality = printed("nationality") if "nationality" in places else "CHN"
    if format_ == "FRA_ID":
        nationality = "FRA"
    if lines[0].startswith("CF") and format_ == "PRC_CARD":
        nationality = lines[1][15:18].rstrip("<")
    days = {"birth_date": birth(take(lines, places["birth_date"]), today, coded["birth"])}
    if "expiry_date" in places:
        days["expiry_date"] = expiry(take(lines, places["expiry_date"]), today, coded["expiry"])
    problems = field_problems(format_, lines, known, days, coded["unreadable"])
    fields = dict.fromkeys("filler" if field.startswith("filler") else field for field in places)
    digits = {
        name: (
            None
            if name not in failing
            else ("undetermined", "mrz.composite_unproven")
            if (format_, name) == ("PRC_PERMIT", "composite")
            else ("failed", "mrz.check_digit_wrong")
        )
        for name in mrz_oracle.JUDGES[format_](lines)
    }
    code = lines[0][:2].rstrip("<")
    digits_ok = not any(found and found[0] == "failed" for found in digits.values())
    fields_ok = not any(result == "failed" for result, _ in problems.values())
    names = [take(lines, places[field]) for field in ("name", "surname", "given_names") if field in places]
    return {
        "format": format_,
        "document_class": document_class(format_, code),
        "document_code": code,
        "issuing_state": printed("issuing_state") if "issuing_state" in places else "CHN",
        "lines": tuple(lines),
        "surname": surname,
        "given_names": given,
        "document_number": number,
        "nationality": nationality,
        "sex": {"<": "X"}.get(printed("sex") or "<", printed("sex")) if "sex" in places else "",
        "optional_data": optional,
        "optional_data_2": printed("optional_data_2"),
        "birth_date": days["birth_date"],
        "expiry_date": days.get("expiry_date"),
        "issue_date": issue(format_, lines, today),
        "chinese_name": coded["name"],
        "chinese_characters_omitted": coded["omitted"],
        "name_may_be_truncated": bool(coded["letters"]) or any(name[-1] != "<" for name in names),
        "region": region(format_, lines),
        "specimen": lines[0][2:5] == "UTO" and "issuing_state" in places,
        "check_digits": list(digits.items()),
        "field_checks": [(field, problems.get(field)) for field in fields],
        "check_digits_ok": digits_ok,
        "fields_ok": fields_ok,
        "valid": digits_ok and fields_ok,
        "reasons": [
            (found[1], name)
            for name, found in [*digits.items(), *((f, problems.get(f)) for f in fields)]
            if found
        ],
    }
