"""A slip's facts as CWT claims (RFC 8392) in deterministic CBOR, and back (`docs/slip-format.md`).

Registered claims say who, when, until when and which number; one private claim is an array of all the rest, by place.
One slip has one spelling: what decodes is what encoding its facts gives again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cbor2
import msgspec

from edged.errors import DecodeError, SlipError
from edged.slip import registry, strict_cbor
from edged.slip.facts import (
    MAX_DEVICE,
    MAX_LABEL,
    MAX_NAME,
    MAX_NUMBER,
    MAX_SITE,
    NUMBER_ALPHABET,
    NUMBER_CHARACTERS,
    CheckFact,
    SlipFacts,
)
from edged.verdict import Result

if TYPE_CHECKING:
    from edged.slip.strict_cbor import Value

ISS: Final = 1
EXP: Final = 4
IAT: Final = 6
CTI: Final = 7
SLIP: Final = -65537
"""Of the range for private use (RFC 8392 §9.1)."""

FORMAT: Final = 1
"""First element of the private claim; another one is a slip of a newer release."""

FIELDS: Final = (
    *("format", "copy", "supersedes", "site", "utc_offset_min", "kind", "clock_trusted", "scene", "result"),
    *("document_class", "issuer", "name", "document_number", "document_expires", "checks", "person", "read"),
    *("recipients", "more_recipients"),
)
"""The private claim's elements, in order."""

MAX_CLAIMS: Final = 400
"""Bytes: more than any QR code of the size that is allowed holds."""

LAST_TIME: Final = (1 << 32) - 1
"""The year 2106: times have four bytes."""

MAX_DAYS: Final = 65_535
"""Days of a recipient's retention: 179 years."""

CTI_BYTES: Final = 8

_FIRST_MONTH: Final = 1900 * 12
_LAST_MONTH: Final = 2200 * 12
_NIBBLE: Final = 16
_MAX_BITS: Final = 31  # room of the registries whose numbers are places of bits
_MAX_WORD: Final = 255  # and of the others


def number_bytes(number: str) -> bytes:
    """A slip's number as `cti`: 60 bits in 8 bytes."""
    value = 0
    for character in number:
        value = value << 5 | NUMBER_ALPHABET.index(character)
    return value.to_bytes(CTI_BYTES)


def number_text(data: object) -> str:
    """The number that `cti` is. Raises `DecodeError`."""
    if not isinstance(data, bytes) or len(data) != CTI_BYTES or data[0] >> 4:
        raise _malformed("number")
    value = int.from_bytes(data)
    return "".join(NUMBER_ALPHABET[value >> 5 * place & 31] for place in range(NUMBER_CHARACTERS - 1, -1, -1))


def encode(facts: SlipFacts) -> bytes:
    """The claims. The order of `checks` and of words in `read` and `told` isn't kept: decoding gives the registry's.

    Raises `SlipError` (`slip.facts_refused`, with the field as detail) for facts that no reader would take.
    """
    try:
        data = cbor2.dumps(_claims(facts), canonical=True)
    except KeyError as error:
        raise SlipError("slip.facts_refused", "a word without a number") from error
    try:
        decode(data)
    except DecodeError as error:
        raise SlipError("slip.facts_refused", error.detail) from None
    return data


def decode(data: bytes) -> SlipFacts:
    """The facts in a signed slip's payload; the signature is somebody else's to check.

    Raises `DecodeError` and nothing else, whatever the bytes: `slip.malformed`, `slip.newer`.
    """
    claims = strict_cbor.decode(data, MAX_CLAIMS)
    if not isinstance(claims, dict) or tuple(claims) != (ISS, EXP, IAT, CTI, SLIP):
        raise _malformed("claims")
    rest = claims[SLIP]
    if not isinstance(rest, list) or not rest or type(rest[0]) is not int:
        raise _malformed("claims")
    if rest[0] != FORMAT:
        raise DecodeError("slip", registry.NEWER)
    if len(rest) != len(FIELDS):
        raise _malformed("claims")
    facts = _facts(claims, dict(zip(FIELDS, rest, strict=True)))
    if cbor2.dumps(_claims(facts), canonical=True) != data:
        raise _malformed("another spelling")
    return facts


def _claims(facts: SlipFacts) -> dict[int, object]:
    fields = {
        "format": FORMAT,
        "copy": facts.copy,
        "supersedes": None if facts.supersedes is None else number_bytes(facts.supersedes),
        "site": facts.site,
        "utc_offset_min": facts.utc_offset_min,
        "kind": registry.KINDS[facts.kind],
        "clock_trusted": facts.clock_trusted,
        "scene": registry.SCENES[facts.scene],
        "result": registry.RESULTS[facts.result],
        "document_class": registry.CLASSES[facts.document_class],
        "issuer": facts.issuer,
        "name": facts.name,
        "document_number": facts.document_number,
        "document_expires": _month(facts.document_expires),
        "checks": _checks(facts.checks),
        "person": registry.RESULTS[facts.person],
        "read": registry.to_bits(registry.READ, facts.read),
        "recipients": [
            [one.label, registry.to_bits(registry.TOLD, one.told), one.retention_days]
            for one in facts.recipients
        ],
        "more_recipients": facts.more_recipients,
    }
    return {
        ISS: facts.device,
        EXP: facts.expires,
        IAT: facts.at,
        CTI: number_bytes(facts.number),
        SLIP: [fields[name] for name in FIELDS],
    }


def _facts(claims: dict[Value, Value], fields: dict[str, Value]) -> SlipFacts:
    supersedes = fields["supersedes"]
    content = {
        "number": number_text(claims[CTI]),
        "copy": fields["copy"],
        "supersedes": None if supersedes is None else number_text(supersedes),
        "site": _text("site", fields["site"], MAX_SITE),
        "device": _text("device", claims[ISS], MAX_DEVICE),
        "at": _time(claims[IAT]),
        "utc_offset_min": fields["utc_offset_min"],
        "clock_trusted": fields["clock_trusted"],
        "expires": _time(claims[EXP]),
        "kind": registry.word(registry.KINDS, fields["kind"], _MAX_WORD),
        "scene": registry.word(registry.SCENES, fields["scene"], _MAX_WORD),
        "result": _result(fields["result"]),
        "document_class": registry.word(registry.CLASSES, fields["document_class"], _MAX_WORD),
        "issuer": _optional("issuer", fields["issuer"], 3),
        "name": _optional("name", fields["name"], MAX_NAME),
        "document_number": _optional("document_number", fields["document_number"], MAX_NUMBER),
        "document_expires": _month_text(fields["document_expires"]),
        "checks": _check_facts(fields["checks"]),
        "person": _result(fields["person"]),
        "read": registry.from_bits(registry.READ, fields["read"], _MAX_BITS),
        "recipients": _recipients(fields["recipients"]),
        "more_recipients": fields["more_recipients"],
    }
    try:
        facts = msgspec.convert(content, SlipFacts)
    except msgspec.ValidationError:
        raise _malformed("a field") from None  # from None: the library's text may quote it
    if facts.expires < facts.at:
        raise _malformed("expires")
    return facts


def _checks(checks: tuple[CheckFact, ...]) -> bytes:
    """A nibble for each number of the registry up to the highest that is there, the first one high."""
    found = {registry.CHECKS[one.name]: registry.RESULTS[one.result] for one in checks}
    if len(found) != len(checks):
        raise SlipError("slip.facts_refused", "checks")
    size = max(found, default=-1) // 2 + 1
    return bytes(found.get(2 * at, 0) << 4 | found.get(2 * at + 1, 0) for at in range(size))


def _check_facts(data: Value) -> tuple[CheckFact, ...]:
    if not isinstance(data, bytes) or len(data) > registry.MAX_CHECKS // 2:
        raise _malformed("checks")
    nibbles = [nibble for byte in data for nibble in (byte >> 4, byte & 15)]
    return tuple(
        CheckFact(registry.word(registry.CHECKS, number, registry.MAX_CHECKS), _result(nibble))
        for number, nibble in enumerate(nibbles)
        if nibble
    )


def _recipients(value: Value) -> list[dict[str, object]]:
    """As `msgspec.convert` takes them: it looks at what isn't a struct yet."""
    if not isinstance(value, list):
        raise _malformed("recipients")
    found: list[dict[str, object]] = []
    for one in value:
        if not isinstance(one, list) or len(one) != 3:
            raise _malformed("recipients")
        label, told, days = one
        if days is not None and (type(days) is not int or not 0 <= days <= MAX_DAYS):
            raise _malformed("recipients")
        words = registry.from_bits(registry.TOLD, told, _MAX_BITS)
        text = _text("recipients", label, MAX_LABEL)
        found.append({"label": text, "told": words, "retention_days": days})
    return found


def _result(value: Value) -> Result:
    return Result(registry.word(registry.RESULTS, value, _NIBBLE - 1))


def _month(text: str | None) -> int | None:
    return None if text is None else int(text[:4]) * 12 + int(text[5:]) - 1


def _month_text(value: Value) -> str | None:
    if value is None:
        return None
    if type(value) is not int or not _FIRST_MONTH <= value < _LAST_MONTH:
        raise _malformed("document_expires")
    year, month = divmod(value, 12)
    return f"{year:04}-{month + 1:02}"


def _time(value: Value) -> int:
    if type(value) is not int or not 0 <= value <= LAST_TIME:
        raise _malformed("time")
    return value


def _optional(name: str, value: Value, most: int) -> str | None:
    return None if value is None else _text(name, value, most)


def _text(name: str, value: Value, most: int) -> str:
    """Printable: no control characters, nothing that turns the direction of a line."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value.encode()) <= most:
        raise _malformed(name)
    return value


def _malformed(detail: str) -> DecodeError:
    return DecodeError("slip", registry.MALFORMED, detail)
