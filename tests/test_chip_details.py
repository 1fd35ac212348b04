"""DG11, DG12, DG14, DG15 and the report of which files are there."""

from __future__ import annotations

import datetime

import pytest

from edged import messages
from edged.core.emrtd.chip_reading import ChipReading
from edged.core.emrtd.details import MAX_FIELDS, MAX_TEXT_BYTES
from edged.core.emrtd.dg11 import parse_dg11
from edged.core.emrtd.dg12 import parse_dg12
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.inventory import FileState, describe, inventory
from edged.core.emrtd.security_object import parse_security_object
from edged.core.emrtd.tlv import encode
from edged.core.emrtd.wrapped import public_key_of_dg15, security_infos_of_dg14
from edged.errors import DecodeError, IdentityLeakError
from edged.verdict import Reason
from tests import lds_files
from tests.lds_files import BSI, dg11, dg12, images, needs_chip_data, several


def revealed(value: object) -> object:
    return tuple(map(revealed, value)) if isinstance(value, tuple) else value.reveal()


def test_everything_that_dg11_may_say():
    found = parse_dg11(
        dg11(
            (0x5F0E, b"SMITH<<JOHN<T"),
            (0xA0, several(0x5F0F, [b"SMITH<<JOHNNY", b"DOE<<J"])),
            (0x5F10, b"123456789"),
            (0x5F2B, b"19740812"),
            (0x5F11, b"ANYTOWN<MN"),
            (0x5F42, b"123 MAPLE RD<ANYTOWN<MN"),
            (0x5F12, b"16125551212"),
            (0x5F13, b"TRAVEL<AGENT"),
            (0x5F14, b"DR"),
            (0x5F15, b"NONE"),
            (0x5F16, images()["jpeg"]),
            (0x5F17, b"111<222<<333"),
            (0x5F18, b"NO<CUSTODY"),
        )
    )
    assert found.unreadable == ()
    assert revealed(found.full_name) == "SMITH<<JOHN<T"
    assert revealed(found.other_names) == ("SMITH<<JOHNNY", "DOE<<J")
    assert revealed(found.personal_number) == "123456789"
    assert found.birth_date == datetime.date(1974, 8, 12)
    assert revealed(found.birth_place) == ("ANYTOWN", "MN")
    assert revealed(found.address) == ("123 MAPLE RD", "ANYTOWN", "MN")
    assert revealed(found.telephone) == "16125551212"
    assert revealed(found.profession) == "TRAVEL<AGENT"
    assert (revealed(found.title), revealed(found.summary)) == ("DR", "NONE")
    assert revealed(found.citizenship_proof) == images()["jpeg"]
    assert revealed(found.other_documents) == ("111", "222", "333")
    assert revealed(found.custody) == "NO<CUSTODY"


def test_the_chinese_name_of_a_permit():
    found = parse_dg11(dg11((0x5F0E, "证件样本".encode()), (0x5F11, "浙江".encode())))
    assert revealed(found.full_name) == "证件样本"
    assert revealed(found.birth_place) == ("浙江",)
    assert found.address == ()
    assert found.birth_digits is None
    assert found.birth_date is None


@pytest.mark.parametrize(
    ("stored", "digits", "date"),
    [
        (b"19740812", "19740812", datetime.date(1974, 8, 12)),
        (bytes.fromhex("19740812"), "19740812", datetime.date(1974, 8, 12)),
        (b"19740000", "19740000", None),
        (b"19740231", "19740231", None),
    ],
)
def test_dates_in_both_codings(stored, digits, date):
    holder, document = parse_dg11(dg11((0x5F2B, stored))), parse_dg12(dg12((0x5F26, stored)))
    assert revealed(holder.birth_digits) == revealed(document.issue_digits) == digits
    assert holder.birth_date == document.issue_date == date


@pytest.mark.parametrize("stored", [b"", b"740812", b"1974O812", b"\x19\x74\x08\x1f", "１９７４".encode()])
def test_dates_that_are_none_are_named(stored):
    assert parse_dg11(dg11((0x5F2B, stored))).unreadable == ("birth_date",)
    assert parse_dg12(dg12((0x5F26, stored))).unreadable == ("issue_date",)


def test_everything_that_dg12_may_say():
    found = parse_dg12(
        dg12(
            (0x5F19, "公安部出入境管理局".encode()),
            (0x5F26, b"20200102"),
            (0xA0, several(0x5F1A, [b"SMITH<<BRENDA<P"])),
            (0x5F1B, b"NONE"),
            (0x5F1C, b"PAID"),
            (0x5F1D, images()["jpeg"]),
            (0x5F1E, images()["jp2"]),
            (0x5F55, b"20200102030405"),
            (0x5F56, b"SYSTEM 7"),
        )
    )
    assert found.unreadable == ()
    assert revealed(found.authority) == "公安部出入境管理局"
    assert found.issue_date == datetime.date(2020, 1, 2)
    assert revealed(found.other_persons) == ("SMITH<<BRENDA<P",)
    assert (revealed(found.endorsements), revealed(found.exit_requirements)) == ("NONE", "PAID")
    assert (revealed(found.front), revealed(found.rear)) == (images()["jpeg"], images()["jp2"])
    assert revealed(found.personalised_digits) == "20200102030405"
    assert revealed(found.system) == "SYSTEM 7"
    packed = parse_dg12(dg12((0x5F55, bytes.fromhex("20200102030405"))))
    assert revealed(packed.personalised_digits) == "20200102030405"


def test_names_without_the_frame_around_them():
    found = parse_dg11(encode(0x6B, encode(0x5F0F, b"ONE") + encode(0x5F0F, b"TWO")))
    assert revealed(found.other_names) == ("ONE", "TWO")


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (b"A\x1b[2JB", "A [2JB"),
        (b"A\r\nB\x00", "A  B"),
        ("A\u202eB\u2028C".encode(), "A B C"),
        ("می\u200cخواهم".encode(), "می\u200cخواهم"),
        ("\ue000𱍐".encode(), "\ue000𱍐"),
    ],
)
def test_texts_steer_no_screen(stored, shown):
    assert revealed(parse_dg11(dg11((0x5F0E, stored))).full_name) == shown


def test_texts_that_are_none_are_named_and_others_stay():
    found = parse_dg11(
        dg11((0x5F0E, "MÜLLER".encode("latin-1")), (0x5F14, b"DR"), (0x5F15, b"x" * (MAX_TEXT_BYTES + 1)))
    )
    assert found.unreadable == ("full_name", "summary")
    assert found.full_name is None
    assert revealed(found.title) == "DR"


@pytest.mark.parametrize(("parse", "tag", "what"), [(parse_dg11, 0x6B, "dg11"), (parse_dg12, 0x6C, "dg12")])
def test_what_is_no_such_file(parse, tag, what):
    names = [(0x5F0F, b"A")] * (MAX_FIELDS + 1)
    for file, code in (
        (b"", "tlv.cut"),
        (encode(0x61, b""), "tlv.unexpected"),
        (encode(tag, b"\x5f"), "tlv.cut"),
        (encode(tag, b"".join(encode(*name) for name in names)), "details.too_many"),
        (encode(tag, encode(0xA0, several(0x5F0F, [b"A"] * 65))), "details.too_many"),
        (bytes(1024 * 1024 + 1), "details.too_large"),
    ):
        with pytest.raises(DecodeError) as caught:
            parse(file)
        assert (caught.value.what, caught.value.code) == (what, code)
    assert parse(encode(tag, b"")).unreadable == ()


def test_details_are_withheld():
    for found in (parse_dg11(dg11((0x5F0E, b"SMITH"))), parse_dg12(dg12())):
        with pytest.raises(IdentityLeakError):
            str(found)
        assert "SMITH" not in repr(found)


def test_wrapped_files():
    infos, key = encode(0x31, encode(0x30, b"\x06\x01\x00")), encode(0x30, b"\x05\x00")
    assert security_infos_of_dg14(encode(0x6E, infos)) == infos
    assert public_key_of_dg15(encode(0x6F, key)) == key
    for read, tag in ((security_infos_of_dg14, 0x6E), (public_key_of_dg15, 0x6F)):
        for file in (
            b"",
            encode(0x61, key),
            encode(tag, b""),
            encode(tag, key + b"\x00"),
            encode(tag, key[:-1]),
        ):
            with pytest.raises(DecodeError):
                read(file)


@needs_chip_data
def test_wrapped_files_of_the_bsi_specimen():
    from asn1crypto import core, keys

    infos = core.SetOf.load(security_infos_of_dg14((BSI / "010E").read_bytes()), spec=core.Any)
    assert len(infos) >= 2
    key = keys.PublicKeyInfo.load(public_key_of_dg15((BSI / "010F").read_bytes()))
    assert key.algorithm in {"rsa", "ec"}


def test_the_report_of_files():
    files = {1: b"1", 2: b"22", 3: b"333", 11: b"11"}
    listed = parse_security_object(lds_files.security_object(lds_files.hashes_of(files, "sha256")))
    reading = ChipReading(
        files={ElementaryFile.SOD: b"sod", ElementaryFile.DG1: b"1", ElementaryFile.DG15: b"fifteen"},
        unread={ElementaryFile.DG2: Reason("chip.not_an_answer"), ElementaryFile.DG12: Reason("tlv.cut")},
    )
    entries = inventory(reading, listed)
    assert [(entry.file.value, entry.state, entry.octets) for entry in entries] == [
        ("EF.SOD", FileState.READ, 3),
        ("DG1", FileState.READ, 1),
        ("DG2", FileState.UNREAD, 0),
        ("DG3", FileState.GUARDED, 0),
        ("DG11", FileState.UNREAD, 0),
        ("DG12", FileState.UNREAD, 0),
        ("DG15", FileState.UNSIGNED, 7),
    ]
    assert inventory(reading, None)[-1].state is FileState.READ
    for lang in messages.LANGUAGES:
        lines = [messages.reason(describe(entry), lang) for entry in entries]
        assert all(line.startswith(entry.file.value) for line, entry in zip(lines, entries, strict=True))
        assert not any("…" in line or "chip_file" in line or "{" in line for line in lines)
    assert messages.reason(describe(entries[2]), "en") == (
        "DG2 (portrait): not read. The chip answered with something that is no answer."
    )
