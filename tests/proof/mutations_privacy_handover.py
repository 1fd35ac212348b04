"""Handover to applications on the counter: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "fields are taken once",
        "handover/desk.py",
        '        if found.state == "claimed":',
        "        if False:",
        TEST + "test_handover_desk.py -k claimed_once",
    ),
    _m(
        "fields belong to the connection that asked",
        "handover/desk.py",
        "        if found.asker != asker:",
        "        if False:",
        TEST + "test_handover_service.py -k another_connection",
    ),
    _m(
        "nothing leaves that isn't in the journal",
        "handover/service.py",
        "            if not await self._ledger.write_taken(connection.peer, inspection, offer.names):",
        "            await self._ledger.write_taken(connection.peer, inspection, offer.names)\n            if False:",
        TEST + "test_handover_service.py -k nothing_is_taken",
    ),
    _m(
        "what was overwritten while the journal was written doesn't leave",
        "handover/desk.py",
        "            one.held.forget()",
        "            pass",
        TEST + "test_handover_desk.py -k overwritten_all_the_same",
    ),
    _m(
        "a certificate that is revoked in the middle takes nothing",
        "handover/admission.py",
        '        if peer.way == "tls":',
        "        if False:",
        TEST + "test_handover_service.py -k in_the_middle",
    ),
    _m(
        "a certificate of another role opens nothing",
        "handover/peers.py",
        "    if principal.role is not Role.AUDIENCE:",
        "    if False:",
        TEST + "test_handover_service.py -k another_role",
    ),
    _m(
        "the answer's line is overwritten",
        "handover/connection.py",
        "                        wipe(line)",
        "                        pass",
        TEST + "test_handover_service.py -k overwritten_once",
    ),
    _m(
        "reasons are told without what they name",
        "handover/protocol.py",
        'said["reason"] = told["reason"]["code"]',
        'said["reason"] = told["reason"]',
        TEST + "test_handover_service.py -k names_no_state",
    ),
)
