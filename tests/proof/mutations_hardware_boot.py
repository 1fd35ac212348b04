"""The head's firmware and its update: for each property one line that breaks it, and what must notice.

What breaks the boot loader itself is C, and in `tests/test_head_boot.py`.
"""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "an image is trusted only when it is signed",
        "drivers/head_image.py",
        "key.verify(signature, data[:HEADER], ec.ECDSA(hashes.SHA256()))",
        "pass",
        TEST + "test_head_image.py -k another_key",
    ),
    _m(
        "an image that was damaged is not sent",
        "drivers/head_image.py",
        "if hashlib.sha256(memoryview(data)[PREFIX:]).digest() != digest:",
        "if False:",
        TEST + "test_head_image.py -k each_fault",
    ),
    _m(
        "only the new firmware, on trial, is confirmed",
        "drivers/head_update.py",
        "if not self._is(await self._running(), SlotState.TRIAL):",
        "if False:",
        TEST + "test_head_update.py -k cannot_run",
    ),
    _m(
        "an interrupted update goes on where the octets were safe",
        "drivers/head_update.py",
        "offset = await self._when_free(lambda: self._client.update_begin(size, self.image.sha256))",
        "await self._client.update_cancel()\n"
        "        offset = await self._when_free(lambda: self._client.update_begin(size, self.image.sha256))",
        TEST + "test_head_update.py -k cost_little",
    ),
    _m(
        "a push whose firmware the head refused is refused",
        "pushed/head_artefact.py",
        "raise PushRefusedError(error.code, target.path) from error",
        "pass",
        TEST + "test_head_update.py -k push_carries",
    ),
    _m(
        "firmware isn't given to a head whose software was taken back",
        "pushed/head_artefact.py",
        "if target is not None and not taken_back:",
        "if target is not None:",
        TEST + "test_head_update.py -k push_carries",
    ),
)
