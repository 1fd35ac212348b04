"""Passive authentication among 700 trusted CSCAs: milliseconds for one document, by how its state signs.

    python -m benchmarks.passive [--sod FILE --certificates DIR]

Documents are made here, one for each way of signing; `--sod` adds saved ones, judged with the certificates (DER) in
DIR as well. "first" has nothing parsed beforehand but the libraries loaded, as for the first document of a state after
a start; "next" is a further document of the same signer. Median of the rounds. Exit status 1: slower than the goal.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from edged.core.emrtd import signatures
from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.passive import verify_passive
from edged.core.emrtd.trust_anchors import AnchorEntry, TrustAnchors, anchor_entry
from edged.verdict import Result
from tests.chip_pki import PrivateKey, Scheme, csca, ec_key, rsa_key, security_object, sod

ANCHORS = 700
GOAL_MS = 15.0
ROUNDS = 21
NOW = datetime(2026, 11, 26, tzinfo=UTC)
GROUPS = {1: bytes(93), 2: bytes(15_000), 14: bytes(330), 15: bytes(160)}
WAYS: dict[str, tuple[PrivateKey, PrivateKey, Scheme]] = {
    "RSA 4096 over RSA 2048, SHA-256": (rsa_key(4096), rsa_key(2048), Scheme()),
    "RSA-PSS 4096 over 3072, SHA-256": (rsa_key(4096), rsa_key(3072), Scheme(pss=True)),
    "ECDSA P-256": (ec_key(1), ec_key(2), Scheme()),
    "ECDSA P-521 over P-384": (ec_key(1, ec.SECP521R1()), ec_key(2, ec.SECP384R1()), Scheme("sha384")),
    "ECDSA brainpoolP512r1 over P384r1": (
        ec_key(1, ec.BrainpoolP512R1()),
        ec_key(2, ec.BrainpoolP384R1()),
        Scheme("sha512"),
    ),
}


def measure(data: bytes, groups: dict[int, bytes], entries: list[AnchorEntry]) -> tuple[float, float, Result]:
    """Milliseconds for the first and for a further document, and what `pa_certificate` says."""
    first, further = [], []
    result = Result.UNDETERMINED
    for _ in range(ROUNDS):
        anchors = TrustAnchors(entries)
        signatures._rsa_key.cache_clear()
        signatures._ec_key.cache_clear()
        for times in (first, further):
            began = time.perf_counter()
            judged = verify_passive(data, groups, anchors, at=NOW, issuing_state=None)
            times.append(1000 * (time.perf_counter() - began))
            result = judged.check("pa_certificate").result
    return statistics.median(first), statistics.median(further), result


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sod", action="append", default=[], type=Path)
    parser.add_argument("--certificates", type=Path)
    args = parser.parse_args()
    states = [chr(65 + number // 26) + chr(65 + number % 26) for number in range(130)]
    others = [csca(states[number % 130], ec_key(100 + number)) for number in range(ANCHORS)]
    entries = [anchor_entry(parse_certificate(one.der)) for one in others]
    if args.certificates:
        entries += [
            anchor_entry(parse_certificate(path.read_bytes())) for path in sorted(args.certificates.iterdir())
        ]
    documents = {path.name: (path.read_bytes(), dict[int, bytes]()) for path in args.sod}
    for way, (authority_key, signer_key, scheme) in WAYS.items():
        authority = csca("DE", authority_key, way, scheme=scheme)
        entries.append(anchor_entry(parse_certificate(authority.der)))
        signer = authority.signer(signer_key, scheme=scheme)
        documents[way] = sod(security_object(GROUPS), signer, signer_key, scheme=scheme), GROUPS
    worst = 0.0
    print(f"{len(entries)} trusted certificates; milliseconds: first, next")
    for name, (data, groups) in documents.items():
        first, further, result = measure(data, groups, entries)
        worst = max(worst, first)
        print(f"{name:36} {first:6.2f} {further:6.2f}  {result}")
    print(f"slowest {worst:.1f} ms; goal {GOAL_MS:.0f} ms")
    return int(worst > GOAL_MS)


if __name__ == "__main__":
    raise SystemExit(main())
