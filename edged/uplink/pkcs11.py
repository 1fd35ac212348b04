"""A private key that never leaves its token: a smart card, a TPM (tpm2-pkcs11), an HSM, or SoftHSM in tests.

To cryptography, and so to certificate requests and signed messages, it is a key like any other; only `sign` goes to the
token. Several keys may lie under one label: renewal makes a new one beside the old, and the certificate in use tells
which is meant. Needs the extra `edged[pkcs11]`.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from edged.errors import CertificateError, DecodeError
from edged.uplink.keys import read_private
from edged.uplink.pkcs11_uri import SCHEME, Pkcs11Uri, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

__all__ = ["SCHEME", "TokenKey", "create", "destroy_others", "open_key"]

MAX_KEYS: Final = 16
"""Keys under one label: the one in use, its successor, and what interrupted renewals left."""

_PROBE: Final = b"edged: is this the key of the certificate?"
_COMPONENT: Final = 32  # bytes of r, and of s, of a P-256 signature
_ID_BYTES: Final = 16


class TokenKey(ec.EllipticCurvePrivateKey):
    """A P-256 key in a token. May be used from several threads. `repr` shows nothing of it."""

    def __init__(
        self, sign: Callable[[bytes], bytes], public: ec.EllipticCurvePublicKey, identifier: bytes
    ) -> None:
        self._sign = sign
        self._public = public
        self.identifier = identifier

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """256."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public

    def sign(
        self, data: bytes | bytearray | memoryview, signature_algorithm: ec.EllipticCurveSignatureAlgorithm
    ) -> bytes:
        """An ECDSA signature (DER), made in the token. Raises `CertificateError` (`pkcs11.failed`)."""
        algorithm: Prehashed | NoDigestInfo | hashes.HashAlgorithm | None = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            digest = bytes(data)
        elif isinstance(algorithm, hashes.SHA256):
            hasher = hashes.Hash(algorithm)
            hasher.update(data)
            digest = hasher.finalize()
        else:
            raise ValueError("signed with SHA-256 alone")
        raw = self._sign(digest)
        return encode_dss_signature(int.from_bytes(raw[:_COMPONENT]), int.from_bytes(raw[_COMPONENT:]))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:  # noqa: ARG002
        """Not what it is for."""
        raise CertificateError("pkcs11.stays_inside")

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Raises `CertificateError`: it never leaves the token."""
        raise CertificateError("pkcs11.stays_inside")

    def private_bytes(
        self,
        encoding: serialization.Encoding,  # noqa: ARG002
        format: serialization.PrivateFormat,  # noqa: A002, ARG002
        encryption_algorithm: serialization.KeySerializationEncryption,  # noqa: ARG002
    ) -> bytes:
        """Raises `CertificateError`: it never leaves the token."""
        raise CertificateError("pkcs11.stays_inside")

    def __copy__(self) -> TokenKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TokenKey:
        return self


class _Session:
    """A session with a token, opened again once when it breaks (a TPM after sleep, a card put in again)."""

    def __init__(self, uri: Pkcs11Uri, *, writing: bool = False) -> None:
        self._uri = uri
        self._writing = writing
        self._lock = threading.RLock()
        self._session: Any = None

    def run(self, work: Callable[[Any], Any]) -> Any:
        """`work(session)`, one at a time. Raises `CertificateError`."""
        pkcs11 = _library()
        with self._lock:
            for again in (True, False):
                try:
                    if self._session is None:
                        self._session = self._opened(pkcs11)
                    return work(self._session)
                except (pkcs11.PKCS11Error, OSError, RuntimeError) as error:
                    self.close()
                    if not again or isinstance(error, pkcs11.PinIncorrect | pkcs11.PinLocked):
                        raise CertificateError(_code(pkcs11, error), type(error).__name__) from None
        raise AssertionError("the loop returns or raises")

    def close(self) -> None:
        """Close the session, whatever state it is in."""
        with self._lock:
            session, self._session = self._session, None
            if session is not None:
                try:
                    session.close()
                except _library().PKCS11Error:
                    return

    def _opened(self, pkcs11: Any) -> Any:
        uri = self._uri
        tokens = [token for token in pkcs11.lib(str(uri.module)).get_tokens() if _fits(token, uri)]
        if len(tokens) != 1:
            raise CertificateError("pkcs11.no_token" if not tokens else "pkcs11.several_tokens")
        pin = None if uri.pin is None else _pin(uri)
        try:
            return tokens[0].open(user_pin=pin, rw=self._writing)
        except pkcs11.UserAlreadyLoggedIn:
            # The login belongs to the process (PKCS#11 §5.6.7), and another session of ours has it.
            return tokens[0].open(rw=self._writing)


def open_key(text: str, public: ec.EllipticCurvePublicKey | None = None) -> TokenKey:
    """The key that the URI names; of several under one label the one whose public half is `public`.

    A test signature proves that PIN and key work before anything depends on them. Raises `CertificateError`:
    `pkcs11.no_key`, `pkcs11.several_keys`, `pkcs11.no_token`, `pkcs11.several_tokens`, `pkcs11.wrong_pin`,
    `pkcs11.failed`, `pkcs11.no_module`, `pkcs11.malformed`, `key.*` for the PIN's file.
    """
    uri = _parsed(text)
    session = _Session(uri)
    found = session.run(lambda opened: _candidates(opened, uri))
    keys = [
        TokenKey(_signing(session, identifier, uri), half, identifier)
        for identifier, half in found
        if half is not None and (public is None or half == public)
    ]
    if not keys:
        session.close()
        raise CertificateError("pkcs11.no_key")
    if len(keys) > 1:
        session.close()
        raise CertificateError("pkcs11.several_keys")
    _prove(keys[0])
    return keys[0]


def create(text: str) -> TokenKey:
    """A new key under the URI's label, that can't be taken out of the token. Raises `CertificateError`."""
    pkcs11 = _library()
    uri = _parsed(text)
    if uri.label is None:
        raise CertificateError("pkcs11.no_key_named")
    session = _Session(uri, writing=True)
    identifier = uri.identifier or secrets.token_bytes(_ID_BYTES)

    def generate(opened: Any) -> Any:
        if len(_candidates(opened, uri)) >= MAX_KEYS:
            raise CertificateError("pkcs11.too_many_keys")
        parameters = opened.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: pkcs11.util.ec.encode_named_curve_parameters("secp256r1")},
            local=True,
        )
        return parameters.generate_keypair(
            store=True,
            label=uri.label,
            id=identifier,
            private_template={
                pkcs11.Attribute.SENSITIVE: True,
                pkcs11.Attribute.EXTRACTABLE: False,
                pkcs11.Attribute.SIGN: True,
            },
        )

    public, _ = session.run(generate)
    half = _half(public)
    if half is None:
        raise CertificateError("pkcs11.failed", "no P-256 key was made")
    key = TokenKey(_signing(session, identifier, uri), half, identifier)
    _prove(key)
    return key


def destroy_others(text: str, keep: ec.EllipticCurvePublicKey) -> int:
    """Destroy every key under the URI's label but `keep`, which must be there; how many. Raises `CertificateError`."""
    pkcs11 = _library()
    uri = _parsed(text)

    def destroy(opened: Any) -> int:
        found = _candidates(opened, uri)
        if keep not in [half for _, half in found]:
            raise CertificateError("pkcs11.no_key")
        gone = [identifier for identifier, half in found if half is not None and half != keep]
        for identifier in gone:
            for kind in (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY):
                for key in list(opened.get_objects(_template(pkcs11, uri, kind, identifier))):
                    key.destroy()
        return len(gone)

    session = _Session(uri, writing=True)
    try:
        destroyed: int = session.run(destroy)
    finally:
        session.close()
    return destroyed


def _signing(session: _Session, identifier: bytes, uri: Pkcs11Uri) -> Callable[[bytes], bytes]:
    """Signs a digest in the token; the key is looked for anew, because a session's handles end with it."""
    pkcs11 = _library()
    template = _template(pkcs11, uri, pkcs11.ObjectClass.PRIVATE_KEY, identifier)

    def sign(digest: bytes) -> bytes:
        def work(opened: Any) -> bytes:
            keys = list(opened.get_objects(template))
            if len(keys) != 1:
                raise CertificateError("pkcs11.no_key" if not keys else "pkcs11.several_keys")
            return bytes(keys[0].sign(digest, mechanism=pkcs11.Mechanism.ECDSA))

        signature: bytes = session.run(work)
        if len(signature) != 2 * _COMPONENT:
            raise CertificateError("pkcs11.failed", "not a P-256 signature")
        return signature

    return sign


def _prove(key: TokenKey) -> None:
    algorithm = ec.ECDSA(hashes.SHA256())
    try:
        key.public_key().verify(key.sign(_PROBE, algorithm), _PROBE, algorithm)
    except InvalidSignature:
        raise CertificateError("pkcs11.failed", "its public half is another key's") from None


def _candidates(opened: Any, uri: Pkcs11Uri) -> list[tuple[bytes, ec.EllipticCurvePublicKey | None]]:
    """Identifier and public half of every P-256 key that the URI may mean."""
    pkcs11 = _library()
    found: list[tuple[bytes, ec.EllipticCurvePublicKey | None]] = []
    for private in list(opened.get_objects(_template(pkcs11, uri, pkcs11.ObjectClass.PRIVATE_KEY))):
        identifier = bytes(private[pkcs11.Attribute.ID])
        publics = list(opened.get_objects(_template(pkcs11, uri, pkcs11.ObjectClass.PUBLIC_KEY, identifier)))
        found.append((identifier, _half(publics[0]) if publics else None))
        if len(found) > MAX_KEYS:
            raise CertificateError("pkcs11.too_many_keys")
    return found


def _half(public: Any) -> ec.EllipticCurvePublicKey | None:
    try:
        key = serialization.load_der_public_key(_library().util.ec.encode_ec_public_key(public))
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) else None


def _template(pkcs11: Any, uri: Pkcs11Uri, kind: Any, identifier: bytes | None = None) -> dict[Any, Any]:
    template = {pkcs11.Attribute.CLASS: kind, pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.EC}
    if uri.label is not None:
        template[pkcs11.Attribute.LABEL] = uri.label
    if identifier is not None or uri.identifier is not None:
        template[pkcs11.Attribute.ID] = uri.identifier if identifier is None else identifier
    return template


def _fits(token: Any, uri: Pkcs11Uri) -> bool:
    def same(wanted: str | None, found: object) -> bool:
        text = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
        return wanted is None or wanted == text.strip().rstrip("\0")

    return (
        same(uri.token, token.label)
        and same(uri.serial, token.serial)
        and same(uri.manufacturer, token.manufacturer_id)
        and same(uri.model, token.model)
    )


def _pin(uri: Pkcs11Uri) -> str:
    assert uri.pin is not None
    try:
        return read_private(uri.pin).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CertificateError("pkcs11.wrong_pin") from None


def _parsed(text: str) -> Pkcs11Uri:
    try:
        return parse(text)
    except DecodeError as error:
        raise CertificateError(error.code, error.detail) from None


def _code(pkcs11: Any, error: BaseException) -> str:
    if isinstance(error, pkcs11.PinIncorrect | pkcs11.PinLenRange | pkcs11.PinInvalid):
        return "pkcs11.wrong_pin"
    if isinstance(error, pkcs11.PinLocked):
        return "pkcs11.pin_locked"
    return "pkcs11.failed"


def _library() -> Any:
    try:
        import pkcs11
        import pkcs11.util.ec
    except ImportError:
        raise CertificateError("pkcs11.not_installed") from None
    return pkcs11
