"""A slip's signature and its QR code: independent readers agree, every slip fits, and one slip has one URL."""

from __future__ import annotations

import base64
import random
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cbor2
import cwt
import pytest
import zxingcpp
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import slip_checks
from edged.config import AudienceSettings, SlipSettings
from edged.errors import ConfigError, DecodeError, SlipError
from edged.fleet import former_keys
from edged.slip import base45, claims, cose, facts, url
from edged.slip.facts import CheckFact, RecipientFact
from edged.slip.signing import sign_slip
from edged.uplink import slip_status
from edged.uplink.directory import SigningKey
from edged.uplink.keys import generate_key
from edged.uplink.revoked import fingerprint
from edged.verdict import CHECKS, Result
from tests import slips
from tests.slips import BASE, ORDER
from tests.trust_support import signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

LONGEST_BASE = "https://" + "v" * (slip_checks.MAX_URL - len("https://") - 1) + "/"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"AB", "BB8"),
        (b"Hello!!", "%69 VD92EX0"),
        (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
        (b"", ""),
    ],
)
def test_base45_is_the_rfc_s(data: bytes, text: str) -> None:
    """RFC 9285 §4.3, §4.4."""
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@pytest.mark.parametrize("text", ["A", "ABCD", "GGX", ":::", "::", "U6", "ab8", "BB_", "BB8 "])
def test_other_base45_is_refused(text: str) -> None:
    """GGX would be 65536 (RFC 9285 §6)."""
    with pytest.raises(DecodeError) as caught:
        base45.decode(text)
    assert caught.value.code == "slip.malformed"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_a_url_gives_its_bytes_back_whatever_a_phone_makes_of_it(data: bytes) -> None:
    whole = url.build(BASE, data)
    assert set(whole) <= {*base45.ALPHABET, "#"}
    assert " " not in whole
    _, fragment = whole.split("#")
    if not data:
        return
    for form in (
        whole,
        f"https://verify.example.cn/S#{fragment}",
        f"HTTPS://verify.example.cn/S#{fragment}",
        f"#{fragment}",
        fragment,
        f"\n {whole}\r\n",
    ):
        assert url.parse(form) == data


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=60) | st.text("ABC019%20 25#:/$", max_size=40))
def test_other_texts_are_no_slips(text: str) -> None:
    try:
        data = url.parse(text)
    except DecodeError as error:
        assert error.code in {"slip.not_a_slip", "slip.malformed"}
    else:
        assert url.fragment(data) == text.strip().rpartition("#")[2]


@pytest.mark.parametrize(
    "text", ["", "#", "https://a.example/", "BB8%2", "BB8%2F", "BB8%20%", "ftp://a#BB8", "a b#BB8"]
)
def test_these_neither(text: str) -> None:
    with pytest.raises(DecodeError):
        url.parse(text)
    with pytest.raises(DecodeError):
        url.parse(text + "0" * (url.MAX_SCANNED + 1))


def test_an_independent_cose_reads_our_signature_and_we_read_its() -> None:
    one = signer()
    slip = sign_slip(slips.facts(), one, BASE)
    public = one.chain[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    kid = cose.kid_of(fingerprint(one.chain[0]))
    theirs = cwt.COSEKey.from_pem(public.decode(), alg="ES256", kid=kid)
    payload = cwt.COSE.new().decode(b"\xd2" + slip.cose, theirs)
    read = cbor2.loads(payload)
    assert (read[1], read[4], read[6]) == ("box-1", slip.facts.expires, slip.facts.at)
    with pytest.raises(cwt.VerifyError):
        broken = bytearray(slip.cose)
        broken[-70] ^= 1
        cwt.COSE.new().decode(b"\xd2" + bytes(broken), theirs)


def jwk(key: ec.EllipticCurvePrivateKey, kid: bytes) -> SigningKey:
    numbers = key.public_key().public_numbers()
    x, y = (
        base64.urlsafe_b64encode(one.to_bytes(32)).rstrip(b"=").decode() for one in (numbers.x, numbers.y)
    )
    return SigningKey(kid.hex() + "0" * 48, x, y, 0)


def test_a_signature_made_elsewhere_is_read_here_in_its_one_spelling() -> None:
    key, kid = generate_key(), bytes(range(8))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    theirs = cwt.COSEKey.from_pem(pem.decode(), alg="ES256", kid=kid)
    sender = cwt.COSE.new(alg_auto_inclusion=False, kid_auto_inclusion=False)
    tagged = sender.encode(claims.encode(slips.facts()), theirs, protected={1: -7, 4: kid})
    protected, unprotected, payload, signature = cbor2.loads(tagged).value
    s = int.from_bytes(signature[32:])
    for spelling, good in ((min(s, ORDER - s), True), (max(s, ORDER - s), False)):
        spelt = signature[:32] + spelling.to_bytes(32)
        ours = cose.parse(cbor2.dumps([protected, unprotected, payload, spelt], canonical=True))
        assert cose.verify(ours, jwk(key, kid)) is good


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found[:3],
        lambda found: [*found, b""],
        lambda found: [found[0], {1: 1}, *found[2:]],
        lambda found: [cbor2.dumps({1: -7}), *found[1:]],
        lambda found: [cbor2.dumps({1: -8, 4: bytes(8)}), *found[1:]],
        lambda found: [cbor2.dumps({1: -7, 4: bytes(9)}), *found[1:]],
        lambda found: [cbor2.dumps({1: -7, 4: bytes(8), 5: 1}), *found[1:]],
        lambda found: [*found[:3], found[3][:63]],
        lambda found: [found[0], [], *found[2:]],
        lambda found: cbor2.CBORTag(18, found),
        lambda found: found[2],
    ],
)
def test_other_forms_of_a_signed_slip_are_refused(change: Callable[[list[Any]], object]) -> None:
    found = cbor2.loads(slips.key().cose(slips.facts()))
    with pytest.raises(DecodeError) as caught:
        cose.parse(cbor2.dumps(change(found), canonical=True))
    assert caught.value.code == "slip.malformed"


def test_a_key_that_is_none_verifies_nothing() -> None:
    slip = cose.parse(slips.key().cose(slips.facts()))
    listed = slips.key().listed
    assert cose.verify(slip, listed)
    assert not cose.verify(slip, slips.key("two").listed)
    assert not cose.verify(slip, SigningKey(listed.sha256, listed.y, listed.x, 0))  # not on the curve
    nothing = cose.Sign1(slip.kid, slip.protected, slip.payload, bytes(64))
    assert not cose.verify(nothing, listed)


def test_every_slip_fits_with_the_longest_of_everything() -> None:
    """QR version 13 at level M, whoever is told and whatever the signature escapes."""
    signing = signer(name="x" * 32)
    chance = random.Random(13)
    alphabet = facts.NUMBER_ALPHABET
    for number in range(60):
        slip = slips.longest(
            number="".join(chance.choices(alphabet, k=12)),
            supersedes="".join(chance.choices(alphabet, k=12)),
            document_number="".join(chance.choices("0123456789*", k=24)),
            at=slips.T + number * 7919,
        )
        signed = sign_slip(slip, signing, LONGEST_BASE)
        whole = url.build(LONGEST_BASE, signed.cose)
        assert len(whole) <= url.CAPACITY
        assert claims.decode(cose.parse(url.parse(whole)).payload) == signed.facts
        told = len(signed.facts.recipients)
        assert signed.facts.more_recipients == 200 + 4 - told
    assert len(LONGEST_BASE) == slip_checks.MAX_URL
    assert slip_checks.MAX_DEVICE == facts.MAX_DEVICE
    code = zxingcpp.create_barcode(whole, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    (read,) = zxingcpp.read_barcodes(code.to_image(scale=3))
    assert read.text == whole
    assert read.ec_level == "M"
    assert code.to_image(scale=1, add_quiet_zones=False).shape[0] <= 17 + 4 * 13


def test_an_ordinary_slip_lists_four_recipients() -> None:
    told = ("checks", "document_kind", "name_masked", "pseudonym")
    four = tuple(
        RecipientFact(name, told, 30) for name in ("某某银行", "Harbour Bank", "市档案馆", "出入境管理局")
    )
    checks = tuple(CheckFact(name, Result.SUCCESSFUL) for name in CHECKS)
    slip = slips.facts(recipients=four, checks=checks, document_number="E12**34")
    for _ in range(10):
        assert sign_slip(slip, signer(), BASE).facts == slip


def test_a_slip_is_signed_by_the_terminal_that_it_names() -> None:
    with pytest.raises(SlipError) as caught:
        sign_slip(slips.facts(device="box-2"), signer(), BASE)
    assert caught.value.code == "slip.facts_refused"


def test_an_address_that_is_too_long_is_an_error_not_a_larger_code() -> None:
    with pytest.raises(SlipError) as caught:
        sign_slip(slips.longest(), signer(name="x" * 32), LONGEST_BASE + "X" * 90)
    assert caught.value.code == "slip.too_large"


def settings_with(**changes: Any) -> Any:
    slip = SlipSettings(**({"site": "滨江支行一号柜台", "url": BASE} | changes.pop("slip", {})))
    audiences = changes.pop("audiences", {})
    return SimpleNamespace(slip=slip, audiences=audiences)


@pytest.mark.parametrize(
    ("where", "slip"),
    [
        ("slip.site", {"site": ""}),
        ("slip.site", {"site": "滨" * 9}),
        ("slip.site", {"site": "a\nb"}),
        ("slip.url", {"url": "http://verify.example.cn/S"}),
        ("slip.url", {"url": "https://verify.example.cn/slip"}),
        ("slip.url", {"url": "https://verify.example.cn/S#X"}),
        ("slip.url", {"url": "https://verify.example.cn/S?A=1"}),
        ("slip.url", {"url": "https://verify.example.cn/" + "S" * 30}),
        ("slip.valid_days", {"valid_days": 0}),
        ("slip.valid_days", {"valid_days": 367}),
        ("slip.reprint_h", {"reprint_h": -1.0}),
        ("slip.reprint_h", {"reprint_h": float("nan")}),
    ],
)
def test_a_configuration_that_no_slip_fits_is_refused(where: str, slip: dict[str, Any]) -> None:
    slip_checks.check_slip(settings_with())
    slip_checks.check_slip(settings_with(slip={"url": LONGEST_BASE, "site": "滨" * 8, "reprint_h": 0}))
    with pytest.raises(ConfigError) as caught:
        slip_checks.check_slip(settings_with(slip=slip))
    assert caught.value.where == where


def test_a_label_that_is_too_long_is_refused_where_there_are_slips() -> None:
    audiences = {"bank": AudienceSettings(scenes=("bank",), label="行" * 9)}
    with pytest.raises(ConfigError) as caught:
        slip_checks.check_slip(settings_with(audiences=audiences))
    assert caught.value.where == "audiences.bank.label"
    slip_checks.check_slip(SimpleNamespace(slip=None, audiences=audiences))  # type: ignore[arg-type]


def test_the_bounds_of_the_configuration_are_the_slip_s() -> None:
    assert slip_checks.MAX_SITE == facts.MAX_SITE
    assert slip_checks.MAX_LABEL == facts.MAX_LABEL
    assert slip_checks.MAX_LABEL_CHARACTERS == facts.MAX_LABEL_CHARACTERS
    assert timedelta(days=slip_checks.MAX_VALID_DAYS) < min(slip_status.MAX_UNTIL, former_keys.LISTED)
