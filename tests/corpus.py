"""Real images of specimen documents, where a machine has them; tests that want them skip where it hasn't."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("EDGED_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus")

needs_corpus = pytest.mark.skipif(
    not (CORPUS / "corpus.json").exists(),
    reason="no corpus of real images here; EDGED_CORPUS names its folder",
)
