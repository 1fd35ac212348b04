"""Large files in pieces: how a file is cut for retained topics, and how each piece is checked by itself.

    part 0, 1, … chunks-1        the file, `CHUNK` bytes each, the last one shorter
    part chunks, chunks+1, …     tables: the raw SHA-256 of `A_TABLE` chunks each, one after the other
    part `index`                 JSON: the file's own hash and length, and the hash of every table

A target's signed `custom` names the index by hash, the index the tables, a table the chunks: so a piece is believed or
refused before it is written, and the index stays in one packet for the largest file. Takes bytes, gives bytes; does no
I/O.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol

import msgspec

from edged.errors import DecodeError
from edged.uplink.fields import Sha256, decoder, encode
from edged.uplink.topics import MAX_PART

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK: Final = 48 * 1024
"""Bytes of a chunk: with its topic within one packet (`edged.uplink.mqtt_types.MAX_PACKET`), and a third of a second of
a slow line, which is how long a receipt may stand behind it."""

HASH_BYTES: Final = 32

A_TABLE: Final = CHUNK // HASH_BYTES
"""Chunks that one table lists: 72 MiB of the file."""

MIB: Final = 1 << 20

MAX_BYTES: Final[dict[str, int]] = {
    "software": 200 * MIB,
    "trust": 64 * MIB,
    "firmware": 4 * MIB,
    "scenes": 256 * 1024,
    "messages": 256 * 1024,
    "thresholds": 256 * 1024,
}
"""Largest file of each kind (`edged.desired.ArtefactKind`): a package with its libraries, what a trust store takes
(`edged.trust.sealed_file.MAX_BYTES`), a head's flash memory, texts that people write."""

MAX_LENGTH: Final = max(MAX_BYTES.values())

MAX_TABLES: Final = -(-MAX_LENGTH // (CHUNK * A_TABLE))

MAX_INDEX: Final = 1024
"""Bytes: `MAX_TABLES` hashes and the rest, with room."""

Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~-]{0,63}$(?!\n)")]
"""What a file's version may look like: Debian's alphabet without an epoch (deb-version(7))."""

Label = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$(?!\n)", max_length=64)]
"""A file's name among those of its kind: one level of a target's path."""

Length = Annotated[int, msgspec.Meta(ge=1, le=MAX_LENGTH)]


class Artefact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a target's `custom` says under `artefact`: signed by the target's role."""

    chunk: Annotated[int, msgspec.Meta(ge=CHUNK, le=CHUNK)]
    chunks: Annotated[int, msgspec.Meta(ge=1, le=MAX_PART + 1)]
    index_sha256: Sha256
    kind: Literal["scenes", "messages", "trust", "thresholds", "firmware", "software"]
    name: Label
    version: Version


class Custom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A target's `custom`."""

    artefact: Artefact


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part `index`."""

    format: Literal[1]
    sha256: Sha256
    length: Length
    chunk: Annotated[int, msgspec.Meta(ge=CHUNK, le=CHUNK)]
    tables: Annotated[tuple[Sha256, ...], msgspec.Meta(min_length=1, max_length=MAX_TABLES)]


class Wanted(Protocol):
    """A file as its role has signed for it; `edged.pushed.verifying.ArtefactTarget` is one."""

    @property
    def sha256(self) -> str:
        """Of the whole file, hexadecimal."""

    @property
    def length(self) -> int:
        """Of the whole file, bytes."""

    @property
    def chunk(self) -> int:
        """Bytes of every chunk but the last."""

    @property
    def chunks(self) -> int:
        """How many there are."""

    @property
    def index_sha256(self) -> str:
        """Of the index, hexadecimal."""

    @property
    def version(self) -> str:
        """The version it was signed under."""


class Cut(msgspec.Struct, frozen=True):
    """A file as it is published, without its chunks: they are the file."""

    sha256: str
    length: int
    index: bytes
    tables: tuple[bytes, ...]

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return chunks_of(self.length)

    @property
    def index_sha256(self) -> str:
        """Of the index, hexadecimal."""
        return hashlib.sha256(self.index).hexdigest()

    def custom(self, kind: str, name: str, version: str) -> dict[str, Any]:
        """What its target's `custom` says. Raises `ValueError` for a kind, name or version that may not stand there."""
        said = {
            "artefact": {
                "chunk": CHUNK,
                "chunks": self.chunks,
                "index_sha256": self.index_sha256,
                "kind": kind,
                "name": name,
                "version": version,
            }
        }
        try:
            msgspec.convert(said, Custom)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        return said


def chunks_of(length: int) -> int:
    """How many chunks a file of `length` bytes has."""
    return -(-length // CHUNK)


def tables_of(chunks: int) -> int:
    """How many tables list so many chunks."""
    return -(-chunks // A_TABLE)


def size_of(chunk: int, length: int) -> int:
    """Bytes of chunk number `chunk` of a file of `length` bytes."""
    return min(CHUNK, length - chunk * CHUNK)


def cut(chunks: Iterable[bytes]) -> Cut:
    """The index and the tables of a file that is given in chunks of `CHUNK` bytes, the last one shorter.

    Raises `ValueError` for an empty file, one above `MAX_LENGTH`, or chunks of another size.
    """
    whole = hashlib.sha256()
    hashes = bytearray()
    length, last = 0, CHUNK
    for chunk in chunks:
        if last != CHUNK or not 1 <= len(chunk) <= CHUNK:
            raise ValueError("chunks are of one size, the last one shorter")
        last = len(chunk)
        length += last
        if length > MAX_LENGTH:
            raise ValueError(f"a file may have {MAX_LENGTH} bytes at most")
        whole.update(chunk)
        hashes += hashlib.sha256(chunk).digest()
    if not length:
        raise ValueError("an empty file")
    step = A_TABLE * HASH_BYTES
    tables = tuple(bytes(hashes[at : at + step]) for at in range(0, len(hashes), step))
    index = Index(
        format=1,
        sha256=whole.hexdigest(),
        length=length,
        chunk=CHUNK,
        tables=tuple(hashlib.sha256(table).hexdigest() for table in tables),
    )
    return Cut(index.sha256, length, encode(index), tables)


def read_custom(custom: object) -> Artefact:
    """A target's `custom`, as JSON gave it. Raises `DecodeError` (`artefact.bad_target`)."""
    try:
        return msgspec.convert(custom, Custom).artefact
    except msgspec.ValidationError:
        raise DecodeError("artefact", "artefact.bad_target") from None


def check_target(wanted: Wanted, kind: str) -> None:
    """Whether a signed description makes sense, before the first byte is asked for.

    Raises `DecodeError`: `artefact.bad_target`, `artefact.too_large` for its kind.
    """
    if wanted.length > MAX_BYTES.get(kind, 0):
        raise DecodeError("artefact", "artefact.too_large")
    if wanted.length < 1 or wanted.chunk != CHUNK or wanted.chunks != chunks_of(wanted.length):
        raise DecodeError("artefact", "artefact.bad_target")


def read_index(data: bytes, wanted: Wanted) -> Index:
    """The index of the file that is wanted. Raises `DecodeError` (`artefact.wrong_index`)."""
    refused = DecodeError("artefact", "artefact.wrong_index")
    if len(data) > MAX_INDEX or hashlib.sha256(data).hexdigest() != wanted.index_sha256:
        raise refused
    try:
        index = decoder(Index).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refused from None
    told = (index.sha256, index.length, len(index.tables))
    if told != (wanted.sha256, wanted.length, tables_of(wanted.chunks)):
        raise refused
    return index


def read_table(data: bytes, index: Index, number: int) -> tuple[bytes, ...]:
    """The hashes of the chunks that table `number` lists. Raises `DecodeError` (`artefact.wrong_chunk`)."""
    listed = min(A_TABLE, chunks_of(index.length) - number * A_TABLE)
    if len(data) != listed * HASH_BYTES or hashlib.sha256(data).hexdigest() != index.tables[number]:
        raise DecodeError("artefact", "artefact.wrong_chunk")
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def is_chunk(data: bytes, sha256: bytes) -> bool:
    """Whether `data` is the chunk with that hash (32 bytes)."""
    return len(data) <= CHUNK and hashlib.sha256(data).digest() == sha256
