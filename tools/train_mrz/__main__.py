"""`python -m tools.train_mrz`: train, then export into the package."""

from __future__ import annotations

import argparse
from pathlib import Path

from .export import export
from .train import SEED, STEPS, train


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Rebuild the MRZ line reader that ships in edged/core/models."
    )
    parser.add_argument(
        "--fonts", type=Path, action="append", help="folder searched for the fonts; repeatable"
    )
    parser.add_argument("--checkpoint", type=Path, default=Path("mrz_lines.pt"))
    parser.add_argument("--out", type=Path, default=Path("edged/core/models/mrz_lines.net"))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    train(args.fonts or [Path("/usr/share/fonts")], args.checkpoint, seed=args.seed, steps=args.steps)
    export(args.checkpoint, args.out)


if __name__ == "__main__":
    main()
