"""Install the open peers, each into an environment of its own, and say which are there.

    python -m benchmarks.peers --install [--dir .run/peers] [--only NAME]
    python -m benchmarks.peers --list

tesseract itself comes from Debian (apt-get install tesseract-ocr), node and npm too. `--peers` of
`python -m benchmarks.reading` runs what is installed; what is missing or fails is said, never made up.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # started as a file
    sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import engines  # noqa: E402
from benchmarks.accuracy.conversation import Peer, PeerError  # noqa: E402


def main() -> int:
    """Install or list; exits 1 when an engine can't be installed or started."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--dir", type=Path, default=engines.DEFAULT_DIR)
    parser.add_argument("--only", action="append", help="part of a name; repeatable")
    args = parser.parse_args()
    wanted = [e for e in engines.ENGINES if not args.only or any(part in e.name for part in args.only)]
    bad = 0
    done: set[str] = set()
    for engine in wanted if args.install else ():
        if engine.environment in done:
            continue
        done.add(engine.environment)
        try:
            engines.install(engine, args.dir)
            print(f"installed {' '.join(engine.packages)}")
        except RuntimeError as error:
            bad += 1
            print(f"{engine.name}: not installed: {error}", file=sys.stderr)
    for engine in wanted:
        try:
            with Peer(engines.command(engine, args.dir), engines.environment(engine, args.dir)) as peer:
                print(f"{engine.name}: " + ", ".join(f"{n} {v}" for n, v in peer.versions.items()))
        except (RuntimeError, PeerError) as error:
            bad += 1
            print(f"{engine.name}: {error}", file=sys.stderr)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
