"""Debian's libeac as the terminal of PACE with generic mapping: somebody else's code opens our emulated card."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_int, c_size_t, c_void_p

from edged.core.emrtd import tlv
from edged.core.emrtd.apdu import Command, Response
from tests.libeac import CAN, FOR_PACE, Buffer, library


def open_card(transmit: Callable[[bytes], bytes], card_access: bytes, oid: bytes, can: str) -> bytes | None:
    """One PACE with the card: what its session encrypts a block of octets 0 to 15 to, None when it refused us.

    Asserts that libeac verified the card's token.
    """
    eac = library()
    assert eac is not None
    buffer = POINTER(Buffer)
    eac.PACE_STEP2_dec_nonce.restype = c_int
    eac.PACE_STEP2_dec_nonce.argtypes = (c_void_p, c_void_p, buffer)
    eac.BUF_MEM_create_init.argtypes = (ctypes.c_char_p, c_size_t)
    context = c_void_p(eac.EAC_CTX_new())
    assert eac.EAC_CTX_init_ef_cardaccess(card_access, len(card_access), context) == 1
    secret = c_void_p(eac.PACE_SEC_new(can.encode(), len(can), CAN))

    def given(octets: bytes) -> object:
        return eac.BUF_MEM_create_init(octets, len(octets))

    def taken(made: object) -> bytes:
        assert made, "libeac gave nothing"
        return ctypes.string_at(made.contents.data, made.contents.length)  # type: ignore[attr-defined]

    def step(inner: bytes, tag: int, cla: int = 0x10) -> bytes | None:
        command = Command(0x86, 0, 0, tlv.encode(0x7C, inner), 256, cla)
        response = Response.decode(transmit(command.encode()))
        if response.sw != 0x9000:
            return None
        found = tlv.find(tlv.only(response.data, 0x7C), tag)
        assert found is not None
        return bytes(found)

    try:
        template = tlv.encode(0x80, oid) + tlv.encode(0x83, b"\x02")
        chosen = transmit(Command(0x22, 0xC1, 0xA4, template).encode())
        assert chosen == b"\x90\x00" or chosen[0] == 0x63  # a warning: the password was wrong before
        nonce = step(b"", 0x80)
        assert nonce is not None
        assert eac.PACE_STEP2_dec_nonce(context, secret, given(nonce)) == 1
        mapping = taken(eac.PACE_STEP3A_generate_mapping_data(context))
        theirs = step(tlv.encode(0x81, mapping), 0x82)
        assert theirs is not None
        assert eac.PACE_STEP3A_map_generator(context, given(theirs)) == 1
        public = taken(eac.PACE_STEP3B_generate_ephemeral_key(context))
        card_public = step(tlv.encode(0x83, public), 0x84)
        assert card_public is not None
        assert eac.PACE_STEP3B_compute_shared_secret(context, given(card_public)) == 1
        assert eac.PACE_STEP3C_derive_keys(context) == 1
        token = taken(eac.PACE_STEP3D_compute_authentication_token(context, given(card_public)))
        returned = step(tlv.encode(0x85, token), 0x86, 0x00)
        if returned is None:
            return None
        assert eac.PACE_STEP3D_verify_authentication_token(context, given(returned)) == 1
        assert eac.EAC_CTX_set_encryption_ctx(context, FOR_PACE) == 1
        return taken(eac.EAC_encrypt(context, given(bytes(range(16)))))
    finally:
        eac.PACE_SEC_clear_free(secret)
        eac.EAC_CTX_clear_free(context)
