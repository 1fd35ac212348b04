"""Lines of MRZs for Hypothesis: specimens, damaged specimens with and without right check digits, noise."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from hypothesis import strategies as st

from edged.core.layouts import LAYOUTS, MrzFormat
from tests import mrz_oracle as oracle
from tests.mrz_specimens import SPECIMENS

PREFIXES = [
    *("", "P<UTO", "V<UTO", "IDFRA", "I<UTO", "CRCRI"),
    *("C<CHN", "CRH12", "CT000", "CFHA1", "CS", "CD", "D1FRA"),
]


@st.composite
def mrz_texts(draw: st.DrawFn) -> list[str]:
    """Lines of a known shape: a specimen with a few characters changed, or random ones behind a real prefix."""
    if draw(st.booleans()):
        lines = [list(line) for line in draw(st.sampled_from(SPECIMENS))["lines"]]
        for _ in range(draw(st.integers(0, 4))):
            line = draw(st.sampled_from(lines))
            line[draw(st.integers(0, len(line) - 1))] = draw(st.sampled_from(oracle.ALPHABET))
        return ["".join(line) for line in lines]
    count, width = draw(st.sampled_from(sorted(set(oracle.SHAPES.values()))))
    filling = draw(st.sampled_from([oracle.ALPHABET, "0123456789<", "<", "0<"]))
    size = count * width
    text = draw(st.sampled_from(PREFIXES)) + draw(st.text(filling, min_size=size, max_size=size))
    return [text[:size][at : at + width] for at in range(0, size, width)]


@st.composite
def telling_texts(draw: st.DrawFn) -> list[str]:
    """A specimen with whole fields changed to something plausible or odd, its check digits mostly right again."""
    entry = draw(st.sampled_from(SPECIMENS))
    lines = list(entry["lines"])
    layout = LAYOUTS[MrzFormat(entry["format"])]
    text = "".join(lines)
    for field in draw(st.lists(st.sampled_from(layout.fields), max_size=4)):
        width = field.stop - field.start
        value = draw(_VALUES.get(field.name, _anything)(width))
        text = text[: field.start] + value[:width].ljust(width, "<") + text[field.stop :]
    lines = oracle.cut(text, entry["format"])
    return _repaired(lines, entry["format"]) if draw(st.integers(0, 3)) else lines


def _repaired(lines: list[str], format_: str) -> list[str]:
    """The same lines with check digits that hold, as far as they still are of that layout."""
    if oracle.classify(lines) != format_:
        return lines
    layout = LAYOUTS[MrzFormat(format_)]
    for check in layout.checks:
        text = "".join(lines)
        for digit in "<0123456789":
            lines = oracle.cut(text[: check.position] + digit + text[check.position + 1 :], format_)
            if oracle.JUDGES[format_](lines)[check.name]:
                break
    return lines


def _anything(width: int) -> st.SearchStrategy[str]:
    return st.one_of(
        st.text(oracle.ALPHABET, max_size=width),
        st.text("<0A", max_size=width),
        st.just(""),
        st.just(width * "Z"),
    )


def _date(_width: int) -> st.SearchStrategy[str]:
    real = st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)).map(lambda day: f"{day:%y%m%d}")
    return st.one_of(real, st.text("0123<9", min_size=6, max_size=6), st.sampled_from(["<<<<<<", "78<<<<"]))


def _code(_width: int) -> st.SearchStrategy[str]:
    return st.sampled_from(["CHN", "D", "UTO", "RUS", "XXX", "TWN", "QQQ", "D<D", "<D", "", "USA", "0AA"])


def _coded_name(width: int) -> st.SearchStrategy[str]:
    if width == 20:
        return st.sampled_from(["327255312289", "1601", "9999", "160", "16015", "16A1"])
    return st.sampled_from(["NGKELMPONBPJLBLO", "NBOONFNB", "AAAA", "NBOO<<<<NFNB", "NBO", "PPPPPPPP"])


_VALUES: dict[str, Callable[[int], st.SearchStrategy[str]]] = {
    "birth_date": _date,
    "expiry_date": _date,
    "issuing_state": _code,
    "nationality": _code,
    "chinese_name": _coded_name,
    "sex": lambda _: st.sampled_from("MFX<H0"),
    "document_code": lambda _: st.sampled_from(
        ["P", "PO", "PN", "V", "VC", "I", "IV", "AC", "RP", "TR", "CR", "CF"]
    ),
    "document_number": lambda width: st.one_of(
        _anything(width), st.sampled_from(["K12345678", "M12345678", "E12345678", "H12345678", "MA1234567"])
    ),
    "optional_data": lambda width: st.one_of(
        _anything(width),
        st.sampled_from(
            [
                "NBOONFNB<<<<A9",
                "NBOO<<<<<<<<P0",
                "NGKELMPONBPJB1",
                "A1234567",
                "7349",
                "73<9AB",
                "7",
                "4151218910003",
            ]
        ),
    ),
    "name": lambda width: st.one_of(
        _anything(width),
        st.sampled_from(
            ["A<<B", "A<B<<C<D", "<A<<B", "A<<<B", "A<<B<<C", "LI<<4", "LI<<5", "ERIKSSON", "<", "A<<B<C<D<E"]
        ),
    ),
}
