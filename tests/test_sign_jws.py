"""Signed messages: one serialisation, one algorithm, one way in; everything else is refused by its code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from edged.errors import CertificateError, SignatureRefusedError
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import load_chain
from edged.uplink.sign import MAX_COMPACT, MAX_HEADER, Signer, verify
from tests.trust_support import FLEET, NOW, anchor, authority, certificate, key, signer

if TYPE_CHECKING:
    from pathlib import Path

TYP = "test+jws"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def x5c(*ders: bytes) -> list[str]:
    return [base64.b64encode(der).decode() for der in ders]


LEAF = certificate().public_bytes(Encoding.DER)
HEADER: dict[str, Any] = {"alg": "ES256", "typ": TYP, "x5c": x5c(LEAF)}


def forge(header: dict[str, Any] | bytes, payload: bytes = b"{}", signing_key: Any = None) -> str:
    """A compact JWS with any header, properly signed by the device's own key (or another one)."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{b64(raw)}.{b64(payload)}"
    der = (signing_key or key()).sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    return f"{signed}.{b64(r.to_bytes(32) + min(s, ORDER - s).to_bytes(32))}"


def read_elsewhere(compact: str) -> jws.CompactSignature:
    """Read by joserfc alone, which knows nothing of our rules but its longer header."""
    registry = jws.JWSRegistry(algorithms=["ES256"])
    registry.max_header_length = MAX_HEADER
    return jws.deserialize_compact(compact, ECKey.import_key(key()), registry=registry)


def refusal(compact: str | bytes, *, typ: str = TYP, role: Role = Role.DEVICE) -> str:
    with pytest.raises(SignatureRefusedError) as caught:
        verify(compact, typ=typ, anchor=anchor(), role=role, at=NOW)
    return caught.value.code


@settings(deadline=None)
@given(payload=st.binary(min_size=1, max_size=300))
def test_what_is_signed_verifies(payload: bytes) -> None:
    compact = signer().sign(TYP, payload)
    for form in (compact, compact.encode()):
        verified = verify(form, typ=TYP, anchor=anchor(), role=Role.DEVICE, at=NOW)
        assert verified.payload == payload
        assert verified.principal == Principal(FLEET, Role.DEVICE, "box-1")
        assert verified.sha256 == hashlib.sha256(compact.encode("ascii")).digest()


def test_the_forge_itself_makes_good_messages() -> None:
    """Or the refusals below would prove nothing."""
    assert verify(forge(HEADER), typ=TYP, anchor=anchor(), role=Role.DEVICE, at=NOW).payload == b"{}"


def test_another_library_reads_it() -> None:
    compact = signer().sign(TYP, b'{"a":1}')
    read = read_elsewhere(compact)
    assert read.payload == b'{"a":1}'
    assert read.headers() == HEADER


class TestHeader:
    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ({**HEADER, "alg": "none"}, "jws.wrong_algorithm"),
            ({**HEADER, "alg": "HS256"}, "jws.wrong_algorithm"),
            ({**HEADER, "alg": "ES384"}, "jws.wrong_algorithm"),
            ({**HEADER, "alg": "es256"}, "jws.wrong_algorithm"),
            ({**HEADER, "alg": ["ES256"]}, "jws.header_refused"),
            ({**HEADER, "typ": "other+jws"}, "jws.wrong_type"),
            ({**HEADER, "typ": TYP.upper()}, "jws.wrong_type"),
            ({**HEADER, "crit": ["b64"], "b64": False}, "jws.header_refused"),
            ({**HEADER, "crit": []}, "jws.header_refused"),
            ({**HEADER, "b64": True}, "jws.header_refused"),
            ({**HEADER, "kid": "1"}, "jws.header_refused"),
            ({**HEADER, "jku": "https://example.org"}, "jws.header_refused"),
            ({**HEADER, "jwk": {"kty": "EC"}}, "jws.header_refused"),
            ({**HEADER, "zip": "DEF"}, "jws.header_refused"),
            ({"alg": "ES256", "typ": TYP}, "jws.header_refused"),
            ({"alg": "ES256", "x5c": x5c(LEAF)}, "jws.header_refused"),
            ({"typ": TYP, "x5c": x5c(LEAF)}, "jws.header_refused"),
            ({**HEADER, "x5c": []}, "jws.no_certificate"),
            ({**HEADER, "x5c": x5c(LEAF, LEAF, LEAF, LEAF)}, "jws.too_many_certificates"),
            ({**HEADER, "x5c": x5c(*[b"x"] * 17)}, "jws.header_refused"),
            ({**HEADER, "x5c": "MII"}, "jws.header_refused"),
            ({**HEADER, "x5c": [7]}, "jws.header_refused"),
            ({**HEADER, "x5c": ["!!!!"]}, "cert.malformed"),
            ({**HEADER, "x5c": [""]}, "cert.malformed"),
            ({**HEADER, "x5c": ["AAAA"]}, "cert.malformed"),
            ({**HEADER, "x5c": [b64(b"\xff\xfe\xfd" * 8)]}, "cert.malformed"),
            ({**HEADER, "x5c": [HEADER["x5c"][0] + "\n"]}, "cert.malformed"),
            ({**HEADER, "x5c": x5c(LEAF + b"\0")}, "cert.malformed"),
            (b"[]", "jws.header_refused"),
            (b"null", "jws.header_refused"),
            (b"{", "jws.header_refused"),
            (b"\xff\xff", "jws.header_refused"),
            (b"[" * 5000, "jws.header_refused"),
        ],
    )
    def test_refused(self, header: dict[str, Any] | bytes, code: str) -> None:
        assert refusal(forge(header)) == code

    def test_the_public_key_is_no_hmac_secret(self) -> None:
        """The classic confusion of algorithms: a MAC with the signer's public key as the secret."""
        header = b64(json.dumps({**HEADER, "alg": "HS512"}).encode())
        signed = f"{header}.{b64(b'{}')}"
        public = key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for secret in (public, LEAF):
            tag = hmac.new(secret, signed.encode(), hashlib.sha512).digest()
            assert refusal(f"{signed}.{b64(tag)}") == "jws.wrong_algorithm"

    def test_none_with_an_empty_signature(self) -> None:
        header = b64(json.dumps({**HEADER, "alg": "none"}).encode())
        assert refusal(f"{header}.{b64(b'{}')}.") == "jws.malformed"

    def test_a_header_of_another_message_does_not_fit(self) -> None:
        one, two = (signer().sign(TYP, payload).split(".") for payload in (b'{"a":1}', b'{"a":2}'))
        assert refusal(f"{one[0]}.{two[1]}.{one[2]}") == "jws.signature_wrong"


class TestBounds:
    def test_the_largest_message_verifies_and_the_next_is_refused(self) -> None:
        room = (MAX_COMPACT - len(signer().sign(TYP, b""))) * 3 // 4
        compact = signer().sign(TYP, b"x" * room)
        assert MAX_COMPACT - 4 < len(compact) <= MAX_COMPACT
        assert len(verify(compact, typ=TYP, anchor=anchor(), role=Role.DEVICE, at=NOW).payload) == room
        with pytest.raises(ValueError, match="at most"):
            signer().sign(TYP, b"x" * (room + 4))
        assert refusal(forge(HEADER, b"x" * (room + 4))) == "jws.too_large"
        assert refusal("." * 10_000_000) == "jws.too_large"

    def test_a_header_that_is_mostly_padding(self) -> None:
        assert refusal(forge(b" " * MAX_HEADER + json.dumps(HEADER).encode())) == "jws.too_large"


class TestOneSerialisation:
    """Between box and centre nobody can make a second message out of a good one (see `edged.uplink.sign`)."""

    def test_the_other_good_signature_is_refused(self) -> None:
        for _ in range(8):
            head, _, signature = signer().sign(TYP, b"{}").rpartition(".")
            raw = unb64(signature)
            r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
            assert s <= ORDER // 2
            twin = f"{head}.{b64(r.to_bytes(32) + (ORDER - s).to_bytes(32))}"
            assert read_elsewhere(twin).payload == b"{}"
            assert refusal(twin) == "jws.signature_wrong"

    @pytest.mark.parametrize(
        "change",
        [
            lambda c: c + "=",
            lambda c: c + "\n",
            lambda c: " " + c,
            lambda c: c + ".",
            lambda c: "." + c,
            lambda c: c.replace(".", "..", 1),
            lambda c: c.replace(".", ".\n", 1),
            lambda c: c.replace(".", "=.", 1),
            lambda c: c.rpartition(".")[0] + ".",
            lambda c: c.rpartition(".")[0],
            lambda c: c + "A",
            lambda c: c[:-1],
            lambda c: c[:5] + "Ａ" + c[6:],
            lambda c: c.encode() + b"\x00",
            lambda c: b"\xff" + c.encode(),
            lambda c: "",
            lambda c: b"",
        ],
    )
    def test_another_spelling_is_refused(self, change: Any) -> None:
        assert refusal(change(signer().sign(TYP, b'{"a":[1,2,3]}'))) == "jws.malformed"

    def test_slack_bits_are_refused(self) -> None:
        """The last character of base64url has bits that no byte uses."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        head, payload, signature = signer().sign(TYP, b"{}").split(".")  # 2 bytes: 2 slack bits
        twin = payload[:-1] + alphabet[alphabet.index(payload[-1]) + 1]
        assert unb64(twin) == b"{}"
        assert refusal(f"{head}.{twin}.{signature}") == "jws.malformed"
        twin = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
        assert unb64(twin) == unb64(signature)
        assert refusal(f"{head}.{payload}.{twin}") == "jws.malformed"

    def test_every_single_changed_character_is_refused(self) -> None:
        compact = signer().sign(TYP, b'{"seq":1}')
        step = max(1, len(compact) // 150)
        for at in range(0, len(compact), step):
            changed = compact[:at] + ("A" if compact[at] != "A" else "B") + compact[at + 1 :]
            with pytest.raises(SignatureRefusedError):
                verify(changed, typ=TYP, anchor=anchor(), role=Role.DEVICE, at=NOW)


class TestWho:
    def test_the_role_must_be_right(self) -> None:
        for role in Role:
            compact = signer(role, "someone").sign(TYP, b"{}")
            assert verify(compact, typ=TYP, anchor=anchor(), role=role, at=NOW).principal.role is role
            for other in set(Role) - {role}:
                assert refusal(compact, role=other) == "cert.wrong_role"

    def test_a_tls_key_signs_nothing(self) -> None:
        tls = certificate(usage=Usage.TLS).public_bytes(Encoding.DER)
        assert refusal(forge({**HEADER, "x5c": x5c(tls)})) == "cert.wrong_usage"
        with pytest.raises(CertificateError) as caught:
            Signer(key(), (certificate(usage=Usage.TLS),))
        assert caught.value.code == "cert.wrong_usage"

    def test_somebody_elses_certificate_helps_nobody(self) -> None:
        assert refusal(forge(HEADER, signing_key=generate_key())) == "jws.signature_wrong"

    def test_a_key_on_another_curve_is_refused(self) -> None:
        big = ec.generate_private_key(ec.SECP384R1())
        pem = authority().issue(
            Principal(FLEET, Role.DEVICE, "box-1"), Usage.SIGNING, big.public_key(), now=NOW
        )
        der = load_chain(pem)[0].public_bytes(Encoding.DER)
        assert refusal(forge({**HEADER, "x5c": x5c(der)})) == "jws.wrong_algorithm"

    def test_a_demo_fleets_message_means_nothing_elsewhere(self) -> None:
        assert refusal(signer(demo=True).sign(TYP, b"{}")) == "cert.unknown_issuer"

    def test_intermediates_travel_along(self) -> None:
        site_key, box_key = generate_key(), generate_key()
        site_pem = authority().issue_intermediate("site", site_key.public_key(), now=NOW)
        site = type(authority()).load(site_pem, private_pem(site_key))
        principal = Principal(FLEET, Role.DEVICE, "box-9")
        leaf_pem = site.issue(principal, Usage.SIGNING, box_key.public_key(), now=NOW)
        compact = Signer(box_key, load_chain(leaf_pem + site_pem)).sign(TYP, b"{}")
        assert verify(compact, typ=TYP, anchor=anchor(), role=Role.DEVICE, at=NOW).principal == principal


class TestSigner:
    def test_files(self, tmp_path: Path) -> None:
        key_path, certificate_path = tmp_path / "k", tmp_path / "c"
        write_private(key_path, private_pem(key()))
        certificate_path.write_bytes(certificate().public_bytes(Encoding.PEM))
        from_files = Signer.from_files(key_path, certificate_path)
        assert from_files.principal == Principal(FLEET, Role.DEVICE, "box-1")
        assert (from_files.demo, from_files.not_after) == (False, certificate().not_valid_after_utc)
        key_path.chmod(0o644)
        for change, code in (
            (lambda: None, "key.readable_by_others"),
            (lambda: write_private(key_path, private_pem(generate_key())), "cert.key_mismatch"),
            (lambda: certificate_path.write_bytes(b"x"), "cert.malformed"),
            (certificate_path.unlink, "cert.unreadable"),
        ):
            change()
            with pytest.raises(CertificateError) as caught:
                Signer.from_files(key_path, certificate_path)
            assert caught.value.code == code

    def test_an_empty_chain_is_refused(self) -> None:
        for links in ((), (certificate(),) * 4):
            with pytest.raises(CertificateError):
                Signer(key(), links)


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_any_bytes_are_refused_and_nothing_else_happens(data: str | bytes) -> None:
    assert refusal(data).startswith("jws.")


segment = st.one_of(st.binary(max_size=60).map(b64), st.text("ABCabc012-_=+/", max_size=20))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from([TYP, "ES256", "none"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
headers = st.dictionaries(st.sampled_from(["alg", "typ", "x5c", "crit", "kid", "jwk", "b64"]), values).map(
    lambda changes: {**HEADER, **changes}
)


@settings(deadline=None)
@given(header=headers, payload=segment, signature=st.binary(min_size=64, max_size=64).map(b64))
def test_any_header_is_refused_and_nothing_else_happens(
    header: dict[str, Any], payload: str, signature: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refusal(f"{b64(json.dumps(header).encode())}.{payload}.{signature}")


def test_a_certificate_that_the_library_only_warns_of_is_refused() -> None:
    """A negative serial number; the same whether or not warnings are errors."""
    at = LEAF.index(b"\xa0\x03\x02\x01\x02\x02") + 7  # version 3, then the serial number: INTEGER, its length
    damaged = LEAF[:at] + bytes([LEAF[at] | 0x80]) + LEAF[at + 1 :]
    for action in ("error", "ignore"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)  # type: ignore[arg-type]
            assert refusal(forge({**HEADER, "x5c": x5c(damaged)})) in {
                "cert.malformed",
                "cert.unknown_issuer",
            }


@settings(deadline=None)
@given(cut=st.integers(0, len(LEAF) - 1), junk=st.binary(min_size=1, max_size=6))
def test_any_damaged_certificate_is_refused_and_nothing_else_happens(cut: int, junk: bytes) -> None:
    damaged = LEAF[:cut] + junk + LEAF[cut + len(junk) :]
    if damaged != LEAF:
        assert refusal(forge({**HEADER, "x5c": x5c(damaged)})).startswith(("cert.", "jws."))
