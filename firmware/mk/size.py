"""How much flash and RAM images take, against a budget: `size.py BUDGET.toml SIZE-PROGRAM NAME=IMAGE.elf…`.

Exits with 1 when an image is over its budget or has none.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path


def measure(program: str, image: str) -> tuple[int, int]:
    """Flash and RAM of an image in octets, by `size -B`: what is neither code nor data is the stack and cleared RAM."""
    done = subprocess.run([program, "-B", image], capture_output=True, text=True, check=True)
    text, data, bss = map(int, done.stdout.splitlines()[1].split()[:3])
    return text + data, data + bss


def main(budget_file: str, program: str, *images: str) -> int:
    """Print a line an image; how many are over their budget."""
    budget = tomllib.loads(Path(budget_file).read_text(encoding="utf-8"))
    over = 0
    print(f"{'image':<24}{'flash':>8}{'of':>8}{'RAM':>8}{'of':>8}")
    for name, image in (one.split("=", 1) for one in images):
        flash, ram = measure(program, image)
        allowed = budget.get(name)
        if allowed is None:
            print(f"{name:<24}{flash:>8}{'?':>8}{ram:>8}{'?':>8}  has no budget: add it to {budget_file}")
            over += 1
            continue
        fits = flash <= allowed["flash"] and ram <= allowed["ram"]
        print(
            f"{name:<24}{flash:>8}{allowed['flash']:>8}{ram:>8}{allowed['ram']:>8}"
            + ("" if fits else f"  over its budget: make it smaller, or raise {budget_file} and say why")
        )
        over += not fits
    return over


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
