"""The printed lines of a slip, bilingual, made of its facts alone: what every output draws and every verifier shows.

In the words that are shipped: a fleet's own words (`messages.lay_over`) would make lines that no verifier shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, Literal

from edged import messages
from edged.verdict import CHIP_CHECKS, Kind, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edged.slip.facts import CheckFact, RecipientFact, SlipFacts

Style = Literal["title", "banner", "result", "row", "small"]
"""`title`: the slip's name · `banner`: across the paper (TEST, a failed result) · `result`: large · `row`: caption and
value · `small`: the notice and the limit of use."""

LANGUAGES: Final = ("zh-CN", "en")
"""Of a pair of texts, in this order."""

GROUP: Final = 4
"""Characters of a slip's number that are printed together."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "optical": ("document_detected", "image_quality", "optical_security"),
    "mrz": ("mrz_read", "mrz_check_digits", "mrz_fields"),
    "print": ("viz_birth_date", "viz_expiry_date", "viz_document_number", "card_number"),
    "id_card": ("id_card_read", "id_card_number", "id_card_fields"),
    "chip": ("chip", *CHIP_CHECKS),
    "validity": ("expiry",),
    "registry": ("registry",),
    "face": ("face_match",),
}
"""Checks that share a line; every check is in one of them."""

_RESULTS: Final = (
    *(Result.FAILED, Result.ABORTED, Result.UNDETERMINED),
    *(Result.SUCCESSFUL, Result.NOT_SUPPORTED),
)
"""The order within a line: what matters most first."""

_FIRST_COPY: Final = 1

Pair = tuple[str, str]

_COMMA: Final = {"zh-CN": "\N{IDEOGRAPHIC COMMA}", "en": ", "}
_SEMICOLON: Final = {"zh-CN": "\N{FULLWIDTH SEMICOLON}", "en": "; "}
_COLON: Final = {"zh-CN": "\N{FULLWIDTH COLON}", "en": ": "}

_NOTHING: Final = ("", "")


@dataclass(frozen=True)
class SlipLine:
    """One line, or a paragraph that may be broken where it is too long for the paper.

    Attributes:
        key: stable name of the line, for verifiers that show lines side by side.
        caption: (zh-CN, en); empty for a line without one.
        value: (zh-CN, en); the same twice where it needs no translation.
        style: how it is set.
    """

    key: str
    caption: Pair
    value: Pair
    style: Style = "row"


def lines(facts: SlipFacts) -> tuple[SlipLine, ...]:
    """Every line of the slip, top first, but the QR code and the watermark."""
    return tuple(_lines(facts))


def watermark(facts: SlipFacts) -> str:
    """The micro-text that is tiled behind the slip: site, time and number."""
    return f"{facts.site} {local_time(facts.at, facts.utc_offset_min)} {grouped(facts.number)}"


def grouped(number: str) -> str:
    """A slip's number as it is printed: `7K3M 9QXA 04TZ`."""
    return " ".join(number[at : at + GROUP] for at in range(0, len(number), GROUP))


def local_time(at: int, utc_offset_min: int) -> str:
    """`2026-11-27 10:04 UTC+08:00`: seconds since 1970 as a clock shows it that is so many minutes ahead of UTC."""
    zone = timezone(timedelta(minutes=utc_offset_min))
    sign, minutes = ("-" if utc_offset_min < 0 else "+"), abs(utc_offset_min)
    shown = datetime.fromtimestamp(at, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")
    return f"{shown} UTC{sign}{minutes // 60:02}:{minutes % 60:02}"


def _lines(facts: SlipFacts) -> Iterator[SlipLine]:
    yield SlipLine("title", _NOTHING, _said("slip.title"), "title")
    if facts.kind is not Kind.LIVE:
        yield SlipLine("kind", _NOTHING, _said(f"slip.banner_{facts.kind}"), "banner")
    yield _result("result", facts.result)
    yield _result("person", facts.person)
    yield _row("number", _same(grouped(facts.number)))
    yield _row("copy", _copy(facts.copy))
    if facts.supersedes is not None:
        yield _row("supersedes", _same(grouped(facts.supersedes)))
    yield _row("site", _same(facts.site))
    yield _row("device", _same(facts.device))
    at = local_time(facts.at, facts.utc_offset_min)
    yield _row("time", _same(at) if facts.clock_trusted else _said("slip.clock_not_trusted", time=at))
    yield _row("document", _document(facts))
    for key in ("name", "document_number", "document_expires"):
        if (value := getattr(facts, key)) is not None:
            yield _row(key, _same(value))
    yield from _checks(facts.checks)
    yield _row("expires", _same(local_time(facts.expires, facts.utc_offset_min)))
    yield SlipLine("purpose", _NOTHING, _said("slip.purpose", scene=f"scene.{facts.scene}"), "small")
    yield from _notice(facts)
    yield SlipLine("verify", _NOTHING, _said("slip.verify_here"), "small")


def _checks(checks: Iterable[CheckFact]) -> Iterator[SlipLine]:
    by_name = {check.name: check.result for check in checks}
    for group, names in GROUPS.items():
        found = {name: by_name[name] for name in names if name in by_name}
        if found:
            zh, en = (_by_result(found, lang) for lang in LANGUAGES)
            yield SlipLine(f"checks.{group}", _said(f"slip.group_{group}"), (zh, en))


def _by_result(found: Mapping[str, Result], lang: str) -> str:
    """`failed: contents; passed: read, check digits`."""
    parts = []
    for result in _RESULTS:
        names = [f"slip.check_{name}" for name, one in found.items() if one is result]
        if names:
            parts.append(messages.shipped(f"result.{result}", lang) + _COLON[lang] + _list(names, lang))
    return _SEMICOLON[lang].join(parts)


def _notice(facts: SlipFacts) -> Iterator[SlipLine]:
    if facts.read:
        zh, en = (_list([f"slip.read_{one}" for one in facts.read], lang) for lang in LANGUAGES)
        yield SlipLine("notice.read", _said("slip.notice_read"), (zh, en), "small")
    if not facts.recipients and not facts.more_recipients:
        yield SlipLine("notice.nobody", _NOTHING, _said("slip.notice_nobody"), "small")
    for number, one in enumerate(facts.recipients, start=1):
        zh, en = (_told(one, lang) for lang in LANGUAGES)
        yield SlipLine(f"notice.recipient_{number}", _same(one.label), (zh, en), "small")
    if facts.more_recipients:
        more = _said("slip.notice_more", count=str(facts.more_recipients))
        yield SlipLine("notice.more", _NOTHING, more, "small")


def _told(one: RecipientFact, lang: str) -> str:
    groups = _list([f"slip.told_{word}" for word in one.told], lang) or messages.shipped(
        "slip.told_nothing", lang
    )
    if one.retention_days is None:
        return messages.shipped("slip.notice_told_unlimited", lang, groups=groups)
    return messages.shipped("slip.notice_told", lang, groups=groups, days=str(one.retention_days))


def _document(facts: SlipFacts) -> Pair:
    document = f"document_class.{facts.document_class}"
    if facts.issuer is None:
        return _said(document)
    return _said("slip.document_of", document=document, issuer=facts.issuer)


def _copy(copy: int) -> Pair:
    return _said("slip.copy_first") if copy == _FIRST_COPY else _said("slip.copy_again", copy=str(copy))


def _list(codes: Iterable[str], lang: str) -> str:
    return _COMMA[lang].join(messages.shipped(code, lang) for code in codes)


def _result(key: str, result: Result) -> SlipLine:
    """A failure stands between rules across the paper: in no hurry does one look like a pass."""
    style: Style = "banner" if result is Result.FAILED else "result"
    return SlipLine(key, _said(f"slip.caption_{key}"), _said(f"result.{result}"), style)


def _row(key: str, value: Pair) -> SlipLine:
    return SlipLine(key, _said(f"slip.caption_{key}"), value)


def _said(code: str, **params: str) -> Pair:
    zh, en = (messages.shipped(code, lang, **params) for lang in LANGUAGES)
    return zh, en


def _same(text: str) -> Pair:
    return text, text
