"""Card sides for the tests of BAC and chip authentication, written apart from the code they judge."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from tests.chip_scripts import H


def derived(secret: bytes, counter: int) -> bytes:
    """A 3DES key. Its parity bits are left as they are: DES doesn't look at them."""
    return hashlib.sha1(secret + counter.to_bytes(4, "big")).digest()[:16]


def des3_cbc(key: bytes, data: bytes, *, encrypt: bool) -> bytes:
    cipher = Cipher(TripleDES(key + key[:8]), modes.CBC(bytes(8)))
    context = cipher.encryptor() if encrypt else cipher.decryptor()
    return context.update(data) + context.finalize()


def retail_mac(key: bytes, data: bytes) -> bytes:
    """Block by block, as ISO/IEC 9797-1 algorithm 3 draws it."""
    padded = data + b"\x80" + bytes(-(len(data) + 1) % 8)

    def one(half: bytes, block: bytes, *, encrypt: bool) -> bytes:
        cipher = Cipher(TripleDES(half * 3), modes.ECB())
        context = cipher.encryptor() if encrypt else cipher.decryptor()
        return context.update(block) + context.finalize()

    state = bytes(8)
    for at in range(0, len(padded), 8):
        mixed = bytes(a ^ b for a, b in zip(state, padded[at : at + 8], strict=True))
        state = one(key[:8], mixed, encrypt=True)
    return one(key[:8], one(key[8:], state, encrypt=False), encrypt=True)


class BacCard:
    """Speaks BAC with the key of one MRZ.

    Attributes:
        session: KSenc, KSmac and counter, once a terminal has proven that it knows the key.
        refuses_with: the status word for a wrong proof.
    """

    def __init__(self, mrz_information: bytes, seed: int, refuses_with: str = "6300") -> None:
        secret = hashlib.sha1(mrz_information).digest()[:16]
        self._encryption, self._mac = derived(secret, 1), derived(secret, 2)
        self._random = random.Random(seed)
        self._challenge = b""
        self._refusal = H(refuses_with)
        self.session: tuple[bytes, bytes, bytes] | None = None

    def __call__(self, apdu: bytes) -> bytes:
        if apdu == H("0084000008"):
            self._challenge = self._random.randbytes(8)
            return self._challenge + H("9000")
        assert apdu[:5] == H("0082000028")
        assert apdu[45:] == H("28")
        cryptogram, tag = apdu[5:37], apdu[37:45]
        plain = des3_cbc(self._encryption, cryptogram, encrypt=False)
        theirs, echoed, half = plain[:8], plain[8:16], plain[16:]
        if not hmac.compare_digest(retail_mac(self._mac, cryptogram), tag) or echoed != self._challenge:
            return self._refusal
        ours = self._random.randbytes(16)
        answer = des3_cbc(self._encryption, self._challenge + theirs + ours, encrypt=True)
        seed = bytes(a ^ b for a, b in zip(half, ours, strict=True))
        self.session = derived(seed, 1), derived(seed, 2), self._challenge[4:] + theirs[4:]
        return answer + retail_mac(self._mac, answer) + H("9000")


class CaCard:
    """Speaks chip authentication version 1.

    Attributes:
        secret: what was agreed on.
        commands: what it was told, without the public key's value.
    """

    def __init__(self, agree: Callable[[bytes], bytes], *, knows_kat: bool = True) -> None:
        self._agree, self._knows_kat = agree, knows_kat
        self.secret: bytes | None = None
        self.templates: list[bytes] = []

    def __call__(self, apdu: bytes) -> bytes:
        head, body = apdu[:4], apdu[4:]
        extended = body[0] == 0 and len(body) > 3
        length = int.from_bytes(body[1:3], "big") if extended else body[0]
        data = body[3 : 3 + length] if extended else body[1 : 1 + length]
        if head == H("002241A6"):
            if not self._knows_kat:
                return H("6A80")
            key, rest = unwrapped(data, 0x91)
            self.templates.append(rest)
            self.secret = self._agree(key)
            return H("9000")
        if head == H("002241A4"):
            self.templates.append(data)
            return H("9000")
        assert head == H("00860000")
        inner, _ = unwrapped(data, 0x7C)
        self.secret = self._agree(unwrapped(inner, 0x80)[0])
        return H("7C009000")


def unwrapped(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The value of the first data object, which has this tag, and what follows it."""
    assert data[0] == tag
    if data[1] < 0x80:
        head, length = 2, data[1]
    else:
        head = 2 + (data[1] & 0x7F)
        length = int.from_bytes(data[2:head], "big")
    return data[head : head + length], data[head + length :]


def curve_agreement(curve: ec.EllipticCurve, private: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    """The card's half of ECDH, with OpenSSL's arithmetic."""

    def agree(public: bytes) -> bytes:
        return private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, public))

    return agree


def number_agreement(p: int, private: int) -> Callable[[bytes], bytes]:
    """The card's half of DH."""

    def agree(public: bytes) -> bytes:
        assert public[0], "an unsigned integer has no zeros in front"
        shared = pow(int.from_bytes(public, "big"), private, p)
        return shared.to_bytes((p.bit_length() + 7) // 8, "big")

    return agree
