"""The slip's content, signature and status: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a thief's date saves no slip",
        "slip/verifying.py",
        "if key.ended is not None and key.why in IN_OTHER_HANDS:",
        "if key.ended is not None and key.why in IN_OTHER_HANDS and facts.at >= key.ended:",
        TEST + "test_slip_verifying.py -k in_other_hands",
    ),
    _m(
        "a listed box can't speak for another",
        "slip/verifying.py",
        "if signer is None or fault is not None or facts is None or facts.device != signer.device:",
        "if signer is None or fault is not None or facts is None:",
        TEST + "test_slip_verifying.py -k speak_for_another",
    ),
    _m(
        "a list that is too old proves no slip good",
        "slip/verifying.py",
        "    if status.expired(at):",
        "    if False:",
        TEST + "test_slip_verifying.py -k without_a_list_that_holds",
    ),
    _m(
        "a slip has one spelling",
        "slip/claims.py",
        "if cbor2.dumps(_claims(facts), canonical=True) != data:",
        "if False:",
        TEST + "test_slip_claims.py -k out_of_bounds",
    ),
    _m(
        "a signature has one spelling",
        "slip/cose.py",
        "if s > HALF_ORDER:",
        "if False:",
        TEST + "test_slip_signing.py -k one_spelling",
    ),
    _m(
        "a slip that is too long names fewer recipients",
        "slip/signing.py",
        "for kept in range(len(facts.recipients), -1, -1):",
        "for kept in (len(facts.recipients),):",
        TEST + "test_slip_signing.py -k longest_of_everything",
    ),
    _m(
        "merging never loses a withdrawal",
        "uplink/slip_status.py",
        "withdrawn=before.withdrawn | one.withdrawn,",
        "withdrawn=one.withdrawn,",
        TEST + "test_slip_status.py -k never_loses",
    ),
    _m(
        "a copy is counted",
        "slip/book.py",
        "            slips.count_copy(journal, number)\n",
        "",
        TEST + "test_slip_book.py -k copies_are_counted",
    ),
)
