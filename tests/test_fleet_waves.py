"""The order of a rollout: spread, canaries, steps."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import ConfigError
from edged.fleet.waves import DEFAULT_WAVES, Spot, Step, parse_steps, plan, spread

SITES = ("north", "south", "east", "")
KINDS = (("bank",), ("hotel",), ("bank", "pilot"), ())

spots_of = st.dictionaries(
    st.integers(0, 999).map("box-{}".format),
    st.builds(Spot, st.sampled_from(SITES), st.sampled_from(KINDS)),
    max_size=120,
)
steps_of = st.lists(st.builds(Step, st.integers(1, 100), st.booleans()), max_size=6)


@settings(max_examples=60, deadline=None)
@given(spots_of, steps_of, st.text("abc", max_size=3), st.integers(0, 5))
def test_every_box_is_in_one_wave_and_the_same_seed_gives_the_same_waves(
    spots: dict[str, Spot], steps: list[Step], seed: str, every: int
) -> None:
    online = {name for number, name in enumerate(sorted(spots)) if every and number % every == 0}
    waves = plan(spots, steps, seed=seed, online=online)
    assert Counter(name for wave in waves for name in wave) == Counter(list(spots))
    assert all(waves)
    assert plan(dict(reversed(spots.items())), steps, seed=seed, online=online) == waves
    if steps and spots:
        assert len(waves[0]) == steps[0].of(len(spots))
        assert len(online.intersection(waves[0])) == min(len(online), len(waves[0]))


@settings(max_examples=60, deadline=None)
@given(spots_of, st.integers(1, 30))
def test_canaries_stand_in_as_many_places_as_there_are(spots: dict[str, Spot], count: int) -> None:
    if spots:
        wave = plan(spots, [Step(count, percent=False)], seed="x")[0]
        sites = {spot.site for spot in spots.values()}
        assert len({spots[name].site for name in wave}) == min(len(sites), len(wave))


def test_each_beginning_is_a_fair_mixture() -> None:
    spots = {f"box-{n}": Spot(SITES[n % 4], ("bank",) if n % 10 else ("hotel",)) for n in range(1000)}
    for size in (20, 100, 500):
        beginning = spread(spots, seed="r")[:size]
        groups = Counter(spots[name].groups for name in beginning)
        assert abs(groups["hotel",] - size / 10) <= 2
        sites = Counter(spots[name].site for name in beginning)
        assert all(abs(sites[site] - size / 4) <= size / 20 + 2 for site in SITES)


def test_other_rollouts_have_other_canaries() -> None:
    spots = {f"box-{n}": Spot("one") for n in range(100)}
    steps = parse_steps("3")
    assert len({plan(spots, steps, seed=f"r-{n}")[0] for n in range(10)}) > 8


def test_steps_are_shares_or_counts() -> None:
    assert [step.of(1000) for step in parse_steps(DEFAULT_WAVES)] == [10, 100, 500, 1000]
    assert [step.of(30) for step in parse_steps("3, 10%,50%")] == [3, 3, 15]
    assert parse_steps("1%")[0].of(5) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "rollout.bad_waves"),
        ("0", "rollout.bad_waves"),
        ("101%", "rollout.bad_waves"),
        ("1,,2", "rollout.bad_waves"),
        ("a%", "rollout.bad_waves"),
        (",".join("1" * 21), "rollout.too_many_waves"),
    ],
)
def test_bad_steps_are_refused(text: str, code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_steps(text)
    assert refused.value.code == code
