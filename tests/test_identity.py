"""Identity types refuse every way out but `reveal()`: text, logs, pickles, copies, serialisers."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import pickle
import pprint
import sys
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import structlog

from edged.core.card_numbers import find_card_number
from edged.core.mrz import RussianPassport, parse_mrz
from edged.core.mrz_dates import birth_date
from edged.errors import IdentityLeakError
from edged.events import Frame, Light
from edged.identity import Identity, Sensitive
from edged.privacy.leakscan import LeakScanner
from edged.privacy.pseudonym import Pseudonymiser
from tests.mrz_specimens import TODAY, specimen

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "ERIKSSON"
SECRETS = (SECRET, "L898902C3", "740812", "1974", "932682")
LINES = ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10")

HOLDERS: dict[str, Identity] = {
    "text": Sensitive(SECRET),
    "bytes": Sensitive(SECRET.encode()),
    "nested": Sensitive({"surname": Sensitive(SECRET)}),
    "mrz": parse_mrz(LINES, today=TODAY),
    "date": birth_date("740812", TODAY),
    "card number": find_card_number("932682197408120018"),
    "passport of Russia": RussianPassport(SECRET, "ANNA", "".join(LINES), TODAY),
    "frame": Frame(np.full((2, 2, 3), 65, np.uint8), Light.WHITE),
    "pseudonymiser": Pseudonymiser(SECRET.encode() * 4, "box:bank"),
    "scanner": LeakScanner([("surname", SECRET)]),
}

holders = pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)


@holders
@pytest.mark.parametrize(
    "way_out",
    [
        str,
        bytes,
        format,
        "{}".format,
        lambda holder: f"{holder}",
        lambda holder: f"{holder!s:>20}",
        lambda holder: "%s" % holder,  # noqa: UP031
        lambda holder: b" ".join([holder]),
        lambda holder: "" + holder,
        pickle.dumps,
        lambda holder: pickle.dumps([holder], protocol=0),
        copy.copy,
        copy.deepcopy,
        lambda holder: copy.deepcopy({"a": [holder]}),
        json.dumps,
        lambda holder: json.dumps({"a": holder}),
        lambda holder: json.dumps(holder, default=str),
        lambda holder: json.dumps({holder: 1}),
        msgspec.json.encode,
        msgspec.msgpack.encode,
        msgspec.to_builtins,
        lambda holder: msgspec.json.encode({"a": (holder,)}),
        lambda holder: msgspec.json.encode({"a": holder}, enc_hook=str),
        lambda holder: msgspec.convert(holder, dict[str, str], from_attributes=False),
        lambda holder: msgspec.convert(holder, str, strict=False),
        lambda holder: object.__reduce_ex__(holder, 2) and pickle.dumps(holder),
        vars,
        dict,
        list,
        tuple,
        iter,
        len,
        int,
        float,
        hex,
        memoryview,
    ],
)
def test_no_way_out(holder: Identity, way_out: Callable[[Any], Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        way_out(holder)
    told = "".join(traceback.format_exception(caught.value))
    assert not any(secret in told for secret in SECRETS), "the refusal itself tells"


@holders
def test_turning_it_into_text_is_our_own_error(holder: Identity) -> None:
    """Not any TypeError: one that says what was attempted."""
    for way_out in (str, bytes, format, pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(IdentityLeakError):
            way_out(holder)


@holders
@pytest.mark.parametrize(
    "show",
    [
        repr,
        ascii,
        pprint.pformat,
        "{!r}".format,
        lambda holder: f"{[holder]} { ({'k': holder}) }",
        lambda holder: "".join(traceback.format_exception(KeyError(holder))),
    ],
)
def test_what_a_debugger_shows_is_the_type_alone(holder: Identity, show: Callable[[Any], str]) -> None:
    shown = show(holder)
    assert type(holder).__name__ in shown
    assert not any(secret in shown for secret in SECRETS)


@holders
def test_a_failing_assertion_shows_nothing(holder: Identity) -> None:
    """pytest, unittest and rich print locals with repr: that is why repr doesn't raise."""
    here = sys._getframe()
    summary = traceback.StackSummary.extract([(here, here.f_lineno)], capture_locals=True)
    told = "".join(summary.format())
    assert "holder" in told
    assert not any(secret in told for secret in SECRETS)


@holders
def test_structlog_cannot_print_it(holder: Identity) -> None:
    """As structlog comes, without our own processor (which has its own tests)."""
    for renderer in (
        structlog.processors.JSONRenderer(),
        structlog.processors.KeyValueRenderer(),
        structlog.dev.ConsoleRenderer(colors=False),
    ):
        out = io.StringIO()
        logger = structlog.wrap_logger(structlog.PrintLogger(out), processors=[renderer])
        with contextlib.suppress(IdentityLeakError):
            logger.info("read", value=holder, many=[holder, {"a": holder}])
        assert not any(secret in out.getvalue() for secret in SECRETS)


@holders
def test_the_standard_logger_cannot_print_it(holder: Identity, capsys: pytest.CaptureFixture[str]) -> None:
    """A failing log call prints its arguments to standard error, by repr."""
    out = io.StringIO()
    logger = logging.getLogger(f"{__name__}.{id(out)}")
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(out))
    for template in ("read %s", "read %r", "read %20s"):
        logger.warning(template, holder)
    logger.warning(holder)
    told = out.getvalue() + capsys.readouterr().err
    assert type(holder).__name__ in told
    assert not any(secret in told for secret in SECRETS)


def test_reveal_is_the_way_in() -> None:
    assert Sensitive(SECRET).reveal() == SECRET


def test_types_may_be_spelt_out_where_they_run() -> None:
    """The classes are compiled; their subscript is Python's ordinary one."""
    assert Sensitive[str].__origin__ is Sensitive
    assert Sensitive[str](SECRET).reveal() == SECRET


def test_nobody_stands_in_for_a_value() -> None:
    with pytest.raises(TypeError):
        type("Open", (Sensitive,), {})


def test_equality_and_hash_serve_comparing_sides() -> None:
    assert Sensitive("A") == Sensitive("A")
    assert Sensitive("A") != Sensitive("B")
    assert Sensitive("A") != "A"
    assert len({Sensitive("A"), Sensitive("A"), Sensitive("B")}) == 2


def test_an_identity_type_keeps_no_dict() -> None:
    """Slots: what has no `__dict__` can't be dumped by way of it."""
    for name, holder in HOLDERS.items():
        if name != "frame":
            assert not hasattr(holder, "__dict__"), name


def test_a_specimen_with_every_field_shows_nothing() -> None:
    mrz = parse_mrz(specimen("TD3: UTO"), today=TODAY)
    shown = " ".join(repr(getattr(mrz, name)) for name in dir(mrz) if not name.startswith("_"))
    for line in mrz.lines.reveal():
        assert line not in shown
    for value in (mrz.surname.reveal(), mrz.document_number.reveal(), mrz.optional_data.reveal()):
        assert not value or value not in shown
