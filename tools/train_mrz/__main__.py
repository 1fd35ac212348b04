"""`python -m tools.train_mrz`: train, then export into the package."""

from __future__ import annotations

from .command import rebuild
from .train import RECIPE

if __name__ == "__main__":
    rebuild(RECIPE, what="the MRZ line reader", model="mrz_lines")
