"""The inverse of parsing: field values become the lines of an MRZ, its check digits computed.

For renderers of specimens, simulators and tests. A value that can't be printed is the caller's bug: a
ValueError that names the field and never the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.core import _fastmrz
from edged.core.layouts import LAYOUTS, CheckDigit, CheckRule, Field, Layout, MrzFormat
from edged.core.mrz_names import encode_ga, encode_quwei, field_name, join_name
from edged.core.mrz_russian import DIGITS, is_internal_passport

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def format_mrz(
    format: MrzFormat,  # noqa: A002
    fields: Mapping[str, str],
    *,
    empty_check: str = "<",
    long_number_filler: bool = False,
) -> tuple[str, ...]:
    """The lines of an MRZ with these fields; what isn't given is printed as fillers.

    `fields` has the keys of `Mrz.fields`: the layout's own names, but `surname` and `given_names` for a name.
    Names may hold spaces, hyphens and apostrophes, and are cut where they don't fit; dates are `YYMMDD`; the
    sex is `M`, `F` or `X`; a Chinese name in Chinese characters is coded and cut; a long document number of
    TD1 and TD2 flows into the optional data.

    Where issuers differ: `empty_check` is the check digit of an empty field, `<` or `0`; `long_number_filler`
    says whether a long number's check digit weighs the filler in its place.

    Raises ValueError naming the field that can't be printed.
    """
    layout = LAYOUTS[format]
    values = dict(fields)
    if "name" in values:
        raise ValueError(f"{format} has no field name: it is made of surname and given_names")
    if "name" in layout.spans:
        width = _width(layout, "name")
        values["name"] = join_name(values.pop("surname", ""), values.pop("given_names", ""), width)
    elif format is MrzFormat.FRA_ID:
        values |= {key: field_name(values.get(key, "")) for key in ("surname", "given_names")}
        values |= {key: values[key][: _width(layout, key)] for key in ("surname", "given_names")}
    if values.get("sex") == "X":
        values["sex"] = "<"
    _code_chinese_name(layout, values)
    long_check = _spill_long_number(layout, values, long_number_filler)
    unknown = values.keys() - {field.name for field in layout.fields if not _computed(field)}
    if unknown:
        raise ValueError(f"{format} has no field {min(unknown)}")
    russian = format is MrzFormat.TD3 and is_internal_passport(
        values.get("document_code", "") + values.get("issuing_state", "")
    )
    text = "".join(
        _padded(field, values.get(field.name, ""), DIGITS if russian and field.name == "name" else ())
        for field in layout.fields
    )
    for check in layout.checks:
        if long_check and check.name == "document_number":
            continue  # it stands in the optional data
        text = text[: check.position] + _digit(check, text, empty_check) + text[check.position + 1 :]
    return tuple(text[at : at + layout.width] for at in range(0, len(text), layout.width))


def _computed(field: Field) -> bool:
    return field.name.endswith("_check") or field.name.startswith("filler")


def _width(layout: Layout, field: str) -> int:
    start, stop = layout.spans[field]
    return stop - start


def _padded(field: Field, value: str, more: Collection[str]) -> str:
    """The field as printed; `more` may stand in it beside its alphabet."""
    width = field.stop - field.start
    if len(value) > width:
        raise ValueError(f"{field.name} holds {width} characters")
    allowed = zip(value, field.alphabets, strict=False)
    if not all(character in alphabet or character in more for character, alphabet in allowed):
        raise ValueError(f"{field.name} holds a character that may not stand there")
    return value.ljust(width, "<")


def _digit(check: CheckDigit, text: str, empty_check: str) -> str:
    covered = "".join(text[start:stop] for start, stop in check.spans)
    if check.rule is CheckRule.EMPTY_MAY_BE_FILLER and not covered.strip("<"):
        return empty_check
    return str(_fastmrz.check_digit(covered.encode("ascii")))


def _code_chinese_name(layout: Layout, values: dict[str, str]) -> None:
    """Code a name given in Chinese characters, and count those that don't fit."""
    name = values.get("chinese_name", "")
    if name.isascii() or "chinese_name" not in layout.spans:
        return
    room = _width(layout, "chinese_name") // 4
    if layout.format is MrzFormat.PRC_CARD:
        values["chinese_name"] = encode_ga(name[:room])
        values.setdefault("omitted_characters", chr(ord("A") + max(0, len(name) - room)))
    else:
        values["chinese_name"] = encode_quwei(name[:room])
        values.setdefault("omitted_characters", str(max(0, len(name) - room)))


def _spill_long_number(layout: Layout, values: dict[str, str], with_filler: bool) -> bool:
    """Move what doesn't fit of a TD1's or TD2's number into the optional data; True when it did."""
    number = values.get("document_number", "")
    room = _width(layout, "document_number")
    if len(number) <= room or layout.checks[0].rule is not CheckRule.NUMBER_MAY_CONTINUE:
        return False
    if not number.isascii():
        raise ValueError("document_number holds a character that may not stand there")
    head, rest = number[:room], number[room:]
    digit = _fastmrz.check_digit((head + "<" * with_filler + rest).encode("ascii"))
    values["document_number"] = head
    optional_data = values.get("optional_data", "")
    values["optional_data"] = f"{rest}{digit}" + (f"<{optional_data}" if optional_data else "")
    return True
