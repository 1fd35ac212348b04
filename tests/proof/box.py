"""A box's delivery half as a process: `python -m tests.proof.box CONFIG`.

Commits envelopes and sends them, like `edged run` without anything to read documents with. Every commit is said on
standard output, after it is on the disk, as a line of JSON: `{"log_id": …, "committed": [[audience, seq, sha256], …]}`.
Standard input closed, SIGTERM: stop in order. `kill -9`: whatever.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edged import log
from edged.commands._delivery import stop_on_signals
from edged.uplink.database import DatabaseThread
from edged.uplink.mqtt import Endpoint
from edged.uplink.names import Principal
from edged.uplink.outbox import RetryPolicy, StateDatabase
from edged.uplink.publisher import Uplink, UplinkSettings
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from tests.broker import Sealer, draft


class BoxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a box process is told; read from a JSON file."""

    state: Path
    fleet_ca: Path
    signing_key: Path
    signing_certificate: Path
    broker: Endpoint
    audiences: tuple[str, ...]
    rate: float = 0.0
    """Commits a second, in the mean; 0 only drains."""
    burst: int = 1
    """Commits at once, at most."""
    first: int = 0
    """Commits at the very start, whatever the rate. SIGUSR1 is one more at any time."""
    receipt_s: float = 3.0
    bound_s: float = 15.0
    uplink: dict[str, Any] = {}
    outbox: dict[str, Any] = {}
    """Further arguments of `StateDatabase.open`."""


def say(**what: object) -> None:
    """One line, in one write: a kill leaves it whole or not at all."""
    os.write(1, json.dumps(what).encode() + b"\n")


async def main(config: BoxConfig) -> None:
    log.configure("info")
    signer = Signer.from_files(config.signing_key, config.signing_certificate)
    device = Principal(signer.principal.fleet, signer.principal.role, signer.principal.name).name
    retry = RetryPolicy(receipt_s=config.receipt_s, refused_s=config.receipt_s, bound_s=config.bound_s)
    config.state.parent.mkdir(parents=True, exist_ok=True)
    state = await open_state(config, device, retry, signer)
    log_id = await state.run(lambda database: database.log_id)
    uplink = Uplink(
        UplinkSettings(
            endpoint=config.broker,
            config_version="1",
            **({"reconnect_min_s": 0.05, "reconnect_max_s": 0.5, "spread_s": 0.2} | config.uplink),
        ),
        state=state,
        signer=signer,
        anchor=TrustAnchor.from_file(config.fleet_ca),
        on_event=lambda event: say(event=type(event).__name__, **msgspec.to_builtins(event)),
    )
    stopping = asyncio.Event()
    stop_on_signals(stopping.set)
    running = asyncio.create_task(uplink.run())
    say(up=log_id)
    commits = Commits(config, state, signer, log_id, uplink)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, commits.asked.set)
    committing = asyncio.create_task(commits.run())
    await asyncio.wait({asyncio.ensure_future(stopping.wait()), running}, return_when="FIRST_COMPLETED")
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    await uplink.stop()
    await running
    await state.close()


async def open_state(
    config: BoxConfig, device: str, retry: RetryPolicy, signer: Signer
) -> DatabaseThread[StateDatabase]:
    """The product's way of opening it."""
    now = datetime.now(UTC)
    return await DatabaseThread.open(
        "state",
        lambda: StateDatabase.open(config.state, device=device, now=now, retry=retry, **config.outbox),
    )


class Commits:
    """Commits at random moments, `rate` a second in the mean, now and then several at once."""

    def __init__(
        self,
        config: BoxConfig,
        state: DatabaseThread[StateDatabase],
        signer: Signer,
        log_id: str,
        uplink: Uplink,
    ) -> None:
        self.asked = asyncio.Event()
        self._config, self._state, self._signer = config, state, signer
        self._log_id, self._uplink = log_id, uplink
        self._chance = random.Random(time.time_ns())  # when is part of what is tried; the killer is seeded

    async def run(self) -> None:
        await self._commit(self._config.first)
        mean = (self._config.burst + 1) / 2
        while True:
            wait = self._chance.expovariate(self._config.rate / mean) if self._config.rate else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self.asked.wait()
            asked = self.asked.is_set()
            self.asked.clear()
            await self._commit(1 if asked else self._chance.randint(1, self._config.burst))

    async def _commit(self, count: int) -> None:
        for number in range(count):
            now = datetime.now(UTC)
            sealer = Sealer(self._signer, self._log_id, now)
            name = f"{time.monotonic_ns()}-{number}"
            drafts = [draft(audience) for audience in self._config.audiences]
            envelopes = await self._state.write(
                partial(_commit, name=name, drafts=drafts, sealer=sealer, now=now)
            )
            say(log_id=self._log_id, committed=[[one.audience, one.seq, one.sha256] for one in envelopes])
            self._uplink.wake()


def _commit(database: StateDatabase, *, name: str, drafts: Any, sealer: Sealer, now: datetime) -> Any:
    return database.commit_inspection(name, drafts, sealer, now)


if __name__ == "__main__":
    asyncio.run(
        main(
            msgspec.json.decode(
                Path(sys.argv[1]).read_bytes(), type=BoxConfig, dec_hook=lambda kind, text: kind(text)
            )
        )
    )
