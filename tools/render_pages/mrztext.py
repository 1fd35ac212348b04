"""The lines of a machine-readable zone from its contents, written out layout by layout.

Deliberately plain, with its own check-digit arithmetic: what it composes is checked against published specimens
and against the product's parser, so neither can hide the other's mistake. Sources: Doc 9303-3 §4.9, -4, -5, -6, -7;
GA/T 704.14-2015 and specimens for the PRC's cards; specimens for the French card of 1988.
"""

from __future__ import annotations

from typing import NamedTuple

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Holder(NamedTuple):
    """What a zone says of a person and their document. Dates are YYMMDD, `<` where unknown."""

    code: str
    state: str
    surname: str
    given: str
    number: str
    nationality: str
    birth: str
    sex: str
    expiry: str
    optional: str = ""
    optional_2: str = ""


def digit(text: str) -> str:
    """The check digit (weights 7, 3, 1; fillers count nothing)."""
    total = 0
    for place, character in enumerate(text):
        value = 0 if character == "<" else ALPHABET.index(character)
        total += value * (7, 3, 1)[place % 3]
    return str(total % 10)


def fill(text: str, width: int) -> str:
    """Cut or filled to the width."""
    return text.replace(" ", "<")[:width].ljust(width, "<")


def name_field(surname: str, given: str, width: int) -> str:
    """Primary, two fillers, secondary; a name that is too long ends with a letter in the last place."""
    whole = surname.replace(" ", "<") + ("<<" + given.replace(" ", "<") if given else "")
    while (
        len(whole) > width and whole[width - 1] == "<"
    ):  # a cut name's last place holds a letter: shorten before it
        last = len(whole[:width].rstrip("<")) - 1
        whole = whole[:last] + whole[last + 1 :]
    return fill(whole, width)


def _dated(holder: Holder) -> tuple[str, str]:
    return holder.birth + digit(holder.birth), holder.expiry + digit(holder.expiry)


def two_lines(holder: Holder, width: int, *, empty_check: str = "<") -> tuple[str, ...]:
    """Passports (44), TD2 (36) and visas (either, by a code that begins with V)."""
    first = fill(holder.code, 2) + fill(holder.state, 3) + name_field(holder.surname, holder.given, width - 5)
    number = fill(holder.number, 9)
    birth, expiry = _dated(holder)
    visa = holder.code[0] == "V"
    if not visa and width == 36 and len(holder.number) > 9:
        rest = holder.number[9:]
        numbered = number + "<"
        optional = fill(rest + digit(number + "<" + rest), 7)
    else:
        numbered = number + digit(number)
        optional = fill(holder.optional, width - 28 if visa else 14 if width == 44 else 7)
    body = numbered + fill(holder.nationality, 3) + birth + holder.sex + expiry + optional
    if visa:
        return first, body
    if width == 44:
        check = digit(optional) if optional.strip("<") else empty_check
        optional += check
        body += check
    return first, body + digit(numbered + birth + expiry + optional)


def td1(holder: Holder, *, filler_counts: bool = True) -> tuple[str, ...]:
    """Cards; `filler_counts`: whether a long number's check digit counts the filler (issuers differ)."""
    number = fill(holder.number, 9)
    if len(holder.number) > 9:
        rest = holder.number[9:]
        check = digit(number + ("<" if filler_counts else "") + rest)
        upper = number + "<" + fill(rest + check + holder.optional, 15)
    else:
        upper = number + digit(number) + fill(holder.optional, 15)
    birth, expiry = _dated(holder)
    optional_2 = fill(holder.optional_2, 11)
    composite = digit(upper + birth + expiry + optional_2)
    return (
        fill(holder.code, 2) + fill(holder.state, 3) + upper,
        birth + holder.sex + expiry + fill(holder.nationality, 3) + optional_2 + composite,
        name_field(holder.surname, holder.given, 30),
    )


def french_card(holder: Holder, issued: str, department: str, sequence: str) -> tuple[str, ...]:
    """The card of 1988–2021; `optional` is the six characters of its administrative code."""
    first = "IDFRA" + fill(holder.surname, 25) + fill(holder.optional, 6)
    number = issued + department + sequence
    body = number + digit(number) + fill(holder.given.replace(" ", "<<"), 14)
    body += holder.birth + digit(holder.birth) + holder.sex
    return first, body + digit(first + body)


def prc_permit(holder: Holder) -> tuple[str, ...]:
    """CS and CD: one line, the expiry before the birth."""
    number = fill(holder.number, 9)
    number += digit(number)
    birth, expiry = _dated(holder)
    return (f"{holder.code}{number}<{expiry}<{birth}<{digit(number + expiry + birth)}",)


def gbk_letters(characters: str, count: int) -> tuple[str, str]:
    """(letters A–P for the nibbles of the first `count` characters, the number left out as a letter)."""
    kept = characters[:count].encode("gbk")
    letters = "".join("ABCDEFGHIJKLMNOP"[nibble] for byte in kept for nibble in (byte >> 4, byte & 15))
    return fill(letters, count * 4), "ABCDEFGHIJ"[max(0, len(characters) - count)]


def prc_card(holder: Holder, chinese: str, renewals: str, century: str, authority: str) -> tuple[str, ...]:
    """CR, CT and CF; `optional` is the number of the home identity card."""
    number = fill(holder.number, 9)
    number += digit(number)
    birth, expiry = _dated(holder)
    first = holder.code + number + renewals + digit(renewals) + expiry + holder.sex + birth
    home = fill(holder.optional, 10)
    if holder.code == "CF":
        letters, omitted = gbk_letters(chinese, 3)
        middle = letters + omitted + "AA" + holder.nationality
    else:
        letters, omitted = gbk_letters(chinese, 4)
        middle = letters + omitted + "A"
    second = middle + century + home + digit(number + expiry + birth + home)
    return first, second, name_field_joined(holder) + fill(authority, 4)


def name_field_joined(holder: Holder) -> str:
    """The 26 places of a PRC card's name."""
    return name_field(holder.surname, holder.given, 26)


def home_return(holder: Holder, quwei: str, renewals: str, centuries: str) -> tuple[str, ...]:
    """The 回乡证 of 1999; `quwei` is the name's four-digit codes, `centuries` of birth and expiry, a digit each."""
    name = fill(quwei, 20)
    first = "C<CHN" + name + "0" + digit(name) + "<<"
    birth, expiry = _dated(holder)
    number = fill(holder.number, 9) + renewals
    second = birth + holder.sex + expiry + number + digit(number) + centuries
    return first + digit(first), second + digit(second), name_field(holder.surname, holder.given, 30)
