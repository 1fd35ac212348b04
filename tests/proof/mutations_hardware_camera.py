"""Cameras: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a frame is never older than the light",
        "drivers/_camera_eye.py",
        "            if began < since:\n                continue\n            if self._settling > 0:",
        "            if self._settling > 0:",
        TEST + "test_camera_driver.py -k never_older",
    ),
    _m(
        "a frozen camera is noticed",
        "drivers/_camera_eye.py",
        'wrong = fault(image, light) or ("camera.frozen" if same == self._looks else None)',
        "wrong = fault(image, light)",
        TEST + "test_camera_driver.py -k frozen",
    ),
    _m(
        "a calibration of another exposure isn't used",
        "drivers/_camera_eye.py",
        "if not calibration.exposed_alike(light, self._exposure_us):",
        "if False:",
        TEST + "test_camera_calibration.py -k not_this_cameras",
    ),
    _m(
        "a damaged calibration isn't used",
        "core/calibration.py",
        "if hashlib.sha256(body).digest() != digest:",
        "if False:",
        TEST + "test_camera_calibration.py -k changed_octet",
    ),
    _m(
        "a feed that doesn't follow the light is refused",
        "core/illumination_order.py",
        "if min(gaps) < _GAP * span:",
        "if False:",
        TEST + "test_illumination_order.py -k only_by_luck",
    ),
    _m(
        "a frame counts for a step only if it was exposed in it",
        "drivers/liveness.py",
        "if earliest <= one.began and one.ended <= latest",
        "if earliest <= one.began",
        TEST + "test_illumination_order.py -k counts_for_a_step",
    ),
    _m(
        "a camera that was unplugged while idle is told",
        "drivers/_camera_worker.py",
        "                    eye.still_there()\n",
        "",
        TEST + "test_camera_driver.py -k nobody_wants",
    ),
)
