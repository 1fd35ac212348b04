"""Drivers by name, what is attached, acceptance: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a picture is kept only when nothing lies on the test card",
        "technician/card.py",
        "return kept if float(np.max(off)) < _MOST_OFF else None",
        "return kept",
        TEST + "test_devices_card.py -k never_kept",
    ),
    _m(
        "nothing is measured or kept of a document in the window",
        "technician/camera_steps.py",
        "    if card.shows_a_document(picture, today=today):",
        "    if False:",
        TEST + "test_devices_acceptance.py -k document_in_the_window",
    ),
    _m(
        "a report can't say passed over a step that failed",
        "uplink/acceptance.py",
        "        report.result != result_of(report.steps)",
        "        False",
        TEST + "test_devices_acceptance.py -k says_what_its_steps_say",
    ),
    _m(
        "a report is of the box that signed it",
        "uplink/acceptance.py",
        "    if report.iss != verified.principal.name or report.fleet != anchor.fleet:",
        "    if False:",
        TEST + "test_devices_acceptance.py -k only_the_box_itself",
    ),
    _m(
        "what a step raises says nothing of what lay there",
        "technician/walk.py",
        "step=task.name, error=type(error).__name__",
        "step=task.name, error=repr(error)",
        TEST + "test_devices_acceptance.py -k step_that_breaks",
    ),
    _m(
        "no package takes the place of a driver that comes with edged",
        "device_checks.py",
        "if kind == section and name and name not in BUILT_IN[section]:",
        "if kind == section and name:",
        TEST + "test_drivers_registry.py -k takes_the_place",
    ),
    _m(
        "a driver that lacks something isn't opened",
        "drivers/registry.py",
        "if lacking := missing(device, PROTOCOLS[section]):",
        "if lacking := ():",
        TEST + "test_drivers_registry.py -k said_with_its_name",
    ),
    _m(
        "what passed with another device didn't pass with this one",
        "technician/session.py",
        'if found.devices.get(of := step.name.partition("/")[0]) == now.get(of)',
        'if (of := step.name.partition("/")[0])',
        TEST + "test_devices_acceptance.py -k did_not_pass_here",
    ),
)
