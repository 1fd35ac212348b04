"""PACE as the card does it (Doc 9303-11 §4.4): generic, integrated and chip authentication mapping, over any group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from edged.core.emrtd import apdu, suites, tlv
from edged.emulator import pseudo_random
from edged.emulator.channel import Channel
from edged.emulator.object_identifiers import encode_oid
from edged.emulator.refusal import RefusedError
from edged.errors import DecodeError
from edged.identity import Identity

if TYPE_CHECKING:
    from edged.emulator.chance import Chance
    from edged.emulator.personalised import PaceOffer, Personalised

MRZ: Final = 1
CAN: Final = 2
PARAMETER_MISSING: Final = 0x6A87
"""What Ukrainian passports before July 2022 answer when the parameter identifier is left out."""
WRONG_DATA: Final = 0x6A80
AUTHENTICATION_FAILED: Final = 0x6300
TRIES_LEFT: Final = 0x63C0

_DYNAMIC: Final = 0x7C
_PUBLIC_KEY: Final = 0x7F49


class PasswordConnection(Identity):
    """One run of PACE after the other; the retry counter outlives them all."""

    def __init__(self, personalised: Personalised, chance: Chance) -> None:
        self._contents = personalised
        self._chance = chance
        self._tries = personalised.conduct.tries
        self.forget()

    def forget(self) -> None:
        """The run that is under way is over."""
        self._offer: PaceOffer | None = None
        self._password = b""
        self._turn = 0
        self._nonce = b""
        self._generator: Any = None
        self._mapping_private = 0
        self._token_over = b""
        self._token_back = b""
        self._channel: Channel | None = None

    def choose(self, data: bytes) -> int:
        """MSE:Set AT: protocol, password, parameters. The status word: 9000, or 63CX after wrong passwords."""
        self.forget()
        objects = {one.tag: bytes(one.value) for one in tlv.iterate(data)}
        reference = int.from_bytes(objects.get(0x83, b""), "big")
        parameter = int.from_bytes(objects[0x84], "big") if 0x84 in objects else None
        if 0x80 not in objects:
            raise RefusedError(WRONG_DATA)
        if parameter is None and self._contents.conduct.needs_parameter:
            raise RefusedError(PARAMETER_MISSING)
        offer = next(
            (
                one
                for one in self._contents.pace
                if encode_oid(one.oid) == objects[0x80] and parameter in {None, one.parameter}
            ),
            None,
        )
        secret = self._secret(reference)
        if offer is None or secret is None:
            raise RefusedError(apdu.REFERENCE_NOT_FOUND)
        self._offer, self._password = offer, secret
        self._turn = 1
        return self._counted(apdu.OK)

    def _secret(self, reference: int) -> bytes | None:
        if reference == MRZ:
            return suites.sha(20, self._contents.mrz_information)
        if reference == CAN and self._contents.can is not None:
            return self._contents.can.encode()
        return None

    def _counted(self, good: int) -> int:
        most = self._contents.conduct.tries
        if most is None or self._tries is None or self._tries == most:
            return good
        return TRIES_LEFT | min(15, self._tries)

    def step(self, data: bytes, *, last: bool) -> tuple[bytes, Channel | None]:
        """One General Authenticate: the answer's data, and with the last the session."""
        offer, turn = self._offer, self._turn
        if offer is None:
            raise RefusedError(apdu.CONDITIONS_NOT_SATISFIED)
        self._turn = 0
        try:
            objects = [(one.tag, bytes(one.value)) for one in tlv.iterate(tlv.only(data, _DYNAMIC))]
            expected = (None, 0x81, 0x83, 0x85)[turn - 1] if turn else None
            if not turn or last != (turn == 4) or [tag for tag, _ in objects] != [expected] * bool(expected):
                raise RefusedError(apdu.CONDITIONS_NOT_SATISFIED)
            value = objects[0][1] if objects else b""
            answer = (self._send_nonce, self._map, self._agree, self._prove)[turn - 1](offer, value)
        except (RefusedError, DecodeError):
            self.forget()
            raise
        channel = self._channel if turn == 4 else None
        if turn == 4:
            self.forget()
        else:
            self._turn = turn + 1
        return tlv.encode(_DYNAMIC, answer), channel

    def _send_nonce(self, offer: PaceOffer, _value: bytes) -> bytes:
        wide = offer.mapping == "IM" and offer.suite.key_octets > 16
        self._nonce = self._chance.octets(32 if wide else 16)
        key = suites.derive_key(offer.suite, self._password, suites.FOR_PACE)
        return tlv.encode(0x80, suites.encrypt(offer.suite, key, self._nonce))

    def _map(self, offer: PaceOffer, value: bytes) -> bytes:
        group = offer.group
        if offer.mapping == "IM":
            if len(value) != offer.suite.key_octets:
                raise RefusedError(WRONG_DATA)
            number = pseudo_random.number(offer.suite, self._nonce, value, group.modulus)
            self._generator = group.hashed(number)
            return tlv.encode(0x82, b"")
        theirs = group.decode(value)
        private = self._chance.scalar(group.order)
        shared = group.times(theirs, private)
        base = group.times(group.generator(), int.from_bytes(self._nonce, "big"))
        self._generator = group.plus(base, shared)
        self._mapping_private = private
        return tlv.encode(0x82, group.encode(group.times(group.generator(), private)))

    def _agree(self, offer: PaceOffer, value: bytes) -> bytes:
        group = offer.group
        theirs = group.decode(value)
        private = self._chance.scalar(group.order)
        ours = group.encode(group.times(self._generator, private))
        if ours == value:
            raise RefusedError(WRONG_DATA)
        secret = group.secret(group.times(theirs, private))
        self._channel = Channel.derived(offer.suite, secret)
        self._token_over = self._key_object(offer, ours)
        self._token_back = self._key_object(offer, value)
        return tlv.encode(0x84, ours)

    @staticmethod
    def _key_object(offer: PaceOffer, public: bytes) -> bytes:
        oid = tlv.encode(0x06, encode_oid(offer.oid))
        return tlv.encode(_PUBLIC_KEY, oid + tlv.encode(offer.group.tag, public))

    def _prove(self, offer: PaceOffer, value: bytes) -> bytes:
        channel = self._channel
        assert channel is not None
        if not suites.same(channel.token(self._token_over), value):
            raise RefusedError(self._failed())
        self._tries = self._contents.conduct.tries
        answer = tlv.encode(0x86, channel.token(self._token_back))
        if offer.mapping == "CAM":
            key = self._contents.mapping_key
            assert key is not None, "a chip that offers CAM has a key for it"
            order = offer.group.order
            proof = self._mapping_private * pow(key.private, -1, order) % order
            octets = proof.to_bytes((order.bit_length() + 7) // 8, "big")
            answer += tlv.encode(0x8A, channel.encrypt_outside(octets))
        return answer

    def _failed(self) -> int:
        if self._tries is None:
            return AUTHENTICATION_FAILED
        self._tries = max(1, self._tries - 1)
        return TRIES_LEFT | min(15, self._tries)
