"""How long a daemon waits for its trust data: from the store on disk, checked, to anchors that a chip is judged by.

    python -m benchmarks.trust [--trust DIR] [--certificates 700]

Without `--trust` a store of that many certificates of 130 states is made. Each time is that of a fresh process, so
that nothing is warm but the disk's cache: what the imports take, the load itself (the least and the median of ten),
and the search for a signer's CSCA, which parses what it needs.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edged.core.emrtd.certificates import parse_certificate
from edged.trust.generation import EMPTY, Source, stored_certificate
from edged.trust.store import TrustStore
from tests.trust_builders import issue

STATES = 130
GOAL_MS = 300
ROUNDS = 10

MEASURED = """
import sys, time
started = time.perf_counter()
from pathlib import Path
from edged.trust.loading import load_anchors
imported = time.perf_counter()
anchors = load_anchors(Path(sys.argv[1]))
loaded = time.perf_counter()
from edged.core.emrtd.certificates import parse_certificate
one = parse_certificate(bytes.fromhex(sys.argv[2]))
before = time.perf_counter()
found = any(one.signed_by(issuer.certificate) for issuer in anchors.issuers(one))
print(imported - started, loaded - imported, time.perf_counter() - before, len(anchors), found)
"""


def make(directory: Path, count: int) -> None:
    """A store of `count` certificates."""
    now = datetime.now(UTC)
    states = [chr(65 + number // 26) + chr(65 + number % 26) for number in range(STATES)]
    parties = (issue(states[number % STATES], f"CSCA {number // STATES}") for number in range(count))
    source = Source(id=1, kind="master_list", file="made", sha256="0" * 64, imported=now, publisher="AA")
    certificates = tuple(stored_certificate(parse_certificate(one.der), (1,)) for one in parties)
    with TrustStore(directory).changing() as change:
        held = msgspec.structs.replace(EMPTY, sources=(source,), certificates=certificates, next_source=2)
        change.commit(held, now)


def main() -> int:
    """Exit status 1: slower than the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trust", type=Path)
    parser.add_argument("--certificates", type=int, default=700)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        directory = args.trust or Path(room) / "trust"
        if args.trust is None:
            make(directory, args.certificates)
        held = TrustStore(directory).current()
        root = next(one.der for one in held.certificates if not one.link)
        rows = []
        for _ in range(ROUNDS):
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, str(directory), root.hex()],
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append(done.stdout.split())
    times = [[float(row[column]) * 1000 for row in rows] for column in range(3)]
    print(f"{rows[0][3]} certificates")
    for what, column in zip(("imports", "load, checked", "a first chain"), times, strict=True):
        print(f"  {what:<14} least {min(column):6.1f} ms  median {statistics.median(column):6.1f} ms")
    return int(statistics.median(times[1]) > GOAL_MS)


if __name__ == "__main__":
    sys.exit(main())
