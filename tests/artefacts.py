"""Fixture material: large files, cut, and what their role would have signed for them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from edged.pushed.verifying import ArtefactTarget
from edged.uplink import topics
from edged.uplink.artefact import CHUNK, Cut, cut
from tests.broker import FLEET

if TYPE_CHECKING:
    from edged.uplink.mqtt import Connection


def content(chunks: float, seed: int = 1) -> bytes:
    """So many chunks of nothing in particular."""
    return random.Random(seed).randbytes(int(chunks * CHUNK))


def pieces(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]


def target(data: bytes, path: str = "software/edged_2.0_amd64.deb", **changes: Any) -> ArtefactTarget:
    made = cut(pieces(data))
    told: dict[str, Any] = {
        "path": path,
        "sha256": made.sha256,
        "length": made.length,
        "chunk": CHUNK,
        "chunks": made.chunks,
        "index_sha256": made.index_sha256,
        "name": "edged",
        "version": "2.0",
    }
    return ArtefactTarget(**(told | changes))


def parts(data: bytes) -> dict[int | str, bytes]:
    """Everything that is published of a file, by what stands in the topic."""
    made: Cut = cut(pieces(data))
    found: dict[int | str, bytes] = {topics.INDEX: made.index}
    found |= dict(enumerate(pieces(data)))
    return found | {made.chunks + number: table for number, table in enumerate(made.tables)}


async def publish(connection: Connection, data: bytes, **changes: bytes | None) -> None:
    """Publish a file, retained; `changes` by `part_N` replace a part, or leave it out (None)."""
    sha256 = cut(pieces(data)).sha256
    changed = {part: changes.get(f"part_{part}", payload) for part, payload in parts(data).items()}
    for part, payload in changed.items():
        if payload is not None:
            topic = topics.artefact(FLEET, sha256, part)  # type: ignore[arg-type]
            await connection.publish(topic, payload, retain=True)
