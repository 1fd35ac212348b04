"""What one test of the tests is made of: a property, the line that breaks it, and the proof that must notice."""

from __future__ import annotations

from dataclasses import dataclass

from tests.proof.overlay import Change

CUT = "-m tests.proof.power_cut --seeds 2 --drawn 0 --subject "
TEST = "-m pytest -q -x -p no:cacheprovider --timeout=40 -m not(slow) tests/"
"""Some changes make a test wait for what never comes: that is a failure, too."""


@dataclass(frozen=True)
class Mutation:
    """A property, what breaks it, and what must notice: the arguments of a `python` in the checkout."""

    name: str
    change: Change
    proof: str


def _m(name: str, file: str, old: str, new: str, proof: str) -> Mutation:
    return Mutation(name, Change(f"edged/{file}", old, new), proof)
