"""A slip signed by its box, so that its QR code is never larger than version 13 at level M.

Two things give way when there is no room: recipients that the notice lists by name (of more it says how many), and the
signature, which is made again: each one escapes other characters. Blocks for a signature; a token may take long for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from edged.errors import SlipError
from edged.slip import claims, cose, url
from edged.slip.facts import SlipFacts
from edged.uplink.revoked import fingerprint

if TYPE_CHECKING:
    from edged.uplink.sign import Signer

ESCAPES: Final = 4
"""Characters of a signature that are escaped at most: five signatures of six have no more (64 characters that may be,
each with a chance of 2 in 45)."""

TRIES: Final = 16
"""Signatures made for one slip at most: more would be needed once in 10^12 slips."""


class SignedSlip(msgspec.Struct, frozen=True):
    """A slip as it is printed: draw `content.lines(facts)`, and `url.build(base, cose)` as its QR code."""

    facts: SlipFacts
    """What is signed: it may name fewer recipients than was asked for."""
    cose: bytes


def sign_slip(facts: SlipFacts, signer: Signer, base: str) -> SignedSlip:
    """Sign `facts` for a QR code that leads to `base` (`SlipSettings.url`).

    Raises `SlipError`: `slip.facts_refused`, `slip.too_large` (a longer address or place than `check_slip` lets pass);
    `CertificateError` when a token fails.
    """
    if facts.device != signer.principal.name:
        raise SlipError("slip.facts_refused", "device")
    fitting, payload = _fit(facts, base, cose.kid_of(fingerprint(signer.chain[0])))
    for _ in range(TRIES):
        signed = cose.sign(payload, signer)
        if len(url.build(base, signed)) <= url.CAPACITY:
            return SignedSlip(fitting, signed)
    raise SlipError("slip.too_large")


def _fit(facts: SlipFacts, base: str, kid: bytes) -> tuple[SlipFacts, bytes]:
    """The facts with as many recipients as there is room for, and their claims. Raises `SlipError`."""
    for kept in range(len(facts.recipients), -1, -1):
        more = facts.more_recipients + len(facts.recipients) - kept
        fewer = msgspec.structs.replace(
            facts, recipients=facts.recipients[:kept], more_recipients=min(more, 255)
        )
        payload = claims.encode(fewer)
        if len(url.build(base, cose.unsigned(payload, kid))) + 2 * ESCAPES <= url.CAPACITY:
            return claims.decode(payload), payload
    raise SlipError("slip.too_large")
