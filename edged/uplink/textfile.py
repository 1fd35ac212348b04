"""The box's metrics as a file for node_exporter's textfile collector.

Off unless a directory is configured, and only then is prometheus-client loaded (9 ms and 1.2 MiB). Labels are
codes of the message catalogue and the names of fleet and device: nothing that a document, a caller or a broker said.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Final

from edged import __version__, log
from edged.errors import StateError
from edged.uplink.reconnect import within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from prometheus_client import Metric

    from edged.uplink.known import Known

FILE: Final = "edged.prom"

EVERY_S: Final = 15.0
"""Prometheus asks about this often; a change of the connection is written at once."""

PAUSE_S: Final = 1.0
"""A connection that comes and goes is written at most this often."""


class Metrics:
    """What is known of the uplink, as metrics of prometheus-client."""

    def __init__(self, known: Known, *, fleet: str, device: str, clock: Callable[[], datetime]) -> None:
        self._known = known
        self._names = {"version": __version__, "fleet": fleet, "device": device}
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        yield from self._build()
        yield from self._outbox()
        yield from self._link()

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def _build(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        build = GaugeMetricFamily(
            "edged_build_info", "Always 1; its labels say what runs here.", labels=list(self._names)
        )
        build.add_metric(list(self._names.values()), 1)
        yield build

    def _outbox(self) -> Iterator[Metric]:
        counts, known = self._known.counts, self._known
        if counts is None:
            return
        for name, text, value in (
            ("pending", "Envelopes committed and not yet receipted.", counts.pending),
            ("pending_bytes", "Bytes of pending envelopes.", counts.bytes_pending),
            (
                "oldest_pending_age_seconds",
                "Age of the oldest pending envelope; 0 when none is pending.",
                known.oldest_s(self._clock()) or 0,
            ),
            ("refused", "Pending envelopes that broker or collector has refused.", counts.refused),
            ("dead", "Envelopes refused for good, kept on the box.", counts.dead),
            ("gaps_pending", "Gap records that no receipt has named yet.", counts.gaps_pending),
            ("log_replaced", "1 after a broken database was set aside.", int(known.log_replaced)),
        ):
            yield _gauge(f"edged_outbox_{name}", text, value)
        for name, text, value in (
            ("committed", "Envelopes committed, ever.", counts.committed),
            ("receipted", "Envelopes that a collector has signed for, ever.", counts.receipted),
            ("lost", "Envelopes that bounds or a broken disk took away, ever.", counts.lost),
        ):
            yield _counter(f"edged_outbox_{name}", text, value)

    def _link(self) -> Iterator[Metric]:
        known = self._known
        connected, last = known.connected_at is not None, known.last_connected_at
        yield _gauge("edged_uplink_connected", "1 while connected to the broker.", int(connected))
        yield _gauge(
            "edged_uplink_paused",
            "1 while the broker's quota holds the uplink back.",
            int(known.paused is not None),
        )
        if last is not None:
            yield _gauge(
                "edged_uplink_last_connect_timestamp_seconds",
                "When the last connection was made, in seconds since 1970 by the box's clock.",
                last.timestamp(),
            )
        if known.clock_trusted is not None:
            yield _gauge(
                "edged_clock_trusted", "1 while the box's clock may be believed.", int(known.clock_trusted)
            )
        yield _counter("edged_uplink_connections", "Connections made since the start.", known.connections)
        yield _counter("edged_uplink_receipts", "Receipts applied since the start.", known.receipts)
        for name, text, by_code in (
            (
                "connection_problems",
                "Connections that failed or ended by themselves, since the start.",
                known.problems,
            ),
            ("refused", "Refusals by broker and collectors, since the start.", known.refused),
            ("receipts_refused", "Receipts that were refused, since the start.", known.receipts_refused),
        ):
            yield _by_code(f"edged_uplink_{name}", text, by_code)


class Textfile:
    """Writes `FILE` in `directory`. `run` is a task; cancelled, it takes the file away: absence is what alarms."""

    def __init__(self, directory: Path, metrics: Metrics, known: Known) -> None:
        self._path = directory / FILE
        self._metrics = metrics
        self._changed = known.link_changed
        self._failed = False
        self._log = log.get("textfile")

    async def run(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Write every `EVERY_S` seconds and when the connection changes, after awaiting `refresh()`.

        A directory that can't be written is logged once and stops nothing.
        """
        try:
            while True:
                self._changed.clear()
                try:
                    await refresh()
                    await asyncio.to_thread(self.write)
                except StateError as error:  # nothing new to tell; the file's age does
                    self._log.warning("metrics not written", problem=error.code)
                await asyncio.sleep(PAUSE_S)
                await within(self._changed.wait(), EVERY_S - PAUSE_S)
        finally:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def write(self) -> None:
        """Write now: whoever reads sees the old file or the new one. Blocks on the disk."""
        try:
            replace(self._path, self._metrics.text())
        except OSError as error:
            if not self._failed:
                self._log.error(
                    "metrics not written", directory=str(self._path.parent), problem=error.strerror
                )
            self._failed = True
        else:
            self._failed = False


def replace(path: Path, content: bytes) -> None:
    """Replace a file, readable by everybody, in one step. Not synced: metrics needn't survive a power cut.

    Raises `OSError`.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")  # not *.prom: node_exporter doesn't read it
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)  # whatever the umask is: node_exporter is another user
            file.write(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _gauge(name: str, text: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(name, text, value)


def _by_code(name: str, text: str, counts: dict[str, int]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, text, labels=["code"])
    for code, count in sorted(counts.items()):
        family.add_metric([code], count)
    return family
