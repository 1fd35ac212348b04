"""The machine-readable lines that the specimens carry.

Written apart from `edged.core.mrz` on purpose: the specimens test that module and must not be made by it.
Layouts: ICAO Doc 9303 parts 4 to 7, GA/T 704.14-2015 for the PRC permits.
"""

from __future__ import annotations

Lines = tuple[str, ...]


def check_digit(text: str) -> str:
    """Check digit of `text` (Doc 9303-3 §4.9): weights 7, 3, 1, modulo 10, the filler counts as zero."""
    values = (0 if c == "<" else int(c, 36) for c in text)
    return str(sum(value * (7, 3, 1)[i % 3] for i, value in enumerate(values)) % 10)


def with_digit(text: str) -> str:
    """`text` followed by its check digit."""
    return text + check_digit(text)


def pad(text: str, length: int) -> str:
    """`text` filled up with `<`, or cut at `length`."""
    return text.ljust(length, "<")[:length]


def name(primary: str, secondary: str) -> str:
    """The name field, not padded: `PRIMARY<<SECONDARY`, or the primary identifier alone (Doc 9303-3 §4.6)."""
    joined = f"{primary}<<{secondary}" if secondary else primary
    return joined.replace(" ", "<").replace("-", "<").replace("'", "")


def td3(
    issuer: str,
    full_name: str,
    number: str,
    nationality: str,
    birth: str,
    sex: str,
    expiry: str,
    optional: str = "",
    *,
    code: str = "P<",
    number_digit: str | None = None,
) -> Lines:
    """Passport, 2 × 44 (Doc 9303-4 §4.2); `number_digit` is printed behind the number, right or wrong."""
    held = pad(number, 9)
    numbered = held + (number_digit or check_digit(held))
    born, until = with_digit(birth), with_digit(expiry)
    personal = pad(optional, 14)
    rest = personal + (check_digit(personal) if optional else "<")
    composite = check_digit(numbered + born + until + rest)
    return code + pad(issuer, 3) + pad(full_name, 39), numbered + pad(
        nationality, 3
    ) + born + sex + until + rest + composite


def td2(
    issuer: str,
    full_name: str,
    number: str,
    nationality: str,
    birth: str,
    sex: str,
    expiry: str,
    optional: str = "",
    *,
    code: str = "I<",
) -> Lines:
    """Card or travel document of TD2 size, 2 × 36 (Doc 9303-6 §4.2)."""
    numbered, born, until = with_digit(pad(number, 9)), with_digit(birth), with_digit(expiry)
    rest = pad(optional, 7)
    composite = check_digit(numbered + born + until + rest)
    return code + pad(issuer, 3) + pad(full_name, 31), numbered + pad(
        nationality, 3
    ) + born + sex + until + rest + composite


def td1(
    issuer: str,
    full_name: str,
    number: str,
    nationality: str,
    birth: str,
    sex: str,
    expiry: str,
    optional: str = "",
    *,
    code: str = "I<",
) -> Lines:
    """Card of TD1 size, 3 × 30 (Doc 9303-5 §4.2); a number of more than nine characters runs on (note j)."""
    if len(number) > 9:
        numbered = number[:9] + "<" + pad(number[9:] + check_digit(number) + "<" + optional, 15)
    else:
        numbered = with_digit(pad(number, 9)) + pad(optional, 15)
    born, until, rest = with_digit(birth), with_digit(expiry), "<" * 11
    composite = check_digit(numbered + born + until + rest)
    return (
        code + pad(issuer, 3) + numbered,
        born + sex + until + pad(nationality, 3) + rest + composite,
        pad(full_name, 30),
    )


def visa(
    width: int,
    issuer: str,
    full_name: str,
    number: str,
    nationality: str,
    birth: str,
    sex: str,
    until: str,
    optional: str = "",
) -> Lines:
    """Visa, MRV-A (`width` 44) or MRV-B (36): no composite, no digit over the optional data (Doc 9303-7)."""
    second = with_digit(pad(number, 9)) + pad(nationality, 3) + with_digit(birth) + sex + with_digit(until)
    return "V<" + pad(issuer, 3) + pad(full_name, width - 5), pad(second + optional, width)


def prc_one_line(code: str, number: str, expiry: str, birth: str) -> Lines:
    """Permit of a mainland resident (CS, CD), 1 × 30: the expiry stands before the birth date."""
    parts = with_digit(number), with_digit(expiry), with_digit(birth)
    return (code + "<".join(parts) + "<" + check_digit("".join(parts)),)


def prc_card(
    code: str,
    number: str,
    renewals: str,
    expiry: str,
    sex: str,
    birth: str,
    chinese: str,
    identity: str,
    full_name: str,
    authority: str = "",
) -> Lines:
    """Permit of a Hong Kong, Macau (CR) or Taiwan (CT) resident, 3 × 30 (GA/T 704.14-2015).

    `chinese`: the name in GA code, the two counts of omitted characters, the birth century (19 long).
    """
    numbered, until, born = with_digit(pad(number, 9)), with_digit(expiry), with_digit(birth)
    held = pad(identity, 10)
    return (
        code + numbered + with_digit(renewals) + until + sex + born,
        chinese + held + check_digit(numbered + until + born + held),
        pad(full_name, 26) + pad(authority, 4),
    )
