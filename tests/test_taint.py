"""Nothing raw ever comes out of a box, whatever is done to it; and whatever is planted in any way out is found."""

from __future__ import annotations

import itertools
import multiprocessing
from typing import TYPE_CHECKING

from edged.privacy.leakscan import LeakScanner
from tests.taint import planting_counter  # its plants are among those of `planting`
from tests.taint.canaries import Canary, canary, scanner
from tests.taint.counter import UNEXPLAINED
from tests.taint.paths import PATHS, Path
from tests.taint.planting import ENCODINGS, HAZARDS, LEAKS
from tests.taint.world import World

if TYPE_CHECKING:
    from pathlib import Path as File

ENCODING = tuple(ENCODINGS)
assert planting_counter


def test_every_path_has_its_plant() -> None:
    """A way out that nobody planted a leak in isn't proved to be searched."""
    assert {path.name for path in PATHS} == LEAKS
    assert {path.name for path in PATHS if path.hazard} == HAZARDS


async def drive(world: World, path: Path, person: Canary, order: tuple[str, ...]) -> dict[str, bytes]:
    with world.planted(*order):
        return await path.drive(world, person)


def searched(everything: dict[str, bytes], people: list[Canary]) -> dict[str, list[str]]:
    """What is found of anybody, by where; the large ones first, two at a time."""
    names = sorted(everything, key=lambda name: -len(everything[name]))
    with multiprocessing.get_context("fork").Pool(2, _search_for, (people,)) as pool:
        return dict(zip(names, pool.map(_search, [everything[name] for name in names], 1), strict=True))


def _search_for(people: list[Canary]) -> None:
    _searching.append(scanner(people))


def _search(data: bytes) -> list[str]:
    return [f"{one.kind} {one.encoding}" for one in _searching[-1].scan(data)]


_searching: list[LeakScanner] = []
"""Of a process that searches."""


def _finds(person: Canary, out: dict[str, bytes]) -> bool:
    """The small ones first: one find is enough."""
    search = scanner([person])
    return any(search.scan(data) for data in sorted(out.values(), key=len))


async def test_nothing_comes_out_of_a_daemon(tmp_path: File) -> None:
    """Every path with a person of its own, and every failure with the value in its text; then all that was written."""
    people, said = [], {}
    async with World(tmp_path / "box") as world:
        for number, path in enumerate(PATHS):
            person = canary(number)
            people.append(person)
            out = await drive(world, path, person, ("hazard", path.name) if path.hazard else ())
            assert out, path.name
            assert UNEXPLAINED not in out, path.name
            # What lies in files is searched in the end, once.
            files = {str(file.relative_to(world.box.directory)) for file in world.box.directory.rglob("*")}
            said |= {f"{path.name}: {name}": data for name, data in out.items() if name not in files}
        everything = world.everything() | said
        assert world.struck >= HAZARDS, "every failure did happen"
    found = searched(everything, people)
    assert set(found) == set(everything)
    assert {name: one for name, one in found.items() if one} == {}
    assert len(everything) > 30


async def test_what_is_planted_in_each_path_is_found_there(tmp_path: File) -> None:
    """Each leak in another encoding. A path is searched for its own person alone: no other path's leak helps it."""
    driven = []
    async with World(tmp_path / "box") as world:
        for number, (path, way) in enumerate(zip(PATHS, itertools.cycle(ENCODING), strict=False)):
            person, encoding = canary(1000 + number), path.encoding or way
            driven.append(
                (path.name, encoding, person, await drive(world, path, person, ("leak", path.name, encoding)))
            )
    # Searched when the world is gone: its emulated devices live in this event loop, and mustn't be held up.
    missed = {
        name: encoding
        for name, encoding, person, out in driven
        if UNEXPLAINED not in out and not _finds(person, out)
    }
    assert missed == {}


def test_the_search_of_everything_finds() -> None:
    people = [canary(number) for number in range(3)]
    told = {"large": b"x " * 4000, "small": people[2].surname.encode(), "none": b"nothing"}
    found = searched(told, people)
    assert {name for name, one in found.items() if one} == {"small"}
