"""What `edged read` answers: a page reading as plain data, raw identity included, and as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edged import messages
from edged.core import countries
from edged.core.document_names import name_of
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from edged.core.mrz import FieldCheck, Mrz, MrzDate, RussianPassport
    from edged.core.reading import PageReading


def printable(name: str) -> str:
    """A file's name as it can be shown: bytes that are no text, and what would steer a terminal, escaped."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def describe(reading: PageReading, lang: str) -> dict[str, Any]:
    """A page reading as plain data, raw identity included."""
    answer: dict[str, Any] = {}
    if reading.mrz is not None:
        answer["document"] = name_of(reading.mrz, lang)
        answer["format"] = str(reading.mrz.format)
        answer["lines"] = list(reading.mrz.lines.reveal())
        answer["fields"] = _fields(reading.mrz, lang)
        if reading.mrz.russian_passport is not None:
            answer["russian_passport"] = _russian(reading.mrz.russian_passport)
    answer["valid"] = reading.valid
    answer["confidence"] = round(reading.confidence, 3)
    answer["reasons"] = [told(reason, lang) for reason in reading.reasons]
    answer["rotation"] = reading.rotation
    answer["ms"] = round(reading.timings_ms["total"], 1)
    return answer


def told(reason: Reason, lang: str) -> dict[str, str]:
    """A reason's code and its sentence."""
    return {"code": reason.code, "text": messages.reason(reason, lang)}


def _fields(mrz: Mrz, lang: str) -> dict[str, dict[str, str | None]]:
    """Each field with its value and the outcome of its own checks: `successful`, `failed`, `undetermined`, or None.

    Codes of states have their `name` as well, where they are known.
    """
    found: dict[str, str | None] = {
        "issuing_state": mrz.issuing_state,
        "nationality": mrz.nationality.reveal(),
        "document_number": mrz.document_number.reveal(),
        "surname": mrz.surname.reveal(),
        "given_names": mrz.given_names.reveal(),
        "birth_date": _date(mrz.birth_date),
        "expiry_date": _date(mrz.expiry_date),
        "sex": mrz.sex.reveal(),
        "optional_data": mrz.optional_data.reveal(),
    }
    if mrz.chinese_name is not None:
        found["chinese_name"] = mrz.chinese_name.reveal()
    fields = {
        name: {"value": value, "check": _outcome(name, (*mrz.check_digits, *mrz.field_checks))}
        for name, value in found.items()
    }
    for name in ("issuing_state", "nationality"):
        code = found[name] or ""
        if countries.known(code):
            fields[name]["name"] = countries.name(code, lang)
    return fields


def _russian(passport: RussianPassport) -> dict[str, str | None]:
    """What only an internal passport says, in Cyrillic; values that its lines don't give are empty or None."""
    return {
        "surname": passport.surname.reveal(),
        "given_names": passport.given_names.reveal(),
        "document_number": passport.number.reveal(),
        "issue_date": _date(passport.issue_date),
        "department": passport.department.reveal(),
    }


_CHECK_NAMES: Final = {"surname": ("name", "surname"), "given_names": ("name", "given_names")}


def _outcome(field: str, checks: tuple[FieldCheck, ...]) -> str | None:
    names = _CHECK_NAMES.get(field, (field,))
    results = {check.result for check in checks if check.name in names}
    for worst in (Result.FAILED, Result.UNDETERMINED, Result.SUCCESSFUL):
        if worst in results:
            return str(worst)
    return None


def _date(date: MrzDate | None) -> str | None:
    """ISO 8601, as far as it is known: 1974, 1974-08, 1974-08-12; as printed when not even the year is."""
    if date is None:
        return None
    parts = []
    for value, width in ((date.year, 4), (date.month, 2), (date.day, 2)):
        if value is None:
            break
        parts.append(f"{value:0{width}d}")
    return "-".join(parts) or date.raw


def human(answer: dict[str, Any], lang: str) -> str:
    """A block of lines for people."""
    from edged.commands._read_extras import human_extras  # which needs this module

    page = f"#{answer['page']}" if "page" in answer else ""
    lines = [f"{answer['file']}{page}"]
    lines += [f"  {answer['document']}"] if "document" in answer else []
    lines += [f"  {line}" for line in answer.get("lines", ())]
    for name, field in answer.get("fields", {}).items():
        if field["value"]:
            mark = "" if field["check"] is None else f"  [{messages.text('result.' + field['check'], lang)}]"
            called = f" ({field['name']})" if "name" in field else ""
            lines.append(f"  {messages.word(name, lang)}: {field['value']}{called}{mark}")
    for name, value in answer.get("russian_passport", {}).items():
        lines += [f"  {messages.word(name, lang)}: {value}"] if value else []
    lines += [f"  {line}" for line in human_extras(answer, lang)]
    state = "reading.word_valid" if answer["valid"] else "reading.word_not_valid"
    timing = f" ({answer['ms']} ms)" if "ms" in answer else ""
    lines.append(f"  {messages.text(state, lang)}{timing}")
    lines += [f"  - {reason['text']}" for reason in answer["reasons"]]
    lines += [f"  → {name}" for name in answer.get("written", ())]
    return "\n".join(lines)
