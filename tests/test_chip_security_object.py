"""The list of hashes that the document signer signed, and EF.COM's list beside it."""

from __future__ import annotations

import pytest

from edged.core.emrtd.ef_com import com_against_sod, parse_com
from edged.core.emrtd.files import ElementaryFile
from edged.core.emrtd.security_object import (
    LDS_SECURITY_OBJECT,
    hash_matches,
    parse_security_object,
    security_object_of_sod,
    sod_content,
)
from edged.core.emrtd.tlv import encode, only
from edged.errors import DecodeError, IdentityLeakError
from tests import lds_files
from tests.lds_files import BSI, CHIP, needs_chip_data, security_object

FILES = {1: b"one", 2: b"two", 14: b"fourteen"}
HASHES = lds_files.hashes_of(FILES, "sha256")


def refused(content: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        parse_security_object(content)
    assert caught.value.what == "sod"
    return caught.value.code


@needs_chip_data
def test_every_file_of_the_bsi_specimen_has_the_hash_that_its_sod_lists():
    listed = security_object_of_sod((BSI / "011D").read_bytes())
    assert (listed.version, listed.hash_name, listed.lds_version) == (0, "sha1", None)
    assert sorted(listed.hashes) == [1, 2, 3, 14]
    for file in listed.files:
        octets = (BSI / f"{file.fid:04X}").read_bytes()
        assert hash_matches(listed, file.number, octets) is True
        assert hash_matches(listed, file.number, octets[:-1] + bytes((octets[-1] ^ 1,))) is False
    assert hash_matches(listed, 15, (BSI / "010F").read_bytes()) is None, "DG15 is there, and unsigned"


@needs_chip_data
@pytest.mark.parametrize(
    ("name", "algorithm", "groups", "versions"),
    [
        ("AU-2016-rsa-pkcs1", "sha256", [1, 2, 15], None),
        ("DE-2023-ecdsa-sha384", "sha384", [1, 2, 3, 14], ("0108", "040000")),
        ("MY-2022-rsa-pss", "sha256", [1, 2, 3, 11, 12, 14], None),
    ],
)
def test_genuine_sods(name, algorithm, groups, versions):
    listed = security_object_of_sod((CHIP / "sod" / f"{name}.sod").read_bytes())
    assert listed.hash_name == algorithm
    assert sorted(listed.hashes) == groups
    assert [file.number for file in listed.files] == groups
    if versions:
        assert listed.version == 1
        assert (listed.lds_version, listed.unicode_version) == versions
    else:
        assert listed.version == 0


@needs_chip_data
def test_the_list_of_files_of_the_bsi_specimen_is_the_signed_one():
    common = parse_com((BSI / "011E").read_bytes())
    assert (common.lds_version, common.unicode_version, common.unknown) == ("0107", "040000", 0)
    assert com_against_sod(common, security_object_of_sod((BSI / "011D").read_bytes()).files) == ()


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("name", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_hash_algorithms_with_and_without_null(name, null):
    listed = parse_security_object(security_object(lds_files.hashes_of(FILES, name), name, null=null))
    assert listed.hash_name == name
    assert all(hash_matches(listed, number, octets) for number, octets in FILES.items())
    assert hash_matches(listed, 1, b"other") is False


def test_an_unknown_hash_proves_nothing_and_disproves_nothing():
    listed = parse_security_object(security_object({1: bytes(32)}, "sha3_256"))
    assert listed.hash_oid == "2.16.840.1.101.3.4.2.8"
    assert listed.hash_name is None
    assert hash_matches(listed, 1, b"one") is None


def test_version_information():
    listed = parse_security_object(security_object(HASHES, version=1, versions=("0108", "040000")))
    assert (listed.version, listed.lds_version, listed.unicode_version) == (1, "0108", "040000")


def test_lengths_in_a_longer_form_than_needed():
    body = bytes(only(security_object(HASHES), 0x30))
    assert parse_security_object(b"\x30\x83" + len(body).to_bytes(3, "big") + body).hashes == HASHES


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (security_object([(1, bytes(32)), (1, bytes(32))]), "sod.repeated"),
        (security_object({}), "sod.malformed"),
        (security_object({0: bytes(32)}), "sod.malformed"),
        (security_object({17: bytes(32)}), "sod.malformed"),
        (security_object({1: bytes(31)}), "sod.malformed"),
        (security_object({1: bytes(32)}, more=b"\x04\x00"), "sod.malformed"),
        (security_object({1: bytes(32)}, versions=("0108", "040000"), more=b"\x04\x00"), "sod.malformed"),
        (security_object({1: bytes(32)}, versions=("x", "040000")), "sod.malformed"),
        (security_object({1: bytes(32)}) + b"\x00", "tlv.unexpected"),
        (security_object({1: bytes(32)})[:-1], "tlv.cut"),
        (bytes(70_000), "sod.malformed"),
        (b"", "tlv.cut"),
        (encode(0x31, b""), "tlv.unexpected"),
    ],
    ids=range(13),
)
def test_what_is_no_security_object(content, code):
    assert refused(content) == code


@pytest.mark.parametrize("kind", ["678108010101", "2B1B010101", "2A864886F70D010701", "2A841001876E011401"])
def test_content_types_in_the_field(kind):
    content = security_object(HASHES)
    assert sod_content(lds_files.ef_sod(content, kind)) == content


def test_content_straight_in_the_older_form():
    content = security_object(HASHES)
    old = lds_files.ef_sod(content).replace(b"\x02\x01\x03\x31", b"\x02\x01\x01\x31")
    assert sod_content(old) == content


def test_other_signed_content_is_refused():
    with pytest.raises(DecodeError) as caught:
        sod_content(lds_files.ef_sod(b"a master list", "678108010102"))
    assert caught.value.code == "sod.other_content"
    assert "2.23.136.1.1.2" not in LDS_SECURITY_OBJECT


@pytest.mark.parametrize(
    "ef_sod",
    [
        b"",
        b"\x77\x00",
        encode(0x77, b"\x30\x80\x00\x00"),
        encode(0x77, bytes.fromhex("300B06092A864886F70D010702")),
        encode(0x77, bytes.fromhex("300B06092A864886F70D010701")),
        encode(0x77, bytes.fromhex("020105")),
        encode(0x77, bytes(70_000)),
        lds_files.ef_sod(b"", inner=b""),
        lds_files.ef_sod(b"", inner=encode(0x30, b"")),
    ],
    ids=range(9),
)
def test_what_is_no_sod(ef_sod):
    with pytest.raises(DecodeError) as caught:
        security_object_of_sod(ef_sod)
    assert caught.value.what == "sod"


def test_hashes_are_withheld():
    listed = parse_security_object(security_object(HASHES))
    assert repr(listed) == "<SecurityObject: identity withheld>"
    with pytest.raises(IdentityLeakError):
        import pickle

        pickle.dumps(listed)


def test_com_against_sod():
    listed = parse_security_object(security_object(HASHES))
    more = com_against_sod(parse_com(lds_files.ef_com(b"\x61\x75\x6e\x6f")), listed.files)
    assert [(reason.code, reason.params) for reason in more] == [("com.lists_more", {"files": "DG15"})]
    less = com_against_sod(parse_com(lds_files.ef_com(b"\x61\x75\x6b\x6b")), listed.files)
    assert [(reason.code, reason.params) for reason in less] == [
        ("com.lists_more", {"files": "DG11"}),
        ("com.lists_less", {"files": "DG14"}),
    ]


def test_com_lists_files_once_in_order_and_counts_what_it_does_not_know():
    common = parse_com(lds_files.ef_com(b"\x75\x61\x75\x42"))
    assert common.files == (ElementaryFile.DG1, ElementaryFile.DG2)
    assert common.unknown == 1


def test_com_without_versions():
    assert parse_com(encode(0x60, encode(0x5C, b"\x61"))).lds_version is None


@pytest.mark.parametrize(
    "com",
    [
        b"",
        encode(0x61, b""),
        encode(0x60, b""),
        lds_files.ef_com(b"\x61" * 65),
        lds_files.ef_com(b"\x61", lds="<07>"),
        lds_files.ef_com(b"\x61") + b"\x00",
    ],
    ids=range(6),
)
def test_what_is_no_com(com):
    with pytest.raises(DecodeError) as caught:
        parse_com(com)
    assert caught.value.what == "com"
