"""What every adapter speaks: JSON lines. First `{"ready": true, "versions": {...}}`, then an answer for each request.

A request is `{"path": "/…/page.png"}`; an answer `{"lines": [...] or null, "valid": true, false or null, "ms": 12.3}`
or `{"error": "TypeName"}`. `valid` is null where the engine doesn't judge what it read. Runs in a peer's own
environment: standard library only.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time

SHAPES = {30: (3, 1), 36: (2,), 44: (2,)}
"""Width of a line -> how many lines a zone of that width has."""


def serve(read, versions):
    """Answer requests until standard input ends. `read(path)` returns (lines or None, valid or None)."""
    answers = os.fdopen(os.dup(1), "w")  # libraries that print must not break the protocol
    os.dup2(2, 1)
    print(json.dumps({"ready": True, "versions": versions}), file=answers, flush=True)
    for request in sys.stdin:
        path = json.loads(request)["path"]
        began = time.perf_counter()
        try:
            lines, valid = read(path)
            answer = {"lines": lines, "valid": valid, "ms": (time.perf_counter() - began) * 1000}
        except Exception as error:  # noqa: BLE001 (whatever a peer raises is its answer)
            ms = (time.perf_counter() - began) * 1000
            answer = {"lines": None, "valid": False, "ms": ms, "error": type(error).__name__}
        print(json.dumps(answer), file=answers, flush=True)


def zone(text_lines):
    """The lines among recognised text that look like a zone: of the right length, as many as belong together."""
    cleaned = [re.sub(r"[^A-Z0-9<]", "", line.upper().replace("«", "<<")) for line in text_lines]
    cleaned = [line for line in cleaned if line]
    for width, counts in SHAPES.items():
        for count in counts:
            for at in range(len(cleaned) - count + 1):
                group = cleaned[at : at + count]
                if all(len(line) == width for line in group) and (count > 1 or group[0].startswith("C")):
                    return group
    return None


def package(*names):
    """Versions of installed distributions."""
    from importlib.metadata import version

    return {name: version(name) for name in names}


def tesseract_version():
    """The version of the tesseract command."""
    import subprocess

    done = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
    return {"tesseract": (done.stdout or done.stderr).split()[1]}
