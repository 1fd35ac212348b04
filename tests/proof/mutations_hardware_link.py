"""The head's link and driver: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a frame with a wrong CRC is no frame",
        "drivers/head_frame.py",
        'if zlib.crc32(body) != int.from_bytes(crc, "little"):',
        "if False:",
        TEST + "test_head_frame.py -k flipped_bit",
    ),
    _m(
        "a frame is taken once, and in order",
        "drivers/head_arq.py",
        "if seq == self.expected:",
        "if True:",
        TEST + "test_head_link.py -k was_had_is_dropped",
    ),
    _m(
        "what wasn't acknowledged is repeated",
        "drivers/head_arq.py",
        "self._next = 0\n        self._repeated_at = now",
        "self._repeated_at = now",
        TEST + "test_head_link.py -k later_and_later",
    ),
    _m(
        "a press that comes again in a new session is told once",
        "drivers/head_presses.py",
        "if known is not None and now < known + REMEMBERED_S:",
        "if False:",
        TEST + "test_head_link.py -k told_once",
    ),
    _m(
        "a press of long ago starts no scan",
        "drivers/head_presses.py",
        "if button.age_ms > STALE_MS:",
        "if False:",
        TEST + "test_head_link.py -k long_ago",
    ),
    _m(
        "a head that comes back shows what it should",
        "drivers/head.py",
        "await self.client.request(Indicate(self._shown))\n        except",
        "pass\n        except",
        TEST + "test_head_driver.py -k plugging_back",
    ),
    _m(
        "whatever is asked of a head that goes away fails, and doesn't wait for ever",
        "drivers/head_client.py",
        "answer.set_exception(DeviceGoneError(DEVICE, code))",
        "pass",
        TEST + "test_head_driver.py -k plugging_back",
    ),
    _m(
        "a port that fails in any way has ended",
        "drivers/head_threads.py",
        "self._call(self._ended.set)",
        "pass",
        TEST + "test_head_driver.py -k has_ended",
    ),
    _m(
        "a lamp that rests fails no push",
        "pushed/probes.py",
        "await asyncio.sleep(error.number / 1000)",
        "raise",
        TEST + "test_push_probes.py -k rests",
    ),
)
