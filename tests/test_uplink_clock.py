"""The clock's floor, end to end: build time, last commit, last signed receipt; and nobody's lie sets it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged import RELEASED, clock
from edged.uplink.database import from_ms, to_ms
from edged.uplink.gaps import Gap, seal_gap
from edged.uplink.names import Role
from edged.uplink.receipts import Refusal, seal_receipt
from tests.broker import Town, draft
from tests.delivery import Box, box, now
from tests.outbox import waiting

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


def signed(place: Town, iat: datetime, **content: Any) -> bytes:
    centre = place.signer(Role.COLLECTOR, "centre")
    return seal_receipt("box-1", [], iat=int(iat.timestamp()), signer=centre, **content).encode()


async def floors(device: Box) -> tuple[datetime | None, datetime | None]:
    return await device.state.run(lambda state: (state.last_commit(), state.last_receipt()))


async def lose(device: Box, place: Town) -> str:
    """Make a gap record as the bounds would; its SHA-256."""
    made: list[str] = []

    def sign(gap: Gap) -> str:
        jws = seal_gap(gap, jti="1", iat=1, clock="not_trusted", signer=place.signer(Role.DEVICE, "box-1"))
        made.append(hashlib.sha256(jws.encode()).hexdigest())
        return jws

    await device.commit("bank")
    (due,) = await device.state.run(lambda state: waiting(state, 1, now()))
    for _ in range(3):
        await device.state.write(lambda state: state.mark([], {due.id: "mqtt.payload_format_invalid"}, now()))
    await device.state.write(lambda state: state.seal_gaps(sign))
    return made[0]


async def test_a_receipt_of_gap_records_alone_tells_the_time(place: Town, tmp_path: Path) -> None:
    at = [now()]
    async with box(place, tmp_path / "box", run=False, clock=lambda: at[0]) as device:
        sha256 = await lose(device, place)
        said = (at[0] - timedelta(seconds=2)).replace(microsecond=0)
        assert await device.uplink._receipts.apply([signed(place, said, gaps=[sha256])])
        assert (await floors(device))[1] == said
        assert (await device.counts()).gaps_pending == 0


async def test_a_receipt_of_refusals_alone_tells_the_time(place: Town, tmp_path: Path) -> None:
    at = [now()]
    async with box(place, tmp_path / "box", run=False, clock=lambda: at[0]) as device:
        await device.commit("bank")
        (due,) = await device.state.run(lambda state: waiting(state, 1, now()))
        said = (at[0] - timedelta(seconds=2)).replace(microsecond=0)
        refusal = Refusal(due.sha256, "stream.chain_broken")
        assert await device.uplink._receipts.apply([signed(place, said, refused=[refusal])])
        assert (await floors(device))[1] == said


async def test_a_receipt_that_changes_nothing_sets_no_clock(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box", run=False) as device:
        await device.commit("bank")
        nothing = signed(place, now(), gaps=["0" * 64], refused=[Refusal("1" * 64, "stream.chain_broken")])
        assert not await device.uplink._receipts.apply([nothing])
        assert (await floors(device))[1] is None


async def test_a_clock_in_1970_still_takes_receipts_because_of_the_last_commit(
    place: Town, tmp_path: Path
) -> None:
    """The certificate of a collector may be younger than this release: a commit under a trusted clock bears it out."""
    at = [EPOCH]
    async with box(place, tmp_path / "box", run=False, clock=lambda: at[0]) as device:
        await device.commit("bank")  # while the clock was right
        (due,) = await device.state.run(lambda state: waiting(state, 1, now()))
        refusal = Refusal(due.sha256, "stream.chain_broken")
        said = now().replace(microsecond=0)
        assert await device.uplink._receipts.apply([signed(place, said, refused=[refusal])])
        assert (await floors(device))[1] == said, "lost: it learns what the receipt says"


@pytest.mark.parametrize(
    ("now_is", "last_commit", "last_receipt", "trusted"),
    [
        (timedelta(days=1), None, None, True),
        (timedelta(days=-1), None, None, False),
        (timedelta(days=1), timedelta(days=2), None, False),
        (timedelta(days=1), None, timedelta(days=2), False),
        (timedelta(days=3), timedelta(days=2), timedelta(days=2), True),
        (timedelta(days=2, seconds=-4), timedelta(days=2), None, True),
    ],
)
async def test_status_tells_whether_the_clock_is_believed(
    place: Town,
    tmp_path: Path,
    now_is: timedelta,
    last_commit: timedelta | None,
    last_receipt: timedelta | None,
    trusted: bool,
) -> None:
    """As the daemon judges it, from what the database knows."""

    def judge(commit: datetime | None, receipt: datetime | None) -> bool:
        reading = clock.read_clock(
            RELEASED + now_is, last_commit=commit, last_receipt=receipt, synchronised=True
        )
        return reading.trusted

    async with box(place, tmp_path / "box", run=False) as device:
        device.uplink._clock_trusted = judge
        for key, since in (("last_commit", last_commit), ("last_receipt", last_receipt)):
            if since is not None:
                await device.state.write(lambda s, k=key, m=RELEASED + since: s._raise_meta(k, to_ms(m)))
        await device.uplink.refresh()
        assert device.uplink.health.clock_trusted is trusted
        assert msgspec.json.decode(device.uplink._status("online"))["clock_trusted"] is trusted
        gap = Gap(log_id="a", audience="bank", first=1, last=1, sha256="0" * 64, reason="too_old")
        assert device.uplink._sign_gap(gap).count(".") == 2


async def test_an_untrusted_commit_raises_no_floor(place: Town, tmp_path: Path) -> None:
    async with box(place, tmp_path / "box", run=False) as device:
        far = now() + timedelta(days=23_000)
        await device.state.write(
            lambda s: s.commit_inspection("x", [draft("bank")], device.sealer, far, clock_trusted=False)
        )
        assert await floors(device) == (None, None)
        await device.commit("bank")
        last, _ = await floors(device)
        assert last is not None
        assert last <= from_ms(to_ms(now()))
