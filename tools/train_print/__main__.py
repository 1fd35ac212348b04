"""`python -m tools.train_print`: train, then export into the package."""

from __future__ import annotations

import argparse
from pathlib import Path

from .export import export
from .train import SEED, STEPS, train


def main() -> None:
    parser = argparse.ArgumentParser(description="Rebuild the print reader that ships in edged/core/models.")
    parser.add_argument(
        "--fonts", type=Path, action="append", help="folder searched for the fonts; repeatable"
    )
    parser.add_argument("--checkpoint", type=Path, default=Path("print_lines.pt"))
    parser.add_argument("--out", type=Path, default=Path("edged/core/models/print_lines.net"))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--export-only", action="store_true", help="export the checkpoint as it is")
    args = parser.parse_args()
    if not args.export_only:
        train(args.fonts or [Path("/usr/share/fonts")], args.checkpoint, seed=args.seed, steps=args.steps)
    export(args.checkpoint, args.out)


if __name__ == "__main__":
    main()
