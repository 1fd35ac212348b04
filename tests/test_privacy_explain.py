"""`edged privacy explain` shows what really leaves, and the documentation has its tables from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged import cli
from edged.commands.config import EXAMPLE
from edged.core.mrz import parse_mrz
from edged.privacy.ceiling import CEILING
from edged.privacy.disclosing import disclose
from edged.privacy.leakscan import LeakScanner
from edged.privacy.policy import policy_hash
from edged.privacy.pseudonym import Pseudonymiser
from edged.privacy.ready_made import FOR_SCENE, load, names
from edged.specimens import FIXED_TODAY, shipped

PAGE = Path(__file__).parent.parent / "docs" / "policies.md"
MARK = "<!-- edged privacy explain --markdown --show-specimen -->\n"


def explained(capsys: pytest.CaptureFixture[str], *given: str) -> dict[str, Any]:
    assert cli.main(["privacy", "explain", "--json", *given]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_it_shows_what_is_disclosed(capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(capsys)
    specimen = next(one for one in shipped() if one.name == "passport")
    assert specimen.expected is not None
    assert specimen.expected.lines is not None
    document = parse_mrz(specimen.expected.lines, today=FIXED_TODAY)
    assert [one["audience"] for one in found["audiences"]] == list(names())
    for one in found["audiences"]:
        policy = load(one["audience"])
        key = Pseudonymiser(bytes(32), f"box:{one['audience']}")
        made = disclose(document, policy, pseudonyms=key, today=FIXED_TODAY, consent=True)
        assert one["sha256"] == policy_hash(policy)
        assert [claim["claim"] for claim in one["claims"]] == list(CEILING)
        for claim in one["claims"]:
            assert claim["value"] == made.get(claim["claim"])
            assert (claim["action"] == "drop") == (claim["claim"] not in made)


@pytest.mark.parametrize("form", ["--json", "--markdown", None])
def test_nothing_raw_is_shown_unless_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], form: str | None
) -> None:
    given = ["privacy", "explain", "--scene", "bank", *([form] if form else [])]
    specimen = next(one for one in shipped() if one.name == "passport")
    assert specimen.expected is not None
    assert specimen.expected.lines is not None
    scanner = LeakScanner.for_documents([parse_mrz(specimen.expected.lines, today=FIXED_TODAY)])
    assert cli.main(given) == 0
    assert scanner.scan(capsys.readouterr().out.encode()) == []
    assert cli.main([*given, "--show-specimen"]) == 0
    assert "ERIKSSON" in capsys.readouterr().out


def test_a_scene_has_its_own_recipients(capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(capsys, "--scene", "hotel", "--specimen", "permit-two-sides")
    assert tuple(one["audience"] for one in found["audiences"]) == FOR_SCENE["hotel"]


def test_a_box_has_its_own_recipients(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edged.toml"
    file.write_text(EXAMPLE, encoding="utf-8")
    found = explained(capsys, "--config", str(file))
    assert [one["audience"] for one in found["audiences"]] == ["central", "first-bank"]
    named = EXAMPLE.replace('\nscenes = ["bank"]\n', '\nscenes = ["bank"]\nlabel = "First Bank"\n', 1)
    file.write_text(named, encoding="utf-8")
    found = explained(capsys, "--config", str(file))
    assert [one["audience"] for one in found["audiences"]] == ["central", "First Bank"]


def test_a_specimen_that_cannot_be_read_withholds_everything(capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(capsys, "--policy", "transport", "--specimen", "nothing")
    (one,) = found["audiences"]
    named = [claim for claim in one["claims"] if claim["action"] != "drop"]
    assert named
    assert all((claim["value"], claim["withheld"]) == (None, "claim.not_read") for claim in named)


@pytest.mark.parametrize(
    "given", [("--policy", "none"), ("--scene", "casino"), ("--specimen", "none"), ("--config", "/none")]
)
def test_what_there_is_not(capsys: pytest.CaptureFixture[str], given: tuple[str, str]) -> None:
    assert cli.main(["privacy", "explain", *given]) == 78
    assert given[0] in capsys.readouterr().err or given[0] == "--config"


def test_the_documentation_is_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["privacy", "explain", "--markdown", "--show-specimen", "--lang", "en"]) == 0
    made = capsys.readouterr().out.strip()
    there = PAGE.read_text(encoding="utf-8").partition(MARK)[2].strip()
    assert there == made, "run python -m tests.test_privacy_explain"


if __name__ == "__main__":
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        cli.main(["privacy", "explain", "--markdown", "--show-specimen", "--lang", "en"])
    page = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{page}{MARK}\n{out.getvalue().strip()}\n", encoding="utf-8")
