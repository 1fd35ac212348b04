"""Slips on paper: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a character that no font has is refused",
        "slip/faces.py",
        'raise OutputError("slip.no_glyph", packages=_PACKAGES)',
        "return 0",
        TEST + "test_slip_layout.py -k never_a_box",
    ),
    _m(
        "the watermark keeps off the code",
        "slip/layout.py",
        "if beside or x + wide < left or x > right:",
        "if True:",
        TEST + "test_slip_layout.py -k touches_the_code",
    ),
    _m(
        "nothing is cut off",
        "slip/wrapping.py",
        "if line and measure((line + character).rstrip()) > width:",
        "if False:",
        TEST + "test_slip_layout.py -k wrapping_loses",
    ),
    _m(
        "the watermark keeps its distance from text",
        "slip/picture.py",
        "marks &= _thinning(marks.shape) & ~_grown(ink, _HALO)",
        "marks &= _thinning(marks.shape)",
        TEST + "test_slip_outputs.py -k keeps_off",
    ),
    _m(
        "a PDF whose text isn't what was signed is altered",
        "slip/paper.py",
        'if any(one.outcome != "same" for one in compared):',
        "if False:",
        TEST + "test_slip_verify_command.py -k says_something_else",
    ),
    _m(
        "a photographed paper that says something else is altered",
        "slip/paper.py",
        "if seen.differing:",
        "if False:",
        TEST + "test_slip_verify_command.py -k another_result",
    ),
)
