"""Which documents there are: their contents, their zone, their size. One `Document` is one imaginary person's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import mrztext
from .mrztext import Holder
from .names import STATES, person

if TYPE_CHECKING:
    import random

MM = tuple[float, float]
TD1_SIZE: MM = (85.6, 54.0)
TD2_SIZE: MM = (105.0, 74.0)
TD3_SIZE: MM = (125.0, 88.0)
MRVA_SIZE: MM = (120.0, 80.0)

# (format, share in hundredths): what a counter in the PRC sees, with enough of everything to measure it.
SHARES = (
    ("TD3", 34), ("TD1", 21), ("TD2", 9), ("MRVA", 7), ("MRVB", 7), ("FRA_ID", 4), ("PRC_PERMIT", 8),
    ("PRC_CARD", 8), ("PRC_HOME_RETURN", 2),
)  # fmt: skip
_FEW = (
    "XXA XXB XXC XXX UNO UNA UNK XPO XOM EUE RKS GBD GBN GBO GBS GBP ATG BHS BRB BLZ BEN BWA BFA BDI KHM CAF TCD COM "
    "COG COD DJI DMA SLV GNQ ERI SWZ GAB GMB GRD GIN GNB GUY HTI HND KIR LSO LBR MWI MHL FSM MRT NAM NRU NIC NER PLW "
    "PAN RWA KNA LCA VCT WSM STP SYC SLE SLB SOM SSD TLS TGO TON TUV VUT ZMB ZWE AND PSE"
)
COMMON = tuple(sorted({state for states in STATES.values() for state in states.split()} - {"HKG", "MAC"}))
RARE = tuple(_FEW.split())
_NUMBERS = (
    "999999999", "A99999999", "AA9999999", "A9999999", "*********", "AAA999999", "AA999999", "9999999", "A9A99A999",
    "99AA99999",
)  # fmt: skip
_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CHINESE = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗明华文军伟芳娜敏静丽强磊洋艳勇杰娟涛超霞平刚玉兰春梅海燕志国建"
)


class Document(NamedTuple):
    """What is to be drawn. `lines` is the zone as printed, `check_ok` whether all its check digits are right."""

    format: str
    kind: str
    issuer: str
    holder: Holder
    lines: tuple[str, ...]
    check_ok: bool
    size: MM
    native: str
    """A name in Chinese characters, or empty."""


def _some(rng: random.Random, pattern: str) -> str:
    """`9` a digit, `A` a letter, `*` either, anything else itself."""
    pools = {"9": _DIGITS, "A": _LETTERS, "*": _DIGITS + _LETTERS}
    return "".join(rng.choice(pools[character]) if character in pools else character for character in pattern)


def _date(rng: random.Random, first: int, last: int) -> str:
    return f"{rng.randint(first, last) % 100:02}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"


def _number(rng: random.Random) -> str:
    return _some(rng, rng.choice(_NUMBERS))


def _holder(rng: random.Random, code: str, state: str) -> Holder:
    nationality = state
    if (code[0] != "P" and rng.random() < 0.4) or rng.random() < 0.02:
        nationality = rng.choice(COMMON)
    surname, given = person(rng, nationality)
    birth = _date(rng, 1935, 2021)
    if rng.random() < 0.015:
        birth = rng.choice((birth[:2] + "<<<<", birth[:4] + "<<"))
    sex = rng.choices("MF<", (49, 49, 2))[0]
    return Holder(
        code, state, surname, given, _number(rng), nationality, birth, sex, _date(rng, 2022, 2036), ""
    )


def _state(rng: random.Random) -> str:
    lottery = rng.random()
    if lottery < 0.12:
        return "CHN"
    return rng.choice(RARE) if lottery < 0.22 else rng.choice(COMMON)


def _passport(rng: random.Random) -> tuple[Holder, tuple[str, ...], str, str]:
    state = _state(rng)
    code = rng.choices(("P", "PA", "PP", "PD", "PS", "PO", "PN"), (80, 4, 8, 3, 2, 2, 1))[0]
    if state == "CHN":
        code = rng.choices(("PO", "P", "PD", "PS"), (84, 10, 3, 3))[0]
    holder = (
        _holder(rng, code, state)._replace(nationality=state)
        if rng.random() < 0.97
        else _holder(rng, code, state)
    )
    native = ""
    if state == "CHN" and code == "P":
        holder = holder._replace(
            number=_some(rng, rng.choice("KH") + "99999999"), optional=_some(rng, "A9999999")
        )
    elif state == "CHN":
        native = "".join(rng.sample(_CHINESE, rng.choice((2, 3, 3, 3, 4))))
        letters, omitted = mrztext.gbk_letters(native, 3)
        century = "9" if int(holder.birth[:2]) > 21 else "0"
        number = _some(rng, rng.choice(("E99999999", "EA9999999", "EH9999999", "G99999999")))
        holder = holder._replace(number=number, optional=letters + omitted + century)
    elif rng.random() < 0.45:
        holder = holder._replace(optional=_some(rng, rng.choice(("99999999999999", "AA999999A", "9999999", "999999A99A",
                                                                 "A9999999A", "99999999999"))))  # fmt: skip
    lines = mrztext.two_lines(holder, 44, empty_check=rng.choice("<<<0"))
    return holder, lines, "passport", native


def _card(rng: random.Random) -> tuple[Holder, tuple[str, ...], str, str]:
    state = _state(rng)
    code = rng.choices(
        ("I", "ID", "A", "C", "IR", "AR", "IP", "RP", "CA", "AC"), (40, 25, 6, 6, 8, 6, 3, 2, 3, 1)
    )[0]
    if code == "C" and state == "CHN":  # that is the home return permit's
        code = "I"
    holder = _holder(rng, code, state)
    if rng.random() < 0.15:
        holder = holder._replace(
            number=_some(rng, rng.choice(("999999999999", "99999999999", "999999999AA9")))
        )
    elif rng.random() < 0.4:
        holder = holder._replace(optional=_some(rng, rng.choice(("99999999A", "9999999999", "999999999999999", "AA9999",
                                                                 "9999999"))))  # fmt: skip
    if rng.random() < 0.3:
        holder = holder._replace(
            optional_2=_some(rng, rng.choice(("99999999999", "A99", "9999999", "AA99999")))
        )
    return holder, mrztext.td1(holder, filler_counts=rng.random() < 0.5), "card", ""


def _td2(rng: random.Random) -> tuple[Holder, tuple[str, ...], str, str]:
    state = rng.choice(("ROU", "D", "FRA", "CZE", "ITA")) if rng.random() < 0.4 else _state(rng)
    codes = (
        ("I", "A", "C", "IR", "AR") if state == "FRA" else ("I", "ID", "A", "C", "IR", "AR")
    )  # IDFRA has its own layout
    holder = _holder(rng, rng.choice(codes), state)
    if state == "ROU":
        holder = holder._replace(code="ID", number=_some(rng, "AA999999"), optional=_some(rng, "1999999"))
    elif rng.random() < 0.3:
        holder = holder._replace(optional=_some(rng, rng.choice(("9999999", "A9999", "99"))))
    elif rng.random() < 0.06:
        holder = holder._replace(number=_some(rng, "99999999999"))
    return holder, mrztext.two_lines(holder, 36), "card", ""


def _visa(rng: random.Random, width: int) -> tuple[Holder, tuple[str, ...], str, str]:
    holder = _holder(rng, rng.choice(("V", "VC", "VN", "VA", "VR", "VD")), _state(rng))
    if rng.random() < 0.6:
        pattern = rng.choice(("9A999999", "A999999", "99999999", "<A999999")) if width == 36 else rng.choice(
            ("A9AAA9999999999", "AA999999A", "9AAAA999AA999999"))  # fmt: skip
        holder = holder._replace(optional=_some(rng, pattern))
    return holder, mrztext.two_lines(holder, width), "visa", ""


def _french(rng: random.Random) -> tuple[Holder, tuple[str, ...], str, str]:
    holder = _holder(rng, "ID", "FRA")._replace(
        nationality="FRA", optional=_some(rng, rng.choice(("", "999999", "9CHE99")))
    )
    holder = holder._replace(birth=_date(rng, 1930, 2005), sex=rng.choice("MF"))
    issued = f"{rng.randint(4, 13):02}{rng.randint(1, 12):02}"
    department = rng.choice(("75C", "75P", "2A1")) if rng.random() < 0.1 else f"{rng.randint(10, 951):03}"
    lines = mrztext.french_card(holder, issued, department, _some(rng, "99999"))
    return holder._replace(number=lines[1][:12]), lines, "card", ""


def _prc_name(rng: random.Random) -> str:
    return "".join(rng.sample(_CHINESE, rng.choice((2, 3, 3, 3, 4, 5))))


def _prc_permit(rng: random.Random) -> tuple[Holder, tuple[str, ...], str, str]:
    code = rng.choice(("CS", "CS", "CD"))
    first = "C" if code == "CS" else "L"
    holder = _holder(rng, code, "CHN")._replace(birth=_date(rng, 1935, 2021), nationality="CHN")
    number = first + (
        _some(rng, "99999999") if rng.random() < 0.4 else rng.choice("ABCDEFGH") + _some(rng, "9999999")
    )
    holder = holder._replace(number=number)
    return holder, mrztext.prc_permit(holder), "permit", _prc_name(rng)


def _prc_card(rng: random.Random) -> tuple[Holder, tuple[str, ...], str, str]:
    code = rng.choices(("CR", "CT", "CF"), (50, 38, 12))[0]
    holder = _holder(rng, code, "CHN")._replace(birth=_date(rng, 1935, 2021), sex=rng.choice("MF"))
    surname, given = person(rng, "CHN")
    native, authority = _prc_name(rng), ""
    century = "B" if int(holder.birth[:2]) > 21 else "C"
    if code == "CT":
        number, home, authority = _some(rng, "99999999"), _some(rng, "A999999999"), _some(rng, "3999")
    elif code == "CR":
        number, home = _some(rng, rng.choice("HM") + "99999999"), _some(rng, "A999999999")
    else:
        surname, given = person(rng, holder.nationality)
        number, home = _some(rng, rng.choice(("HA", "MA")) + "9999999"), _some(rng, "A99999999")
        holder = holder._replace(nationality=rng.choice([s for s in COMMON if len(s) == 3 and s != "CHN"]))
    holder = holder._replace(number=number, optional=home, surname=surname, given=given)
    lines = mrztext.prc_card(holder, native, f"{rng.randint(0, 12):02}", century, authority)
    return holder, lines, "permit", native


def _home_return(rng: random.Random) -> tuple[Holder, tuple[str, ...], str, str]:
    holder = _holder(rng, "C", "CHN")._replace(
        birth=_date(rng, 1940, 1999), expiry=_date(rng, 2006, 2012), sex=rng.choice("MF")
    )
    native = "".join(rng.sample(_CHINESE, rng.choice((2, 3, 3))))
    quwei = "".join(f"{byte - 160:02}" for byte in native.encode("gb2312"))
    holder = holder._replace(number=_some(rng, rng.choice("HM") + "99999999"))
    lines = mrztext.home_return(holder, quwei, f"{rng.randint(0, 9):02}", "12")
    return holder, lines, "permit", native


def _make(rng: random.Random, format_: str) -> tuple[tuple[Holder, tuple[str, ...], str, str], MM]:
    match format_:
        case "TD3":
            return _passport(rng), TD3_SIZE
        case "TD1":
            return _card(rng), TD1_SIZE
        case "TD2":
            return _td2(rng), TD2_SIZE
        case "MRVA":
            return _visa(rng, 44), MRVA_SIZE
        case "MRVB":
            return _visa(rng, 36), TD2_SIZE
        case "FRA_ID":
            return _french(rng), TD2_SIZE
        case "PRC_PERMIT":
            return _prc_permit(rng), TD1_SIZE
        case "PRC_CARD":
            return _prc_card(rng), TD1_SIZE
        case "PRC_HOME_RETURN":
            return _home_return(rng), TD1_SIZE
    raise ValueError(f"no such format: {format_}")


# Where a document's check digits stand: (line, place).
_CHECKS = {
    "TD3": ((1, 9), (1, 19), (1, 27), (1, 43)),
    "TD1": ((1, 6), (1, 14), (1, 29)),
    "TD2": ((1, 9), (1, 19), (1, 27), (1, 35)),
    "MRVA": ((1, 9), (1, 19), (1, 27)),
    "MRVB": ((1, 9), (1, 19), (1, 27)),
    "FRA_ID": ((1, 12), (1, 33), (1, 35)),
    "PRC_PERMIT": ((0, 11), (0, 19), (0, 27)),
    "PRC_CARD": ((0, 11), (0, 21), (0, 29)),
    "PRC_HOME_RETURN": ((1, 6), (1, 14), (1, 26)),
}
_SPOILT = 0.02


def document(rng: random.Random, format_: str | None = None) -> Document:
    """One document, of the format asked for or of any; two in a hundred carry a wrong check digit."""
    if format_ is None:
        format_ = rng.choices([name for name, _ in SHARES], [share for _, share in SHARES])[0]
    (holder, lines, kind, native), size = _make(rng, format_)
    check_ok = rng.random() >= _SPOILT
    if not check_ok:
        row, place = rng.choice(_CHECKS[format_])
        wrong = rng.choice([d for d in _DIGITS if d != lines[row][place]])
        if (
            lines[row][place] == "<"
        ):  # the check digit of a long number stands elsewhere; any digit here is wrong too
            row, place = _CHECKS[format_][-1]
            wrong = rng.choice([d for d in _DIGITS if d != lines[row][place]])
        changed = lines[row][:place] + wrong + lines[row][place + 1 :]
        lines = (*lines[:row], changed, *lines[row + 1 :])
    return Document(format_, kind, holder.state, holder, lines, check_ok, size, native)
