"""An organisation's pseudonym key, sealed to each box that may have it, and vouched for by the privacy officer alone.

Two targets carry it, so that a push stays small however many boxes there are:

    audience/{audience}.keys.json   the privacy officer's: number of the key, root of a Merkle tree over all boxes
    config/{device}.keys.json       made for one box: its sealed keys, and their places in those trees

The second is as true as the first makes it: whoever makes pushes can leave a key out, which a box refuses, and can
neither read nor change one. The tree is that of RFC 9162 §2.1. Does no I/O.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec

from edged import sealing
from edged.errors import DecodeError
from edged.sealing import Sealed
from edged.uplink.fields import Name, Sha256, decoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

KEY_BYTES: Final = 32
"""Of an organisation's key, as `edged.privacy.pseudonym` wants at least."""

MAX_FILE: Final = 32 * 1024
"""Bytes of either target: sixty audiences' keys have half as many."""

MAX_BOXES: Final = 1 << 24
"""Boxes in one tree; a path is then no longer than 24 hashes."""

_MAX_PATH: Final = 24

KeyNumber = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
"""Which of an audience's keys: from 1, one more with every rotation."""

F = TypeVar("F", bound=msgspec.Struct)


class OrganisationKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One audience's key as a box has it: sealed, on the disk as well."""

    number: KeyNumber
    sealed: Sealed


class KeyIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`audience/{audience}.keys.json`: which sealed keys are the officer's."""

    format: Literal[1]
    audience: Name
    number: KeyNumber
    boxes: Annotated[int, msgspec.Meta(ge=1, le=MAX_BOXES)]
    root: Sha256


class ProvenKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One box's sealed key and its place in the tree."""

    place: Annotated[int, msgspec.Meta(ge=0, lt=MAX_BOXES)]
    path: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=_MAX_PATH)]
    sealed: Sealed


class DeviceKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`config/{device}.keys.json`: all keys of one box, by audience."""

    format: Literal[1]
    device: Name
    keys: Annotated[dict[Name, ProvenKey], msgspec.Meta(max_length=64)]


def index_target(audience: str) -> str:
    """Target path of an audience's index. Names have no dots, so it is never another audience's document."""
    return f"audience/{audience}.keys.json"


def device_target(device: str) -> str:
    """Target path of a box's sealed keys."""
    return f"config/{device}.keys.json"


def parse_index(data: bytes, audience: str) -> KeyIndex:
    """Raises `DecodeError` (`organisation_key.malformed`)."""
    found = _parse(data, KeyIndex)
    if found.audience != audience:
        raise DecodeError("organisation key", "organisation_key.malformed")
    return found


def parse_device_keys(data: bytes, device: str) -> DeviceKeys:
    """Raises `DecodeError` (`organisation_key.malformed`)."""
    found = _parse(data, DeviceKeys)
    if found.device != device:
        raise DecodeError("organisation key", "organisation_key.malformed")
    return found


def _parse(data: bytes, model: type[F]) -> F:
    if len(data) > MAX_FILE:
        raise DecodeError("organisation key", "organisation_key.malformed")
    try:
        return decoder(model).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DecodeError("organisation key", "organisation_key.malformed") from None


# --- sealed to one box ---------------------------------------------------------------------------------------


def seal_key(
    key: bytes | bytearray,
    recipient: ec.EllipticCurvePublicKey,
    *,
    fleet: str,
    device: str,
    audience: str,
    number: int,
) -> Sealed:
    """An organisation's key for one box; it opens at no other, for no other audience, as no other number."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"an organisation's key has {KEY_BYTES} bytes")
    return sealing.seal(key, recipient, what="pseudonym_key", context=(fleet, device, audience, str(number)))


def open_key(
    found: OrganisationKey, own: ec.EllipticCurvePrivateKey, *, fleet: str, device: str, audience: str
) -> bytes:
    """The key. Raises `DecodeError`: what `sealing.open_sealed` raises, `sealed.malformed`."""
    context = (fleet, device, audience, str(found.number))
    key = sealing.open_sealed(found.sealed, (own,), what="pseudonym_key", context=context)
    if len(key) != KEY_BYTES:
        raise DecodeError("sealed", "sealed.malformed")
    return key


# --- vouched for ---------------------------------------------------------------------------------------------


class KeyTree:
    """The tree over all boxes' sealed keys of one audience, boxes in the order of their names."""

    def __init__(self, sealed: Mapping[str, Sealed]) -> None:
        if not sealed:
            raise ValueError("a tree has at least one box")
        self._sealed = sealed
        self._places = {device: place for place, device in enumerate(sorted(sealed))}
        self._levels = [[_leaf(device, sealed[device]) for device in self._places]]
        while len(below := self._levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2], strict=False)
            # Who is left alone goes up as it is (RFC 9162 §2.1.1).
            self._levels.append([_node(*pair) for pair in pairs] + below[len(below) & ~1 :])

    def index(self, audience: str, number: int) -> KeyIndex:
        """What the privacy officer signs."""
        return KeyIndex(1, audience, number, len(self._places), self._levels[-1][0].hex())

    def proven(self, device: str) -> ProvenKey:
        """A box's key with its path (RFC 9162 §2.1.3.1). Raises `KeyError`."""
        place = at = self._places[device]
        path = []
        for level in self._levels[:-1]:
            if at ^ 1 < len(level):
                path.append(level[at ^ 1].hex())
            at >>= 1
        return ProvenKey(place, tuple(path), self._sealed[device])


def proved(index: KeyIndex, device: str, key: ProvenKey) -> OrganisationKey:
    """`device`'s key, if the index vouches for it (RFC 9162 §2.1.3.2).

    Raises `DecodeError` (`organisation_key.not_vouched_for`).
    """
    at, last = key.place, index.boxes - 1
    holds = at <= last
    found = _leaf(device, key.sealed)
    for beside in map(bytes.fromhex, key.path):
        if last == 0:
            holds = False
            break
        if at & 1 or at == last:
            found = _node(beside, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, beside)
        at, last = at >> 1, last >> 1
    if not holds or last or found.hex() != index.root:
        raise DecodeError("organisation key", "organisation_key.not_vouched_for")
    return OrganisationKey(index.number, key.sealed)


def encode(found: KeyIndex | DeviceKeys) -> bytes:
    """As it is signed."""
    return msgspec.json.encode(found, order="deterministic")


def _leaf(device: str, sealed: Sealed) -> bytes:
    content: Sequence[object] = (device, sealed)
    return hashlib.sha256(b"\x00" + msgspec.json.encode(content, order="deterministic")).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
