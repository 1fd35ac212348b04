"""Metrics for node_exporter: by Prometheus's conventions, written in one step, nothing in them but codes and names."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edged import __version__, messages
from edged.uplink.known import OTHER_CODE, Known
from edged.uplink.outbox_types import Counts
from edged.uplink.textfile import FILE, Metrics, Textfile
from tests.broker import NOW, Town
from tests.delivery import box

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = Counts(
    committed=90,
    published=80,
    receipted=70,
    pending=12,
    refused=3,
    last_refusal="mqtt.not_authorized",
    dead=5,
    lost=3,
    bytes_pending=18_000,
    gaps_pending=2,
    oldest_pending=NOW - timedelta(hours=2),
)


def full() -> Known:
    """Everything known, and what other parties say in words of their own as nasty as they like."""
    known = Known()
    known.counts, known.clock_trusted, known.log_replaced = COUNTS, False, True
    known.connected(NOW - timedelta(minutes=1))
    known.lost("mqtt.session_taken_over", "said by ERIKSSON\n# HELP x")
    known.lost("uplink.unreachable", "")
    known.connected(NOW)
    known.paused = "mqtt.quota_exceeded"
    known.refuse("mqtt.not_authorized")
    known.refuse("mqtt.not_authorized")
    known.refuse("centre.a_code_of_next_year")
    known.refuse_receipt("receipt.hash_mismatch")
    known.receipts = 7
    return known


def metrics(known: Known) -> Metrics:
    return Metrics(known, fleet="north", device="box-1", clock=lambda: NOW)


def test_every_metric_has_its_value_help_and_type() -> None:
    families = list(text_string_to_metric_families(metrics(full()).text().decode()))
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
    assert found == {
        ("edged_build_info", ("device", "box-1"), ("fleet", "north"), ("version", __version__)): 1,
        ("edged_outbox_pending",): 12,
        ("edged_outbox_pending_bytes",): 18_000,
        ("edged_outbox_oldest_pending_age_seconds",): 7200,
        ("edged_outbox_refused",): 3,
        ("edged_outbox_dead",): 5,
        ("edged_outbox_gaps_pending",): 2,
        ("edged_outbox_log_replaced",): 1,
        ("edged_outbox_committed_total",): 90,
        ("edged_outbox_receipted_total",): 70,
        ("edged_outbox_lost_total",): 3,
        ("edged_uplink_connected",): 1,
        ("edged_uplink_paused",): 1,
        ("edged_uplink_last_connect_timestamp_seconds",): NOW.timestamp(),
        ("edged_clock_trusted",): 0,
        ("edged_uplink_connections_total",): 2,
        ("edged_uplink_receipts_total",): 7,
        ("edged_uplink_connection_problems_total", ("code", "mqtt.session_taken_over")): 1,
        ("edged_uplink_connection_problems_total", ("code", "uplink.unreachable")): 1,
        ("edged_uplink_refused_total", ("code", "mqtt.not_authorized")): 2,
        ("edged_uplink_refused_total", ("code", OTHER_CODE)): 1,
        ("edged_uplink_receipts_refused_total", ("code", "receipt.hash_mismatch")): 1,
    }
    for family in families:
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter")
        assert re.fullmatch(r"edged(_[a-z]+)+", family.name)


def test_labels_are_codes_and_names_and_nothing_else() -> None:
    raw = metrics(full()).text().decode()
    assert "ERIKSSON" not in raw
    for family in text_string_to_metric_families(raw):
        for sample in family.samples:
            for name, value in sample.labels.items():
                assert name in ("code", "device", "fleet", "version")
                assert name != "code" or value == OTHER_CODE or messages.known(value)


def test_before_anything_is_known_nothing_is_claimed() -> None:
    names = {family.name for family in text_string_to_metric_families(metrics(Known()).text().decode())}
    assert "edged_outbox_pending" not in names
    assert "edged_clock_trusted" not in names
    assert {"edged_build_info", "edged_uplink_connected"} <= names


def test_the_file_is_replaced_in_one_step_and_readable_by_all(tmp_path: Path) -> None:
    known = full()
    file = Textfile(tmp_path, metrics(known), known)
    old = os.umask(0o077)
    try:
        file.write()
    finally:
        os.umask(old)
    target = tmp_path / FILE
    assert target.stat().st_mode & 0o777 == 0o644
    before = target.stat().st_ino
    with target.open() as reader:
        known.connections = 99
        file.write()
        assert "edged_uplink_connections_total 2.0" in reader.read(), "who reads the old one reads it whole"
    assert target.stat().st_ino != before
    assert "edged_uplink_connections_total 99.0" in target.read_text()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_directory_that_cannot_be_written_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = full()
    file = Textfile(tmp_path / "gone", metrics(known), known)
    file.write()
    file.write()
    assert capsys.readouterr().out.count("metrics not written") == 1
    (tmp_path / "gone").mkdir()
    file.write()
    assert (tmp_path / "gone" / FILE).exists()


def test_nobody_is_led_to_another_file(tmp_path: Path) -> None:
    known = full()
    (tmp_path / "victim").write_text("mine")
    (tmp_path / f".{FILE}.{os.getpid()}").symlink_to(tmp_path / "victim")
    Textfile(tmp_path, metrics(known), known).write()
    assert (tmp_path / "victim").read_text() == "mine"


async def test_it_is_written_when_the_connection_changes_and_taken_away_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.uplink.textfile.PAUSE_S", 0.01)
    async with box(Town(tmp_path / "town"), tmp_path / "box", run=False) as device:
        await device.commit("bank")
        file = device.uplink.textfile(tmp_path)
        task = asyncio.create_task(file.run(device.uplink.refresh))
        await until_said(tmp_path / FILE, "edged_outbox_pending 1.0")
        assert "edged_uplink_connected 0.0" in (tmp_path / FILE).read_text()
        device.uplink._known.connected(NOW)
        await until_said(tmp_path / FILE, "edged_uplink_connected 1.0")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not (tmp_path / FILE).exists()


async def until_said(path: Path, line: str) -> None:
    async with asyncio.timeout(60):
        while not path.exists() or line not in path.read_text():  # noqa: ASYNC240
            await asyncio.sleep(0.01)


def test_it_costs_nothing_where_it_is_off() -> None:
    code = "import edged.daemon, sys; print(any(name.startswith('prometheus') for name in sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
