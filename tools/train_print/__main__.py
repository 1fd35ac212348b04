"""`python -m tools.train_print`: train, then export into the package."""

from __future__ import annotations

from tools.train_mrz.command import rebuild

from .train import RECIPE

if __name__ == "__main__":
    rebuild(RECIPE, what="the print reader", model="print_lines")
