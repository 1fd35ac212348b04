"""What is sealed, and keys delivered sealed: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "one kind of sealed content is never taken for another",
        "sealing.py",
        'return msgspec.json.encode(["edged/1/sealed", what, *context])',
        'return msgspec.json.encode(["edged/1/sealed", *context])',
        TEST + "test_sealing.py -k never_taken_for_another",
    ),
    _m(
        "the parts of a context don't run together",
        "sealing.py",
        'return msgspec.json.encode(["edged/1/sealed", what, *context])',
        'return msgspec.json.encode(["edged/1/sealed", what, "".join(context)])',
        TEST + "test_sealing.py -k dont_run_together",
    ),
    _m(
        "one sealed content has one spelling",
        "sealing.py",
        "if _text(data) != text:",
        "if False:",
        TEST + "test_sealing.py -k one_spelling",
    ),
    _m(
        "a policy that encrypts has a key to encrypt to",
        "config_checks.py",
        "if asked and not audience.encryption_keys:",
        "if False:",
        TEST + "test_sealing_settings.py -k names_a_key",
    ),
    _m(
        "a box takes an organisation's key on the privacy officer's word alone",
        "uplink/sealed_keys.py",
        "if not holds or last or found.hex() != index.root:",
        "if False:",
        TEST + "test_organisation_keys.py -k neither_swap",
    ),
    _m(
        "whoever makes pushes can't leave a key out",
        "pushed/verifying.py",
        "if mine is None or name not in mine.keys:\n"
        '                raise PushRefusedError("organisation_key.not_for_this_box", where)',
        "if mine is None or name not in mine.keys:\n                continue",
        TEST + "test_organisation_keys.py -k neither_swap",
    ),
    _m(
        "the officer signs again only what the officer has signed before",
        "fleet/organisation_keys.py",
        "        _check_signed(state, before)\n",
        "        pass\n",
        TEST + "test_organisation_keys.py -k cant_have_the_officer",
    ),
    _m(
        "a box with another key than before is looked at first",
        "fleet/organisation_keys.py",
        "if known.get(device, box.kid) != box.kid and device not in changed:",
        "if False:",
        TEST + "test_organisation_keys.py -k says_another_key",
    ),
    _m(
        "a record opens under its own number alone",
        "sealing.py",
        'return fleet, device, audience, policy_sha256, record_id or ""',
        'return fleet, device, audience, policy_sha256, ""',
        TEST + "test_partner_opening.py -k belongs_elsewhere",
    ),
)
