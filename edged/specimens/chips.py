"""Specimens with a chip: the page of a shipped specimen, and what `edged.emulator` makes of it (`chips.toml`)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from edged.specimens import EmulatedChip, Specimen, shipped
from edged.verdict import Result


class _Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `chips.toml`."""

    name: str
    page: str
    profile: str
    scene: str
    result: Result
    title: dict[str, str]
    fault: str | None = None
    reason: str | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    chip: tuple[_Described, ...]


def with_chips() -> tuple[Specimen, ...]:
    """The specimens with a chip, in the order of the demo."""
    pages = {specimen.name: specimen for specimen in shipped()}
    text = Path(__file__).with_name("chips.toml").read_text(encoding="utf-8")
    described = msgspec.convert(tomllib.loads(text), _File).chip
    return tuple(_specimen(one, pages[one.page]) for one in described)


def _specimen(one: _Described, page: Specimen) -> Specimen:
    """The page's specimen with a chip in it; its result is the chip's, because the page is in order."""
    assert page.expected is not None
    checks = page.expected.checks | {"chip": one.result}
    return Specimen(
        one.name,
        one.title,
        page.sides,
        one.scene,
        page.purpose,
        msgspec.structs.replace(page.expected, result=one.result, checks=checks),
        EmulatedChip(one.page, one.profile, one.fault, one.reason),
    )
