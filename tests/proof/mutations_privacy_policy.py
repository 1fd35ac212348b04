"""The policy language: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "no action beyond the ceiling",
        "privacy/policy.py",
        "if rule.action not in allowed(claim):",
        "if False:",
        TEST + "test_privacy_policy.py -k TestCeiling",
    ),
    _m(
        "no pattern keeps more than the ceiling allows",
        "privacy/masks.py",
        "return start <= Kept.START and end <= Kept.END and start + end <= Kept.BOTH",
        "return start <= Kept.START and end <= Kept.END",
        TEST + "test_privacy_forms.py -k TestMasks",
    ),
    _m(
        "a date at the border of two bands is withheld",
        "privacy/generalising.py",
        "youngest, oldest = (_band(_age(day, today)) for day in (last, first))",
        "youngest, oldest = (_band(_age(day, today)) for day in (first, first))",
        TEST + "test_privacy_forms.py -k TestBirthDates",
    ),
    _m(
        "without consent nothing is told where consent is needed",
        "privacy/disclosing.py",
        'refused = policy.consent == "required" and not consent',
        "refused = False",
        TEST + "test_privacy_forms.py -k TestConsent",
    ),
    _m(
        "a period has a key of its own",
        "privacy/pseudonym.py",
        "return Pseudonymiser(derived, self._scope.decode())",
        "return Pseudonymiser(self._key, self._scope.decode())",
        TEST + "test_privacy_periods.py",
    ),
    _m(
        "the earlier pseudonym is told for the days of the overlap alone",
        "privacy/pseudonym.py",
        "if earlier == current:",
        "if earlier == current and overlap_days == 0:",
        TEST + "test_privacy_periods.py",
    ),
    _m(
        "a policy on a base never tells more",
        "privacy/ready_made.py",
        "check_tighter(policy, base)",
        "pass",
        TEST + "test_privacy_ready_made.py -k TestTighter",
    ),
    _m(
        "the holder is told of a sealed record",
        "privacy/notice.py",
        'found.add("sealed_record")',
        "pass",
        TEST + "test_privacy_notice.py",
    ),
)
