"""Other parsers of MRZ text, each in a virtual environment of its own, as the measure of ours.

`measure` makes the environment (build/peers/<name>), gives the peer the lines and returns what it did. Run by the
peer's own Python, this file is the worker. Only the peers' text parsers run: what they import for images and never
touch for text is put in place as empty modules, so that nothing large need be installed. Nothing of theirs is part
of edged.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import time
import types
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[list[str]], tuple[bool, str, str]]
    """Lines to (valid, document number, surname)."""

ROOT = Path(__file__).resolve().parents[1]
PEERS = ("mrz", "passporteye", "fastmrz")
FORMATS = ("TD1", "TD2", "TD3", "MRVA", "MRVB")
"""The layouts that peers know, too."""
ROUNDS, REPEAT = 5, 10


def measure(name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The peer's version, rate a second, and how often it was right; {"error": …} when it can't be had or run."""
    python = ROOT / "build/peers" / name / "bin/python"
    installed = (
        subprocess.run([python, "-m", "pip", "show", "-q", name], check=False, capture_output=True)
        if python.exists()
        else None
    )
    if installed is None or installed.returncode:
        venv.create(python.parents[1], with_pip=True, clear=True)
        made = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--no-input", "--no-deps", name],
            check=False,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            return {"error": "could not be installed"}
    ran = subprocess.run(
        [python, __file__, name],
        check=False,
        input=json.dumps(entries),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if ran.returncode:
        return {"error": (ran.stderr.strip().splitlines() or ["no output"])[-1]}
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def mrz() -> Parse:
    checkers = {}
    for module, format_ in (
        ("td1", "TD1"),
        ("td2", "TD2"),
        ("td3", "TD3"),
        ("mrva", "MRVA"),
        ("mrvb", "MRVB"),
    ):
        loaded = importlib.import_module(f"mrz.checker.{module}")
        checkers[format_] = getattr(loaded, f"{format_}CodeChecker")

    def parse(lines: list[str]) -> tuple[bool, str, str]:
        visa = lines[0][0] == "V"
        format_ = {90: "TD1", 72: "MRVB" if visa else "TD2", 88: "MRVA" if visa else "TD3"}[
            sum(map(len, lines))
        ]
        checker = checkers[format_]("\n".join(lines))
        fields = checker.fields()
        return bool(checker), fields.document_number, fields.surname

    return parse


def passporteye() -> Parse:
    where = importlib.util.find_spec("passporteye").submodule_search_locations[0]  # type: ignore[union-attr,index]
    spec = importlib.util.spec_from_file_location("text", f"{where}/mrz/text.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]

    def parse(lines: list[str]) -> tuple[bool, str, str]:
        found = module.MRZ(lines)
        fields = found.to_dict()
        return found.valid, fields.get("number", "").rstrip("<"), fields.get("surname", "")

    return parse


def fastmrz() -> Parse:
    for name in ("cv2", "numpy", "pytesseract", "PIL", "PIL.Image"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["PIL"].Image = sys.modules["PIL.Image"]  # type: ignore[attr-defined]
    reader = importlib.import_module("fastmrz").FastMRZ
    self = reader.__new__(reader)  # its __init__ loads the model that finds MRZs in images

    def parse(lines: list[str]) -> tuple[bool, str, str]:
        fields = self.get_details("\n".join(lines), input_type="text")
        return fields.get("status") == "SUCCESS", fields.get("document_number", ""), fields.get("surname", "")

    return parse


def main(name: str) -> None:
    entries = json.load(sys.stdin)
    parse: Parse = {"mrz": mrz, "passporteye": passporteye, "fastmrz": fastmrz}[name]()
    valid = right = 0
    for entry in entries:
        try:
            found = parse(entry["lines"])
        except Exception:  # noqa: BLE001 - a peer that trips over a specimen is wrong about it
            continue
        valid += found[0]
        right += found == (True, entry["number"], entry["surname"])
    best = 0.0
    for _ in range(ROUNDS):
        start = time.process_time()
        for entry in entries * REPEAT:
            with contextlib.suppress(Exception):
                parse(entry["lines"])
        best = max(best, len(entries) * REPEAT / (time.process_time() - start))
    version = importlib.metadata.version(name)
    print(json.dumps({"version": version, "per_second": best, "valid": valid, "right": right}))


if __name__ == "__main__":
    main(sys.argv[1])
