"""The emulated head's hands: for each property one line that breaks it, and what must notice.

Lines of the firmware itself are in tests/test_firmware_fuzz.py: they have to be compiled.
"""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "an event of the machine answers no question",
        "emulator/qemu_monitor.py",
        'return "return" not in said and "error" not in said',
        'return "event" not in said and "error" not in said',
        TEST + "test_emulator_qemu.py -k events_from_answers",
    ),
    _m(
        "whoever waits for QEMU hears that it has ended",
        "emulator/qemu_monitor.py",
        'answer.set_exception(StateError("qemu_head.gone"))',
        "pass",
        TEST + "test_emulator_qemu.py -k events_from_answers --timeout=10",
    ),
    _m(
        "a dimmed lamp isn't one that goes on and off",
        "emulator/head_outputs.py",
        "if not flashed and not self._up & LAMPS.keys():",
        "if not self._up & LAMPS.keys():",
        TEST + "test_emulator_qemu.py -k dimmed",
    ),
    _m(
        "a reset darkens what was lit",
        "emulator/head_outputs.py",
        "for what, how in _OFF.items():\n            self._show(what, how)",
        "pass",
        TEST + "test_emulator_qemu.py -k reset_ends",
    ),
)
