"""A policy that seals has somebody to seal to: in a boot file, and in what is pushed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged.config import check_box
from edged.desired import compose, parse_audience, parse_config
from edged.errors import ConfigError
from edged.fleet.compile import check_audience
from edged.sealing import load_recipient
from edged.uplink.keys import generate_key
from tests.pushed_box import boot_settings

PEM = generate_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
NEWER = generate_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
SEALING = [{"encrypt": True}, {"record": {"kind": "lodging"}}]


def document(policy: dict[str, Any], *keys: str) -> Any:
    content = {"format": 1, "name": "bank", "scenes": ["bank"], "policy": policy, "encryption_keys": keys}
    return parse_audience(json.dumps(content).encode())


@pytest.mark.parametrize("policy", SEALING, ids=["encrypt", "record"])
def test_a_boot_file_that_seals_names_a_key(policy: dict[str, Any], tmp_path: Path) -> None:
    boot = boot_settings(tmp_path)

    def check(*keys: str) -> None:
        audience = msgspec.structs.replace(
            boot.audiences["bank"], policy=document(policy, PEM).policy, encryption_keys=keys
        )
        check_box(msgspec.structs.replace(boot, audiences={"bank": audience}))

    check(PEM)
    with pytest.raises(ConfigError) as caught:
        check()
    assert caught.value.where == "audiences.bank.encryption_keys"
    assert (caught.value.code, caught.value.params) == (
        "config.required_by",
        {"other": f"policy.{next(iter(policy))}"},
    )
    with pytest.raises(ConfigError) as caught:
        check(PEM, "no key")
    assert (caught.value.where, caught.value.code) == (
        "audiences.bank.encryption_keys.1",
        "config.not_a_public_key",
    )


@pytest.mark.parametrize("policy", SEALING, ids=["encrypt", "record"])
def test_the_officer_is_told_before_anything_is_signed(policy: dict[str, Any]) -> None:
    check_audience(document(policy, PEM))
    with pytest.raises(ConfigError) as caught:
        check_audience(document(policy))
    assert (caught.value.where, caught.value.code) == ("encryption_keys", "config.required_by")


def test_pushed_keys_reach_the_box_newest_first(tmp_path: Path) -> None:
    config = parse_config(
        b'{"format":1,"device":"box-1","version":"v","audiences":["bank"],"default_scene":"bank"}'
    )
    settings = compose(boot_settings(tmp_path), config, {"bank": document({"encrypt": True}, NEWER, PEM)})
    assert settings.audiences["bank"].encryption_keys == (NEWER, PEM)
    assert load_recipient(settings.audiences["bank"].encryption_keys[0]) == load_recipient(NEWER)
