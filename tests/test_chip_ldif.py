"""LDIF of trust directories: what RFC 2849 allows is understood, everything else is one error."""

from __future__ import annotations

import random

import pytest

from edged.core.emrtd import ldif
from edged.core.emrtd.ldif import Kind, TrustObject
from edged.errors import DecodeError
from tests.trust_builders import ldif as written

DN = "cn=x,o=ml,c=DE,dc=data,dc=download,dc=pkd,dc=icao,dc=int"
SIGNER = "cn=x,o=dsc,c=DE,dc=data,dc=download,dc=pkd,dc=icao,dc=int"


def found(data: bytes) -> list[TrustObject]:
    return list(ldif.trust_objects(data))


def refused(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        found(data)
    return caught.value.code


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_attributes_of_the_pkd(end: str) -> None:
    values = [bytes(range(256)) * size for size in (1, 2, 3, 4, 5)]
    data = written(
        (DN, "pkdMasterListContent", values[0]),
        (DN, "CscaCertificateData", values[1]),
        (DN, "userCertificate;binary", values[2]),
        (SIGNER, "userCertificate;binary", values[3]),
        (DN, "certificateRevocationList;binary", values[4]),
        (DN, "description", b"nothing of ours"),
        end=end,
    )
    kinds = [Kind.MASTER_LIST, Kind.CERTIFICATE, Kind.CERTIFICATE, Kind.DOCUMENT_SIGNER, Kind.CRL]
    assert found(data) == [TrustObject(kind, value) for kind, value in zip(kinds, values, strict=True)]
    assert ldif.looks_like(data)


def test_entries_keep_names_and_plain_values() -> None:
    data = b"dn: cn=a\ncn: one\ncn: two\n\n\n\ndn:: Y249Yg==\nsn;lang-de:three\n"
    assert list(ldif.entries(data)) == [
        (b"cn=a", ((b"cn", b"one"), (b"cn", b"two"))),
        (b"cn=b", ((b"sn", b"three"),)),
    ]


def test_a_folded_comment_hides_nothing_and_shows_nothing() -> None:
    data = b"dn: cn=a\n# userCertificate;binary:: \n AAAA\ncn: b\n"
    assert list(ldif.entries(data)) == [(b"cn=a", ((b"cn", b"b"),))]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"cn: no name first\n", "ldif.malformed"),
        (b"dn: cn=a\nno attribute\n", "ldif.malformed"),
        (b" folded from nowhere\n", "ldif.malformed"),
        (b"dn: cn=a\ncACertificate:: A\n", "ldif.malformed"),
        (b"dn: cn=a\ncACertificate:: ====\n", "ldif.malformed"),
        (b"dn: cn=a\ncACertificate:: QUJD*\n", "ldif.malformed"),
        (b"dn: cn=a\ncACertificate:< file:///etc/passwd\n", "ldif.by_reference"),
        (b"dn: cn=a\nchangetype: delete\n", "ldif.changes"),
        (b"dn: cn=a\n" + b"cn: b\n" * 300, "ldif.too_large"),
    ],
)
def test_what_is_refused(data: bytes, code: str) -> None:
    assert refused(data) == code


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldif, "MAX_VALUE", 100)
    assert refused(b"dn: cn=a\ncn: " + b"x" * 100) == "ldif.too_large"
    assert refused(b"dn: cn=a\ncn: " + b"x\n " * 100) == "ldif.too_large"
    monkeypatch.setattr(ldif, "MAX_ENTRIES", 2)
    assert refused(b"dn: cn=a\n\n" * 3) == "ldif.too_large"
    monkeypatch.setattr(ldif, "MAX_BYTES", 10)
    assert refused(b"dn: cn=abcdef") == "ldif.too_large"


def test_nothing_is_no_entry() -> None:
    assert found(b"") == []
    assert found(b"version: 1\n# only a comment\n") == []
    assert not ldif.looks_like(b"")
    assert not ldif.looks_like(b"Read me\n")


@pytest.mark.parametrize("seed", range(4))
def test_mutations_raise_one_error(seed: int) -> None:
    dice = random.Random(seed)
    whole = written((DN, "pkdMasterListContent", dice.randbytes(400)), (SIGNER, "userCertificate", b"abc"))
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data))
            match dice.randrange(3):
                case 0:
                    data[at] = dice.choice(b"\n\r :<#=\x00\xffA")
                case 1:
                    del data[at : at + dice.randint(1, 40)]
                case _:
                    data[at:at] = dice.choice((b"\n", b"\n ", b"::", b"#", b"dn: x\n", b"\r\n\r\n"))
        try:
            for item in ldif.trust_objects(bytes(data)):
                assert isinstance(item.der, bytes)
        except DecodeError as error:
            assert error.code.startswith("ldif.")
