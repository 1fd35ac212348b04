"""What `edged read` answers: a page reading as plain data, raw identity included, and as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edged import messages
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from edged.core.mrz import FieldCheck, Mrz, MrzDate
    from edged.core.reading import PageReading


def printable(name: str) -> str:
    """A file's name as it can be shown: bytes that are no text, and what would steer a terminal, escaped."""
    shown = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def describe(reading: PageReading, lang: str) -> dict[str, Any]:
    """A page reading as plain data, raw identity included."""
    answer: dict[str, Any] = {}
    if reading.mrz is not None:
        answer["format"] = str(reading.mrz.format)
        answer["lines"] = list(reading.mrz.lines.reveal())
        answer["fields"] = _fields(reading.mrz)
    answer["valid"] = reading.valid
    answer["confidence"] = round(reading.confidence, 3)
    answer["reasons"] = [told(reason, lang) for reason in reading.reasons]
    answer["rotation"] = reading.rotation
    answer["ms"] = round(reading.timings_ms["total"], 1)
    return answer


def told(reason: Reason, lang: str) -> dict[str, str]:
    """A reason's code and its sentence."""
    return {"code": reason.code, "text": messages.reason(reason, lang)}


def _fields(mrz: Mrz) -> dict[str, dict[str, str | None]]:
    """Each field with its value and the outcome of its own checks: `successful`, `failed`, `undetermined`, or None."""
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
    return {
        name: {"value": value, "check": _outcome(name, (*mrz.check_digits, *mrz.field_checks))}
        for name, value in found.items()
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
    page = f"#{answer['page']}" if "page" in answer else ""
    lines = [f"{answer['file']}{page}"]
    lines += [f"  {line}" for line in answer.get("lines", ())]
    for name, field in answer.get("fields", {}).items():
        if field["value"]:
            mark = "" if field["check"] is None else f"  [{messages.text('result.' + field['check'], lang)}]"
            lines.append(f"  {messages.word(name, lang)}: {field['value']}{mark}")
    state = "reading.word_valid" if answer["valid"] else "reading.word_not_valid"
    timing = f" ({answer['ms']} ms)" if "ms" in answer else ""
    lines.append(f"  {messages.text(state, lang)}{timing}")
    lines += [f"  - {reason['text']}" for reason in answer["reasons"]]
    lines += [f"  → {name}" for name in answer.get("written", ())]
    return "\n".join(lines)
