"""The published JSON Schemas are the code's own, and every real payload validates against them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from edged.privacy.policy import CEILING, Action
from edged.uplink.envelope import EnvelopePayload
from edged.uplink.receipts import Receipt
from edged.uplink.schemas import write
from edged.verdict import Kind
from tests.test_envelope_seal import opened, opened_receipt, payload_of, receipt, sealed
from tests.trust_support import signer

DOCS = Path(__file__).parent.parent / "docs"
SCHEMAS = DOCS / "schemas"


def published(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_files_are_fresh(tmp_path: Path) -> None:
    write(tmp_path)
    for fresh in tmp_path.iterdir():
        stale = (SCHEMAS / fresh.name).read_text(encoding="utf-8")
        assert stale == fresh.read_text(encoding="utf-8"), "run python -m edged.uplink.schemas docs/schemas"
    assert {file.name for file in tmp_path.iterdir()} <= {file.name for file in SCHEMAS.iterdir()}


def test_real_payloads_validate() -> None:
    verdict, acknowledgement = published("verdict.schema.json"), published("receipt.schema.json")
    demo = sealed(by=signer(demo=True), kind=Kind.TEST, reference=None)
    for payload in (
        payload_of(sealed()),
        payload_of(sealed(claims={})),
        json.loads(msgspec.json.encode(opened(demo.jws, demo=True).payload)),
    ):
        verdict.validate(payload)
    acknowledgement.validate(json.loads(msgspec.json.encode(opened_receipt(receipt()))))


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 0},
        {"extra": 1},
        {"prev": "x"},
        {"kind": "real"},
        {"claims": {"surname": 1}},
        {"claims": {"shoe_size": "43"}},
        {"claims": {"optional_data": "1234"}},
        {"claims": {"withheld": {"shoe_size": "x"}}},
        {"audience": "Bank"},
        {"checks": [{"name": "expiry"}]},
    ],
)
def test_the_schema_refuses_what_the_code_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        published("verdict.schema.json").validate(payload_of(sealed()) | change)


def test_partners_can_read_about_every_field_and_claim() -> None:
    page = (DOCS / "partners.md").read_text(encoding="utf-8")
    claims = [name for name, action in CEILING.items() if action is not None]
    actions = [action for action in Action if action is not Action.DROP]
    for word in (*EnvelopePayload.__struct_fields__, *Receipt.__struct_fields__, *claims, *actions):
        assert f"`{word}`" in page, word
