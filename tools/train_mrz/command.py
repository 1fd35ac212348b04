"""The command that rebuilds a network of `edged/core/models`: train, then export into the package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .export import export
from .train import train

if TYPE_CHECKING:
    from .train import Recipe


def rebuild(recipe: Recipe, *, what: str, model: str) -> None:
    """The command line's work: `what` is the network's name for people, `model` that of its file without the ending."""
    parser = argparse.ArgumentParser(description=f"Rebuild {what} that ships in edged/core/models.")
    parser.add_argument(
        "--fonts", type=Path, action="append", help="folder searched for the fonts; repeatable"
    )
    parser.add_argument("--checkpoint", type=Path, default=Path(f"{model}.pt"))
    parser.add_argument("--out", type=Path, default=Path(f"edged/core/models/{model}.net"))
    parser.add_argument("--seed", type=int, default=recipe.seed)
    parser.add_argument("--steps", type=int, default=recipe.steps)
    parser.add_argument("--export-only", action="store_true", help="export the checkpoint as it is")
    args = parser.parse_args()
    if not args.export_only:
        fonts = args.fonts or [Path("/usr/share/fonts")]
        train(recipe, fonts, args.checkpoint, seed=args.seed, steps=args.steps)
    export(recipe, args.checkpoint, args.out)
