"""Active authentication: Doc 9303-11 Appendix F, a public vector, and chips of our own that sign right and wrong."""

from __future__ import annotations

import hashlib

import pytest
from asn1crypto import core
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from ecdsa import SigningKey
from ecdsa import curves as ecdsa_curves
from ecdsa.util import sigencode_der, sigencode_string

from edged.core.emrtd.active import verify_active
from edged.verdict import Result
from tests.chip_pki import HASHES, ec_key, rsa_key, sequence, spki, wrap

NONCE = bytes.fromhex("F173589974BF40C6")
TRAILERS = {"sha1": "33CC", "sha224": "38CC", "sha256": "34CC", "sha384": "36CC", "sha512": "35CC"}
OK, BAD, OPEN = Result.SUCCESSFUL, Result.FAILED, Result.UNDETERMINED


def judge(
    dg15: bytes, answer: bytes | None, nonce: bytes = NONCE, algorithm: str | None = None
) -> tuple[Result, str]:
    check = verify_active(dg15, nonce, answer, algorithm=algorithm)
    assert check.name == "active_authentication"
    return check.result, check.reasons[0].code if check.reasons else ""


GOOD, COPY = (OK, ""), (BAD, "chip.active_wrong")


def raw_sign(key: rsa.RSAPrivateKey, block: bytes) -> bytes:
    private, public = key.private_numbers(), key.public_key().public_numbers()
    made = pow(int.from_bytes(block, "big"), private.d, public.n)
    return made.to_bytes((public.n.bit_length() + 7) // 8, "big")


def block(octets: int, digest: str, trailer: str, nonce: bytes = NONCE, header: bytes = b"\x6a") -> bytes:
    """A message representative that fills `octets`."""
    end = bytes.fromhex(trailer)
    size = octets - len(header) - hashlib.new(digest).digest_size - len(end)
    m1 = bytes(range(7, 7 + size))[:size]
    return header + m1 + hashlib.new(digest, m1 + nonce).digest() + end


def test_appendix_f() -> None:
    """Doc 9303-11 Appendix F: M1, challenge, hash and representative as printed; it gives no key, so any will do."""
    m1 = bytes.fromhex(
        "9D2784A67F8E7C659973EA1AEA25D95B6C8F91E5002F369F0FBDCE8A3CEC1991B543F1696546C5524CF23A5303CD6C98599F40B7"
        "9F377B5F3A1406B3B4D8F96784D23AA88DB7E1032A405E69325FA91A6E86F5C71AEA978264C4A207446DAD4E7292E2DCDA3024B4"
        "7DA8"
    )
    digest = bytes.fromhex("C063AA1E6D22FBD976AB0FE73D94D2D9C6D88127")
    assert hashlib.sha1(m1 + NONCE).digest() == digest
    key = rsa_key(1024)
    dg15 = wrap(0x6F, spki(key))
    answer = raw_sign(key, b"\x6a" + m1 + digest + b"\xbc")
    assert judge(dg15, answer) == GOOD
    assert judge(dg15, answer, NONCE[:-1] + b"\xc7") == COPY
    assert judge(dg15, raw_sign(rsa_key(1024, number=1), b"\x6a" + m1 + digest + b"\xbc")) == COPY


def test_a_public_vector() -> None:
    """Bouncy Castle's test of ISO/IEC 9796-2 with key, message and signature."""
    key = bytes.fromhex(
        "30819f300d06092a864886f70d010101050003818d0030818902818100cdcbdabbf93be8e8294e32b055256bbd0397735189bf75"
        "816341bb0d488d05d627991221df7d59835c76a4bb4808adeeb779e7794504e956adc2a661b46904cdc71337dd29dddd454124ef"
        "79cfdd7bc2c21952573cefba485cc38c6bd2428809b5a31a898a6b5648caa4ed678d9743b589134b7187478996300edba16271a8"
        "610203010001"
    )
    signature = bytes.fromhex(
        "482e20d1edded34359c38f5e7c01203f9d6b2641cdca5c404d49adaede034c7481d781d043722587761c90468de69c6585a1e8b9"
        "c322f90e1b580eedab3f6007d0c366cf92b4db8b41c8314929dce2be889c0129123484d2fd3d12763d2ebfd12ac8e51d7061afca"
        "1a53dedec7b9a617472a78c952ccc72467ae008e5f132994"
    )
    assert judge(wrap(0x6F, key), signature, bytes(8)) == GOOD
    assert judge(wrap(0x6F, key), signature, bytes(7) + b"\x01") == COPY


@pytest.mark.parametrize("digest", TRAILERS)
@pytest.mark.parametrize("long", [False, True])
def test_every_hash_and_trailer(digest: str, *, long: bool) -> None:
    key = rsa_key(1024)
    dg15, trailer = wrap(0x6F, spki(key)), TRAILERS[digest] if long else "BC"
    right = block(128, digest, trailer)
    assert judge(dg15, raw_sign(key, right)) == GOOD
    for at in (0, 1, 60, len(right) - 30, len(right) - 1):
        wrong = bytearray(right)
        wrong[at] ^= 0x11
        assert judge(dg15, raw_sign(key, bytes(wrong))) == COPY, at


def test_trailers_are_bound_to_their_hash() -> None:
    key = rsa_key(1024)
    dg15 = wrap(0x6F, spki(key))
    for trailer in ("34CC", "31CC", "37CC", "00CC"):
        assert judge(dg15, raw_sign(key, block(128, "sha1", trailer))) == COPY


def test_leading_zeros_and_fill() -> None:
    key = rsa_key(1024)
    dg15 = wrap(0x6F, spki(key))
    assert judge(dg15, raw_sign(key, block(126, "sha256", "34CC"))) == GOOD, "zeros before 6A"
    assert judge(dg15, raw_sign(key, block(128, "sha256", "34CC", header=b"\x6b\xbb\xbb\xba"))) == GOOD
    for header in (b"\x6b\xbb\xbb", b"\x4a", b"\x2a", b"\x6c", b"\x6b\xba\xbb"):
        made = block(128, "sha256", "34CC", header=header)
        expected = GOOD if header == b"\x6b\xba\xbb" else COPY  # a fill of nothing: the rest is M1
        if header == b"\x6b\xba\xbb":
            m1 = made[2:-34]
            made = made[:2] + m1 + hashlib.sha256(m1 + NONCE).digest() + made[-2:]
        assert judge(dg15, raw_sign(key, made)) == expected, header


def test_the_smaller_of_two_signatures() -> None:
    """ISO/IEC 9796-2 lets a signer send n - s."""
    key = rsa_key(1024)
    n = key.public_key().public_numbers().n
    answer = raw_sign(key, block(128, "sha1", "BC"))
    other = (n - int.from_bytes(answer, "big")).to_bytes(128, "big")
    assert judge(wrap(0x6F, spki(key)), other) == GOOD


@pytest.mark.parametrize("answer", [b"", b"\x00", b"\x01", bytes(128), b"\xff" * 128, b"\xff" * 5000])
def test_answers_that_are_no_signature(answer: bytes) -> None:
    assert judge(wrap(0x6F, spki(rsa_key(1024))), answer) == COPY
    assert judge(wrap(0x6F, spki(ec_key(60))), answer) == COPY


def test_the_hash_is_no_part_of_the_header() -> None:
    """A block so short that the first octet would be the header and the hash's own."""
    key = rsa_key(1024)
    nonce = next(
        made for step in range(5000) if hashlib.sha1(made := step.to_bytes(8, "big")).digest()[0] == 0x6A
    )
    answer = raw_sign(key, hashlib.sha1(nonce).digest() + b"\xbc")
    assert judge(wrap(0x6F, spki(key)), answer, nonce) == COPY
    with_header = raw_sign(key, b"\x6a" + hashlib.sha1(nonce).digest() + b"\xbc")
    assert judge(wrap(0x6F, spki(key)), with_header, nonce) == GOOD


def test_a_signature_has_one_form_below_the_modulus() -> None:
    key = rsa_key(1024)
    answer = raw_sign(key, block(128, "sha1", "BC"))
    longer = int.from_bytes(answer, "big") + key.public_key().public_numbers().n
    assert judge(wrap(0x6F, spki(key)), longer.to_bytes(129, "big")) == COPY


def test_odd_lengths_of_the_modulus() -> None:
    key = rsa_key(1028, exponent=3)
    dg15 = wrap(0x6F, spki(key))
    assert judge(dg15, raw_sign(key, block(128, "sha256", "34CC"))) == GOOD


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.BrainpoolP256R1()])
@pytest.mark.parametrize("digest", ["sha224", "sha256", "sha384", "sha512"])
def test_ecdsa_plain_and_der(curve: ec.EllipticCurve, digest: str) -> None:
    """The hash isn't that of the curve's size (a P-384 key signs with SHA-256); without DG14 each is tried."""
    key = ec_key(61, curve)
    dg15, size = wrap(0x6F, spki(key)), (curve.key_size + 7) // 8
    wrapped = key.sign(NONCE, ec.ECDSA(HASHES[digest]))
    parsed = core.Sequence.load(wrapped)
    plain = b"".join(parsed[index].native.to_bytes(size, "big") for index in (0, 1))
    for answer in (plain, wrapped):
        assert judge(dg15, answer) == GOOD
        assert judge(dg15, answer, NONCE[::-1]) == COPY
    arcs = {"sha224": 2, "sha256": 3, "sha384": 4, "sha512": 5}
    for name, arc in arcs.items():
        told = judge(dg15, plain, algorithm=f"0.4.0.127.0.7.1.1.4.1.{arc}")
        assert told == (GOOD if name == digest else COPY)


def test_sha1_only_where_dg14_says_so() -> None:
    key = ec_key(62)
    dg15 = wrap(0x6F, spki(key))
    answer = key.sign(NONCE, ec.ECDSA(HASHES["sha1"]))
    assert judge(dg15, answer) == COPY
    assert judge(dg15, answer, algorithm="0.4.0.127.0.7.1.1.4.1.1") == GOOD


def test_a_plain_signature_that_looks_like_der() -> None:
    """Every r‖s that happens to begin with 30 is tried as what the standard says first."""
    secret = SigningKey.from_secret_exponent(77, ecdsa_curves.NIST256p)
    dg15 = wrap(0x6F, secret.verifying_key.to_der("uncompressed", curve_parameters_encoding="named_curve"))
    for step in range(2000):
        nonce = step.to_bytes(8, "big")
        answer = secret.sign_deterministic(nonce, hashlib.sha256, sigencode=sigencode_string)
        if answer[0] == 0x30:
            assert judge(dg15, answer, nonce) == GOOD
            return
    raise AssertionError("none began with 30")


def test_the_key_of_dutch_passports() -> None:
    """brainpoolP320r1, which `cryptography` lacks."""
    secret = SigningKey.from_secret_exponent(0xABCDEF123456789, ecdsa_curves.BRAINPOOLP320r1)
    dg15 = wrap(0x6F, secret.verifying_key.to_der("uncompressed", curve_parameters_encoding="named_curve"))
    for encode in (sigencode_string, sigencode_der):
        answer = secret.sign_deterministic(NONCE, hashlib.sha256, sigencode=encode)
        assert judge(dg15, answer) == GOOD
        assert judge(dg15, answer, bytes(8)) == COPY


def test_refusals_and_keys_that_cannot_be_used() -> None:
    dg15 = wrap(0x6F, spki(ec_key(63)))
    assert judge(dg15, None) == (BAD, "chip.active_refused")
    assert judge(wrap(0x6F, spki(ec_key(63, ec.SECP256K1()))), bytes(64)) == (OPEN, "pki.unknown_curve")
    assert judge(dg15, bytes(64), algorithm="1.2.3") == (OPEN, "pki.algorithm_unsupported")
    for bad in (b"", b"\x6f\x00", dg15 + b"\x00", wrap(0x6E, spki(ec_key(63))), wrap(0x6F, sequence())):
        result, code = judge(bad, bytes(64))
        assert result is OPEN
        assert code.startswith(("pki.", "tlv."))
