"""The collector's metrics: what they count, that they name nobody, and that the dashboard asks for what there is."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edged.central.archive import Archived
from edged.central.archive_sqlite import SqliteArchive
from edged.central.collector import Collector
from edged.central.metrics import PrometheusMeter, serve
from edged.central.settings import CollectorSettings, MetricsSettings
from edged.config import parse_toml
from edged.errors import ConfigError, StateError
from edged.uplink.intake import Incoming, check
from edged.uplink.known import Known
from edged.uplink.names import Role
from edged.uplink.outbox import Counts
from edged.uplink.status import Connected
from edged.uplink.streams import Alarm
from edged.uplink.subscription import Down, Ready
from edged.uplink.textfile import Metrics
from tests.broker import FLEET, NOW, Sealer, Town, stream, town
from tests.delivery import Events, box, collector, collector_settings, running

if TYPE_CHECKING:
    from collections.abc import Iterator

DASHBOARD = Path(__file__).parents[1] / "docs/grafana/edged-delivery.json"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "town") as made:
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert answer.status == 200
        return str(answer.read().decode())


def values(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_prometheus_reads_what_a_worker_did(place: Town, tmp_path: Path) -> None:
    port = free_port()
    metrics = MetricsSettings(f"127.0.0.1:{port}")
    async with (
        collector(place, tmp_path / "centre", metrics=metrics) as centre,
        box(place, tmp_path / "box") as device,
    ):
        await centre.first(Ready)
        await device.events.first(Connected)  # what was committed before would be backlog
        for _ in range(7):
            await device.commit("bank", "hotel")
        await device.settled()
        text = await asyncio.to_thread(scraped, port)
    found = values(text)
    assert found["edged_central_connected", ()] == 1
    assert found["edged_central_archive_up", ()] == 1
    assert found["edged_central_envelopes_total", ("stored",)] == 14
    assert found["edged_central_receipts_total", ("sent",)] >= 1
    assert found["edged_central_batch_messages_sum", ()] >= 14
    assert found["edged_central_commit_seconds_count", ()] == found["edged_central_batch_messages_count", ()]
    assert found["edged_central_lag_seconds_count", ("live",)] == 14
    assert found["process_resident_memory_bytes", ()] > 1 << 20
    with pytest.raises(OSError):
        await asyncio.to_thread(scraped, port)  # gone with the worker


async def test_no_metric_names_a_device_or_says_anything_of_a_document(place: Town, tmp_path: Path) -> None:
    """Plant what may not show in every place an envelope and a stranger's message have for it."""
    planted = {"reference": "PLANTEDREF", "operator": "PLANTEDOP", "purpose": "PLANTEDPURPOSE"}
    meter = PrometheusMeter(FLEET)
    sealer = Sealer(place.signer(Role.DEVICE, "box-1"), "PLANTEDLOG")
    sealed = stream(sealer, "bank", 2, claims={"surname": "PLANTEDNAME"}, **planted)
    incoming = [
        Incoming("edged/1/north/box-1/verdict/bank", one.jws.encode(), "PLANTEDLANE") for one in sealed
    ]
    checked = check(incoming, anchor=place.anchor, now=datetime.now(UTC))
    assert all(one.found for one in checked)
    meter.verified(checked, datetime.now(UTC), 0.1)
    alarm = Alarm("stream.equivocation", "PLANTEDTOPIC", "box-1", "PLANTEDLOG", "PLANTEDAUDIENCE", 7, 1)
    meter.archived(Archived(1, 1, 0, 1, (alarm,), ()), 3, 0.1)
    meter.alarms([alarm])
    text = b"".join(_generated(meter)).decode()
    assert "PLANTED" not in text
    assert "box-1" not in text
    assert sealed[0].sha256 not in text
    assert 'lane="unknown"' in text
    assert 'code="stream.equivocation"' in text
    labels = {
        name for family in meter.registry.collect() for sample in family.samples for name in sample.labels
    }
    assert labels <= {"code", "lane", "outcome", "audience", "le", "fleet", "version"}


def _generated(meter: PrometheusMeter) -> Iterator[bytes]:
    from prometheus_client import generate_latest

    yield generate_latest(meter.registry)


async def test_interruptions_and_alarms_are_counted_by_code(place: Town, tmp_path: Path) -> None:
    port = free_port()
    settings = msgspec.structs.replace(
        collector_settings(place, tmp_path / "centre"), metrics=MetricsSettings(f"127.0.0.1:{port}")
    )
    events = Events()
    async with running(Collector(settings, on_event=events.append)):
        await events.first(Ready)
        await asyncio.to_thread(place.broker.kill)
        await events.until(lambda events: len(events.of(Down)) >= 2)
        found = values(await asyncio.to_thread(scraped, port))
        assert found["edged_central_connected", ()] == 0
        assert found["edged_central_interruptions_total", ("uplink.connection_lost",)] == 1
        await asyncio.to_thread(place.broker.start)
        await events.until(lambda events: len(events.of(Ready)) == 2)
        found = values(await asyncio.to_thread(scraped, port))
        assert (found["edged_central_connected", ()], found["edged_central_connections_total", ()]) == (1, 2)


async def test_a_failing_archive_shows_and_a_wrong_clock_is_not_blamed_on_it(
    place: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, good = [True], SqliteArchive.store

    def fails(self: SqliteArchive, *arguments: Any) -> Any:
        if failing[0]:
            raise StateError("state.disk_full")
        return good(self, *arguments)

    monkeypatch.setattr(SqliteArchive, "store", fails)
    moment: list[datetime | None] = [None]
    settings = msgspec.structs.replace(
        collector_settings(place, tmp_path / "centre"), metrics=MetricsSettings(f"127.0.0.1:{free_port()}")
    )
    events = Events()
    worker = Collector(settings, on_event=events.append, clock=lambda: moment[0] or datetime.now(UTC))

    def up() -> float | None:
        assert isinstance(worker._meter, PrometheusMeter)
        return worker._meter.registry.get_sample_value("edged_central_archive_up")

    async with running(worker), box(place, tmp_path / "box") as device:
        await device.commit("bank")
        await events.first(Down)
        assert up() == 0
        failing[0] = False
        await device.settled()
        assert up() == 1
        moment[0] = datetime(1970, 6, 1, tzinfo=UTC)
        await device.commit("bank")
        await events.until(lambda events: events.of(Down)[-1].code == "central.clock_before_release")
        assert up() == 1


async def test_an_address_that_is_taken_is_named(place: Town, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = msgspec.structs.replace(
            collector_settings(place, tmp_path / "centre"), metrics=MetricsSettings(listen)
        )
        with pytest.raises(ConfigError) as caught:
            await Collector(settings).run()
    assert (caught.value.where, caught.value.code) == ("metrics.listen", "central.metrics_address")
    for port in ("0", "65536"):
        with pytest.raises(ConfigError) as caught:
            serve(PrometheusMeter(FLEET), MetricsSettings(f"127.0.0.1:{port}"))
        assert caught.value.code == "central.metrics_address"


@pytest.mark.parametrize(
    "listen", ["9464", ":9464", "127.0.0.1", "127.0.0.1:port", "a b:1", "127.0.0.1:9464\n"]
)
def test_an_address_that_is_none_is_refused(listen: str, tmp_path: Path) -> None:
    document = (
        'fleet_ca="a"\nsigning_key="a"\nsigning_certificate="a"\narchive="a"\n[broker]\nhost="h"\nca="a"\n'
        f'certificate="a"\nkey="a"\n[metrics]\nlisten={json.dumps(listen)}\n'
    )
    with pytest.raises(ConfigError) as caught:
        parse_toml(document.encode(), CollectorSettings, base=tmp_path)
    assert "metrics.listen" in caught.value.where
    parse_toml(
        document.replace(json.dumps(listen), '"[::1]:9464"').encode(), CollectorSettings, base=tmp_path
    )


# --- the dashboard -------------------------------------------------------------------------------------------------

METRIC = re.compile(r"\b(?:edged|process)_[a-z0-9_]+\b")


def known_metrics() -> set[str]:
    """Names of samples that a collector and a box's textfile can bring forth."""
    meter = PrometheusMeter(FLEET)
    families = list(meter.registry.collect())
    known = Known()
    nothing = Counts(*[0] * len(Counts.__struct_fields__))
    known.counts = msgspec.structs.replace(nothing, oldest_pending=None)
    known.connected(NOW)
    known.clock_trusted = True
    families += Metrics(known, fleet=FLEET, device="box-1", clock=lambda: NOW).collect()
    names = set()
    for family in families:
        match family.type:
            case "counter":
                names.add(f"{family.name}_total")
            case "histogram":
                names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
            case "info":
                names.add(f"{family.name}_info")
            case _:
                names.add(family.name)
    return names


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def test_the_dashboard_asks_only_for_metrics_that_there_are() -> None:
    known = known_metrics()
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert asked - known == set()
    own = {name for name in known if name.startswith("edged_central_") and not name.endswith("_info")}
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in own} - shown == set(), (
        "and shows all of a worker's"
    )


def expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def test_the_dashboard_is_whole() -> None:
    found = dashboard()
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)
    assert {panel["type"] for panel in panels} == {"row", "stat", "timeseries"}
    cells = [
        (column, line)
        for panel in panels
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for line in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells), "no panel lies on another"
    assert max(column for column, _ in cells) < 24
    (source,) = found["templating"]["list"]
    assert source["type"] == "datasource"
    for panel in panels:
        assert panel["type"] == "row" or panel["datasource"]["uid"] == f"${{{source['name']}}}"
    for expression in expressions():
        assert expression.count("(") == expression.count(")")
        assert expression.count("[") == expression.count("]")
