"""The sealed lodging record: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "half a lodging record never leaves",
        "lodging/record.py",
        "return not self.faults and not self.missing",
        "return not self.faults",
        TEST + "test_lodging_record.py -k half_a_record_never_leaves",
    ),
    _m(
        "what nobody completes in time is forgotten",
        "lodging/completion.py",
        "if steady < record.until:",
        "if steady < 2 * record.until:",
        TEST + "test_lodging_completion.py -k when_the_time_is_over",
    ),
    _m(
        "a record on its way is in the journal before it is in the outbox",
        "journal/lodging.py",
        "UPDATE lodging_records SET state = 'sealing', arrival = ?,",
        "UPDATE lodging_records SET state = 'open', arrival = ?,",
        TEST + "test_lodging_desk.py -k power_cut_on_the_way_out",
    ),
    _m(
        "nobody answers for another recipient",
        "journal/lodging.py",
        "if line.audience != reply.iss:",
        "if False:",
        TEST + "test_lodging_desk.py -k answers_are_applied_once",
    ),
    _m(
        "an answer that was recorded changes nothing when it is played again",
        "journal/lodging.py",
        "if line.replied is not None and reply.iat <= line.replied.timestamp():",
        "if False:",
        TEST + "test_lodging_desk.py -k answers_are_applied_once",
    ),
    _m(
        "an unanswered record makes no rate better",
        "lodging/rates.py",
        "if line.received is None or not line.clock_trusted:",
        "if not line.clock_trusted:",
        TEST + "test_lodging_rates.py -k unanswered",
    ),
    _m(
        "a day without check-ins leaves registration unknown",
        "lodging/rates.py",
        "if told is None or told.total < found.registered + told.unregistered:",
        "if told is not None and told.total < found.registered + told.unregistered:",
        TEST + "test_lodging_rates.py -k without_check_ins",
    ),
    _m(
        "the plaintext of a record is overwritten",
        "lodging/record.py",
        "plaintext[:] = bytes(len(plaintext))",
        "pass",
        TEST + "test_lodging_record.py -k plaintext_is_overwritten",
    ),
)
