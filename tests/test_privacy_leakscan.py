"""The leak scan finds what is planted, however it is hidden, and nothing where nothing is."""

from __future__ import annotations

import base64
import binascii
import codecs
import datetime
import gzip
import io
import json
import random
import sqlite3
import textwrap
import urllib.parse
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.core.barcode import Barcode
from edged.core.card_numbers import find_card_number
from edged.core.image import decode_image
from edged.core.layouts import MrzFormat
from edged.core.mrz import format_mrz, parse_mrz
from edged.core.reading import read_page
from edged.core.viz import read_visual_zone
from edged.privacy import leakviews
from edged.privacy.leakscan import MAX_FINDINGS, Finding, LeakScanner
from edged.specimens import shipped
from tests.mrz_specimens import RUSSIAN_PASSPORT, TODAY, specimen
from tests.trust_support import signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BIRTH = datetime.date(1974, 8, 12)

SCANNER = LeakScanner(
    [
        ("surname", "ERIKSSON"),
        ("given_names", "ANNA MARIA"),
        ("given_names", "ANNA"),
        ("document_number", "L898902C3"),
        ("document_number", "20471883"),
        ("document_number", "AB12345"),
        ("optional_data", "ZE184226B<<<<<"),
        ("mrz", "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"),
        ("chinese_name", "张伟明"),
        ("chinese_name", "王芳"),
        ("name", "LI WEI"),
        ("surname", "LI"),
    ],
    [("birth_date", BIRTH)],
)


def kinds(data: bytes) -> set[str]:
    return {finding.kind for finding in SCANNER.scan(data)}


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.txt", data)
    return out.getvalue()


def sentence(value: str) -> str:
    return f'{{"event": "stored", "who": "{value}", "ms": 12.25}}'


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "base64, no padding": lambda data: base64.b64encode(data).rstrip(b"="),
    "base64 after one byte": lambda data: base64.b64encode(b"x" + data),
    "base64 after two bytes": lambda data: base64.b64encode(b"xy" + data),
    "base64 after other letters": lambda data: b"/var/tmp/abc" + base64.b64encode(data),
    "base64 in lines": base64.encodebytes,
    "base64 in lines of 64": lambda data: (
        b"-----BEGIN X-----\n"
        + "\n".join(textwrap.wrap(base64.b64encode(data * 3).decode(), 64)).encode()
        + b"\n-----END X-----"
    ),
    "base64 in lines in JSON": lambda data: json.dumps(base64.encodebytes(data * 2).decode()).encode(),
    "hex": binascii.hexlify,
    "HEX": lambda data: binascii.hexlify(data).upper(),
    "hex at an odd place": lambda data: b"a" + binascii.hexlify(data),
    "hex with colons": lambda data: data.hex(":").encode(),
    "hex with spaces": lambda data: data.hex(" ").encode(),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib, level 1": lambda data: zlib.compress(data, 1),
    "zlib, not compressed": lambda data: zlib.compress(data, 0),
    "zlib, small window": lambda data: (o := zlib.compressobj(wbits=9)).compress(data) + o.flush(),
    "gzip, cut short": lambda data: gzip.compress(data + random.Random(1).randbytes(4000))[:-2000],
    "zip": zipped,
    "URL": lambda data: urllib.parse.quote(data).encode(),
    "form": lambda data: urllib.parse.quote_plus(data).encode(),
    "URL, every byte": lambda data: b"".join(b"%%%02x" % byte for byte in data),
    "escaped bytes": lambda data: b"".join(b"\\x%02x" % byte for byte in data),
    "python": lambda data: repr(data).encode(),
    "JSON in JSON": lambda data: json.dumps(json.dumps(data.decode("utf-8", "replace"))).encode(),
    "JWS": lambda data: signer().sign("t", data).encode(),
    "msgpack": lambda data: msgspec.msgpack.encode({"a": [data, data]}),
    "base64 of gzip": lambda data: base64.b64encode(gzip.compress(data)),
    "gzip of base64 of hex": lambda data: gzip.compress(base64.b64encode(binascii.hexlify(data))),
    "zlib of base64 of gzip of URL": lambda data: zlib.compress(
        base64.b64encode(gzip.compress(urllib.parse.quote(data).encode()))
    ),
}

VALUES = {
    "surname": ["ERIKSSON", "Eriksson", "eriksson", "eRiKsSoN"],
    "given_names": ["ANNA MARIA", "Anna Maria", "ANNA<MARIA", "anna-maria", "Anna", "ANNA"],
    "name": ["LI WEI", "Li Wei", "LI<<WEI"],
    "document_number": [
        "L898902C3",
        "l898902c3",
        "L8989 02C3",
        "L898-902-C3",
        "20471883",
        "AB12345",
        "AB 12345",
    ],
    "optional_data": ["ZE184226B", "ZE184226B<<<<<"],
    "mrz": ["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "PUTOERIKSSONANNAMARIA"],
    "birth_date": [
        *("19740812", "1974-08-12", "12.08.1974", "08/12/1974", "740812", "12 Aug 1974", "12-AUGUST-1974"),
        *("12/8/1974", "1974.08.12", "August 12, 1974", "1974年8月12日", "1974年08月12日", "1974-8-12"),
    ],
    "chinese_name": ["张伟明", "王芳"],
}
PLANTS = [pytest.param(kind, value, id=value) for kind, values in VALUES.items() for value in values]


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize(("kind", "value"), PLANTS)
def test_a_planted_value_is_found_in_every_encoding(
    kind: str, value: str, encoder: Callable[[bytes], bytes]
) -> None:
    assert kind not in kinds(encoder(sentence("nobody").encode()))
    assert kind in kinds(encoder(sentence(value).encode()))


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030"])
@pytest.mark.parametrize(("kind", "value"), PLANTS)
def test_a_planted_value_is_found_in_every_character_set(kind: str, value: str, charset: str) -> None:
    assert kind in kinds(sentence(value).encode(charset))
    assert kind in kinds(base64.b64encode(sentence(value).encode(charset)))


@pytest.mark.parametrize("value", ["1974年8月12日", "张伟明", "王芳"])
def test_chinese_as_json_escapes(value: str) -> None:
    escaped = json.dumps(sentence(value)).encode()
    assert value.encode() not in escaped
    assert kinds(escaped)
    assert kinds(base64.b64encode(escaped))
    assert kinds(value.encode("utf-16-le"))


@pytest.mark.parametrize(("kind", "value"), PLANTS)
def test_a_value_amid_noise(kind: str, value: str) -> None:
    noise = random.Random(7)
    data = noise.randbytes(3000) + b"\0" + sentence(value).encode() + b"\0" + noise.randbytes(3000)
    assert kind in kinds(data)


def test_a_value_in_a_database(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, body BLOB)")
        connection.execute("INSERT INTO t VALUES (1, ?)", (base64.b64encode(b"surname=ERIKSSON"),))
        connection.execute("INSERT INTO t VALUES (2, ?)", ("王芳",))
    connection.close()
    assert kinds(path.read_bytes()) == {"surname", "chinese_name"}


class TestNothingThere:
    """False alarms would teach people to ignore the scan."""

    def test_random_bytes_in_every_encoding(self) -> None:
        for seed in range(4):
            noise = random.Random(seed).randbytes(60_000)
            for encoder in (lambda data: data, base64.b64encode, binascii.hexlify, gzip.compress):
                assert SCANNER.scan(encoder(noise)) == []

    @given(st.binary(max_size=2000))
    def test_any_bytes_are_scanned_without_complaint(self, data: bytes) -> None:
        for finding in SCANNER.scan(data):
            assert 0 <= finding.offset <= len(data)

    def test_numbers_and_times_of_a_log(self) -> None:
        noise = random.Random(3)
        lines = [
            json.dumps(
                {
                    "timestamp": f"2026-11-{day:02}T0{day % 10}:{day:02}:59.{noise.randrange(10**6):06}Z",
                    "ms": noise.random() * 1000,
                    "pid": noise.randrange(32768),
                    "sha256": noise.randbytes(32).hex(),
                    "jti": base64.urlsafe_b64encode(noise.randbytes(16)).decode(),
                }
            )
            for day in range(1, 29)
            for _ in range(30)
        ]
        assert SCANNER.scan("\n".join(lines).encode()) == []

    @pytest.mark.parametrize(
        "text",
        [
            "1974",  # a year says little
            "1974-08",
            "E* A* L8*****C3",
            "LI",  # two letters are in every other word
            "alias, licence, living",
            "ANNALS SAVANNA annabel",  # a short name within a word
            "xyzANNA1",
            "aNnA",  # not how anybody writes it
            "9974081255 17408123",  # six digits within a number
            "1204718831",  # eight digits within a longer number
            "AB123456 XAB12345",
            "74 cats, 08 dogs, 12 birds",
            "anna" * 3,
            "ERIKSSO M0",
        ],
    )
    def test_what_only_looks_alike(self, text: str) -> None:
        assert SCANNER.scan(text.encode()) == []
        assert SCANNER.scan(base64.b64encode(text.encode())) == []

    def test_a_signed_message_and_its_certificate(self) -> None:
        for number in range(20):
            assert SCANNER.scan(signer().sign("t", b'{"seq":%d}' % number).encode()) == []


class TestFindings:
    def test_kind_place_and_encoding_but_never_the_value(self) -> None:
        data = b"0123456789 Eriksson " + base64.b64encode(b"number L898902C3 here") + b" 1974-08-12"
        found = SCANNER.scan(data)
        assert found == [
            Finding("surname", 11, "plain"),
            Finding("document_number", 20, "base64"),
            Finding("birth_date", data.index(b"1974"), "plain"),
        ]
        assert "riksson" not in repr(found).lower()
        assert "898902" not in repr(found)

    def test_places_are_exact_despite_fillers_and_escapes(self) -> None:
        for data, place in (
            (b"--- <<<E<R<I<K<S<S<O<N<<<", 7),
            (b'{"a": "\\u0041\\u0042 ERIKSSON"}', 20),
            (b"%41%42%43 ERIKSSON", 10),
            ("ÄÖÜ ERIKSSON".encode(), 7),
        ):
            assert [finding.offset for finding in SCANNER.scan(data) if finding.kind == "surname"] == [place]

    def test_every_occurrence_counts(self) -> None:
        assert len(SCANNER.scan(b"ERIKSSON, eriksson; ANNA. 20471883")) == 4

    def test_the_way_there_is_named(self) -> None:
        data = base64.b64encode(gzip.compress(b"surname ERIKSSON"))
        assert {finding.encoding for finding in SCANNER.scan(data)} == {"base64/compressed"}

    def test_a_file_full_of_leaks_ends(self) -> None:
        assert len(SCANNER.scan(b"ERIKSSON " * 5000)) == MAX_FINDINGS

    def test_what_could_not_be_searched_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(leakviews, "MAX_INFLATED", 1000)
        bomb = gzip.compress(bytes(100_000))
        assert [finding.kind for finding in SCANNER.scan(b"ANNA " + bomb)] == ["given_names", "not_scanned"]
        monkeypatch.setattr(leakviews, "MAX_TOTAL", 1000)
        assert {finding.kind for finding in SCANNER.scan(b"x " * 1000)} == {"not_scanned"}


class TestDocuments:
    def test_everything_an_mrz_says_is_searched_for(self) -> None:
        mrz = parse_mrz(specimen("TD3: UTO"), today=TODAY)
        scanner = LeakScanner.for_documents([mrz])
        assert mrz.birth_date is not None
        assert mrz.birth_date.date is not None
        for kind, text in {
            "surname": mrz.surname.reveal(),
            "given_names": mrz.given_names.reveal(),
            "name": f"{mrz.given_names.reveal()} {mrz.surname.reveal()}",
            "document_number": mrz.document_number.reveal(),
            "optional_data": mrz.optional_data.reveal(),
            "birth_date": mrz.birth_date.date.isoformat(),
            "mrz": mrz.lines.reveal()[1],
        }.items():
            assert kind in {finding.kind for finding in scanner.scan(f"({text})".encode())}
        assert scanner.scan(b"nothing") == []

    def test_chinese_names(self) -> None:
        mrz = parse_mrz(specimen("TD3: CHN, ordinary (PO), E + 8"), today=TODAY)
        assert mrz.chinese_name is not None
        scanner = LeakScanner.for_documents([mrz])
        for charset in ("utf-8", "utf-16-le", "gb18030"):
            data = f"name={mrz.chinese_name.reveal()}".encode(charset)
            assert "chinese_name" in {finding.kind for finding in scanner.scan(data)}

    def test_several_documents_at_once(self) -> None:
        documents = [parse_mrz(specimen(name), today=TODAY) for name in ("TD3: UTO", "MRVB: MRV-B, UTO")]
        scanner = LeakScanner.for_documents(documents)
        for mrz in documents:
            assert scanner.scan(mrz.document_number.reveal().encode())

    def test_words_that_the_output_holds_anyway_can_be_left_out(self) -> None:
        values = [("surname", "SPECIMEN")]
        assert LeakScanner(values).scan(b"specimen.png")
        assert LeakScanner(values, ignore={"SPECIMEN"}).scan(b"specimen.png") == []


def test_a_russian_passport_is_searched_for_in_cyrillic_too() -> None:
    scanner = LeakScanner.for_documents([parse_mrz(format_mrz(MrzFormat.TD3, RUSSIAN_PASSPORT), today=TODAY)])
    for value, kind in (
        ("ЩУКИНА", "surname"),
        ("Юлия", "given_names"),
        ("эдуардовна", "given_names"),
        ("4507 123456", "document_number"),
    ):
        told = f"holder {value}"
        for data in (told.encode(), json.dumps({"a": told}).encode(), told.encode("utf-16")):
            assert kind in {finding.kind for finding in scanner.scan(data)}, kind


def test_what_was_seen_beside_the_mrz_is_searched_for() -> None:
    page = decode_image(shipped()[0].sides[0].read_bytes())
    reading = read_page(page, today=TODAY)
    zone = read_visual_zone(page, reading)
    assert zone is not None
    content = b"@\n\x1e\rANSI 636000100002DL00410278\nDAQT64235789\nDCSSAMPLE"
    seen = (
        zone,
        Barcode("PDF417", np.zeros((4, 2)), content),
        find_card_number("931586198001010028"),
    )
    scanner = LeakScanner.for_documents([], seen)
    printed = next(line.spaced.reveal() for line in zone.lines if "1974" in line.text.reveal())
    for value, kind in (
        (printed, "print"),
        ("DAQT64235789", "barcode"),
        ("931586198001010028", "card_number"),
    ):
        assert [finding.kind for finding in scanner.scan(f"a line, {value}.".encode())] == [kind]
        assert kind in {one.kind for one in scanner.scan(base64.b64encode(f"a line, {value}.".encode()))}
    assert scanner.scan(b"Date of birth, Passport, Utopia") == []


def test_the_scanner_can_fail() -> None:
    """A test of the test: a scanner without its decoded views misses what is hidden."""
    data = base64.b64encode(b"ERIKSSON")
    hidden: list[Any] = [view for view in leakviews.views(data) if view.encoding != "plain"]
    assert any(b"ERIKSSON" in view.data for view in hidden)
    assert b"ERIKSSON" not in data
    assert codecs.decode(data, "base64") == b"ERIKSSON"
