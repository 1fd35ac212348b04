"""The groups of key agreement, and the keys and parameters that name them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edged.core.emrtd import agreed_points, domains, tlv
from edged.core.emrtd.curves import curves
from edged.core.emrtd.der import encode_oid
from edged.core.emrtd.dh_groups import GROUPS
from edged.core.emrtd.domain_parameters import decode_key, domain_of_algorithm
from edged.core.emrtd.domains import DhDomain, Domain, EcDomain, dh_domain, standard_domain
from edged.errors import DecodeError
from tests.chip_scripts import H, Seeded
from tests.chip_spki import encode_key

STANDARD = (0, 1, 2, *range(8, 19))


def standard(identifier: int) -> Domain:
    domain = standard_domain(identifier)
    assert domain is not None
    return domain


def integer(value: int) -> bytes:
    return tlv.encode(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    return tlv.encode(0x06, encode_oid(dotted))


def sequence(*parts: bytes) -> bytes:
    return tlv.encode(0x30, b"".join(parts))


def explicit(domain: EcDomain, **other: int) -> bytes:
    """ECParameters with every number spelt out, some of them replaced."""
    curve = domain.curve
    v = {
        "p": curve.p,
        "a": curve.a,
        "b": curve.b,
        "gx": curve.gx,
        "gy": curve.gy,
        "n": curve.n,
        "h": 1,
    } | other
    width = curve.octets
    generator = b"\x04" + v["gx"].to_bytes(width, "big") + v["gy"].to_bytes(width, "big")
    return sequence(
        integer(1),
        sequence(oid("1.2.840.10045.1.1"), integer(v["p"])),
        sequence(
            tlv.encode(0x04, v["a"].to_bytes(width, "big")), tlv.encode(0x04, v["b"].to_bytes(width, "big"))
        ),
        tlv.encode(0x04, generator),
        integer(v["n"]),
        integer(v["h"]),
    )


def spki(algorithm: bytes, key: bytes) -> bytes:
    return sequence(algorithm, tlv.encode(0x03, b"\x00" + key))


@pytest.mark.parametrize("identifier", STANDARD)
def test_both_sides_agree_before_and_after_mapping(identifier: int) -> None:
    domain, draw = standard(identifier), Seeded(identifier)
    ours, theirs = domain.generate(draw), domain.generate(draw)
    assert domain.shared_secret(ours.private, theirs.public) == domain.shared_secret(
        theirs.private, ours.public
    )
    nonce = draw.octets(16)
    mapped = domain.map_generic(nonce, ours.private, theirs.public)
    other = domain.map_generic(nonce, theirs.private, ours.public)
    ours, theirs = mapped.generate(draw), other.generate(draw)
    secret = mapped.shared_secret(ours.private, theirs.public)
    assert secret == other.shared_secret(theirs.private, ours.public)
    assert len(secret) == domain.octets
    assert domain.pair(ours.private).public != ours.public, "the generator is another"


@pytest.mark.parametrize("identifier", STANDARD)
def test_the_groups_are_what_they_say(identifier: int) -> None:
    domain = standard(identifier)
    if isinstance(domain, DhDomain):
        assert domain.q is not None
        assert (domain.p - 1) % domain.q == 0
        assert pow(domain.g, domain.q, domain.p) == 1
    else:
        with pytest.raises(DecodeError):
            domain.multiply(domain.order, domain.pair(1).public)


@pytest.mark.parametrize("identifier", [*range(3, 8), 19, 31, 255])
def test_reserved_numbers_are_no_groups(identifier: int) -> None:
    assert standard_domain(identifier) is None


@pytest.mark.parametrize("identifier", [8, 10, 12, 13, 15, 16, 17, 18])
def test_openssl_and_plain_arithmetic_agree(identifier: int, monkeypatch: pytest.MonkeyPatch) -> None:
    domain, draw = standard(identifier), Seeded(identifier)
    ours, theirs = domain.generate(draw), domain.generate(draw)
    secret = domain.shared_secret(ours.private, theirs.public)
    monkeypatch.setattr(domains, "openssl_curve", lambda name: None)
    assert domain.pair(ours.private).public == ours.public
    assert domain.shared_secret(ours.private, theirs.public) == secret


@pytest.mark.parametrize("identifier", [10, 12, 15, 18])
def test_points_that_openssl_multiplies_are_those_of_plain_arithmetic(
    identifier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either root of y, the scalars at both ends, and a multiple that doubles the point it is told by."""
    domain, draw = standard(identifier), Seeded(identifier)
    assert isinstance(domain, EcDomain)
    assert domain.curve.name in agreed_points.WORTH_IT
    last = domain.order - 1
    scalars = [1, 2, 3, last // 2, last // 2 + 1, last - 2, last - 1, last]
    scalars += [draw.scalar(domain.order) for _ in range(8)]
    theirs = domain.pair(draw.scalar(domain.order)).public
    nonces = [bytes(16), bytes(15) + b"\x01", draw.octets(16)]

    def everything() -> list[bytes]:
        found = [domain.multiply(scalar, theirs) for scalar in scalars]
        for nonce in nonces:
            mapped = domain.map_generic(nonce, scalars[-1], theirs)
            found += [mapped.pair(scalar).public for scalar in scalars[::3]]
        return found

    fast = everything()
    assert {public[-1] & 1 for public in fast} == {0, 1}, "both roots occur"
    monkeypatch.setattr(domains, "openssl_curve", lambda name: None)
    assert everything() == fast


@pytest.mark.parametrize("identifier", [8, 9, 14])
def test_coordinates_that_begin_with_zero_keep_their_length(identifier: int) -> None:
    domain = standard(identifier)
    private = next(d for d in range(1, 5000) if domain.pair(d).public[1] == 0)
    public = domain.pair(private).public
    assert len(public) == 1 + 2 * domain.octets
    secret = domain.shared_secret(1, public)
    assert len(secret) == domain.octets
    assert secret[0] == 0


def test_numbers_that_begin_with_zero() -> None:
    domain = standard(0)
    private = next(d for d in range(1, 5000) if domain.pair(d).public[0] == 0)
    public = domain.pair(private).public
    assert domain.check(public.lstrip(b"\x00")) == public
    assert domain.shared_secret(1, public.lstrip(b"\x00")) == public

    class Drawn(Seeded):
        def scalar(self, below: int) -> int:
            values.append(private if not values else 7)
            return values[-1]

    values: list[int] = []
    assert domain.generate(Drawn(0)).private == 7, "our own keys never begin with zero"


@pytest.mark.parametrize("identifier", [8, 12, 13, 14])
def test_points_that_are_none(identifier: int) -> None:
    domain = standard(identifier)
    good = domain.pair(5).public
    twin = good[:-1] + bytes((good[-1] ^ 1,))
    too_big = b"\x04" + b"\xff" * (2 * domain.octets)
    for bad in (b"", b"\x00", good[1:], good[:-1], good + b"\x00", b"\x02" + good[1:], twin, too_big):
        for use in (
            domain.check,
            lambda key: domain.shared_secret(3, key),
            lambda key: domain.multiply(3, key),
        ):
            with pytest.raises(DecodeError):
                use(bad)


def test_numbers_that_are_outside_the_group() -> None:
    domain = standard(0)
    assert isinstance(domain, DhDomain)
    for bad in (0, 1, domain.p - 1, domain.p, domain.p + 4, 2):  # 2 has another order than q
        with pytest.raises(DecodeError, match=r"dh\.bad_public"):
            domain.check(bad.to_bytes(domain.octets, "big"))
    for octets in (b"", bytes(domain.octets + 1)):
        with pytest.raises(DecodeError, match=r"dh\.bad_public"):
            domain.check(octets)


def test_a_mapping_to_nothing_is_refused() -> None:
    """A chip that answers with the key that makes nonce · G + H vanish."""
    curve = standard(12)
    nonce = (5).to_bytes(16, "big")
    with pytest.raises(DecodeError, match=r"ec\.infinity"):
        curve.map_generic(nonce, 1, curve.pair(curve.order - 5).public)
    numbers = standard(0)
    with pytest.raises(DecodeError, match=r"dh\.bad_public"):
        numbers.map_generic(nonce, 1, numbers.pair(numbers.order - 5).public)
    for domain in (curve, numbers):
        with pytest.raises(DecodeError):
            domain.map_integrated(0)


@pytest.mark.parametrize("identifier", [9, 11, 12, 13, 14, 15, 16, 17, 18])
def test_integrated_mapping_finds_points(identifier: int) -> None:
    domain, draw = standard(identifier), Seeded(identifier)
    for _ in range(8):
        generator = domain.map_integrated(draw.scalar(domain.modulus)).pair(1).public
        assert domain.check(generator) == generator


@pytest.mark.parametrize(
    "name", ["SECP192R1", "SECP256R1", "SECP521R1", "BrainpoolP256R1", "BrainpoolP384R1"]
)
def test_keys_that_openssl_writes(name: str) -> None:
    private = ec.generate_private_key(getattr(ec, name)())
    written = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = decode_key(written)
    assert encode_key(key.domain, key.public) == written
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = sequence(oid("1.2.840.10045.2.1"), oid(key.domain.curve.oid))  # type: ignore[union-attr]
    assert decode_key(spki(algorithm, point)).public == key.public


@pytest.mark.parametrize("identifier", range(8, 19))
def test_explicit_and_standardised_parameters(identifier: int) -> None:
    domain = standard(identifier)
    assert isinstance(domain, EcDomain)
    public = domain.pair(99).public
    for parameters in (
        sequence(oid("1.2.840.10045.2.1"), explicit(domain)),
        sequence(oid("1.3.132.1.12"), explicit(domain)),
        sequence(oid("0.4.0.127.0.7.1.2"), integer(identifier)),
    ):
        assert domain_of_algorithm(parameters) == domain
        assert decode_key(spki(parameters, public)).public == public


@pytest.mark.parametrize("name", ["p", "a", "b", "gx", "gy", "n", "h"])
def test_an_explicit_curve_with_one_number_of_its_own(name: str) -> None:
    """CVE-2020-0601: the generator is where a forged key hides."""
    domain = standard(13)
    assert isinstance(domain, EcDomain)
    value = {"p": domain.curve.p, "n": domain.curve.n, "h": 1}.get(name) or getattr(domain.curve, name)
    parameters = explicit(domain, **{name: value ^ 2})
    with pytest.raises(DecodeError, match=r"domain\.not_supported"):
        domain_of_algorithm(sequence(oid("1.2.840.10045.2.1"), parameters))


def test_numbers_in_keys() -> None:
    p, g, q = GROUPS[2]
    public = pow(g, 12345, p).to_bytes(256, "big")
    for domain in (DhDomain(p, g, q), DhDomain(p, g, None), DhDomain(p, g, None, 256)):
        key = decode_key(encode_key(domain, public))
        assert key.domain == domain
        assert key.public == public
        pair = key.domain.generate(Seeded(1))
        assert 1 <= pair.private < key.domain.order <= 1 << 512


@pytest.mark.parametrize(
    ("p", "g", "q"),
    [
        (GROUPS[0][0] + 1, GROUPS[0][1], None),
        (GROUPS[0][0], 1, None),
        (GROUPS[0][0], GROUPS[0][0] - 1, None),
        (GROUPS[0][0], 2, GROUPS[0][2]),
        (GROUPS[0][0], GROUPS[0][1], GROUPS[0][2] + 2),
        (GROUPS[0][0], GROUPS[0][1], 3),
        (23, 5, None),
        ((1 << 8000) + 1, 5, None),
    ],
)
def test_numbers_that_are_no_group(p: int, g: int, q: int | None) -> None:
    with pytest.raises(DecodeError, match=r"domain\."):
        dh_domain(p, g, q)


def test_keys_that_are_none() -> None:
    domain = standard(12)
    good = encode_key(domain, domain.pair(3).public)
    for at in range(len(good)):
        for bad in (good[:at], good[:at] + bytes((good[at] ^ 0x81,)) + good[at + 1 :]):
            with pytest.raises(DecodeError):
                decode_key(bad)
    for bad in (b"", H("3000"), H("300406000300"), good + b"\x00", H("0500")):
        with pytest.raises(DecodeError):
            decode_key(bad)


def test_groups_keep_a_mapped_generator_to_themselves() -> None:
    """With it and a transcript a password can be looked for."""
    for identifier in (0, 13):
        domain = standard(identifier)
        pair = domain.generate(Seeded(2))
        mapped = domain.map_generic(bytes(15) + b"\x05", pair.private, domain.pair(77).public)
        assert repr(mapped) == repr(replace(domain)), "nothing tells them apart"
        assert str(pair.private) not in repr(pair)


def test_every_curve_of_the_table_is_a_standardised_one() -> None:
    names = {domain.curve.name for domain in map(standard_domain, STANDARD) if isinstance(domain, EcDomain)}
    # Twisted Brainpool curves have no number in PACE (Doc 9303-11 §9.5.1); keys in certificates may be on them.
    assert names == {name for name in curves() if not name.endswith("t1")}
