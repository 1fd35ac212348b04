"""Leaks planted on purpose: one small change of the daemon each, which the leak test must find.

Run as `python -m tests.plants NAME edged-arguments…`: plants the leak NAME, then is the `edged` command.
"""

from __future__ import annotations

import base64
import sys
from typing import Any

import edged.box
import edged.committing
import edged.daemon
import edged.drafting
import edged.side
import edged.telling
import edged.uplink.outbox
import edged.uplink.publisher
from edged import log
from edged.cli import main
from edged.errors import EdgedError

seen: list[str] = []


def _watch_readings() -> None:
    """Note every holder's surname as it passes."""
    add = edged.side.Side.add

    def reading(self: Any, frame: Any) -> Any:
        said = add(self, frame)
        if said.mrz is not None:
            seen.append(said.mrz.surname.reveal())
        return said

    edged.side.Side.add = reading  # type: ignore[method-assign]


def plant_in_log() -> None:
    stage = edged.telling.Telling.stage

    def chatty(self: Any, name: str) -> None:
        stage(self, name)
        log.get("plant").info("a helpful line", holder=seen[-1:])

    edged.telling.Telling.stage = chatty  # type: ignore[method-assign]


def plant_in_exception() -> None:
    judge = edged.committing.judge_inspection

    def failing(document: Any, **rest: Any) -> Any:
        if seen:
            raise EdgedError(f"can't judge the document of {seen[-1]}")
        return judge(document, **rest)

    edged.committing.judge_inspection = failing


def plant_in_status() -> None:
    status = edged.uplink.publisher.Uplink._status

    def telling(self: Any, state: Any) -> bytes:
        return status(self, state).replace(b'"demo"', b'"demo for ' + "".join(seen[-1:]).encode() + b'"')

    edged.uplink.publisher.Uplink._status = telling  # type: ignore[method-assign]


def plant_in_verdict() -> None:
    disclose = edged.drafting.disclose

    def open_hearted(mrz: Any, policy: Any, **rest: Any) -> Any:
        return disclose(mrz, policy, **rest) | {"surname": mrz.surname.reveal() if mrz else None}

    edged.drafting.disclose = open_hearted


def plant_in_database() -> None:
    commit = edged.uplink.outbox.StateDatabase.commit_inspection

    def remembering(self: Any, *arguments: Any, **rest: Any) -> Any:
        self._connection.execute("CREATE TABLE IF NOT EXISTS visitor (name BLOB)")
        self._connection.execute("INSERT INTO visitor VALUES (?)", (seen[-1].encode("utf-16-le"),))
        return commit(self, *arguments, **rest)

    edged.uplink.outbox.StateDatabase.commit_inspection = remembering  # type: ignore[method-assign]


def plant_in_control_socket() -> None:
    edged.box.Box._on_uplink = (  # type: ignore[method-assign]
        lambda self, event: self._publish({"event": "uplink", "for": seen[-1:]})
    )


def _watch_chips(leak: Any) -> None:
    """Have `leak` see the files of every chip as it is judged."""
    judge = edged.committing.judge_inspection

    def seeing(document: Any, **rest: Any) -> Any:
        chip = document.chip
        if chip is not None and chip.reading is not None:
            leak({file.value: data for file, data in chip.reading.files.items()})
        return judge(document, **rest)

    edged.committing.judge_inspection = seeing


def plant_in_chip() -> None:
    """The portrait in the log, a text at the control socket."""
    notify = edged.daemon.Daemon._publish
    held: list[str] = []

    def leak(files: dict[str, bytes]) -> None:
        log.get("plant").info("portrait", octets=base64.b64encode(files["DG2"]).decode())
        held.append(files["DG11"].decode("latin-1"))

    _watch_chips(leak)
    edged.daemon.Daemon._publish = (  # type: ignore[method-assign]
        lambda self, event: notify(self, {**event, "more": held[-1:]})
    )


PLANTS = {
    name.removeprefix("plant_in_"): plant
    for name, plant in tuple(globals().items())
    if name.startswith("plant_in_")
}

if __name__ == "__main__":
    _watch_readings()
    PLANTS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
