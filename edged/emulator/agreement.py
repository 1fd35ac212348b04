"""Chip authentication version 1 as the card does it (Doc 9303-11 §6.2): with 3DES in one command, with AES in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.core.emrtd import apdu, suites, tlv
from edged.emulator.channel import Channel
from edged.emulator.object_identifiers import encode_oid
from edged.emulator.refusal import RefusedError

if TYPE_CHECKING:
    from edged.emulator.personalised import AgreementKey

WRONG_DATA: Final = 0x6A80


class ChipAuthentication:
    """One run, with the chip's static key."""

    def __init__(self, key: AgreementKey) -> None:
        self._key = key

    def choose(self, data: bytes) -> None:
        """MSE:Set AT: the protocol and, where the chip has several keys, which."""
        objects = {one.tag: bytes(one.value) for one in tlv.iterate(data)}
        if objects.get(0x80) != encode_oid(self._key.oid):
            raise RefusedError(apdu.REFERENCE_NOT_FOUND)
        self._check_number(objects.get(0x84))

    def agree(self, data: bytes) -> tuple[bytes, Channel]:
        """General Authenticate with the terminal's public key: the answer and the session that begins after it."""
        public = tlv.find(tlv.only(data, 0x7C), 0x80)
        if public is None:
            raise RefusedError(WRONG_DATA)
        return tlv.encode(0x7C, b""), self._session(bytes(public))

    def agree_at_once(self, data: bytes) -> Channel:
        """MSE:Set KAT, for 3DES alone."""
        objects = {one.tag: bytes(one.value) for one in tlv.iterate(data)}
        if self._key.suite is not suites.DES3 or 0x91 not in objects:
            raise RefusedError(WRONG_DATA)
        self._check_number(objects.get(0x84))
        return self._session(objects[0x91])

    def _check_number(self, given: bytes | None) -> None:
        number = self._key.number
        if given is None and number is None:
            return
        if given is None or number is None or int.from_bytes(given, "big") != number:
            raise RefusedError(apdu.REFERENCE_NOT_FOUND)

    def _session(self, public: bytes) -> Channel:
        group = self._key.group
        secret = group.secret(group.times(group.decode(public), self._key.private))
        return Channel.derived(self._key.suite, secret)
