"""What is sealed to one recipient: opened by it and in its place alone, as an independent HPKE understands it."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from edged import sealing
from edged.errors import ConfigError, DecodeError
from edged.privacy.encrypting import encrypt_claims
from edged.sealing import MAX_SEALED, Sealed, envelope_context, key_id, load_recipient, open_sealed, seal
from edged.uplink.keys import generate_key

KEY, OTHER = generate_key(), generate_key()
CONTEXT = ("harbour", "box-1", "bank", "0" * 64, "")
KINDS = ("claims", "record", "pseudonym_key")

# An HPKE by other people. Ours can't be given an ephemeral key or additional data, which RFC 9180's vectors have:
# theirs is held against the RFC, and ours against theirs.
THEIRS = CipherSuite.new(KEMId.DHKEM_P256_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


def info(what: str = "claims", context: tuple[str, ...] = CONTEXT) -> bytes:
    """As `docs/partners.md` says it, written here a second time."""
    return json.dumps(["edged/1/sealed", what, *context], separators=(",", ":"), ensure_ascii=False).encode()


def raw(sealed: Sealed) -> bytes:
    return base64.urlsafe_b64decode(sealed.data + "==")


def refused(sealed: Sealed, **changes: object) -> str:
    asked = {"keys": [KEY], "what": "claims", "context": CONTEXT} | changes
    with pytest.raises(DecodeError) as caught:
        open_sealed(sealed, asked.pop("keys"), **asked)
    return caught.value.code


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(KINDS), st.lists(st.text(max_size=20), max_size=5))
def test_what_was_sealed_opens(plain: bytes, what: str, parts: list[str]) -> None:
    context = tuple(parts)
    sealed = seal(plain, KEY.public_key(), what=what, context=context)
    assert msgspec.json.decode(msgspec.json.encode(sealed), type=Sealed) == sealed
    assert open_sealed(sealed, [OTHER, KEY], what=what, context=context) == plain
    assert sealed.kid == key_id(KEY.public_key())


def test_no_two_are_alike() -> None:
    first, second = (seal(b"x", KEY.public_key(), what="claims", context=CONTEXT) for _ in range(2))
    assert first.data != second.data
    assert raw(first)[:65] != raw(second)[:65]


@pytest.mark.parametrize("place", range(len(CONTEXT)))
def test_it_opens_nowhere_else(place: int) -> None:
    sealed = seal(b"x", KEY.public_key(), what="claims", context=CONTEXT)
    elsewhere = (*CONTEXT[:place], "another", *CONTEXT[place + 1 :])
    assert refused(sealed, context=elsewhere) == "sealed.broken"


@pytest.mark.parametrize("context", [(), CONTEXT[:-1], (*CONTEXT, ""), ("harbourbox-1", "", *CONTEXT[2:])])
def test_the_parts_of_a_context_dont_run_together(context: tuple[str, ...]) -> None:
    assert (
        refused(seal(b"x", KEY.public_key(), what="claims", context=CONTEXT), context=context)
        == "sealed.broken"
    )


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("asked", KINDS)
def test_one_kind_is_never_taken_for_another(what: str, asked: str) -> None:
    sealed = seal(b"x", KEY.public_key(), what=what, context=CONTEXT)
    if asked == what:
        assert open_sealed(sealed, [KEY], what=asked, context=CONTEXT) == b"x"
        return
    assert refused(sealed, what=asked) == "sealed.wrong_kind"
    relabelled = msgspec.structs.replace(sealed, what=asked)
    assert refused(relabelled, what=asked) == "sealed.broken"


def test_another_key_doesnt_open_it_even_under_its_name() -> None:
    sealed = seal(b"x", KEY.public_key(), what="claims", context=CONTEXT)
    assert refused(sealed, keys=[OTHER]) == refused(sealed, keys=[]) == "sealed.other_key"
    renamed = msgspec.structs.replace(sealed, kid=key_id(OTHER.public_key()))
    assert refused(renamed, keys=[OTHER]) == "sealed.broken"


def test_every_changed_byte_is_noticed() -> None:
    sealed = seal(b"secret", KEY.public_key(), what="claims", context=CONTEXT)
    data = raw(sealed)
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        text = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        assert refused(msgspec.structs.replace(sealed, data=text)) == "sealed.broken"


def test_one_content_has_one_spelling() -> None:
    sealed = seal(b"secr", KEY.public_key(), what="claims", context=CONTEXT)
    assert len(raw(sealed)) % 3 != 0, "so that the last character has bits to spare"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(sealed.data[-1]) ^ 1]
    for text in (
        *(sealed.data[:-1] + last, sealed.data + "=", sealed.data + "\n", " " + sealed.data),
        *(sealed.data.replace("-", "+").replace("_", "/") + "+", sealed.data + "A", sealed.data[:-2]),
    ):
        assert refused(msgspec.structs.replace(sealed, data=text)) == "sealed.broken"


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300).map(lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()),
        st.text(max_size=300),
        st.binary(min_size=64, max_size=120).map(
            lambda data: base64.urlsafe_b64encode(b"\x04" + data).rstrip(b"=").decode()
        ),
    )
)
def test_strangers_bytes_are_refused_with_a_code(text: str) -> None:
    sealed = Sealed(sealing.ALGORITHM, "claims", key_id(KEY.public_key()), text)
    assert refused(sealed) == "sealed.broken"


@pytest.mark.parametrize(
    "point",
    [bytes(65), b"\x04" + bytes(64), b"\x04" + b"\xff" * 64, b"\x02" + bytes(64)],
    ids=["nothing", "zero", "beyond", "compressed"],
)
def test_a_point_off_the_curve_is_refused(point: bytes) -> None:
    text = base64.urlsafe_b64encode(point + bytes(32)).rstrip(b"=").decode()
    assert refused(Sealed(sealing.ALGORITHM, "claims", key_id(KEY.public_key()), text)) == "sealed.broken"


def test_what_is_too_long_is_neither_sealed_nor_read() -> None:
    most = seal(bytes(MAX_SEALED), KEY.public_key(), what="claims", context=CONTEXT)
    assert msgspec.json.decode(msgspec.json.encode(most), type=Sealed) == most
    assert len(open_sealed(most, [KEY], what="claims", context=CONTEXT)) == MAX_SEALED
    with pytest.raises(ValueError, match="at most"):
        seal(bytes(MAX_SEALED + 1), KEY.public_key(), what="claims", context=CONTEXT)
    for text in (most.data + "A", "A" * 107):
        data = msgspec.json.encode(msgspec.structs.replace(most, data=text))
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(data, type=Sealed)


@pytest.mark.parametrize("kind", ["rubbish", "rsa", "p384", "private"])
def test_a_recipient_is_p256_and_public(kind: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    from edged.uplink.keys import private_pem

    def public(key: object) -> str:
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    text = {
        "rubbish": lambda: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "rsa": lambda: public(rsa.generate_private_key(65537, 2048)),
        "p384": lambda: public(ec.generate_private_key(ec.SECP384R1())),
        "private": lambda: private_pem(KEY).decode(),
    }[kind]()
    with pytest.raises(ConfigError) as caught:
        load_recipient(text)
    assert caught.value.code == "config.not_a_public_key"


# --- the other hand --------------------------------------------------------------------------------------------


def test_theirs_is_the_rfcs() -> None:
    """RFC 9180 A.3.1: base mode, this KEM and KDF; its AEAD is AES-128-GCM, for ours the RFC has no vector."""
    suite = CipherSuite.new(KEMId.DHKEM_P256_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES128_GCM)
    pair = suite.kem.derive_key_pair(
        bytes.fromhex("668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550")
    )
    encapsulated = (
        "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900"
        "be863c403ce65c9bfcb9382657222d18c4"
    )
    recipient = suite.create_recipient_context(
        bytes.fromhex(encapsulated),
        pair.private_key,
        info=bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
    )
    cipher = "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434"
    assert recipient.open(bytes.fromhex(cipher), aad=b"Count-0") == b"Beauty is truth, truth beauty"


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=500), st.text(max_size=10))
def test_they_open_what_we_seal(plain: bytes, word: str) -> None:
    context = (word, *CONTEXT)
    data = raw(seal(plain, KEY.public_key(), what="record", context=context))
    recipient = THEIRS.create_recipient_context(
        data[:65], KEMKey.from_pyca_cryptography_key(KEY), info=info("record", context)
    )
    assert recipient.open(data[65:]) == plain


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=500))
def test_we_open_what_they_seal(plain: bytes) -> None:
    encapsulated, sender = THEIRS.create_sender_context(
        KEMKey.from_pyca_cryptography_key(KEY.public_key()), info=info()
    )
    text = base64.urlsafe_b64encode(encapsulated + sender.seal(plain)).rstrip(b"=").decode()
    sealed = Sealed(sealing.ALGORITHM, "claims", key_id(KEY.public_key()), text)
    assert open_sealed(sealed, [KEY], what="claims", context=CONTEXT) == plain


# --- claims ----------------------------------------------------------------------------------------------------


def test_claims_are_sealed_for_one_envelope_and_their_buffer_is_overwritten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytearray] = []
    really = sealing.seal

    def watched(plain: bytearray, *args: object, **named: object) -> Sealed:
        assert plain == '{"age_over_18":true,"surname":"张*"}'.encode()
        seen.append(plain)
        return really(plain, *args, **named)

    monkeypatch.setattr(sealing, "seal", watched)
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    place = {"fleet": "harbour", "device": "box-1", "audience": "bank", "policy_sha256": "0" * 64}
    sealed = encrypt_claims({"surname": "张*", "age_over_18": True}, pem, **place)
    assert envelope_context(**place) == CONTEXT
    assert json.loads(open_sealed(sealed, [KEY], what="claims", context=CONTEXT)) == {
        "surname": "张*",
        "age_over_18": True,
    }
    (buffer,) = seen
    assert len(buffer) > 0
    assert not any(buffer)
    monkeypatch.setattr(sealing, "seal", lambda plain, *_, **__: seen.append(plain) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encrypt_claims({"surname": "E*"}, KEY.public_key(), **place)
    assert not any(seen[-1]), "overwritten when sealing fails, too"
