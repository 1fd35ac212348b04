"""TUF keys in files: P-256 as PEM with mode 0600, an offline one in a directory of its own (a USB stick, mostly)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from securesystemslib.signer import CryptoSigner, SSlibKey

from edged.errors import StateError
from edged.uplink.keys import generate_key, load_private, private_pem, read_private, write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec
    from tuf.api.metadata import Key

    from edged.fleet.tuf_roles import Holder

OWNER: Final = "x-edged-owner"
"""Field of a public key in the metadata: who holds it, in words of ours, so that a lost one can be named."""

CA_ROOT: Final = "ca-root.key"
"""The X.509 authority's offline key, beside the first root key."""


class OfflineKey(NamedTuple):
    """A key and the file it came from."""

    path: Path
    signer: CryptoSigner

    @property
    def keyid(self) -> str:
        """TUF's name for the public key."""
        return self.signer.public_key.keyid


def signer_of(key: ec.EllipticCurvePrivateKey, owner: str | None = None) -> CryptoSigner:
    """What signs metadata with `key`; `owner` is written beside its public key."""
    public = SSlibKey.from_crypto(key.public_key())
    if owner is not None:
        public.unrecognized_fields[OWNER] = owner
    return CryptoSigner(key, public)


def owner_of(key: Key) -> str:
    """Who holds a key, as its metadata says; its id's beginning where it doesn't."""
    owner = key.unrecognized_fields.get(OWNER)
    return owner if isinstance(owner, str) else key.keyid[:8]


def file_name(holder: Holder) -> str:
    """The name of an offline key's file in its directory."""
    return f"{holder}.key"


def read_key(path: Path) -> OfflineKey:
    """Raises `CertificateError` (`key.missing`, `key.readable_by_others`, `key.malformed`, …)."""
    return OfflineKey(path, signer_of(load_private(read_private(path))))


def read_offline(holder: Holder, directories: Sequence[Path]) -> list[OfflineKey]:
    """The keys in `directories`, one each. Raises `CertificateError` as `read_key` does."""
    return [read_key(directory / file_name(holder)) for directory in directories]


def make_offline(holder: Holder, directory: Path, owner: str) -> OfflineKey:
    """Make a key in `directory` (made with mode 0700 where it isn't there).

    Raises `StateError` (`fleet.key_exists`): a key is never written over.
    """
    path = directory / file_name(holder)
    key = generate_key()
    write_new(path, private_pem(key))
    return OfflineKey(path, signer_of(key, owner))


def write_new(path: Path, secret: bytes) -> None:
    """Write a secret where none is yet. Raises `StateError` (`fleet.key_exists`)."""
    if path.exists():
        raise StateError("fleet.key_exists", str(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, secret)
