"""DG1: the MRZ in the chip, and whether it is the printed one (Doc 9303-10 §4.7.1).

The PRC's permits for Hong Kong, Macao and Taiwan (CS, CD) print one line of 30 characters and keep two more in the
chip, in a layout of their own (one public source). CR, CT and CF keep what they print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import tlv
from edged.core.layout_tables import ANY
from edged.core.layouts import LAYOUTS, CheckRule, MrzFormat
from edged.core.mrz import parse_mrz
from edged.core.mrz_names import decode_ga
from edged.errors import DecodeError
from edged.identity import Identity, Sensitive
from edged.verdict import Check, Reason, Result

if TYPE_CHECKING:
    import datetime

    from edged.core.mrz import Mrz

_FILE: Final = 0x61
_MRZ: Final = 0x5F1F
_LINES: Final = {90: 30, 88: 44, 72: 36, 30: 30}
"""Characters a line, by those of the whole MRZ (TD1 and the PRC's cards, TD3, TD2, a permit's printed line alone)."""
_PERMITS: Final = {"CS": "C", "CD": "L"}
"""Document codes of the one-line permits, and the letter their numbers start with."""
_CHARACTERS: Final = frozenset(ANY)
_WHAT: Final = "dg1"


class PermitDetails(Identity):
    """What a CS or CD permit keeps in its chip and does not print in its MRZ; empty where nothing is said.

    Attributes:
        chinese_name: None when the code codes nothing. Three characters have room.
        surname, given_names: in pinyin.
        sex: as coded.
        birth_century: the first two digits of the year as one code character.
        birth_place: three characters.
    """

    __slots__ = ("birth_century", "birth_place", "chinese_name", "given_names", "sex", "surname")

    def __init__(self, second: str, third: str) -> None:
        name = decode_ga(second[:12].rstrip("<"))
        primary, _, secondary = second[12:].rstrip("<").partition("<<")
        self.chinese_name = None if name is None else Sensitive(name)
        self.surname = Sensitive(primary.replace("<", " ").strip())
        self.given_names = Sensitive(secondary.replace("<", " ").strip())
        self.sex = Sensitive(third[0].strip("<"))
        self.birth_century = Sensitive(third[3].strip("<"))
        self.birth_place = Sensitive(third[8:11].strip("<"))


class ChipMrz(Identity):
    """The MRZ of DG1.

    Attributes:
        mrz: parsed and judged as a printed one; for CS and CD permits the line that they print too.
        permit: the other two lines of CS and CD permits, None for everything else.
    """

    __slots__ = ("mrz", "permit")

    def __init__(self, mrz: Mrz, permit: PermitDetails | None = None) -> None:
        self.mrz = mrz
        self.permit = permit


def parse_dg1(dg1: bytes | memoryview, *, today: datetime.date) -> ChipMrz:
    """The MRZ in DG1; `today` decides which century two-digit years mean.

    The text may stand in its data object (5F1F), straight in the file's, or bare.

    Raises `DecodeError`: "dg1" with "tlv.…" | "dg1.malformed", "mrz" with what `parse_mrz` says.
    """
    text = _text(memoryview(dg1))
    width = _LINES[len(text)]
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    if len(lines) == 3 and _is_permit(text):
        return ChipMrz(parse_mrz(lines[:1], today=today), PermitDetails(*lines[1:]))
    return ChipMrz(parse_mrz(lines, today=today))


def read_dg1(dg1: bytes | memoryview, *, today: datetime.date) -> Mrz:
    """The MRZ in DG1 alone. Raises as `parse_dg1` does."""
    return parse_dg1(dg1, today=today).mrz


def compare_mrz(chip: Mrz, printed: Mrz, *, printed_is_sure: bool) -> Check:
    """The check `chip_mrz`: whether the chip holds the MRZ that is printed.

    Its reasons name the fields that differ. A printed MRZ that was read without confidence (`printed_is_sure` is
    False) may be misread: what differs is `undetermined` then.
    """
    bad = Result.FAILED if printed_is_sure else Result.UNDETERMINED
    if chip.format is not printed.format:
        return Check("chip_mrz", bad, (Reason("chip.mrz_other_kind"),))
    fields = _differing(chip.format, "".join(chip.lines.reveal()), "".join(printed.lines.reveal()))
    if not fields:
        return Check("chip_mrz", Result.SUCCESSFUL)
    code = "chip.mrz_differs" if printed_is_sure else "chip.mrz_differs_unsure"
    return Check("chip_mrz", bad, tuple(Reason(code, {"field": field}) for field in fields))


def _text(dg1: memoryview) -> str:
    octets = dg1
    for tag in (_FILE, _MRZ):  # neither begins with a character of an MRZ
        if tlv.read_header(octets, _WHAT)[0] == tag:
            octets = tlv.only(octets, tag, _WHAT)
    text = bytes(octets[:91]).decode("latin-1")
    if len(text) not in _LINES:
        raise DecodeError(_WHAT, "dg1.malformed")
    if not set(text) <= _CHARACTERS:
        raise DecodeError("mrz", "mrz.bad_character")
    return text


def _is_permit(text: str) -> bool:
    """Whether 90 characters are a CS or CD permit's: TD1 would have its state's last letter where a digit stands."""
    return _PERMITS.get(text[:2]) == text[2] and text[4].isdigit()


def _differing(format_: MrzFormat, chip: str, printed: str) -> list[str]:
    """Names of the fields that differ, in the layout's order, each once."""
    layout = LAYOUTS[format_]
    # The check digit of nothing is 0 or a filler, as the issuer likes: nobody says that both places agree.
    free = {
        check.position
        for check in layout.checks
        if check.rule is CheckRule.EMPTY_MAY_BE_FILLER
        and not any(text[start:stop].strip("<") for start, stop in check.spans for text in (chip, printed))
    }
    found: dict[str, None] = {}
    for field in layout.fields:
        ours, theirs = chip[field.start : field.stop], printed[field.start : field.stop]
        if ours == theirs or (field.start in free and {ours, theirs} == {"0", "<"}):
            continue
        found.setdefault(_word(field.name))
    return list(found)


def _word(field: str) -> str:
    return "filler" if field.startswith("filler_") else field.removesuffix("_check")
