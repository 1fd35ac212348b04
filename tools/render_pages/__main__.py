"""Write pages to look at: `python -m tools.render_pages FOLDER --set harsh --seed 1 --pages 12 [--sheet]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from . import SETS, page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", choices=SETS, action="append", help="which sets; all without it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--sheet", action="store_true", help="a contact sheet of each set as well")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    known = []
    for name in args.set or SETS:
        thumbs = []
        for index in range(args.pages):
            made = page(name, args.seed, index)
            cv2.imwrite(str(args.folder / f"{made.name}.png"), made.image)
            known.append({**made._asdict(), "image": f"{made.name}.png"})
            scale = 480 / max(made.image.shape)
            thumb = cv2.resize(made.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            tile = np.full((480, 480, 3), 255, np.uint8)
            tile[: thumb.shape[0], : thumb.shape[1]] = thumb
            thumbs.append(tile)
        if args.sheet:
            thumbs += [np.full_like(thumbs[0], 255)] * (-len(thumbs) % 4)
            rows = [np.hstack(thumbs[at : at + 4]) for at in range(0, len(thumbs), 4)]
            cv2.imwrite(str(args.folder / f"{name}.png"), np.vstack(rows))
    (args.folder / "pages.json").write_text(json.dumps(known, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
