"""EF.CardSecurity's own proof: signed by whom, for which state, and about which chip."""

from __future__ import annotations

import pytest

from edged.core.emrtd import tlv
from edged.core.emrtd.card_security import verify_card_security
from edged.core.emrtd.certificates import parse_certificate
from edged.verdict import Reason, Result
from tests.chip_pki import csca, ec_key, name, sequence, sod, spki, wrap
from tests.passive_cases import FRANCE, GERMANY, KEY, NOW, SIGNER, anchors

CONTENT_TYPE = "0.4.0.127.0.7.3.2.1"
PUBLIC_KEY = bytes.fromhex("060904007F000702020102")  # id-PK-ECDH


def infos(number: int) -> bytes:
    """SecurityInfos with a chip's static key."""
    return wrap(0x31, sequence(PUBLIC_KEY, spki(ec_key(number))))


def card_security(signer: bytes, content: bytes = infos(90)) -> bytes:
    return sod(content, signer, KEY, content_type=CONTENT_TYPE, tag=False)


DG14 = tlv.encode(0x6E, infos(90))
BOTH = (GERMANY.der, FRANCE.der)


def judge(
    raw: bytes, dg14: bytes | None = DG14, trusted: tuple[bytes, ...] = BOTH, document_signer: bytes = SIGNER
) -> tuple[Result, tuple[str, ...]]:
    result, reasons = verify_card_security(
        raw, dg14, anchors(*trusted), document_signer=parse_certificate(document_signer), at=NOW
    )
    return result, tuple(reason.code for reason in reasons)


def test_keys_of_the_document_itself() -> None:
    assert judge(card_security(GERMANY.signer(KEY))) == (Result.SUCCESSFUL, ())
    assert judge(card_security(GERMANY.signer(KEY)), None) == (Result.SUCCESSFUL, ())


def test_keys_of_another_document_or_another_state() -> None:
    other = (Result.FAILED, ("chip.keys_of_another_document",))
    assert judge(card_security(GERMANY.signer(KEY), infos(91))) == other
    assert judge(card_security(FRANCE.signer(KEY))) == (Result.FAILED, ("chip.keys_of_another_state",))


def test_another_state_behind_a_signer_that_names_this_one_or_none() -> None:
    """Names in a signer's certificate are its authority's to write; the authority's own key is what counts."""
    posing = FRANCE.signer(KEY, subject=name("DE", "Document Signer"))
    assert judge(card_security(posing)) == (Result.FAILED, ("chip.keys_of_another_state",))
    nobody = csca(None, FRANCE.key, subject=name(None, "CSCA"))
    silent = nobody.signer(KEY, subject=name("DE", "Document Signer"))
    stateless = (Result.FAILED, ("chip.keys_of_another_state",))
    assert judge(card_security(silent)) == stateless
    assert judge(card_security(silent), trusted=(nobody.der,), document_signer=silent) == stateless


@pytest.mark.parametrize("trusted", [(), (FRANCE.der,)])
def test_a_state_that_nobody_vouches_for(trusted: tuple[bytes, ...]) -> None:
    raw = card_security(GERMANY.signer(KEY))
    assert judge(raw, trusted=trusted) == (Result.UNDETERMINED, ("chip.no_trust_anchor",))


def test_what_was_signed_for_another_purpose() -> None:
    raw = sod(infos(90), GERMANY.signer(KEY), KEY, tag=False)
    assert judge(raw) == (Result.FAILED, ("pki.wrong_content",))
    bare = sod(infos(90), GERMANY.signer(KEY), KEY, content_type=CONTENT_TYPE, tag=False, attributes=False)
    assert judge(bare) == (Result.FAILED, ("pki.attributes_differ",))
    result = verify_card_security(
        card_security(GERMANY.signer(KEY)), DG14, anchors(*BOTH), document_signer=None, at=NOW
    )
    assert result == (Result.FAILED, (Reason("chip.keys_of_another_state"),))
