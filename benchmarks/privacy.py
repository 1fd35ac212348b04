"""What de-identifying an inspection costs: policies, sealing, the holder's claims; beside signing, and HPKE alone.

    python -m benchmarks.privacy [--times 300]

Milliseconds of one core, the median of so many, all of one run. Two ratios are the point: everything that the policies
of a scene do, against the one signature that each envelope needs anyway; and sealing as the box does it, against HPKE
of `cryptography` alone on the same bytes.

Then the search of an audit, in MB/s of one core: over text that looks encoded, against `grep -c -F -i` of the same
plain values over the same file. grep looks for them as they stand; the audit in everything that can be decoded out of
it, which is some eight times as much. Exit status 1: a ratio is above its limit.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from edged import auditing, sealing
from edged.drafting import SLIP_POLICY
from edged.privacy import ready_made
from edged.privacy.disclosing import disclose
from edged.privacy.encrypting import encrypt_claims
from edged.privacy.held import FIELDS, hold
from edged.privacy.leakscan import LeakScanner
from edged.privacy.policy import policy_hash
from edged.privacy.pseudonym import Pseudonymiser
from edged.uplink.names import Role
from tests.broker import Town
from tests.test_privacy_policy import TODAY, passport

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS: Final = {"policies of a bank's scene / one signature": 5.0, "sealing claims / HPKE alone": 1.5}
"""The policies of one scene cost no more than a few signatures; what is added to HPKE, no more than half of it."""

SEARCHED_MIB: Final = 20
"""Of each kind of text: what a box writes in a day."""

AUDIT_LIMIT: Final = 100.0
"""Times what grep takes: a gigabyte is audited in two minutes, and not in an hour."""

VALUES: Final = (
    *(("surname", "ERIKSSON"), ("given_names", "ANNA MARIA"), ("document_number", "L898902C3")),
    *(
        ("optional_data", "ZE184226B"),
        ("birth_date", "19740812"),
        ("mrz", "L898902C36UTO7408122F1204159ZE184226B"),
    ),
)
"""Of the specimen of Doc 9303, whose holder is fiction."""

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


def lines(text: bytes, width: int) -> bytes:
    return b"\n".join(text[at : at + width] for at in range(0, len(text), width)) + b"\n"


def envelopes(octets: int, noise: random.Random) -> bytes:
    """As the outbox and exports have them: JSON with a signed message in base64url."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    made, size = [], 0
    while size < octets:
        header = {"alg": "ES256", "x5c": [base64.b64encode(noise.randbytes(600)).decode()]}
        checks = [{"name": "mrz_read", "result": "successful"}] * 12
        payload = {"iss": "box-1", "jti": noise.randbytes(16).hex(), "checks": checks, "seq": len(made)}
        parts = (json.dumps(header).encode(), json.dumps(payload).encode(), noise.randbytes(64))
        line = {"seq": len(made), "sha256": noise.randbytes(32).hex(), "jws": ".".join(map(part, parts))}
        made.append(json.dumps(line).encode())
        size += len(made[-1]) + 1
    return b"\n".join(made)


def searched(file: Path, scanner: LeakScanner) -> None:
    """Raises `SystemExit` where something was found: nothing is there."""
    done = auditing.audit([file], scanner)
    if done.found or done.not_searched:
        raise SystemExit("what isn't there was found")


def audit_rows(directory: Path) -> list[tuple[str, float, float | None]]:
    """(kind of text, MB/s of the audit, how many times as long as grep; None without one)."""
    noise, octets = random.Random(8), SEARCHED_MIB << 20
    texts = {
        "base64 in lines": lines(base64.b64encode(noise.randbytes(octets * 3 // 4)), 76),
        "hex in lines": lines(noise.randbytes(octets // 2).hex().encode(), 64),
        "envelopes in JSON": envelopes(octets, noise),
    }
    scanner, grep = LeakScanner(VALUES), shutil.which("grep")
    wanted = [word for _, value in VALUES for word in ("-e", value)]
    rows = []
    for kind, text in texts.items():
        file = directory / "searched"
        file.write_bytes(text)

        ours = median_ms(partial(searched, file, scanner), 1)
        theirs = None
        if grep is not None:
            command = [grep, "-c", "-F", "-i", *wanted, str(file)]
            looked = partial(subprocess.run, command, stdout=subprocess.DEVNULL, check=False)
            theirs = median_ms(looked, 5)
        rows.append((kind, len(text) / 1000 / ours, None if theirs is None else ours / theirs))
    return rows


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
    with tempfile.TemporaryDirectory() as directory:
        found = audit_rows(Path(directory))
    print("\n| audit of | MB/s of one core | times grep -c -F -i | at most |\n|---|---|---|---|")
    for kind, speed, times_grep in found:
        told = "not available" if times_grep is None else f"{times_grep:.0f}"
        print(f"| {kind} | {speed:.1f} | {told} | {AUDIT_LIMIT:g} |")
        worst |= times_grep is not None and times_grep > AUDIT_LIMIT
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
