"""Passive authentication of security objects: genuine ones, BSI's specimen, the emulator's."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.emrtd.reading import AT, LINES, OFFICE
from benchmarks.emrtd.trust import NOW
from edged.core.emrtd import signatures
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.passive import verify_passive
from edged.emulator.profiles import profiles
from edged.trust.loading import load_anchors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from edged.core.emrtd.passive import PassiveResult
    from edged.core.emrtd.trust_anchors import TrustAnchors

STATES: Final = {"AU-2016-rsa-pkcs1": "AUS", "DE-2023-ecdsa-sha384": "D", "MY-2022-rsa-pss": "MYS"}
"""Of the genuine security objects: whose they are, as their MRZ would say."""


@dataclass
class Case:
    """A security object with the data groups that are there, and when and for which state it is judged."""

    name: str
    sod: bytes
    state: str
    at: datetime
    groups: dict[int, bytes] = field(default_factory=dict)

    def verify(self, anchors: TrustAnchors) -> PassiveResult:
        return verify_passive(self.sod, self.groups, anchors, at=self.at, issuing_state=self.state)


def cases(shared: Path) -> Iterator[Case | str]:
    """Every case; in place of one that isn't there, why not."""
    for name, state in STATES.items():
        file = shared / "sod" / f"{name}.sod"
        yield (
            Case(name, file.read_bytes(), state, NOW)
            if file.is_file()
            else f"{name}: no file under {shared.name}/"
        )
    specimen = shared / "bsi-2008"
    if specimen.is_dir():
        groups = {number: (specimen / f"01{number:02X}").read_bytes() for number in (1, 2, 3, 14)}
        yield Case("bsi-2008", (specimen / "011D").read_bytes(), "D", NOW, groups)
    else:
        yield f"bsi-2008: no folder under {shared.name}/"
    for name, profile in profiles().items():
        files = OFFICE.personalise(profile, LINES).files
        groups = {file.number: octets for file, octets in files.items() if file.number is not None}
        yield Case(f"emulated {name}", files[ElementaryFile.SOD], "UTO", AT, groups)


def measure(case: Case, store: Path, count: int) -> dict[str, object]:
    """Seconds, least of so many: `cold`, with no certificate parsed and no key made yet, and `warm`, repeated."""
    cold, warm = [], []
    for _ in range(count):
        anchors = load_anchors(store)
        signatures._rsa_key.cache_clear()
        signatures._ec_key.cache_clear()
        for times in (cold, warm):
            since = time.thread_time()
            result = case.verify(anchors)
            times.append(time.thread_time() - since)
    told = {check.name: check.result.value for check in result.checks}
    assert result.facts is not None
    return {"cold_s": min(cold), "warm_s": min(warm), "algorithm": result.facts.algorithm, "checks": told}
