import datetime

from edged.core._mrzdate import MrzDate
from edged.core.layouts import DocumentClass, Layout, MrzFormat
from edged.core.mrz_checks import FieldCheck
from edged.identity import Identity, Sensitive
from edged.verdict import Reason

class Parsed(Identity):
    format: MrzFormat
    document_class: DocumentClass
    document_code: str
    issuing_state: str
    lines: Sensitive[tuple[str, ...]]
    surname: Sensitive[str]
    given_names: Sensitive[str]
    document_number: Sensitive[str]
    nationality: Sensitive[str]
    sex: Sensitive[str]
    optional_data: Sensitive[str]
    birth_date: MrzDate | None
    expiry_date: MrzDate | None
    check_digits: tuple[FieldCheck, ...]
    field_checks: tuple[FieldCheck, ...]
    reasons: tuple[Reason, ...]
    check_digits_ok: bool
    fields_ok: bool
    valid: bool
    _layout: Layout
    _today: datetime.date
    _text: str
    _chinese_name: str | None
    _omitted: int | None
    _omitted_letters: int | None
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
