"""What de-identifying an inspection costs: policies, sealing, the holder's claims; beside signing, and HPKE alone.

    python -m benchmarks.privacy [--times 300]

Milliseconds of one core, the median of so many, all of one run. Two ratios are the point: everything that the policies
of a scene do, against the one signature that each envelope needs anyway; and sealing as the box does it, against HPKE
of `cryptography` alone on the same bytes. Exit status 1: the first is above `LIMIT`, or the second.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from edged import sealing
from edged.drafting import SLIP_POLICY
from edged.privacy import ready_made
from edged.privacy.disclosing import disclose
from edged.privacy.encrypting import encrypt_claims
from edged.privacy.held import FIELDS, hold
from edged.privacy.policy import policy_hash
from edged.privacy.pseudonym import Pseudonymiser
from edged.uplink.names import Role
from tests.broker import Town
from tests.test_privacy_policy import TODAY, passport

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS: Final = {"policies of a bank's scene / one signature": 5.0, "sealing claims / HPKE alone": 1.5}
"""The policies of one scene cost no more than a few signatures; what is added to HPKE, no more than half of it."""

SCENE: Final = ("bank-account-opening", "central-archive")
"""The ready-made policies that a bank's inspection goes through."""


def median_ms(work: Callable[[], Any], times: int) -> float:
    work()
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return 1000 * statistics.median(took)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=300)
    times = parser.parse_args().times
    document, key = passport(), ec.generate_private_key(ec.SECP256R1())
    recipient, pseudonyms = key.public_key(), Pseudonymiser(bytes(range(32)), "box:bank")
    suite = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

    def told(name: str) -> dict[str, Any]:
        policy = ready_made.load(name)
        policy_hash(policy)
        return disclose(document, policy, pseudonyms=pseudonyms, today=TODAY, consent=True)

    claims, record = told(SCENE[0]), bytes(2048)  # a whole lodging record has under 2 KiB

    def encrypted() -> sealing.Sealed:
        where = {"fleet": "f", "device": "box-1", "audience": "bank", "policy_sha256": "0" * 64}
        return encrypt_claims(claims, recipient, **where)

    def sealed_record() -> sealing.Sealed:
        context = sealing.envelope_context(
            fleet="f", device="box-1", audience="police", policy_sha256="0" * 64, record_id="r"
        )
        return sealing.seal(record, recipient, what="record", context=context)

    with tempfile.TemporaryDirectory() as directory:
        signer = Town(Path(directory)).signer(Role.DEVICE, "box-1")
        rows = {"one signature": median_ms(lambda: signer.sign("bench+jws", b"{}"), times)}
        rows |= {f"policy {name}": median_ms(partial(told, name), times) for name in ready_made.names()}
        rows["policies of a bank's scene"] = median_ms(lambda: [told(name) for name in SCENE], times)
        rows["claims on the slip"] = median_ms(
            lambda: disclose(document, SLIP_POLICY, pseudonyms=pseudonyms, today=TODAY, consent=True), times
        )
        rows["fields held for a handover, and overwritten"] = median_ms(
            lambda: hold(document, FIELDS, certain=True, clock_trusted=True).forget(), times
        )
        rows["sealing claims"] = median_ms(encrypted, times)
        rows["sealing a record of 2 KiB"] = median_ms(sealed_record, times)
        plain = str(claims).encode()
        rows["HPKE alone"] = median_ms(lambda: suite.encrypt(plain, recipient, b""), times)
    print("| per inspection | ms |\n|---|---|")
    for name, took in rows.items():
        print(f"| {name} | {took:.3f} |")
    print("\n| ratio | is | at most |\n|---|---|---|")
    worst = 0
    for name, limit in LIMITS.items():
        ours, peer = name.split(" / ")
        ratio = rows[ours] / rows[peer]
        worst |= ratio > limit
        print(f"| {name} | {ratio:.2f} | {limit:g} |")
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
