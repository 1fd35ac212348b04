"""The JSON Schema of a lodging record's plaintext, for the recipient's system.

`python -m edged.lodging.schema docs/schemas` writes the published file; a test fails when it is stale.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from edged.lodging.form import BY_NAME, DOCUMENT_KINDS, FIELDS, Field, needed
from edged.lodging.record import FORM

FILE: Final = "lodging-record.schema.json"

_DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_FORMS: Final[dict[str, dict[str, Any]]] = {
    "date": {"pattern": _DAY},
    "birth_date": {"pattern": r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"},
    "sex": {"enum": ["M", "F", "X", None]},
    "country": {"pattern": r"^[A-Z]{3}$"},
    "number": {"pattern": r"^[A-Z0-9][A-Z0-9/-]*$"},
    "document_kind": {"enum": [*DOCUMENT_KINDS, None]},
}
_SAID: Final = {
    "english_surname": "英文姓; of a person with one name, that name; a longer one runs on in the given names",
    "english_given_names": "英文名; one that is cut ends in ?",
    "chinese_name": "中文姓名",
    "sex": "性别",
    "birth_date": "出生日期, as far as the document says it",
    "country": "国家地区, ISO 3166-1 alpha-3 or a code of ICAO Doc 9303-3; HKG, MAC and TWN for their people",
    "document_kind": "证件种类, in edged's own words",
    "document_number": "证件号码",
    "visa_kind": "签证(注)种类, as the clerk typed it",
    "visa_number": "签证号码",
    "visa_issuer": "签发机关",
    "stay_until": "在华停留期至",
    "entry_date": "入境日期",
    "entry_port": "入境口岸, as the clerk typed it",
    "stay_reason": "停留事由, as the clerk typed it",
    "host": "接待单位, from the box's configuration unless the clerk typed another",
    "coming_from": "何处来",
    "going_to": "何处去",
    "arrival_date": "抵达日期",
    "departure_date": "拟离日期",
    "room": "房号",
}


def record_schema() -> dict[str, Any]:
    """The schema of what `edged partner open` shows of a record."""
    names = list(BY_NAME)
    always = set(needed("permanent_resident_card"))  # the kind that needs the least
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:edged:1:{FILE}",
        "description": "A complete lodging record, 境外人员临时住宿登记, as it is sealed to its recipient.",
        "type": "object",
        "additionalProperties": False,
        "required": ["form", "record_id", "corrects", "fields", "typed"],
        "properties": {
            "form": {"const": FORM, "description": "the version of this form"},
            "record_id": {"type": "string", "description": "as the envelope has it; an answer names it"},
            "corrects": {
                "type": ["string", "null"],
                "description": "the record that this one replaces, because its recipient wanted it corrected",
            },
            "fields": {
                "description": "every field of the form; null for one that is empty",
                "type": "object",
                "additionalProperties": False,
                "required": names,
                "properties": {field.name: _field(field, field.name in always) for field in FIELDS},
            },
            "typed": {
                "description": "names of the fields that the clerk gave; the others were read from the document",
                "type": "array",
                "items": {"enum": names},
                "uniqueItems": True,
            },
        },
    }


def _field(field: Field, always: bool) -> dict[str, Any]:
    made = {"type": "string" if always else ["string", "null"], "maxLength": field.width, "minLength": 1}
    form = dict(_FORMS.get(field.kind, {}))
    if always and "enum" in form:
        form["enum"] = [value for value in form["enum"] if value is not None]
    return {"description": _SAID[field.name], **made, **form}


def write(directory: Path) -> None:
    """Write the schema into `directory`."""
    text = json.dumps(record_schema(), indent=2, ensure_ascii=False) + "\n"
    (directory / FILE).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
