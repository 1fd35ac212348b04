"""A card that speaks PACE with Debian's libeac (package libeac3): somebody else's code on the other side.

Only PACE with generic mapping is there, no files. Commands are taken apart and answered here; everything that is
calculated is libeac's. Its integrated mapping is of a draft that Doc 9303 replaced (the nonce encrypted once, another
point encoding), so it agrees with nobody but itself: the worked examples judge ours.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, Structure, c_char_p, c_int, c_size_t, c_ulong, c_void_p
from functools import cache

from edged.core.emrtd import tlv
from edged.core.emrtd.apdu import Command, Response

CAN = 2
FOR_PACE = 0


class Buffer(Structure):
    """BUF_MEM of OpenSSL."""

    _fields_ = (("length", c_size_t), ("data", c_void_p), ("max", c_size_t), ("flags", c_ulong))


def _declare(library: ctypes.CDLL) -> None:
    buffer, context = POINTER(Buffer), c_void_p
    for name, result, arguments in (
        ("EAC_init", None, ()),
        ("EAC_CTX_new", context, ()),
        ("EAC_CTX_clear_free", None, (context,)),
        ("EAC_CTX_init_ef_cardaccess", c_int, (c_char_p, c_size_t, context)),
        ("EAC_CTX_set_encryption_ctx", c_int, (context, c_int)),
        ("EAC_encrypt", buffer, (context, buffer)),
        ("PACE_SEC_new", c_void_p, (c_char_p, c_size_t, c_int)),
        ("PACE_SEC_clear_free", None, (c_void_p,)),
        ("PACE_STEP1_enc_nonce", buffer, (context, c_void_p)),
        ("PACE_STEP3A_generate_mapping_data", buffer, (context,)),
        ("PACE_STEP3A_map_generator", c_int, (context, buffer)),
        ("PACE_STEP3B_generate_ephemeral_key", buffer, (context,)),
        ("PACE_STEP3B_compute_shared_secret", c_int, (context, buffer)),
        ("PACE_STEP3C_derive_keys", c_int, (context,)),
        ("PACE_STEP3D_compute_authentication_token", buffer, (context, buffer)),
        ("PACE_STEP3D_verify_authentication_token", c_int, (context, buffer)),
        ("BUF_MEM_create_init", buffer, (c_char_p, c_size_t)),
        ("BUF_MEM_clear_free", None, (buffer,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


@cache
def library() -> ctypes.CDLL | None:
    """libeac, None where it isn't installed."""
    try:
        loaded = ctypes.CDLL("libeac.so.3")
    except OSError:
        return None
    _declare(loaded)
    loaded.EAC_init()
    return loaded


class PaceCard:
    """The card's side of one PACE. Call it with a command APDU, it answers with a response APDU.

    Attributes:
        verified: whether libeac took the terminal's token.
    """

    def __init__(self, card_access: bytes, can: str) -> None:
        eac = library()
        assert eac is not None
        self._eac = eac
        self._context = c_void_p(eac.EAC_CTX_new())
        assert eac.EAC_CTX_init_ef_cardaccess(card_access, len(card_access), self._context) == 1
        self._secret = c_void_p(eac.PACE_SEC_new(can.encode(), len(can), CAN))
        self.verified = False
        self._theirs = b""

    def close(self) -> None:
        self._eac.PACE_SEC_clear_free(self._secret)
        self._eac.EAC_CTX_clear_free(self._context)

    def __call__(self, apdu: bytes) -> bytes:
        command = Command.decode(apdu)
        if command.ins == 0x22:
            return Response(b"", 0x9000).encode()
        assert command.ins == 0x86
        (inner,) = list(tlv.iterate(tlv.only(command.data, 0x7C))) or [None]
        answer = self._general_authenticate(*((inner.tag, bytes(inner.value)) if inner else (0, b"")))
        if answer is None:
            return Response(b"", 0x6300).encode()
        return Response(tlv.encode(0x7C, answer), 0x9000).encode()

    def encrypt(self, block: bytes) -> bytes:
        """What the session's encryption key makes of whole blocks, with a counter of zero."""
        assert self._eac.EAC_CTX_set_encryption_ctx(self._context, FOR_PACE) == 1
        return self._made(self._eac.EAC_encrypt, block)

    def _general_authenticate(self, tag: int, value: bytes) -> bytes | None:
        eac, context = self._eac, self._context
        if tag == 0:
            nonce = self._taken(eac.PACE_STEP1_enc_nonce(context, self._secret))
            return tlv.encode(0x80, nonce)
        if tag == 0x81:
            data = self._taken(eac.PACE_STEP3A_generate_mapping_data(context))
            assert self._took(eac.PACE_STEP3A_map_generator, value)
            return tlv.encode(0x82, data)
        if tag == 0x83:
            public = self._taken(eac.PACE_STEP3B_generate_ephemeral_key(context))
            assert self._took(eac.PACE_STEP3B_compute_shared_secret, value)
            assert eac.PACE_STEP3C_derive_keys(context) == 1
            self._theirs = value
            return tlv.encode(0x84, public)
        assert tag == 0x85
        self.verified = self._took(eac.PACE_STEP3D_verify_authentication_token, value)
        if not self.verified:
            return None
        return tlv.encode(0x86, self._made(eac.PACE_STEP3D_compute_authentication_token, self._theirs))

    def _took(self, step: Callable[..., int], octets: bytes) -> bool:
        given = self._eac.BUF_MEM_create_init(octets, len(octets))
        took = step(self._context, given) == 1
        self._eac.BUF_MEM_clear_free(given)
        return took

    def _made(self, step: Callable[..., object], octets: bytes) -> bytes:
        given = self._eac.BUF_MEM_create_init(octets, len(octets))
        made = self._taken(step(self._context, given))
        self._eac.BUF_MEM_clear_free(given)
        return made

    def _taken(self, buffer: object) -> bytes:
        assert buffer, "libeac gave nothing"
        octets = ctypes.string_at(buffer.contents.data, buffer.contents.length)  # type: ignore[attr-defined]
        self._eac.BUF_MEM_clear_free(buffer)
        return octets
