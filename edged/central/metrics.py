"""A collector's metrics for Prometheus, and the HTTP endpoint they are read from.

Labels are reason codes, lanes and audiences; never a device (a million of them), never anything out of an envelope's
claims, references or pseudonyms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    start_http_server,
)

from edged import __version__
from edged.central.meter import Meter
from edged.errors import ConfigError
from edged.uplink.envelope import OpenedEnvelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from edged.central.archive import Archived
    from edged.central.settings import MetricsSettings
    from edged.uplink.intake import Checked
    from edged.uplink.streams import Alarm

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAG: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0, 86_400.0, 604_800.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 75, 100)
_MAX_PORT: Final = 65_535


class PrometheusMeter(Meter):
    """Counts into a registry of its own, so that several collectors in one process don't add up."""

    def __init__(self, fleet: str) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        info = Info("edged_central_collector", "Fleet and software version.", registry=self.registry)
        info.info({"fleet": fleet, "version": __version__})
        self._link(self.registry)
        self._intake(self.registry)
        self._answers(self.registry)

    def _link(self, to: CollectorRegistry) -> None:
        self._connected = Gauge("edged_central_connected", "1 while connected and subscribed.", registry=to)
        self._connections = Counter("edged_central_connections", "Connections made.", registry=to)
        self._failures = Counter(
            "edged_central_interruptions", "Connections that ended or failed, and why.", ["code"], registry=to
        )
        self._in_hand = Gauge(
            "edged_central_messages_in_hand", "Messages received and not acknowledged.", registry=to
        )

    def _intake(self, to: CollectorRegistry) -> None:
        self._archive_up = Gauge("edged_central_archive_up", "0 after a commit that failed.", registry=to)
        self._envelopes = Counter(
            "edged_central_envelopes", "Envelopes, by whether they were new.", ["outcome"], registry=to
        )
        self._gaps = Counter("edged_central_gap_records", "New gap records.", registry=to)
        self._refused = Counter("edged_central_refused", "Messages that were not kept.", registry=to)
        self._alarms = Counter("edged_central_alarms", "Alarms by reason.", ["code"], registry=to)
        self._batch = Histogram(
            "edged_central_batch_messages", "Messages in one commit.", buckets=_SIZES, registry=to
        )
        self._verify = Histogram(
            "edged_central_verify_seconds", "Verifying one batch.", buckets=_FAST, registry=to
        )
        self._commit = Histogram(
            "edged_central_commit_seconds", "Committing one batch.", buckets=_FAST, registry=to
        )
        self._lag = Histogram(
            "edged_central_lag_seconds",
            "From the commit on the box to here, where the box's clock is trusted; repeats included.",
            ["lane"],
            buckets=_LAG,
            registry=to,
        )
        self._holes = Gauge("edged_central_holes", "Runs of numbers that are missing.", registry=to)

    def _answers(self, to: CollectorRegistry) -> None:
        self._receipts = Counter(
            "edged_central_receipts", "Receipts, by whether the broker took them.", ["outcome"], registry=to
        )
        self._replays = Counter(
            "edged_central_replay_answers", "Replay requests answered.", ["audience"], registry=to
        )
        self._replayed = Counter(
            "edged_central_replay_messages", "Stored messages sent again.", ["audience"], registry=to
        )
        self._replay_failures = Counter(
            "edged_central_replay_failures", "Replay requests not answered, and why.", ["code"], registry=to
        )

    def connected(self) -> None:
        """See `Meter`."""
        self._connected.set(1)
        self._connections.inc()

    def down(self, code: str) -> None:
        """See `Meter`."""
        self._connected.set(0)
        self._failures.labels(code).inc()

    def in_hand(self, change: int) -> None:
        """See `Meter`."""
        self._in_hand.inc(change)

    def verified(self, checked: Sequence[Checked], now: datetime, seconds: float) -> None:
        """See `Meter`."""
        self._verify.observe(seconds)
        for one in checked:
            if isinstance(one.found, OpenedEnvelope) and one.found.payload.clock == "trusted":
                lane = one.incoming.lane
                lag = now.timestamp() - one.found.payload.iat
                self._lag.labels(lane if lane in ("live", "backlog") else "unknown").observe(max(0.0, lag))

    def archived(self, archived: Archived, messages: int, seconds: float) -> None:
        """See `Meter`."""
        self._archive_up.set(1)
        self._batch.observe(messages)
        self._commit.observe(seconds)
        self._envelopes.labels("stored").inc(archived.stored)
        self._envelopes.labels("duplicate").inc(archived.duplicates)
        self._gaps.inc(archived.gaps)
        self._refused.inc(archived.refused)

    def archive_failed(self) -> None:
        """See `Meter`."""
        self._archive_up.set(0)

    def receipt(self, *, sent: bool) -> None:
        """See `Meter`."""
        self._receipts.labels("sent" if sent else "failed").inc()

    def alarms(self, alarms: Iterable[Alarm]) -> None:
        """See `Meter`."""
        for alarm in alarms:
            self._alarms.labels(alarm.code).inc()

    def holes(self, count: int) -> None:
        """See `Meter`."""
        self._holes.set(count)

    def replayed(self, audience: str, messages: int) -> None:
        """See `Meter`."""
        self._replays.labels(audience).inc()
        self._replayed.labels(audience).inc(messages)

    def replay_failed(self, code: str) -> None:
        """See `Meter`."""
        self._replay_failures.labels(code).inc()


def serve(meter: PrometheusMeter, settings: MetricsSettings) -> Callable[[], None]:
    """Answer Prometheus on a thread of its own; returns what ends that. Raises `ConfigError`."""
    host, _, port = settings.listen.rpartition(":")
    if not 1 <= int(port) <= _MAX_PORT:
        raise ConfigError("metrics.listen", "central.metrics_address", error=f"port {port}")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), meter.registry)
    except OSError as error:
        raise ConfigError("metrics.listen", "central.metrics_address", error=error.strerror or "") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
