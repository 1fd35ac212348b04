"""What is told, kept and searched: for each property of de-identification one line that breaks it, and who notices."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "explain shows what the settings keep from a recipient as kept",
        "worked_example.py",
        "if audience.slip and settings.slip is not None:",
        "if settings.slip is not None:",
        TEST + "test_privacy_explain_fields.py -k signed_envelope",
    ),
    _m(
        "explain leaves out no field of an envelope",
        "worked_example.py",
        "return tuple(_envelope_field(payload, name) for name in EnvelopePayload.__struct_fields__)",
        "return tuple(_envelope_field(payload, name) for name in EnvelopePayload.__struct_fields__[:-1])",
        TEST + "test_privacy_explain_fields.py -k signed_envelope",
    ),
    _m(
        "entries about a slip that is known stay in the journal",
        "journal/retention.py",
        'gone = [row for row in looked if not row["matters"]][:AT_ONCE]',
        "gone = looked[:AT_ONCE]",
        TEST + "test_journal_retention.py -k a_slip_that_is_known",
    ),
    _m(
        "a clock in doubt prunes nothing by age",
        "journal/retention.py",
        "if not too_much and not clock_trusted:",
        "if False:",
        TEST + "test_journal_retention.py -k clock_in_doubt",
    ),
    _m(
        "a locked journal delays a verdict by a second",
        "journal/database.py",
        "BUSY_S: Final = 1.0",
        "BUSY_S: Final = 5.0",
        TEST + "test_journal_retention.py -k second_at_most",
    ),
    _m(
        "no word is cut where a searched stretch ends",
        "privacy/leakviews.py",
        "while begin > 0 and data[begin - 1] not in _BETWEEN:",
        "while False:",
        TEST + "test_privacy_leakviews.py -k no_word_is_cut",
    ),
)
