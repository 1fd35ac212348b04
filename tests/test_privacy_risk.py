"""k of combinations of claims: who is singled out by what is told of them together."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from edged.central import risk
from edged.central.risk import SIZE, assess
from edged.cli import main
from edged.errors import ConfigError
from edged.uplink.envelope import Provenance, StreamPosition
from edged.uplink.names import Role
from edged.verdict import Kind
from tests.archives import opened, sent, store
from tests.broker import NOW, Sealer, Town, draft

if TYPE_CHECKING:
    from pathlib import Path


def people(count: int, seed: int = 1) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {
            "nationality": chance.choice(["UTO", "CHN", "FRA"]),
            "sex": chance.choice(["F", "M", None]),
            "birth_date": str(1950 + chance.randrange(30)),
            "holder": f"p{number}",
        }
        for number in range(count)
    ]


def test_every_combination_is_counted_as_a_plain_count_does() -> None:
    rows = people(400)
    names = ("nationality", "sex", "birth_date")
    found = {one.claims: one for one in assess(rows, names).combinations}
    assert len(found) == 7
    for size in range(1, SIZE + 1):
        for claims in combinations(names, size):
            groups = Counter(key for row in rows if None not in (key := tuple(row[name] for name in claims)))
            one = found[claims]
            assert (one.rows, one.groups, one.k) == (groups.total(), len(groups), min(groups.values()))
            assert one.alone == sum(1 for size in groups.values() if size == 1)
            assert sum(one.distribution.values()) == one.rows


def test_a_policy_that_leaks_by_combination_is_seen() -> None:
    """Each claim alone hides everybody; two of them together single one person out."""
    rows = [{"nationality": n, "sex": s} for n in ("UTO", "FRA") for s in "FM" for _ in range(50)]
    rows = [row for row in rows if row != {"nationality": "FRA", "sex": "M"}] + [
        {"nationality": "FRA", "sex": "M"}
    ]
    told = assess(rows)
    assert told.minimal == (("nationality", "sex"),)
    assert told.combinations[0].k == 1
    assert "holder" not in told.columns


def test_nobody_hides_behind_another_envelope_of_the_same_inspection() -> None:
    rows = [{"nationality": "UTO", "audience": name} for name in ("a", "b", "c", "d", "e")]
    (one,) = assess(rows, ["nationality"]).combinations
    assert (one.k, one.alone, one.groups, one.rows) == (1, 5, 5, 5)


def test_a_pseudonym_is_the_same_while_the_one_before_is_told_as_well() -> None:
    rows = [{"holder": {"current": "p", "previous": "q"}}, {"holder": "p"}]
    (one,) = assess(rows, ["holder"]).combinations
    assert (one.k, one.groups) == (2, 1)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert assess([]).minimal == ()
    with pytest.raises(ConfigError, match="unknown_column"):
        assess([], ["shoe_size"])
    monkeypatch.setattr(risk, "MAX_ROWS", 10)
    with pytest.raises(ConfigError, match="too_many_rows"):
        assess(people(11))
    monkeypatch.setattr(risk, "MAX_COMBINATIONS", 3)
    with pytest.raises(ConfigError, match="too_many_columns"):
        assess([], ["sex", "nationality", "birth_date"])


def test_the_command_on_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Town(tmp_path, demo=False)
    sealer = Sealer(place.signer(Role.DEVICE, "box-1"), "log-1", NOW)
    archive = str(tmp_path / "archive.sqlite")
    envelopes, last = [], None
    for seq, claims in enumerate([{"sex": "F"}] * 6 + [{"sex": "M"}], 1):
        sealed = sealer(
            draft(
                "bank", claims=claims, kind=Kind.LIVE, provenance={"camera": Provenance("uvc", None, False)}
            ),
            StreamPosition(seq, last),
        )
        last = sealed.sha256
        envelopes.append(sealed)
    with opened(archive, place.anchor) as holding:
        store(holding, place, *(sent(one) for one in envelopes))
    assert main(["privacy", "risk", "--archive", archive]) == 1
    assert "Together these single people out: sex." in capsys.readouterr().out
    assert main(["privacy", "risk", "--archive", archive, "--json", "--columns", "nationality"]) == os.EX_OK
    assert json.loads(capsys.readouterr().out)["rows"] == 7
