"""What reading and judging a chip costs the host: `python -m benchmarks.chip [--read N] [--peers] [--json]`.

Readings of every kind of emulated document over a simulated link at 106, 424 and 848 kbit/s (its time is added up,
nobody waits), passive authentication of genuine and emulated security objects, and a trust store of 700 CSCAs loaded
by a new process, each beside its goal. With `--peers`, other projects' passive authentication of the same files.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # started as a file
    sys.path.insert(0, str(ROOT))

from benchmarks.emrtd import passive, peers, trust  # noqa: E402
from benchmarks.emrtd.fresh import Seeded  # noqa: E402
from benchmarks.emrtd.link import SPEEDS, Link  # noqa: E402
from benchmarks.emrtd.reading import AT, LINES, PHASES, least, read_once  # noqa: E402
from edged.core.emrtd.certificates import parse_certificate  # noqa: E402
from edged.core.emrtd.reader import LONGEST_ANSWER  # noqa: E402
from edged.emulator.profiles import profiles  # noqa: E402
from edged.trust.loading import load_anchors  # noqa: E402
from edged.trust.store import TrustStore  # noqa: E402

HOST_MS = 150.0
PORTRAIT_RATIO = 1.2
PASSIVE_MS = 15.0
LOAD_MS = 300.0
FRESH = "pace-gm"
"""The kind of document of the first reading of a process: what a passport of today has."""


def readings(store: Path, count: int) -> dict[str, dict[str, Any]]:
    """Every kind of document: host time by phase, and the link's at every speed."""
    anchors = load_anchors(store)
    found: dict[str, dict[str, Any]] = {}
    for name, profile in profiles().items():
        best, median_s = least(profile, anchors, count)
        assert best.genuine, f"{name}: not read to its end, or not judged genuine"
        links = {speed: Link(speed) for speed in SPEEDS}
        found[name] = {
            "commands": len(best.exchanges),
            "portrait": best.portrait,
            "host_ms": {phase: ms(seconds) for phase, seconds in best.host_s.items()},
            "total_ms": ms(best.total_s),
            "median_ms": ms(median_s),
            "link_s": {speed: best.link_s(link) for speed, link in links.items()},
            "idle": {
                speed: best.idle_s() / (best.idle_s() + best.link_s(link)) for speed, link in links.items()
            },
            "portrait_ratio": (
                {speed: best.portrait_ratio(link) for speed, link in links.items()}
                if profile.conduct.extended
                else None
            ),
        }
    return found


def first_of_a_process(store: Path, certificates: int, count: int) -> dict[str, float]:
    """Loading the store, the first reading and the first verdict of a new process, in ms."""
    answers: list[bytes] = []
    read_once(profiles()[FRESH], load_anchors(store), Seeded(), answers)
    task = {
        "store": str(store),
        "certificates": certificates,
        "lines": LINES,
        "at": AT.isoformat(),
        "answers": [one.hex() for one in answers],
        "longest": LONGEST_ANSWER,
    }
    return {name: ms(seconds) for name, seconds in trust.in_fresh_processes(task, count).items()}


def beside_peers(cases: list[passive.Case], store: Path, own: dict[str, Any]) -> dict[str, Any]:
    """Every peer on every security object, with the CSCAs of its signer's state for trust."""
    by_state: dict[str, list[str]] = {}
    for one in TrustStore(store).current().certificates:
        by_state.setdefault(one.country, []).append(one.der.hex())
    given = []
    for case in cases:
        result = case.verify(load_anchors(store))
        signer = result.facts.signer if result.facts else None
        roots = by_state.get(parse_certificate(signer.der).country or "", []) if signer else []
        given.append({"sod": case.sod.hex(), "roots": roots})
    found: dict[str, Any] = {}
    for name in peers.PEERS:
        found[name] = one = peers.measure(name, given)
        for case, result in zip(cases, one.get("results", ()), strict=False):
            result["name"] = case.name
            if "least_s" in result:
                result["ms"] = ms(result.pop("least_s"))
                result["ratio"] = result["ms"] / own[case.name]["cold_ms"]
    return found


def measure(shared: Path, count: int, certificates: int, *, with_peers: bool) -> dict[str, Any]:
    """Everything, as `--json` prints it."""
    with tempfile.TemporaryDirectory() as directory:
        store = Path(directory) / "trust"
        filled = trust.fill(store, shared, certificates)
        told: dict[str, Any] = {
            "python": platform.python_version(),
            "readings": readings(store, count),
            "passive": {},
            "skipped": [],
            "trust": filled._asdict() | {"certificates": filled.total},
            "first": first_of_a_process(store, filled.total, min(count, 5)),
        }
        cases = []
        for case in passive.cases(shared):
            if isinstance(case, str):
                told["skipped"].append(case)
                continue
            cases.append(case)
            one = passive.measure(case, store, count)
            told["passive"][case.name] = {
                "cold_ms": ms(one.pop("cold_s")),
                "warm_ms": ms(one.pop("warm_s")),
                **one,
            }
        told["peers"] = beside_peers(cases, store, told["passive"]) if with_peers else {}
    return told


def ms(seconds: Any) -> float:
    return float(seconds) * 1000


def goal(value: float, most: float) -> str:
    return f"goal ≤ {most:g}: {'reached' if value <= most else 'MISSED'}"


def show(told: dict[str, Any], count: int) -> None:
    """The tables a person reads."""
    print(
        f"Python {told['python']}, one core; least host time of {count} readings each, the chip's own taken out\n"
    )
    show_readings(told["readings"])
    show_passive(told)
    show_trust(told)
    show_peers(told["peers"])


def show_readings(found: dict[str, dict[str, Any]]) -> None:
    speeds = "/".join(map(str, SPEEDS))
    print("host time, ms")
    print(
        f"{'document':12}{'APDUs':>6}"
        + "".join(f"{phase:>15}" for phase in PHASES)
        + f"{'total':>8}{'median':>8}"
    )
    for name, one in found.items():
        phases = "".join(f"{one['host_ms'][phase]:15.2f}" for phase in PHASES)
        print(f"{name:12}{one['commands']:6}{phases}{one['total_ms']:8.2f}{one['median_ms']:8.2f}")
    worst = max(found, key=lambda name: found[name]["total_ms"])
    total = found[worst]["total_ms"]
    print(f"most: {worst}, {total:.1f} ms   {goal(total, HOST_MS)}\n")
    print(f"link at {speeds} kbit/s, 5 ms of the chip's an APDU")
    print(
        f"{'document':12}{'link, s':>20}{'idle for the host, %':>24}{'DG2 octets':>12}{'DG2 by its limit':>22}"
    )
    for name, one in found.items():
        link = " ".join(f"{one['link_s'][speed]:.2f}" for speed in SPEEDS)
        idle = " ".join(f"{one['idle'][speed] * 100:.2f}" for speed in SPEEDS)
        ratio = one["portrait_ratio"]
        told = " ".join(f"{ratio[speed]:.3f}" for speed in SPEEDS) if ratio else "short reads only"
        print(f"{name:12}{link:>20}{idle:>24}{one['portrait']:12}{told:>22}")
    long = {name: max(one["portrait_ratio"].values()) for name, one in found.items() if one["portrait_ratio"]}
    worst = max(long, key=lambda name: long[name])
    print(f"most: {worst}, {long[worst]:.3f} of the link's limit   {goal(long[worst], PORTRAIT_RATIO)}")
    print(
        f"idle most: {max(max(one['idle'].values()) for one in found.values()) * 100:.2f} % of the reading\n"
    )


def show_passive(told: dict[str, Any]) -> None:
    print("passive authentication, ms: cold (nothing parsed yet), warm (the same again)")
    for name, one in told["passive"].items():
        checks = " ".join(one["checks"].values())
        print(f"{name:24}{one['cold_ms']:8.2f}{one['warm_ms']:8.2f}   {one['algorithm']}: {checks}")
    for reason in told["skipped"]:
        print(f"skipped: {reason}")
    most = max(one["cold_ms"] for one in told["passive"].values())
    print(f"most: {most:.1f} ms   {goal(most, PASSIVE_MS)}\n")


def show_trust(told: dict[str, Any]) -> None:
    one, first = told["trust"], told["first"]
    print(
        f"trust: {one['certificates']} CSCA certificates ({one['genuine']} of published lists,"
        f" {one['emulated']} of the emulated state, {one['made_up']} made up), by a new process, ms"
    )
    for name, value in first.items():
        print(f"{name:24}{value:8.1f}" + (f"   {goal(value, LOAD_MS)}" if name == "load" else ""))
    both = first["first reading"] + first["first judging"]
    print(f"{'first document':24}{both:8.1f}   {goal(both, HOST_MS)}\n")


def show_peers(found: dict[str, Any]) -> None:
    if not found:
        print("other projects: not asked for (--peers)")
        return
    print("other projects, passive authentication of the same files")
    for name, one in found.items():
        if "error" in one:
            print(f"{name}: not measured: {one['error']}")
            continue
        for result in one["results"]:
            who = f"{name} {one['version']}"
            if "error" in result:
                print(f"{who:16} {result['name']:24} refused: {result['error']}")
                continue
            believed = "believed" if result["believed"] else "NOT believed"
            print(
                f"{who:16} {result['name']:24}{result['ms']:8.2f} ms   {result['ratio']:.1f} x edged, cold"
                f"   {believed}: {result['how_far']}"
            )
    print(
        "basic access control, PACE, secure messaging: no other Python project on the package index has them"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--read", type=int, default=15, metavar="N", help="readings of every kind of document"
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "chip", help="genuine files")
    parser.add_argument("--certificates", type=int, default=trust.CERTIFICATES, help="at least so many CSCAs")
    parser.add_argument("--peers", action="store_true", help="measure other projects, too")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    told = measure(options.shared, options.read, options.certificates, with_peers=options.peers)
    if options.json:
        goals = {
            "host_ms": HOST_MS,
            "portrait_ratio": PORTRAIT_RATIO,
            "passive_ms": PASSIVE_MS,
            "load_ms": LOAD_MS,
        }
        print(json.dumps(told | {"goals": goals}))
        return 0
    show(told, options.read)
    return 0


if __name__ == "__main__":
    sys.exit(main())
