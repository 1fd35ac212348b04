"""Ways in beside the window: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a fleet that is no demo accepts nothing simulated",
        "box.py",
        "if not self.held.anchor.demo and any(device.simulated for device in provenance.values()):",
        "if False:",
        TEST + "test_box.py -k no_demo_accepts_nothing_simulated",
    ),
    _m(
        "a card that isn't genuine is judged, and not just unread",
        "inspection.py",
        "if reason is None or not speaks_against(reason):",
        "if True:",
        TEST + "test_station_sources.py -k not_genuine",
    ),
    _m(
        "what a scene demands of a page it demands of a card",
        "judging.py",
        "classes = on_id_card(classes)",
        "pass",
        TEST + "test_judging_cards.py -k wrong_with_a_card",
    ),
    _m(
        "a reader beside the window that goes ends no inspection",
        "station.py",
        "if device not in ESSENTIAL:\n                    return  # whatever was being read there says so itself",
        "pass",
        TEST + "test_station_sources.py -k reader_that_goes",
    ),
    _m(
        "trouble with the head closes the counter",
        "attendance.py",
        "if self._trouble:\n            return refusal(min(self._trouble))",
        "pass",
        TEST + "test_station_sources.py -k closes_the_counter",
    ),
    _m(
        "a camera that was plugged in proves what it sees",
        "station.py",
        "self._optics.doubt()  # it may be another, or another's pictures",
        "pass",
        TEST + "test_station_sources.py -k proves_again",
    ),
    _m(
        "what is swiped is inspected, and not what lies in the window",
        "station.py",
        "self._pressed(ScanRequest(self._default_scene), None, event)",
        "self._pressed(ScanRequest(self._default_scene), None)",
        TEST + "test_station_sources.py -k whatever_else",
    ),
    _m(
        "a picture that nobody waits for is given up",
        "asking.py",
        "            self._picture.cancel()\n",
        "",
        TEST + "test_station_sources.py -k nobody_waits_for",
    ),
    _m(
        "no infrared picture is taken after its lamp",
        "optics.py",
        "and _too_late(frame, lit_at + hold_ms / 1000)",
        "and False",
        TEST + "test_station_sources.py -k lamp_was_out",
    ),
    _m(
        "what was simulated stays that until the verdict",
        "devices.py",
        "if name in before and before[name].simulated",
        "if False",
        TEST + "test_drivers_registry.py -k was_simulated",
    ),
)
