"""The verifier printed on the partners' page, run as it stands there by the machine's own Node.js."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import pytest

from edged.uplink.authority import FleetAuthority
from edged.uplink.envelope import TYP_VERDICT, StreamPosition, open_envelope, seal
from edged.uplink.keys import generate_key, private_pem
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.receipts import TYP_RECEIPT
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.sign import Signer
from edged.verdict import Kind
from tests.trust_support import draft

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parent.parent / "docs" / "partners.md"
NODE = shutil.which("node")
NOW = datetime.now(UTC)  # the page's code asks the real clock
BOX = Principal("harbour", Role.DEVICE, "box-1")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js isn't installed")


def authority(*, demo: bool = False, now: datetime = NOW, days: int = 3650) -> FleetAuthority:
    return FleetAuthority.create("harbour", demo=demo, now=now, days=days)


def signer(
    issuer: FleetAuthority, principal: Principal = BOX, *, extra: bytes = b"", days: int = 397
) -> Signer:
    key = generate_key()
    pem = issuer.issue(principal, Usage.SIGNING, key.public_key(), now=NOW - timedelta(days=2), days=days)
    return Signer(key, load_chain(pem + extra))


def envelope(by: Signer, kind: Kind = Kind.LIVE) -> str:
    made = draft(kind=kind, claims={"surname": "E*", "chinese_name": "张*"})
    position = StreamPosition(1, None)
    return seal(made, position=position, log_id="l", jti="j", iat=1, config_version="1", signer=by).jws


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    (code,) = re.findall(
        r"<!-- test: verify.mjs -->\n```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    script = tmp_path / "verify.mjs"
    script.write_text(code, encoding="utf-8")

    def run(
        compact: str, issuer: FleetAuthority | SimpleNamespace, audience: str = "bank"
    ) -> tuple[int, str]:
        ca = tmp_path / "fleet-ca.pem"
        ca.write_bytes(issuer.certificate_pem)
        assert NODE is not None
        done = subprocess.run(
            [NODE, str(script), str(ca), audience], input=compact, capture_output=True, text=True, timeout=30
        )
        return done.returncode, done.stdout or done.stderr

    return run


def test_it_accepts_what_we_accept(verify: Callable[..., tuple[int, str]]) -> None:
    issuer = authority()
    compact = envelope(signer(issuer))
    code, out = verify(compact + "\n", issuer)
    assert code == 0, out
    opened = open_envelope(compact, anchor=TrustAnchor.from_pem(issuer.certificate_pem), at=NOW)
    assert json.loads(out) == json.loads(msgspec.json.encode(opened.payload))


def test_it_follows_intermediates_and_knows_a_demo(verify: Callable[..., tuple[int, str]]) -> None:
    issuer, site_key = authority(), generate_key()
    site_pem = issuer.issue_intermediate("site", site_key.public_key(), now=NOW)
    site = FleetAuthority.load(site_pem, private_pem(site_key))
    assert verify(envelope(signer(site, extra=site_pem)), issuer)[0] == 0
    demo = authority(demo=True)
    assert verify(envelope(signer(demo), Kind.TEST), demo)[0] == 0


def test_it_believes_either_authority_while_one_follows_the_other(
    verify: Callable[..., tuple[int, str]],
) -> None:
    old, new = authority(), authority()
    both = SimpleNamespace(certificate_pem=new.certificate_pem + old.certificate_pem)
    for issuer in (old, new):
        assert verify(envelope(signer(issuer)), both)[0] == 0
    assert verify(envelope(signer(authority())), both) == (65, "refused: issuer\n")


def test_it_refuses_what_we_refuse(verify: Callable[..., tuple[int, str]]) -> None:
    issuer = authority()
    box = signer(issuer)
    good = envelope(box)
    head, body, signature = good.split(".")
    payload = json.loads(msgspec.json.encode(open_envelope(good, anchor=_anchor(issuer), at=NOW).payload))

    def signed(by: Signer, **changes: object) -> str:
        return by.sign(TYP_VERDICT, msgspec.json.encode(payload | changes))

    demo = authority(demo=True)
    cases = {
        "signature": (
            f"{head}.{envelope(signer(issuer)).split('.')[1][:-4]}AAAA.{signature}",
            issuer,
            "bank",
        ),
        "header": (box.sign(TYP_RECEIPT, b"{}"), issuer, "bank"),
        "issuer": (good, authority(), "bank"),
        "validity": (envelope(signer(issuer, days=1)), issuer, "bank"),
        "audience": (good, issuer, "hotel"),
        "name": (signed(signer(issuer, Principal("harbour", Role.COLLECTOR, "box-1"))), issuer, "bank"),
        "kind": (signed(box, kind="rumour"), issuer, "bank"),
        "live": (signed(signer(demo)), demo, "bank"),
        "form": (good + ".more", issuer, "bank"),
    }
    for what, (compact, trusted, audience) in cases.items():
        code, out = verify(compact, trusted, audience)
        assert (code, out.strip()) == (65, f"refused: {what}")
    for changes in ({"iss": "box-2"}, {"fleet": "depot"}):
        assert verify(signed(box, **changes), issuer) == (65, "refused: name\n")
    simulated = {"head": {"driver": "simulated", "identity": None, "simulated": True}}
    assert verify(signed(box, provenance=simulated), issuer) == (65, "refused: live\n")
    padded = f"{head}.{body}.{signature[:40]}!{signature[40:]}"
    for junk in ("", "hello", f"{head}.{body}", f"{head}.{body}.", padded, "a" * 70_000 + good):
        assert verify(junk, issuer) == (65, "refused: form\n")


def _anchor(issuer: FleetAuthority) -> TrustAnchor:
    return TrustAnchor.from_pem(issuer.certificate_pem)
