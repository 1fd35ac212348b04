"""The development corpus of real specimen images, where it is at hand: floors that must not fall."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.corpus import CORPUS, needs_corpus

ROOT = Path(__file__).parents[1]


@needs_corpus
def test_the_corpus_reads_and_nothing_wrong_is_valid():
    spec = importlib.util.spec_from_file_location("reading_benchmark", ROOT / "benchmarks" / "reading.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    table = benchmark.report(benchmark.examine(benchmark.items(CORPUS), 0))["all"]
    assert table["wrong_as_valid"] == 0
    assert table["exact"] >= 0.93 * table["positives"]
    assert table["right_but_not_valid"] <= 0.1 * table["positives"]
