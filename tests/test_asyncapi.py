"""`docs/asyncapi.yaml` is a valid AsyncAPI 3 document and says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest
import yaml

from edged.uplink import (
    command,
    directory,
    envelope,
    gaps,
    receipts,
    replay,
    reported,
    schemas,
    slip_status,
    status,
    topics,
    vouching,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = json.loads((Path(__file__).parent / "schemas/asyncapi-3.0.0.json").read_text(encoding="utf-8"))
DOCUMENT: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES = DOCUMENT["components"]["messages"]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def at(pointer: str) -> Any:
    node: Any = DOCUMENT
    for step in pointer.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_document_obeys_the_official_schema() -> None:
    errors = [
        f"{error.json_path}: {error.message[:200]}"
        for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(DOCUMENT)
    ]
    assert errors == []


def test_the_official_schema_refuses_what_is_wrong() -> None:
    broken = json.loads(json.dumps(DOCUMENT))
    broken["operations"]["sendVerdict"]["action"] = "publish"
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(broken))


@pytest.mark.parametrize("reference", sorted(set(references(DOCUMENT))))
def test_reference_leads_somewhere(reference: str) -> None:
    if reference.startswith("#/"):
        assert at(reference)
    else:
        schema = json.loads((DOCS / reference).read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_published_schema_has_its_place() -> None:
    handed_over = {"acceptance.schema.json", "slip-status.schema.json"}  # files: they are on no topic
    assert {f"schemas/{name}" for name in set(schemas.FILES) - handed_over} <= set(references(DOCUMENT))


def test_addresses_are_those_of_the_code() -> None:
    fleet, device, audience, request = "harbour", "counter-7", "first-bank", "r-7f3a"
    names = {"fleet": fleet, "device": device, "audience": audience, "request": request}
    names |= {"name": "status", "id": "c-1", "sha256": "0" * 64, "part": "7", "page": "3"}
    spoken = {
        "verdict": topics.verdict(fleet, device, audience),
        "gap": topics.gap(fleet, device, audience),
        "receipt": topics.receipt(fleet, device),
        "status": topics.status(fleet, device),
        "replayRequest": topics.replay_request(fleet, audience),
        "replayAnswer": topics.replay_answer(fleet, audience, request),
        "desired": topics.desired(fleet, device),
        "reported": topics.reported(fleet, device),
        "command": topics.command(fleet, device, "status"),
        "reply": topics.reply(fleet, device, "c-1"),
        "artefact": topics.artefact(fleet, "0" * 64, 7),
        "directory": topics.keys(fleet),
        "directoryPage": topics.keys(fleet, 3),
        "slips": topics.slips(fleet, device),
    }
    assert {
        name: channel["address"].format(**names) for name, channel in DOCUMENT["channels"].items()
    } == spoken
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel["parameters"])
    assert tuple(DOCUMENT["components"]["parameters"]["name"]["enum"]) == command.NAMES
    will = DOCUMENT["servers"]["broker"]["bindings"]["mqtt"]["lastWill"]["topic"]
    assert will.format(**names) == spoken["status"]


SIGNED = {
    "Verdict": (envelope.TYP_VERDICT, "device", "verdict.schema.json"),
    "Gap": (gaps.TYP_GAP, "device", "gap.schema.json"),
    "Receipt": (receipts.TYP_RECEIPT, "collector", "receipt.schema.json"),
    "ReplayRequest": (replay.TYP_REQUEST, "audience", "replay-request.schema.json"),
    "ReplayVouch": (vouching.TYP_VOUCH, "collector", "replay-vouch.schema.json"),
    "Directory": (directory.TYP_DIRECTORY, "admin", "directory.schema.json"),
    "ReplayEnd": (replay.TYP_END, "collector", "replay-end.schema.json"),
    "Reported": (reported.TYP_REPORTED, "device", "reported.schema.json"),
    "Command": (command.TYP_COMMAND, "admin", "command.schema.json"),
    "Slips": (slip_status.TYP_SLIPS, "device", "slips.schema.json"),
    "Reply": (command.TYP_REPLY, "device", "reply.schema.json"),
}


def test_signed_messages_name_their_type_signer_and_payload() -> None:
    said = {}
    for name, message in MESSAGES.items():
        if (jws := message.get("x-jws")) is not None:
            assert jws["alg"] == "ES256"
            schema = at(jws["payload"]["$ref"])["schema"]["$ref"].removeprefix("schemas/")
            said[name] = (jws["typ"], jws["signer"], schema)
    assert said == SIGNED


def test_an_answer_tells_its_four_messages_apart_by_type() -> None:
    answer = DOCUMENT["channels"]["replayAnswer"]["messages"]
    types = [at(message["$ref"])["x-jws"]["typ"] for message in answer.values()]
    assert sorted(types) == sorted([envelope.TYP_VERDICT, gaps.TYP_GAP, replay.TYP_END, vouching.TYP_VOUCH])


def test_every_operation_is_somebodys_and_every_channel_is_used() -> None:
    operations = DOCUMENT["operations"].values()
    assert {tag["name"] for operation in operations for tag in operation["tags"]} == {
        *("box", "partner", "admin")
    }
    used = {operation["channel"]["$ref"].removeprefix("#/channels/") for operation in operations}
    assert used == set(DOCUMENT["channels"])


def test_status_is_what_the_box_sends() -> None:
    documented = DOCUMENT["components"]["schemas"]["BoxStatus"]
    (of_the_code,) = msgspec.json.schema(status.Status)["$defs"].values()
    assert set(documented["properties"]) == set(of_the_code["properties"])
    assert documented["required"] == of_the_code["required"]
    for example in MESSAGES["Status"]["examples"]:
        jsonschema.Draft7Validator(documented).validate(example["payload"])
        decoded = msgspec.convert(example["payload"], status.Status)
        assert msgspec.to_builtins(decoded) == example["payload"]
