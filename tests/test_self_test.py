"""A shipped specimen through the whole box, for a probation or a command."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged import in_force, start_up
from edged.clock import ClockReading
from edged.config import load_box
from edged.self_test import inspect_specimen
from edged.side import ReadSide
from edged.uplink.outbox import ledger
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from edged.verdict import Kind
from tests.box import Box

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Inside:
    """A box's inner parts, opened by hand."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.settings = load_box(box.config)
        self.now = datetime.now(UTC)
        self.clock = ClockReading(self.now, True, self.now.date())
        self.signer = Signer.from_files(
            self.settings.identity.signing_key, self.settings.identity.signing_certificate
        )
        self.anchor = TrustAnchor.from_file(self.settings.identity.fleet_ca)

    async def test(self, settings: Any = None, **changes: Any) -> Any:
        held = in_force.prepare(settings or self.settings)
        parts = {"scene": held.settings.default_scene, "clock": self.clock} | changes
        return await inspect_specimen(held, state=self.state, signer=self.signer, anchor=self.anchor, **parts)

    def receiving(self, *kinds: Kind) -> Any:
        return msgspec.structs.replace(
            self.settings,
            audiences={
                name: msgspec.structs.replace(one, receives=kinds)
                for name, one in self.settings.audiences.items()
            },
        )


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Inside]:
    made = Inside(Box(tmp_path / "box"))
    start_up.make_private(made.settings.state.directory)
    made.state = await start_up.state(made.settings, "box-1")
    yield made
    await made.state.close()


async def test_those_who_receive_tests_get_one_and_nothing_of_it_is_live(inside: Inside) -> None:
    tested = await inside.test(inside.receiving(Kind.LIVE, Kind.TEST))
    assert tested.code is None
    due = await inside.state.run(lambda database: database.counts())
    assert due.pending == tested.envelopes > 0
    rows = ledger(inside.box.database)
    assert sum(map(len, rows.values())) == tested.envelopes
    assert tested.verdict.kind is Kind.TEST


async def test_streams_that_want_no_tests_are_left_alone(inside: Inside) -> None:
    tested = await inside.test(inside.receiving(Kind.LIVE))
    assert (tested.code, tested.envelopes) == (None, 0)
    assert (await inside.state.run(lambda database: database.counts())).pending == 0


async def test_a_clock_that_cannot_be_believed_is_no_fault_of_the_settings(inside: Inside) -> None:
    lost = ClockReading(datetime(1970, 1, 1, tzinfo=UTC), False, inside.now.date())
    assert (await inside.test(clock=lost)).code is None


async def test_a_certificate_of_another_fleet_is_noticed(inside: Inside, tmp_path: Path) -> None:
    inside.anchor = TrustAnchor.from_file(Box(tmp_path / "other").fleet.ca)
    assert (await inside.test()).code == "cert.unknown_issuer"


async def test_a_specimen_that_is_not_read_is_noticed(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edged import self_test

    def blank() -> Any:
        import numpy as np

        from edged.core.burst import read_frames
        from edged.specimens import FIXED_TODAY

        page = np.full((600, 900, 3), 200, np.uint8)
        return ReadSide(read_frames([page], today=FIXED_TODAY), {}, None)

    assert (await inside.test()).code is None
    monkeypatch.setattr(self_test, "_read", blank)
    assert (await inside.test()).code == "self_test.not_read"
