"""The golden vectors are what the code makes, and what an independent reader finds in them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
import cwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged.slip import claims, content, cose, url, verifying
from edged.slip.facts import SlipFacts
from edged.uplink.directory import Directory
from edged.uplink.slip_status import SlipStatus
from tools import slip_vectors

VECTORS = json.loads(slip_vectors.FILE.read_text(encoding="utf-8"))


def test_the_vectors_are_fresh() -> None:
    """A diff here is a change of the form, of a rule or of a sentence that verifiers show: is it meant?"""
    assert slip_vectors.FILE.read_text(encoding="utf-8") == slip_vectors.text(), "run tools/slip_vectors.py"


@pytest.mark.parametrize("vector", VECTORS["slips"], ids=lambda vector: vector["name"])
def test_a_slip_is_read_as_it_says(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["cose"])
    assert url.parse(vector["url"]) == data
    assert len(vector["url"]) <= url.CAPACITY
    facts = claims.decode(cose.parse(data).payload)
    assert facts == msgspec.convert(vector["facts"], SlipFacts)
    assert json.loads(msgspec.json.encode(content.lines(facts))) == vector["lines"]


@pytest.mark.parametrize("vector", VECTORS["slips"], ids=lambda vector: vector["name"])
def test_an_independent_cose_verifies_it(vector: dict[str, Any]) -> None:
    (listed,) = VECTORS["keys"]
    x, y = (int.from_bytes(base64.urlsafe_b64decode(listed[one] + "=")) for one in "xy")
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    theirs = cwt.COSEKey.from_pem(pem, alg="ES256", kid=bytes.fromhex(listed["kid"]))
    payload = cbor2.loads(cwt.COSE.new().decode(b"\xd2" + bytes.fromhex(vector["cose"]), theirs))
    facts = vector["facts"]
    assert (payload[1], payload[4], payload[6]) == (facts["device"], facts["expires"], facts["at"])
    assert payload[-65537][1] == facts["copy"]


@pytest.mark.parametrize("vector", VECTORS["verifications"], ids=lambda vector: vector["name"])
def test_a_text_is_judged_as_it_says(vector: dict[str, Any]) -> None:
    found = verifying.verify(
        vector["text"],
        msgspec.convert(vector["directory"], Directory | None),
        at=datetime.fromtimestamp(vector["at"], UTC),
        status=msgspec.convert(vector["status"], SlipStatus | None),
        online=vector["online"],
    )
    assert found.verdict == vector["verdict"]
    assert [msgspec.to_builtins(reason) for reason in found.reasons] == vector["reasons"]


def test_the_vectors_have_every_verdict() -> None:
    assert {vector["verdict"] for vector in VECTORS["verifications"]} == {
        *("genuine", "altered", "unknown", "withdrawn", "superseded", "expired", "undetermined")
    }


def test_the_vectors_lie_where_they_are_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "slip-format.md").read_text(encoding="utf-8")
    assert "tests/slip_vectors.json" in page
