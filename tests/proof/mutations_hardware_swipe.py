"""Swipe readers and printers: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a character that the reader did not make out is never sure",
        "core/text_reading.py",
        "    if unknown or odd:",
        "    if odd:",
        TEST + "test_text_reading.py -k never_sure",
    ),
    _m(
        "nothing is told of a line whose number may lack a character",
        "core/text_reading.py",
        "    if not _all_in(unknown, [LAYOUTS[mrz.format].spans.get(name, (0, 0)) for name in _NAMES]):",
        "    if False:",
        TEST + "test_text_reading.py -k elsewhere_nothing_is_told",
    ),
    _m(
        "what needs a picture is not supported for a document that was swiped",
        "evidence.py",
        "    if not reading.frames:",
        "    if False:",
        TEST + "test_text_reading.py -k needs_a_picture",
    ),
    _m(
        "half a frame is no document",
        "drivers/swipe_desko.py",
        "        if self.deadline is not None and now >= self.deadline:\n            self.wipe()",
        "        pass",
        TEST + "test_swipe_protocols.py -k given_up",
    ),
    _m(
        "a document left in the slot is read once",
        "drivers/swipe_elyctis.py",
        "        if lines is not None and not self._left_in(lines, now):",
        "        if lines is not None:",
        TEST + "test_swipe_protocols.py -k left_in_the_slot",
    ),
    _m(
        "a keyboard that can't be grabbed is not read",
        "drivers/swipe_keyboard.py",
        "            fcntl.ioctl(self._descriptor, EVIOCGRAB, 1)",
        "            pass",
        TEST + "test_drivers_swipe.py -k grabbed",
    ),
    _m(
        "a receipt that ran out of paper is not taken for printed",
        "drivers/escpos.py",
        "                _await_done(way)",
        "                pass",
        TEST + "test_drivers_escpos.py -k ends_in_the_middle",
    ),
    _m(
        "a receipt's bytes are overwritten",
        "drivers/escpos.py",
        "            data[:] = bytes(len(data))",
        "            pass",
        TEST + "test_drivers_escpos.py -k stays_in_its_bytes",
    ),
)
