"""Where a box's identity lies, so that whenever the power goes a matching key and certificate are in use.

    fleet-ca.pem  fleet-root.json             whom the box believes
    tls/current → 2                           the pair in use, one symbolic link a pair
    tls/2/key.pem  tls/2/chain.pem            never changed once they are there
    tls/1/…                                   the pair before, until the one in use has connected
    tls/next/key.pem                          a pair in the making: its key first, then its certificate
    signing/…                                 the same; a key in a token has no file, `key.txt` says which it is

A pair in the making whose power went is taken up again with the same key, which gets the same certificate. It becomes a
numbered one by one rename and is put in use by another. While a box is being enrolled (`enrolling` exists) both pairs
are in the making, and taking that file away is what puts both in use.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edged.errors import CertificateError, StateError
from edged.uplink import pkcs11
from edged.uplink.keys import KeySource, generate_key, load_private, private_pem, read_private, write_private
from edged.uplink.names import Usage
from edged.uplink.roles import MAX_PEM, load_chain
from edged.uplink.sign import Signer
from edged.whole_file import sync_directory

if TYPE_CHECKING:
    from cryptography import x509

    from edged.config import IdentitySettings

CURRENT: Final = "current"
NEXT: Final = "next"
KEY: Final = "key.pem"
CHAIN: Final = "chain.pem"
CA: Final = "fleet-ca.pem"
ROOT: Final = "fleet-root.json"
ENROLLING: Final = "enrolling"


class Pair(msgspec.Struct, frozen=True):
    """A private key and the chain of its certificate."""

    directory: Path
    key: KeySource
    chain: Path

    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Leaf first. Raises `CertificateError`."""
        try:
            with self.chain.open("rb") as file:
                return load_chain(file.read(MAX_PEM + 1))
        except OSError as error:
            raise CertificateError("cert.unreadable", f"{self.chain}: {error.strerror}") from error

    def signer(self) -> Signer:
        """Raises `CertificateError`."""
        return Signer.from_files(self.key, self.chain)


class IdentityFiles:
    """A directory with a box's identity. `signing_key` is the `pkcs11:` URI of signing keys that stay in a token."""

    def __init__(self, directory: Path, signing_key: KeySource | None = None) -> None:
        self.directory = directory
        self._token = signing_key if signing_key is not None and signing_key.in_token else None

    @property
    def ca(self) -> Path:
        """The fleet's X.509 authorities."""
        return self.directory / CA

    @property
    def root(self) -> Path:
        """The fleet's TUF root metadata, for `[fleet] root`."""
        return self.directory / ROOT

    def settings(self, usage: Usage) -> Pair:
        """The paths that a boot file names: they stay the same when the pair is renewed."""
        return self._pair(usage, self._home(usage) / CURRENT)

    def complete(self) -> bool:
        """Whether both pairs are in use and everything else is there."""
        return self.ca.exists() and self.root.exists() and all(self.current(usage) for usage in Usage)

    def prepare(self, *, enrolling: bool = False) -> None:
        """Make the directories (mode 0700) and finish what a power cut has interrupted.

        Unless `enrolling`, an enrolment that never got its certificates is given up. Raises `StateError`.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for usage in Usage:
                home = self._home(usage)
                home.mkdir(mode=0o700, exist_ok=True)
                for gone in home.glob(".gone-*"):
                    shutil.rmtree(gone)
                if self._enrolling.exists() and not enrolling and (home / NEXT).exists():
                    self._remove(usage, NEXT)
            if not enrolling:
                self._enrolling.unlink(missing_ok=True)
            sync_directory(self.directory)
            self._finish_all()
        except OSError as error:
            raise StateError("state.unusable", f"{self.directory}: {error.strerror}") from error

    def current(self, usage: Usage) -> Pair | None:
        """The pair in use, under its own number: a switch in the meantime doesn't change it."""
        link = self._home(usage) / CURRENT
        return self._pair(usage, link.resolve()) if link.exists() else None

    def before(self, usage: Usage) -> Pair | None:
        """The pair that the one in use has replaced, as long as it is kept."""
        current = self.current(usage)
        older = [] if current is None else self._numbers(usage, below=int(current.directory.name))
        return self._pair(usage, self._home(usage) / str(older[-1])) if older else None

    def key_in_the_making(self, usage: Usage) -> ec.EllipticCurvePrivateKey:
        """The key of the next pair, made and on the disk before anybody is asked for its certificate.

        Raises `CertificateError`, `StateError`.
        """
        home = self._home(usage) / NEXT
        home.mkdir(mode=0o700, exist_ok=True)
        sync_directory(home.parent)
        if usage is Usage.SIGNING and self._token is not None:
            return self._token_key(home, self._token)
        path = home / KEY
        if not path.exists():
            write_private(path, private_pem(generate_key()))
        return load_private(read_private(path))

    @staticmethod
    def _token_key(home: Path, uri: KeySource) -> ec.EllipticCurvePrivateKey:
        """In a token a key can't be told from another before it has a certificate, so its public half is written."""
        path = home / "public.pem"
        if path.exists():
            public = serialization.load_pem_public_key(path.read_bytes())
            assert isinstance(public, ec.EllipticCurvePublicKey)
            try:
                return pkcs11.open_key(uri, public)
            except CertificateError as error:
                if error.code != "pkcs11.no_key":
                    raise  # it was cleared away with others that had been replaced: another will do
        key = pkcs11.create(uri)
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        write_private(path, key.public_key().public_bytes(*form))
        return key

    def begin_enrolling(self) -> None:
        """From here on nothing is put in use before `end_enrolling`. Raises `OSError`."""
        write_public(self._enrolling, b"")

    def end_enrolling(self, chains: dict[Usage, bytes]) -> None:
        """Give both pairs in the making their certificates and put them in use together.

        Nothing goes back to the ones before, which have ended, or are revoked, or somebody else's.
        """
        for usage, chain in chains.items():
            write_private(self._home(usage) / NEXT / CHAIN, chain)
        self._enrolling.unlink()
        sync_directory(self.directory)
        self._finish_all()
        for usage in chains:
            with contextlib.suppress(
                CertificateError
            ):  # a token's old key: the next that is proved clears it away
                self.forget_before(usage)

    def put_in_use(self, usage: Usage, chain: bytes) -> Pair:
        """Give the pair in the making its certificates (PEM, leaf first) and put it in use; two renames."""
        home = self._home(usage)
        write_private(home / NEXT / CHAIN, chain)
        self._finish(usage)
        current = self.current(usage)
        assert current is not None
        return current

    def forget_before(self, usage: Usage) -> None:
        """Remove every pair but the one in use: it has proved itself. Raises `CertificateError` (of a token)."""
        current = self.current(usage)
        if current is None:
            return
        older = self._numbers(usage, below=int(current.directory.name))
        for number in older:
            self._remove(usage, str(number))
        if older and current.key.in_token:
            public = current.certificates()[0].public_key()
            assert isinstance(public, ec.EllipticCurvePublicKey)
            pkcs11.destroy_others(current.key, public)

    def go_back(self, usage: Usage) -> Pair | None:
        """Put the pair before in use again; None where there is none before.

        The key of the one that failed is the next one's to be made of: asking anew gets its certificate again, so a
        broker that is away for a day doesn't cost the box one certificate after the other.
        """
        current, before = self.current(usage), self.before(usage)
        if current is None or before is None:
            return None
        self._point(usage, before.directory.name)
        # In this order a power cut in between leaves the failed pair to be tried and given up once more.
        home = self._home(usage)
        if (home / NEXT).exists():
            self._remove(usage, current.directory.name)
        else:
            current.directory.rename(home / NEXT)
            sync_directory(home)
            (home / NEXT / CHAIN).unlink()
            sync_directory(home / NEXT)
        return before

    @property
    def _enrolling(self) -> Path:
        return self.directory / ENROLLING

    def _finish_all(self) -> None:
        if not self._enrolling.exists():
            for usage in Usage:
                self._finish(usage)

    def _finish(self, usage: Usage) -> None:
        """From a complete pair in the making to a numbered one to the one in use; does what is left to be done."""
        home = self._home(usage)
        if (home / NEXT / CHAIN).exists():
            numbers = self._numbers(usage)
            (home / NEXT).rename(home / str(numbers[-1] + 1 if numbers else 1))
            sync_directory(home)
        numbers = self._numbers(usage)
        current = self.current(usage)
        if numbers and (current is None or int(current.directory.name) < numbers[-1]):
            self._point(usage, str(numbers[-1]))

    def _point(self, usage: Usage, number: str) -> None:
        home = self._home(usage)
        temporary = home / f".{CURRENT}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(number)
        temporary.replace(home / CURRENT)
        sync_directory(home)

    def _remove(self, usage: Usage, number: str) -> None:
        """In one step it is no pair any more; then its files go one by one."""
        home = self._home(usage)
        gone = home / f".gone-{number}"
        shutil.rmtree(gone, ignore_errors=True)
        (home / number).rename(gone)
        sync_directory(home)
        shutil.rmtree(gone)

    def _numbers(self, usage: Usage, below: int | None = None) -> list[int]:
        found = (path.name for path in self._home(usage).iterdir())
        numbers = sorted(int(name) for name in found if name.isdecimal())
        return [number for number in numbers if below is None or number < below]

    def _home(self, usage: Usage) -> Path:
        return self.directory / usage

    def _pair(self, usage: Usage, directory: Path) -> Pair:
        held = self._token if usage is Usage.SIGNING else None
        return Pair(directory, held or KeySource(directory / KEY), directory / CHAIN)


def files_of(identity: IdentitySettings) -> IdentityFiles | None:
    """The directory that a boot file's paths lead into; None where they lead elsewhere, and others renew them."""
    chain = identity.tls_certificate
    directory = chain.parent.parent.parent
    files = IdentityFiles(directory, identity.signing_key)
    tls, signing = files.settings(Usage.TLS), files.settings(Usage.SIGNING)
    named = (identity.tls_certificate, identity.signing_certificate, KeySource(identity.tls_key))
    return files if named == (tls.chain, signing.chain, tls.key) else None


def write_public(path: Path, data: bytes) -> None:
    """Write a file that is no secret whole or not at all, and durably; readable by all who may enter."""
    write_private(path, data)
    path.chmod(0o644)
