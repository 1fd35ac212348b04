"""Lines of the box's verification of pushes that must not be broken unnoticed (`tests/proof/mutations.py`)."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a box remembers what it has seen, so that nothing older is taken",
        "pushed/tuf_client.py",
        'for name in ("timestamp.json", "snapshot.json"):',
        "for name in ():",
        TEST + "test_push_verifying.py -k older_push",
    ),
    _m(
        "a document names the box it is for",
        "pushed/verifying.py",
        "if document.device != device:",
        "if not document.device:",
        TEST + "test_push_verifying.py -k document_for_another_device",
    ),
    _m(
        "one number means one content",
        "pushed/refusing.py",
        "return differ and any(",
        "return differ and not any(",
        TEST + "test_push_verifying.py -k one_number_means",
    ),
    _m(
        "a policy stays below the ceiling, whoever signed it",
        "pushed/verifying.py",
        "check_policy(document.policy)",
        "document.policy",
        TEST + "test_push_verifying.py -k bad_key_of_an_audience",
    ),
    _m(
        "a target is the file that was signed",
        "pushed/tuf_client.py",
        "found.verify_length_and_hashes(data)",
        "found.verify_length_and_hashes",
        TEST + "test_push_verifying.py -k target_of_another_content",
    ),
    _m(
        "every root of the chain is there",
        "pushed/tuf_client.py",
        "range(self._own_root.version + 1, newest + 1)",
        "range(newest, newest + 1)",
        TEST + "test_push_conformance_keys.py -k a_root_is_left_out",
    ),
    _m(
        "one key is one signature, under however many names",
        "pushed/refusing.py",
        "if len(set(values)) != len(values):",
        "if not values:",
        TEST + "test_push_conformance_keys.py -k several_names",
    ),
    _m(
        "nothing of a verification stays on the disk",
        "pushed/tuf_client.py",
        'tempfile.TemporaryDirectory(prefix="edged-push-") as directory',
        'contextlib.nullcontext(tempfile.mkdtemp(prefix="edged-push-")) as directory',
        TEST + "test_push_verifying.py -k taken_with_all",
    ),
)
