"""Verifying one push: what this box may believe of it, from the bundle and the TUF metadata it trusts now.

A stateless question: nothing is kept but what the answer carries, and a refused push leaves no trace. Whoever stores an
accepted push stores `Accepted.trusted` in the same transaction; that is what makes the next older push a replay.

The rules are those of the TUF specification's client workflow (1.0.34 §5.3 to §5.7), done by python-tuf, and a few of
our own: a push names this box, lists nothing outside its roles' delegations, and one number means one content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edged.desired import ArtefactKind, AudienceDocument, ConfigDocument

if TYPE_CHECKING:
    from datetime import datetime

AUTHORITY_PATH: Final = "fleet/authority.json"
"""Target of the offline keys: the fleet's authorities and what of them is revoked."""


class Trusted(msgspec.Struct, frozen=True):
    """What a box believes of its fleet's roles: TUF metadata that it has verified.

    Attributes:
        metadata: file name without its version (`root.json`, `timestamp.json`, `config.json`) to bytes.
    """

    metadata: dict[str, bytes]


class ArtefactTarget(msgspec.Struct, frozen=True):
    """A file too large for the bundle, as its role has signed for it.

    Attributes:
        path: of the TUF target.
        sha256: of the whole file, hexadecimal; its topic carries it.
        length: of the whole file, bytes.
        chunk: bytes of every chunk but the last.
        chunks: how many there are.
        index_sha256: of the index that lists the chunks' hashes, hexadecimal.
        name: what people call it.
        version: as in the fleet's list of artefacts.
    """

    path: str
    sha256: str
    length: int
    chunk: int
    chunks: int
    index_sha256: str
    name: str
    version: str


class Accepted(msgspec.Struct, frozen=True):
    """A push that may be staged.

    Attributes:
        trusted: to be stored in place of the old one, in the transaction that stages the push.
        push: its number, the version of the snapshot metadata.
        config: bytes of `config/{device}.json`.
        audiences: name to the bytes of `audience/{name}.json`, one of each that the configuration names.
        authority: bytes of `fleet/authority.json`; None where the offline keys have signed none.
        artefacts: what the configuration names, by kind; to be fetched before the switch.
        document: `config`, parsed.
        audience_documents: `audiences`, parsed, their policies below the ceiling.
    """

    trusted: Trusted
    push: int
    config: bytes
    audiences: dict[str, bytes]
    authority: bytes | None
    artefacts: dict[ArtefactKind, ArtefactTarget]
    document: ConfigDocument
    audience_documents: dict[str, AudienceDocument]


def first_trust(root: bytes) -> Trusted:
    """What a box that knows only `root` trusts: the root metadata of its enrolment, or of its boot file.

    The bytes are believed as they came; they must be root metadata signed by its own threshold of keys. An expired
    root is taken, since a newer one may follow in the first push (TUF specification §5.3).
    Raises `PushRefusedError` (`push.malformed`, `push.signature_wrong`, `push.too_large`).
    """
    raise NotImplementedError


def verify_bundle(data: bytes, *, trusted: Trusted, device: str, now: datetime) -> Accepted:
    """Verify the bundle that was pushed to `device`.

    `now` is timezone-aware and decides what has expired; the caller asks only while its clock is trusted. The push that
    the box has taken already is accepted again, with the same number, for as long as its metadata hasn't expired: a
    caller that wants to keep it beyond that compares the bytes first.

    Raises `PushRefusedError`: `push.too_large`, `push.malformed`, `push.incomplete` (a file is missing, or doesn't
    belong to the others), `push.signature_wrong`, `push.wrong_role`, `push.replayed`, `push.expired`,
    `push.foreign_device`, `push.hash_wrong`, `push.equivocation`, `push.trust_unusable` (what the box trusts can't be
    read), or the code of the `ConfigError` of a document. Raises `StateError` (`push.no_temporary_files`) for trouble
    of the box's own, after which the same push may be tried again.
    """
    raise NotImplementedError
