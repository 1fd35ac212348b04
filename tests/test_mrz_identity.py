"""A parsed MRZ leaves by no ordinary way: text, copies, pickles, JSON, MessagePack, attribute dumps."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.core import layouts, mrz
from edged.core.mrz import Mrz, parse_mrz
from edged.errors import IdentityLeakError
from edged.identity import Identity
from tests.mrz_specimens import SPECIMENS, TODAY, specimen

if TYPE_CHECKING:
    from collections.abc import Callable

SECRETS = ("ERIKSSON", "ANNA", "L898902C3", "740812", "ZE184226B", "1974")


def parsed() -> Mrz:
    return parse_mrz(specimen("TD3: UTO"), today=TODAY)


def holders() -> list[Any]:
    found = parsed()
    chinese = parse_mrz(specimen("PRC_CARD: CR"), today=TODAY)
    return [
        found,
        found.birth_date,
        found.lines,
        found.fields(),
        found.surname,
        chinese,
        Mrz.__new__(Mrz),
        chinese.chinese_name,
    ]


WAYS_OUT: dict[str, Callable[[Any], object]] = {
    "str": str,
    "format": lambda value: f"{value}",
    "percent": lambda value: "%s" % value,  # noqa: UP031
    "bytes": bytes,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "old pickle": lambda value: pickle.dumps(value, protocol=0),
    "json": json.dumps,
    "json of its text": lambda value: json.dumps(value, default=str),
    "msgspec json": msgspec.json.encode,
    "msgspec msgpack": msgspec.msgpack.encode,
    "msgspec builtins": msgspec.to_builtins,
    "vars": vars,
    "getstate": lambda value: value.__getstate__(),
    "iteration": list,
    "hook": lambda value: msgspec.json.encode(value, enc_hook=str),
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_every_way_out_is_closed(way: str) -> None:
    for value in holders():
        with pytest.raises((IdentityLeakError, TypeError)) as caught:
            WAYS_OUT[way](value)
        assert not any(secret in str(caught.value) for secret in SECRETS)


def test_debuggers_and_logs_see_nothing(caplog: pytest.LogCaptureFixture) -> None:
    for value in holders():
        assert "identity withheld" in repr(value)
        assert "identity withheld" in f"{[value]}" + pprint.pformat({"mrz": value}) + ascii(value)
        logging.getLogger("edged.test").warning("seen %r", value)
    assert not any(secret in caplog.text for secret in SECRETS)


def test_a_traceback_with_locals_shows_nothing() -> None:
    found = parsed()  # noqa: F841
    try:
        raise RuntimeError("boom")
    except RuntimeError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "Mrz: identity withheld" in text
    assert not any(secret in text for secret in SECRETS)


def test_no_instance_dictionary() -> None:
    for value in holders():
        assert not hasattr(value, "__dict__")
        with pytest.raises(AttributeError):
            value.extra = 1


def test_what_is_plain_holds_no_identity() -> None:
    """Only codes, classes and outcomes may leave without `reveal`: nothing a person could be known by."""
    for entry in SPECIMENS:
        found = parse_mrz(entry["lines"], today=TODAY)
        plain = {
            name: getattr(found, name)
            for name in dir(found)
            if not name.startswith("_") and not callable(getattr(found, name))
        }
        for name, value in plain.items():
            if not isinstance(value, Identity | type(None)):
                assert name in {
                    *(
                        "format",
                        "document_class",
                        "document_code",
                        "issuing_state",
                        "region",
                        "specimen",
                        "valid",
                    ),
                    *(
                        "name_may_be_truncated",
                        "never_expires",
                        "check_digits",
                        "field_checks",
                        "check_digits_ok",
                        "fields_ok",
                    ),
                    *("reasons", "chinese_characters_omitted"),
                }
        dumped = msgspec.json.encode([found.check_digits, found.field_checks, found.reasons]).decode()
        number = entry["fields"]["document_number"]
        assert number not in dumped


def test_equality_without_printing() -> None:
    assert parsed() == parsed()
    assert hash(parsed()) == hash(parsed())
    assert parsed() != parse_mrz(specimen("TD3: CAN"), today=TODAY)
    assert parsed() != "P<UTO"


def test_the_core_needs_no_image_library() -> None:
    """Parsing text must not cost OpenCV's memory; numpy isn't needed either."""
    import subprocess
    import sys

    code = "import sys, edged.core.mrz; print([m for m in ('cv2', 'numpy', 'asyncio', 'ssl') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_public_names() -> None:
    for module in (layouts, mrz):
        assert all(hasattr(module, name) for name in module.__all__)
