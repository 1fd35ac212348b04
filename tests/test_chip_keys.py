"""Public keys and signatures: explicit curve parameters, every algorithm documents use, and what is refused."""

from __future__ import annotations

import hashlib

import pytest
from asn1crypto import core
from cryptography.hazmat.primitives.asymmetric import ec
from ecdsa import SigningKey
from ecdsa import curves as ecdsa_curves
from ecdsa.util import sigencode_der, sigencode_string

from edged.core.emrtd import curves
from edged.core.emrtd.public_keys import EcKey, RsaKey, parse_public_key
from edged.core.emrtd.signatures import Family, SignatureAlgorithm, read_digest, signature_algorithm, verify
from edged.errors import DecodeError
from tests.chip_pki import HASHES, Scheme, ec_key, explicit_key_info, rsa_key, sequence, spki

MESSAGE = b"what was signed"
THEIRS = {
    "secp192r1": ec.SECP192R1(),
    "secp224r1": ec.SECP224R1(),
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
    "brainpoolP256r1": ec.BrainpoolP256R1(),
    "brainpoolP384r1": ec.BrainpoolP384R1(),
    "brainpoolP512r1": ec.BrainpoolP512R1(),
}
RARE = {
    "brainpoolP192r1": ecdsa_curves.BRAINPOOLP192r1,
    "brainpoolP224r1": ecdsa_curves.BRAINPOOLP224r1,
    "brainpoolP320r1": ecdsa_curves.BRAINPOOLP320r1,
    "brainpoolP256t1": ecdsa_curves.BRAINPOOLP256t1,
}


def refusal(der: bytes) -> str:
    with pytest.raises(DecodeError) as refused:
        parse_public_key(der)
    return refused.value.code


def named_info(curve: str, point: bytes) -> bytes:
    known = curves.curves()[curve]
    algorithm = sequence(
        core.ObjectIdentifier("1.2.840.10045.2.1").dump(), core.ObjectIdentifier(known.oid).dump()
    )
    return sequence(algorithm, core.OctetBitString(point).dump())


@pytest.mark.parametrize("name", THEIRS)
def test_named_and_explicit_parameters_are_the_same_key(name: str) -> None:
    key = ec_key(1, THEIRS[name])
    numbers = key.public_key().public_numbers()
    expected = EcKey(curves.curves()[name], numbers.x, numbers.y)
    assert parse_public_key(spki(key)) == expected
    for changes in ({}, {"cofactor": None}):
        assert parse_public_key(explicit_key_info(key, curves.curves()[name], **changes)) == expected


def test_a_generator_of_ones_own_is_refused() -> None:
    """CVE-2020-0601: with the victim's public point as generator, the private key is 1."""
    victim, curve = ec_key(2, ec.BrainpoolP256R1()), curves.curves()["brainpoolP256r1"]
    numbers = victim.public_key().public_numbers()
    point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    assert refusal(explicit_key_info(victim, curve, base=point)) == "pki.forged_curve"


@pytest.mark.parametrize("bits", [192, 224, 256, 320, 384, 512])
def test_twisted_curves_are_no_forgeries_of_their_twins(bits: int) -> None:
    """brainpoolPxxxt1 (RFC 5639 §3) has its twin's field and order, and parameters of its own."""
    curve = curves.curves()[f"brainpoolP{bits}t1"]
    point = b"\x04" + curve.gx.to_bytes(curve.octets, "big") + curve.gy.to_bytes(curve.octets, "big")
    given = explicit_key_info(ec_key(6, ec.SECP192R1()), curve, point=point)
    assert parse_public_key(given) == EcKey(curve, curve.gx, curve.gy)
    assert parse_public_key(named_info(f"brainpoolP{bits}t1", point)) == EcKey(curve, curve.gx, curve.gy)


@pytest.mark.parametrize("name", ["secp256r1", "brainpoolP384r1"])
@pytest.mark.parametrize("changed", ["a", "b", "base", "order", "cofactor"])
def test_every_parameter_counts(name: str, changed: str) -> None:
    curve = curves.curves()[name]
    size = curve.octets
    other = {
        "a": (curve.a ^ 1).to_bytes(size, "big"),
        "b": (curve.b ^ 1).to_bytes(size, "big"),
        "base": b"\x04" + curve.gx.to_bytes(size, "big") + (curve.p - curve.gy).to_bytes(size, "big"),
        "order": curve.n - 2,
        "cofactor": 2,
    }
    key = ec_key(3, THEIRS[name])
    assert refusal(explicit_key_info(key, curve, **{changed: other[changed]})) == "pki.forged_curve"


def test_unknown_curves_fields_and_kinds_of_key() -> None:
    key, curve = ec_key(4), curves.curves()["secp256r1"]
    assert refusal(explicit_key_info(key, curve, p=curve.p + 2)) == "pki.unknown_curve"
    assert refusal(spki(ec_key(4, ec.SECP256K1()))) == "pki.unknown_curve"
    algorithm = sequence(core.ObjectIdentifier("1.2.840.10045.2.1").dump())
    assert (
        refusal(sequence(algorithm, core.OctetBitString(b"\x04" + bytes(64)).dump())) == "pki.unknown_curve"
    )
    dsa = sequence(core.ObjectIdentifier("1.2.840.10040.4.1").dump())
    assert refusal(sequence(dsa, core.OctetBitString(b"\x02\x01\x05").dump())) == "pki.key_unsupported"


def test_points_off_the_curve_and_infinity() -> None:
    known = curves.curves()["secp256r1"]
    good = b"\x04" + known.gx.to_bytes(32, "big") + known.gy.to_bytes(32, "big")
    assert isinstance(parse_public_key(named_info("secp256r1", good)), EcKey)
    assert refusal(named_info("secp256r1", good[:-1] + bytes((good[-1] ^ 1,)))) == "ec.not_on_curve"
    assert refusal(named_info("secp256r1", b"\x00")) == "ec.bad_point"
    assert refusal(named_info("secp256r1", b"\x06" + good[1:])) == "ec.bad_point"


def rsa_info(n: int, e: int) -> bytes:
    numbers = sequence(core.Integer(n).dump(), core.Integer(e).dump())
    algorithm = sequence(core.ObjectIdentifier("1.2.840.113549.1.1.1").dump(), core.Null().dump())
    return sequence(algorithm, core.OctetBitString(numbers).dump())


def test_rsa_keys_are_bounded() -> None:
    n = rsa_key().public_key().public_numbers().n
    assert parse_public_key(spki(rsa_key())) == RsaKey(n, 65537)
    assert parse_public_key(rsa_info(n, 3)) == RsaKey(n, 3)
    assert parse_public_key(rsa_info(n - (1 << 2048), 3)) == RsaKey(n, 3), (
        "a modulus without its leading zero"
    )
    for bad in (
        rsa_info((1 << 500) + 1, 3),
        rsa_info((1 << 1022) + 1, 3),  # anyone with some computers has its private key
        rsa_info((1 << 8200) + 1, 3),
        rsa_info(n - 1, 3),
        rsa_info(n, 1),
        rsa_info(n, 4),
        rsa_info(n, (1 << 64) + 1),
        rsa_info(n, -3),
    ):
        assert refusal(bad) == "pki.bad_rsa_key"
    assert refusal(bytes(5000)) == "pki.too_long"


@pytest.mark.parametrize(
    "der", [b"", b"\x30", b"\x30\x00", b"\x30\x80\x00\x00", b"\x04\x02ab", b"\x30\x04\x30\x02\x06\x00"]
)
def test_broken_keys(der: bytes) -> None:
    assert refusal(der) == "pki.malformed"


@pytest.mark.parametrize("digest", HASHES)
@pytest.mark.parametrize("kind", ["rsa", "pss", "p256", "p521", "bp512"])
def test_every_algorithm(kind: str, digest: str) -> None:
    key = {
        "rsa": rsa_key(),
        "pss": rsa_key(),
        "p256": ec_key(5),
        "p521": ec_key(5, ec.SECP521R1()),
        "bp512": ec_key(5, ec.BrainpoolP512R1()),
    }[kind]
    scheme = Scheme(digest, pss=kind == "pss")
    algorithm = signature_algorithm(scheme.identifier(key))
    assert (algorithm.digest, algorithm.weak) == (digest, digest == "sha1")
    signature, public = scheme.sign(key, MESSAGE), parse_public_key(spki(key))
    assert verify(public, algorithm, signature, MESSAGE)
    assert not verify(public, algorithm, signature, MESSAGE + b"!")
    assert not verify(public, algorithm, bytes((signature[0], signature[1] ^ 1)) + signature[2:], MESSAGE)
    assert not verify(public, algorithm, signature + b"\x00", MESSAGE)
    assert not verify(public, algorithm, b"", MESSAGE)
    assert not verify(public, algorithm, bytes(2000), MESSAGE)


@pytest.mark.parametrize(
    ("digest", "mgf", "salt", "name"),
    [
        ("sha256", "sha1", 20, "RSA-PSS with SHA-256, MGF1 with SHA-1, salt of 20"),
        ("sha256", "sha512", 0, "RSA-PSS with SHA-256, MGF1 with SHA-512, salt of 0"),
        ("sha512", "sha512", 20, "RSA-PSS with SHA-512, salt of 20"),
        ("sha1", "sha1", 20, "RSA-PSS with SHA-1"),
        ("sha384", "sha384", 150, "RSA-PSS with SHA-384, salt of 150"),
    ],
)
def test_odd_parameters_of_pss(digest: str, mgf: str, salt: int, name: str) -> None:
    scheme = Scheme(digest, pss=True, mgf=mgf, salt=salt)
    algorithm = signature_algorithm(scheme.identifier(rsa_key()))
    assert algorithm == SignatureAlgorithm(Family.RSA_PSS, digest, mgf, salt)
    assert algorithm.name == name
    signature, public = scheme.sign(rsa_key(), MESSAGE), parse_public_key(spki(rsa_key()))
    assert verify(public, algorithm, signature, MESSAGE)
    for other in (
        SignatureAlgorithm(Family.RSA_PSS, digest, "sha224", salt),
        SignatureAlgorithm(Family.RSA_PSS, digest, mgf, salt + 1),
        SignatureAlgorithm(Family.RSA, digest),
        SignatureAlgorithm(Family.RSA_PSS, digest, mgf, 1024),
    ):
        assert not verify(public, other, signature, MESSAGE)


@pytest.mark.parametrize("name", RARE)
def test_curves_that_cryptography_lacks(name: str) -> None:
    secret = SigningKey.from_secret_exponent(0x1234567890ABCDEF1234567, RARE[name])
    point = secret.verifying_key.to_string("uncompressed")
    public = parse_public_key(named_info(name, point))
    for digest in ("sha1", "sha256", "sha512"):  # shorter and longer than the curve's order
        made = secret.sign_deterministic(MESSAGE, getattr(hashlib, digest), sigencode=sigencode_der)
        plain = secret.sign_deterministic(MESSAGE, getattr(hashlib, digest), sigencode=sigencode_string)
        assert verify(public, SignatureAlgorithm(Family.ECDSA, digest), made, MESSAGE)
        assert verify(public, SignatureAlgorithm(Family.ECDSA_PLAIN, digest), plain, MESSAGE)
        assert not verify(public, SignatureAlgorithm(Family.ECDSA, digest), made, b"other")
        assert not verify(
            public, SignatureAlgorithm(Family.ECDSA_PLAIN, digest), plain[:-1] + b"\x00", b"other"
        )


def test_numbers_out_of_range_never_verify() -> None:
    key = ec_key(6)
    public = parse_public_key(spki(key))
    n = curves.curves()["secp256r1"].n
    for r, s in ((0, 0), (0, 1), (1, 0), (n, 1), (1, n), (n + 1, n + 1)):
        made = sequence(core.Integer(r).dump(), core.Integer(s).dump())
        assert not verify(public, SignatureAlgorithm(Family.ECDSA, "sha256"), made, MESSAGE)


def test_a_key_of_another_kind_never_verifies() -> None:
    rsa, curve = parse_public_key(spki(rsa_key())), parse_public_key(spki(ec_key(7)))
    assert not verify(rsa, SignatureAlgorithm(Family.ECDSA, "sha256"), b"\x30\x00", MESSAGE)
    assert not verify(curve, SignatureAlgorithm(Family.RSA, "sha256"), bytes(256), MESSAGE)


@pytest.mark.parametrize(
    "oid",
    [
        "1.2.840.113549.1.1.4",  # MD5 with RSA
        "1.2.840.113549.1.1.2",  # MD2 with RSA
        "1.2.840.10040.4.3",  # DSA
        "1.3.101.112",  # Ed25519
    ],
)
def test_weak_and_unknown_algorithms_are_unsupported(oid: str) -> None:
    with pytest.raises(DecodeError, match=r"pki\.algorithm_unsupported"):
        signature_algorithm(sequence(core.ObjectIdentifier(oid).dump()), "sha256")


def test_md5_is_no_digest() -> None:
    with pytest.raises(DecodeError, match=r"pki\.algorithm_unsupported"):
        read_digest(sequence(core.ObjectIdentifier("1.2.840.113549.2.5").dump(), core.Null().dump()))


def test_identifiers_without_a_digest_take_the_one_beside_them() -> None:
    for oid, family in (
        ("1.2.840.113549.1.1.1", Family.RSA),
        ("1.2.840.10045.2.1", Family.ECDSA),
        ("1.2.840.10045.4.3", Family.ECDSA),
    ):
        der = sequence(core.ObjectIdentifier(oid).dump(), core.Null().dump())
        assert signature_algorithm(der, "sha384") == SignatureAlgorithm(family, "sha384")
        with pytest.raises(DecodeError, match=r"pki\.algorithm_unsupported"):
            signature_algorithm(der)
    named = sequence(core.ObjectIdentifier("1.2.840.10045.4.3.2").dump())
    assert signature_algorithm(named, "sha512").digest == "sha256", "the identifier's own hash counts"
