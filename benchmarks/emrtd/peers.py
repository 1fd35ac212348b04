"""Other projects' passive authentication, each in a virtual environment of its own, as the measure of ours.

`measure` makes the environment (.run/peers/<name>), gives the peer security objects and the CSCA certificates of their
states, and returns what it did with each. Run by the peer's own Python, this file is the worker. Nothing of theirs is
part of edged.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Verify = Callable[[bytes, list[bytes]], tuple[bool, str]]
    """A security object and CSCA certificates to whether it is believed, and how far that goes."""

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".run" / "peers"
PEERS = {
    "pymrtd": ("pymrtd", "git+https://github.com/ZeroPass/pymrtd"),
    "pyhanko": ("pyhanko",),
}
"""Where each is looked for, the first that installs. pymrtd is made for travel documents; pyHanko verifies any CMS,
and builds the path to a root. (pypassport, the other one for travel documents, has no files on the package index.)"""
INSTALL_S = 180
ROUNDS = 9
CHAIN = "signature and chain"


def measure(name: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    """The peer's version and what it did with each security object; {"error": …} when it can't be had or run."""
    folder = ENVIRONMENTS / f"chip-{name}"
    python = folder / "bin" / "python"
    error = None if _installed(python, name) else _install(folder, PEERS[name])
    if error is not None:
        return {"error": error}
    ran = subprocess.run(
        [python, __file__, name],
        check=False,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if ran.returncode:
        return {"error": (ran.stderr.strip().splitlines() or ["no output"])[-1]}
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _installed(python: Path, name: str) -> bool:
    if not python.exists():
        return False
    shown = subprocess.run([python, "-m", "pip", "show", "-q", name], check=False, capture_output=True)
    return shown.returncode == 0


def _install(folder: Path, sources: tuple[str, ...]) -> str | None:
    """None when one of them installed, otherwise what was tried and what came of each."""
    venv.create(folder, with_pip=True, clear=True)
    tried = []
    for source in sources:
        try:
            made = subprocess.run(
                [folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-input", source],
                check=False,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
            )
        except subprocess.TimeoutExpired:
            tried.append(f"{source}: no end in {INSTALL_S} s")
            continue
        if not made.returncode:
            return None
        lines = [line.strip() for line in made.stderr.splitlines()]
        errors = [line for line in lines if line.startswith("fatal:")] or [
            line for line in lines if line.startswith("ERROR:")
        ]
        tried.append(f"{source}: {errors[0] if errors else 'could not be installed'}")
    return "; ".join(tried)


def pymrtd() -> Verify:
    from pymrtd.ef import SOD  # type: ignore[import-not-found]

    def verify(data: bytes, _: list[bytes]) -> tuple[bool, str]:
        sod = SOD.load(data)
        signers = list(sod.signers)
        for signer in signers:
            sod.verify(signer, sod.getDscCertificate(signer))
        return bool(signers), "signature only"

    return verify


def pyhanko() -> Verify:
    import asyncio

    from asn1crypto import cms, parser, x509
    from pyhanko.sign.validation import generic_cms  # type: ignore[import-not-found]
    from pyhanko.sign.validation.settings import KeyUsageConstraints  # type: ignore[import-not-found]
    from pyhanko_certvalidator import ValidationContext  # type: ignore[import-not-found]

    def verify(data: bytes, roots: list[bytes]) -> tuple[bool, str]:
        signed = cms.ContentInfo.load(parser.parse(data)[4])["content"]
        trusted = [x509.Certificate.load(one) for one in roots]
        status = asyncio.run(
            generic_cms.async_validate_cms_signature(
                signed,
                validation_context=ValidationContext(trust_roots=trusted, allow_fetching=False),
                key_usage_settings=KeyUsageConstraints(key_usage=set()),
            )
        )
        believed = bool(status.intact and status.valid)
        return believed, CHAIN if status.trusted else "signature, no chain"

    return verify


def _useful(verify: Verify, data: bytes, roots: list[bytes]) -> list[bytes]:
    """All roots; or the one that leads to a chain, where all of them together don't: some bear the same name."""
    for given in (roots, *([one] for one in roots)):
        if verify(data, given)[1] == CHAIN:
            return given
    return roots


def main(name: str) -> None:
    """Measure the peer that this Python has; JSON in, JSON out."""
    verify: Verify = {"pymrtd": pymrtd, "pyhanko": pyhanko}[name]()
    results = []
    for one in json.load(sys.stdin):
        data, roots = bytes.fromhex(one["sod"]), [bytes.fromhex(each) for each in one["roots"]]
        try:
            roots = _useful(verify, data, roots)
            times = []
            for _ in range(ROUNDS):
                since = time.thread_time()
                believed, how_far = verify(data, roots)
                times.append(time.thread_time() - since)
            results.append({"believed": believed, "how_far": how_far, "least_s": min(times)})
        except Exception as error:  # noqa: BLE001 - whatever a peer trips over is its answer
            results.append({"error": f"{type(error).__name__}: {str(error)[:120]}"})
    print(json.dumps({"version": importlib.metadata.version(name), "results": results}))


if __name__ == "__main__":
    main(sys.argv[1])
