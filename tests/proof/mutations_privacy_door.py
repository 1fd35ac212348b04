"""Telling the holder, and who may knock: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "an application's consent is to the notice that was shown",
        "handover/service.py",
        "            notice=asked.notice,",
        "            notice=None,",
        TEST + "test_handover_service.py -k a_consent_to_it",
    ),
    _m(
        "a slip that can't be replaced is refused before anything is overwritten for it",
        "handover/service.py",
        "            await self._checked(request)",
        "            pass",
        TEST + "test_handover_service.py -k costs_the_application_nothing",
    ),
    _m(
        "who got nothing for want of consent is named to the holder",
        "noticing.py",
        "refused = draft is not None and draft.consent is not None and not draft.consent.given",
        "refused = False",
        TEST + "test_privacy_notice.py -k what_was_told",
    ),
    _m(
        "fields that lie nowhere are told to nobody",
        "noticing.py",
        '() if offered else ("handover_fields",)',
        "()",
        TEST + "test_privacy_notice.py -k what_was_told",
    ),
    _m(
        "one caller alone can't keep the others out",
        "listener.py",
        " or self._busy[caller] >= self._bounds.each:",
        ":",
        TEST + "test_listener.py -k keep_the_others_out",
    ),
    _m(
        "closing a listener ends everybody at once",
        "listener.py",
        "            task.cancel()",
        "            pass",
        TEST + "test_listener.py -k ends_everybody",
    ),
)
