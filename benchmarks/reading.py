"""How well and how fast machine-readable zones are read: exact, wrong-as-valid, refused, milliseconds, megabytes.

    python -m benchmarks.reading [CORPUS] [--degrade N] [--failures] [--json]
    python -m benchmarks.reading --set all --pages 300 --seed 1 --jobs 2 --speed --peers --docs docs

Sets: `corpus` (a folder of real pictures with a `corpus.json`: a list of {"file", "format", "kind", "lines" (null
where there is nothing to be read), "check_ok"}), `degraded` (copies of it as a counter camera would take them),
`specimens` (the package's own), and the drawn ones of `tools/render_pages`: `reader-window`, `counter-camera`,
`harsh`, `negatives`. Exits 1 when a wrong zone was presented as valid.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # started as a file
    sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import scoring, show, sources  # noqa: E402
from benchmarks.accuracy.examine import TODAY, Record  # noqa: E402
from benchmarks.accuracy.examine import examine as examine_items  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TODAY", "examine", "items", "report"]

items = sources.corpus
report = scoring.report
SPEED_PAGES = 10
PEER_PAGES = 20


def examine(entries: Sequence[sources.Item], degraded: int = 0) -> list[Record]:
    """Read these pictures, and so many degraded copies of each."""
    copies = [
        entry._replace(set="degraded", copy=copy)
        for entry in entries
        if entry.path is not None
        for copy in range(1, degraded + 1)
    ]
    return examine_items([*entries, *copies])


def _pages(text: str) -> tuple[str, int]:
    """`300` or `reader-window=3000`."""
    name, _, count = text.rpartition("=")
    if name not in ("", *sources.SYNTHETIC) or not count.isdigit():
        raise argparse.ArgumentTypeError(f"a number, or one of {', '.join(sources.SYNTHETIC)} = a number")
    return name, int(count)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = os.environ.get("EDGED_CORPUS", str(ROOT.parent / "shared" / "corpus"))
    parser.add_argument("corpus", nargs="?", type=Path, default=Path(default), help="folder of real pictures")
    parser.add_argument(
        "--set", action="append", choices=(*sources.SETS, "all"), help="repeatable; corpus without it"
    )
    parser.add_argument("--specimens", action="store_true", help="the same as --set specimens")
    parser.add_argument(
        "--degrade", type=int, default=0, metavar="N", help="N degraded copies of each real picture"
    )
    parser.add_argument("--pages", action="append", default=[], type=_pages, metavar="[SET=]N",
                        help="pages of each drawn set, or of one; repeatable (100)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the drawn sets; tools/render_pages/README.md")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes; times are only worth something with one"
    )
    parser.add_argument(
        "--speed", action="store_true", help="two-megapixel times, memory and loading as well"
    )
    parser.add_argument(
        "--peers", action="store_true", help="every installed peer on the same pictures (slow)"
    )
    parser.add_argument(
        "--peers-from",
        type=Path,
        action="append",
        metavar="JSON",
        help="the peers' part of an earlier --json run; repeatable",
    )
    parser.add_argument("--peers-dir", type=Path, default=ROOT / ".run" / "peers")
    parser.add_argument(
        "--peer-pages", type=int, default=PEER_PAGES, help="pictures of each set shown to the peers"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--failures", action="store_true", help="list what was not read or not sure")
    parser.add_argument("--picture", type=Path, metavar="SVG", help="draw the accuracy")
    parser.add_argument(
        "--docs", type=Path, metavar="DIR", help="write the tables, the picture and the coverage there"
    )
    return parser


def _chosen(args: argparse.Namespace) -> dict[str, list[sources.Item]]:
    wanted = list(args.set or (["specimens"] if args.specimens else ["corpus"]))
    if "all" in wanted:
        wanted = [s for s in sources.SETS if s != "degraded" or args.degrade]
    elif args.degrade and "corpus" in wanted:
        wanted.append("degraded")
    found: dict[str, list[sources.Item]] = {}
    for set_name in dict.fromkeys(wanted):
        if set_name in ("corpus", "degraded"):
            copies = max(1, args.degrade) if set_name == "degraded" else 0
            every = sources.corpus(args.corpus, copies)
            found[set_name] = [item for item in every if item.set == set_name]
        elif set_name == "specimens":
            found[set_name] = sources.specimens()
        else:
            pages = dict([("", 100), *args.pages])
            found[set_name] = sources.drawn(set_name, args.seed, pages.get(set_name, pages[""]))
    return found


def main() -> int:
    """Run the benchmark."""
    args = _arguments().parse_args()
    needs_corpus = not args.specimens and (not args.set or {"corpus", "degraded", "all"} & set(args.set))
    if needs_corpus and not (args.corpus / "corpus.json").exists():
        print(f"no corpus.json in {args.corpus}", file=sys.stderr)
        return os.EX_NOINPUT
    chosen = _chosen(args)
    records = examine_items([i for found in chosen.values() for i in found], args.jobs, progress=True)
    table = report(records)
    speed = peers = None
    if args.speed:
        from benchmarks.accuracy.speed import measure

        speed = measure([item for found in chosen.values() for item in found[:SPEED_PAGES]])
    if args.peers:
        from benchmarks.accuracy.side_by_side import run

        peers = run({name: found[: args.peer_pages] for name, found in chosen.items()}, args.peers_dir)
    elif args.peers_from:
        for path in args.peers_from:
            earlier = json.loads(path.read_text())["peers"]
            peers = {**earlier, "sets": {**(peers["sets"] if peers else {}), **earlier["sets"]}}
    goals = scoring.goals(table, speed)
    if args.json:
        print(
            json.dumps({**table, "speed": speed, "peers": peers, "goals": [goal._asdict() for goal in goals]})
        )
    else:
        print(show.terminal(table, goals, speed))
        if peers:
            print("\n".join(show.peers_table(peers)))
    if args.failures:
        print(show.failures(records))
    _write(args, table, records, show.accuracy(table, goals, speed, peers, _how()))
    return int(table["all"]["wrong_as_valid"] > 0)


def _how() -> str:
    """This run's command, without anything that names a machine's folders."""
    words = [word for word in sys.argv[1:] if not word.startswith("/")]
    return "python -m benchmarks.reading " + shlex.join(words)


def _write(args: argparse.Namespace, table: dict[str, Any], records: Sequence[Record], accuracy: str) -> None:
    from benchmarks.accuracy.coverage import coverage
    from benchmarks.accuracy.picture import accuracy_svg

    if args.picture:
        args.picture.write_text(accuracy_svg(table))
    if args.docs:
        (args.docs / "reading-accuracy.svg").write_text(accuracy_svg(table))
        (args.docs / "reading-accuracy.md").write_text(accuracy)
        (args.docs / "coverage.md").write_text(coverage(records))


if __name__ == "__main__":
    raise SystemExit(main())
