"""Draw all specimens, or the named ones, with their JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2

from tools.render_specimens import fonts
from tools.render_specimens.catalogue import plans

QUALITY = 82


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.render_specimens", description=__doc__)
    parser.add_argument(
        "outdir", type=Path, help="folder to write to (edged/specimens to refresh what is shipped)"
    )
    parser.add_argument("names", nargs="*", help="only these specimens")
    args = parser.parse_args()
    if missing := fonts.missing():
        parser.error(f"fonts missing: {', '.join(missing)}; apt-get install {fonts.PACKAGES}")
    args.outdir.mkdir(parents=True, exist_ok=True)
    chosen = [
        (place, plan) for place, plan in enumerate(plans(), 1) if not args.names or plan.name in args.names
    ]
    if len(chosen) < len(set(args.names)):
        parser.error(f"there are only: {', '.join(plan.name for plan in plans())}")
    total = 0
    for place, plan in chosen:
        for file, image in zip(plan.files(), plan.render(), strict=True):
            done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            assert done
            (args.outdir / file).write_bytes(data.tobytes())
            total += data.size
            print(f"{file}: {data.size / 1000:.0f} kB")
        text = json.dumps(plan.describe(place), ensure_ascii=False, indent=2)
        (args.outdir / f"{plan.name}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(chosen)} specimens, {total / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
