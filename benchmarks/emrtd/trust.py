"""A trust store as a box in the field has it, filled from what is there; and what loading it costs a new process."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.emrtd.reading import AT, OFFICE
from edged.core.emrtd.certificates import parse_certificate
from edged.core.emrtd.ldif import Kind
from edged.trust.importing import Terms, plan
from edged.trust.inputs import Item, objects
from edged.trust.store import TrustStore

ROOT: Final = Path(__file__).resolve().parents[2]
CERTIFICATES: Final = 700
NOW: Final = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


class Filled(NamedTuple):
    """What a store was filled with: certificates of published lists, of the emulated state, and made up."""

    genuine: int
    emulated: int
    made_up: int

    @property
    def total(self) -> int:
        return sum(self)


def fill(directory: Path, shared: Path, wanted: int) -> Filled:
    """Import the lists under `shared`, if any, the emulated state's data, and certificates up to `wanted`."""
    store = TrustStore(directory)
    lists = shared / "master-lists"
    published = sorted(lists.iterdir()) if lists.is_dir() else []
    items = [item for file in published for item in objects(file.read_bytes(), file.name)]
    roots = tuple(parse_certificate(item.der) for item in items if item.kind is Kind.CERTIFICATE)
    genuine = _import(store, items, Terms(NOW, roots=roots, confirmed=True))
    own = [
        item
        for name, der in OFFICE.trust().items()
        if not name.endswith(".ml")
        for item in objects(der, name)
    ]
    emulated = _import(store, own, Terms(NOW, confirmed=True)) - genuine
    missing = max(wanted - genuine - emulated, 0)
    made = [Item(Kind.CERTIFICATE, made_up(number), f"{number}.cer") for number in range(missing)]
    total = _import(store, made, Terms(NOW, confirmed=True))
    return Filled(genuine, emulated, total - genuine - emulated)


def _import(store: TrustStore, items: list[Item], terms: Terms) -> int:
    """How many certificates the store holds then."""
    with store.changing() as change:
        before = change.current()
        after, report = plan(before, items, terms)
        assert not report.refused, [one.code for one in report.refused]
        if after != before:
            change.commit(after, NOW)
        return len(after.certificates)


def made_up(number: int) -> bytes:
    """A CSCA certificate of nobody, RSA 4096 in its size, DER: most of the published ones have such a key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import NameOID

    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Nobody {number}"),
        ]
    )
    key = rsa.RSAPublicNumbers(65537, (1 << 4095) + 2 * number + 1).public_key()
    made = (
        x509.CertificateBuilder(name, name, key, number + 1)
        .not_valid_before(AT - dt.timedelta(days=365))
        .not_valid_after(AT + dt.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .sign(ec.derive_private_key(1, ec.SECP256R1()), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


def in_fresh_processes(task: dict[str, Any], count: int) -> dict[str, Any]:
    """What `fresh` measures, each number the least of so many processes."""
    found = [_fresh(task) for _ in range(count)]
    return {name: min(one[name] for one in found) for name in found[0]}


def _fresh(task: dict[str, Any]) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.emrtd.fresh"],
        input=json.dumps(task),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip())
    found: dict[str, Any] = json.loads(ran.stdout)
    return found
