"""Private keys and where they lie: P-256, PEM, mode 0600, and whole or absent after a power cut."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edged.errors import CertificateError, StateError
from edged.whole_file import replacing

if TYPE_CHECKING:
    from pathlib import Path

MAX_KEY_FILE: Final = 16 * 1024
"""A PEM key is under 2 KiB; anything larger is the wrong file."""


class KeySource(str):
    """Where a private key is: a file's path, or a `pkcs11:` URI (`edged.uplink.pkcs11_uri`) of one in a token."""

    __slots__ = ()

    @property
    def in_token(self) -> bool:
        """Whether it is in a token, and no file."""
        return self.startswith("pkcs11:")


def generate_key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key: what TPMs, PKCS#11 tokens and every JOSE library understand."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as unencrypted PKCS#8 PEM, for `write_private` alone."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 key in `pem`. Raises `CertificateError` (`key.malformed`, `key.wrong_type`)."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # From None: the library's text may quote what it choked on, and this was meant to be a secret.
        raise CertificateError("key.malformed") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("key.wrong_type")
    return key


def write_private(path: Path, data: bytes) -> None:
    """Write a secret with mode 0600, atomically and durably. Raises `OSError`."""
    with replacing(path) as stream:  # 0600 from the start
        stream.write(data)


def keep_private(path: Path, data: bytes) -> None:
    """As `write_private`, for the state directory. Raises `StateError`: `state.disk_full`, `state.unusable`."""
    try:
        write_private(path, data)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StateError(
            "state.disk_full" if full else "state.unusable", f"{path}: {error.strerror}"
        ) from error


def read_private(path: Path) -> bytes:
    """Read a secret that nobody but its owner can read.

    Raises `CertificateError`: `key.missing`, `key.unreadable`, `key.readable_by_others` or `key.malformed`
    (not a plain file, or far too large). The opened file is checked, so that it can't be swapped in between.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        )  # a FIFO must not block the start
    except FileNotFoundError:
        raise CertificateError("key.missing", str(path)) from None
    except OSError as error:
        raise CertificateError("key.unreadable", f"{path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CertificateError("key.malformed", f"{path} is not a plain file")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise CertificateError("key.readable_by_others", str(path))
        data = os.read(descriptor, MAX_KEY_FILE + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_KEY_FILE:
        raise CertificateError("key.malformed", f"{path} is larger than {MAX_KEY_FILE} bytes")
    return data
