"""One line of the product changed, and the proof of it must fail. (`tests/proof/mutations.py`)"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proof import journal, overlay
from tests.proof.mutations import MUTATIONS, SAMPLE, Mutation, caught, passes
from tests.proof.overlay import Change, StaleError

if TYPE_CHECKING:
    from pathlib import Path


def by_name(mutation: Mutation) -> str:
    return mutation.name


@pytest.mark.parametrize("mutation", MUTATIONS, ids=by_name)
def test_no_mutation_is_stale(mutation: Mutation) -> None:
    changed = overlay.apply(mutation.change)
    if mutation.change.file.endswith(".py"):
        compile(changed, mutation.change.file, "exec")
    assert mutation.change.old not in changed or mutation.change.old in mutation.change.new


def test_the_names_are_different() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names)
    assert set(SAMPLE) <= set(names)


@pytest.mark.skipif(journal.compiler() is None, reason="no C compiler for the shim")
@pytest.mark.parametrize("name", SAMPLE)
def test_a_broken_line_is_caught(name: str) -> None:
    (mutation,) = (one for one in MUTATIONS if one.name == name)
    assert caught(mutation) is None


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=by_name)
def test_every_broken_line_is_caught(mutation: Mutation) -> None:
    assert caught(mutation) is None


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("proof", sorted({mutation.proof for mutation in MUTATIONS}))
def test_every_proof_passes_on_the_sound_product(proof: str) -> None:
    assert passes(proof) is None


def test_a_stale_change_is_named() -> None:
    with pytest.raises(StaleError, match="0 times"):
        overlay.apply(Change("edged/uplink/database.py", "this line is not there", ""))
    with pytest.raises(StaleError, match="is gone"):
        overlay.apply(Change("edged/uplink/nothing.py", "", ""))


def test_an_overlay_changes_its_own_file_and_nothing_of_the_checkout(tmp_path: Path) -> None:
    file = "edged/uplink/database.py"
    before = (overlay.ROOT / file).read_text()
    place = overlay.overlay(
        tmp_path / "checkout", Change(file, "BUSY_TIMEOUT_S = 5.0", "BUSY_TIMEOUT_S = 7.0")
    )
    script = (
        "import edged.uplink.database as d, edged.uplink.outbox as o; print(d.BUSY_TIMEOUT_S, o.__file__)"
    )
    done = overlay.run(place, "-c", script)
    assert done.stdout.split() == ["7.0", str(place / "edged/uplink/outbox.py")], done.stderr
    assert (overlay.ROOT / file).read_text() == before
