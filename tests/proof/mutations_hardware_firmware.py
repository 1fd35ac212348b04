"""The reader head's firmware: for each property one line that breaks it; its own tests must notice, compiled anew."""

from __future__ import annotations

from tests.proof.changes import Mutation
from tests.proof.overlay import Change

_UNITS = "-m pytest -q -x -p no:cacheprovider --timeout=110 tests/test_firmware.py -k unit_tests_and_vectors"


def _c(name: str, file: str, old: str, new: str) -> Mutation:
    return Mutation(name, Change(f"firmware/src/{file}", old, new), _UNITS)


MUTATIONS = (
    _c(
        "a frame with a wrong checksum is never delivered",
        "frame.c",
        "if (crc32_of(octets, covered) != get_32(octets + covered)) {",
        "if (false) {",
    ),
    _c(
        "what is repeated is taken once",
        "link.c",
        "link->expected++;\n        link->taken_any",
        "link->taken_any",
    ),
    _c(
        "the retransmission time doubles",
        "link.c",
        "link->repeat_ms * 2 > REPEAT_MAX_MS ? REPEAT_MAX_MS : link->repeat_ms * 2",
        "REPEAT_MIN_MS",
    ),
    _c(
        "no sequence of requests gets past the duty of a lamp",
        "limits.c",
        "memory->slices[limits->slice] += memory->total - before;",
        "memory->total = before;",
    ),
    _c(
        "pauses too short to rest don't make a lamp's time two",
        "limits.c",
        "return rested ? 0 : memory->run;",
        "return rested || memory->run > 0 ? 0 : memory->run;",
    ),
    _c(
        "resetting the head gives nobody more light",
        "limits.c",
        "cause != RESET_POWER && lamp <= LAMPS",
        "cause == RESET_UPDATE && lamp <= LAMPS",
    ),
    _c(
        "what was on while the main loop was stuck counts",
        "limits.c",
        "} else if (cause == RESET_WATCHDOG && limits->lit != LAMP_NONE) {",
        "} else if (false) {",
    ),
    _c(
        "a sensor that flaps costs no press",
        "events.c",
        "return stale;",
        "return events->on_way;",
    ),
    _c(
        "a press that nobody took is dropped after five seconds",
        "events.c",
        "now_ms - event->at_ms >= PRESS_KEPT_MS",
        "now_ms - event->at_ms >= 100U * PRESS_KEPT_MS",
    ),
    _c(
        "an event stays until the host has acknowledged it",
        "events.c",
        "void events_session_over(struct events *events) {\n    events->on_way = 0;",
        "void events_session_over(struct events *events) {\n    events_acknowledged(events, EVENTS_MAX);",
    ),
    _c(
        "a lost host puts the lamps out",
        "head.c",
        "static void session_over(struct head *head) {\n    head_dark(head);",
        "static void session_over(struct head *head) {",
    ),
    _c(
        "the cover puts UV and infrared out before it is debounced",
        "head.c",
        "const bool open = head->pins.cover_open &&",
        "const bool open = head->inputs.cover.level &&",
    ),
)
