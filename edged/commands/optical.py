"""`edged optical measure|fit|show`: learn what genuine documents look like under a reader model's lamps.

`measure` turns frames into numbers that hold no identity, `fit` turns a reader model's numbers into thresholds, `show`
says what a thresholds file rests on. No picture is ever written.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edged import messages, process
from edged.errors import DecodeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.core.optical import Features
    from edged.core.optical_fit import Thresholds

_LIGHTS: Final = re.compile(r"(?i)^(?P<base>.*?)[-_ .]?(?P<light>white|vis|ir|uv)$")
_MOST_MANIFEST: Final = 8 * 1024 * 1024
_MOST_SAMPLES: Final = 64 * 1024 * 1024
"""Bytes of a manifest and of a file of features: a hundred thousand documents' each."""


class FrameSet(NamedTuple):
    """Files of one document: white light, and those of infrared and ultraviolet that there are."""

    white: Path
    ir: Path | None = None
    uv: Path | None = None


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a manifest: files relative to it."""

    white: str
    ir: str | None = None
    uv: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`measure FILE...`, `fit --model NAME SAMPLES...`, `show FILE`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="measure|fit|show")
    measure = actions.add_parser("measure", help="help.optical.measure", description="help.optical.measure")
    measure.add_argument("files", nargs="*", type=Path, metavar="FILE", help="help.optical.files")
    measure.add_argument("--manifest", type=Path, metavar="FILE", help="help.optical.manifest")
    fit = actions.add_parser("fit", help="help.optical.fit", description="help.optical.fit")
    fit.add_argument("samples", nargs="+", type=Path, metavar="SAMPLES", help="help.optical.samples")
    fit.add_argument("--model", required=True, type=_model, metavar="NAME", help="help.optical.model")
    fit.add_argument("--out", type=Path, metavar="FILE", help="help.optical.out")
    show = actions.add_parser("show", help="help.optical.show", description="help.optical.show")
    show.add_argument("file", type=Path, metavar="FILE", help="help.optical.file")
    show.add_argument("--json", action="store_true", help="help.json")


def _model(name: str) -> str:
    import argparse

    from edged.core.optical_fit import MODEL_NAME

    if not re.fullmatch(MODEL_NAME, name):
        raise argparse.ArgumentTypeError("usage.bad_model")
    return name


def run(args: argparse.Namespace) -> int:
    """EX_OK; EX_DATAERR when a set of frames could not be measured or a file isn't what it should be."""
    if args.action == "measure":
        return _measure(args)
    if args.action == "fit":
        return _fit(args)
    return _show(args)


def _measure(args: argparse.Namespace) -> int:
    import cv2  # noqa: F401 - see forbid_core_dumps

    process.forbid_core_dumps()
    if not args.files and args.manifest is None:
        said = messages.text("usage.required", args.lang, names="FILE, --manifest")
        print(f"edged optical measure: {said}", file=sys.stderr)
        return os.EX_USAGE
    sets = [*group(args.files), *(_manifest(args.manifest) if args.manifest else ())]
    code = os.EX_OK
    for one in sets:
        try:
            features = features_of(one)
        except DecodeError as error:
            said = messages.text(error.code, args.lang, **error.params)
            print(f"{ascii(str(one.white))[1:-1]}: {said}", file=sys.stderr)
            code = os.EX_DATAERR
        else:
            print(msgspec.json.encode(features).decode(), flush=True)
    return code


def group(files: list[Path]) -> list[FrameSet]:
    """Files by document: `x.jpg` or `x-white.jpg`, with `x-ir.jpg` (`xIR.jpg`, `x_ir.png`) and `x-uv.jpg` beside it.

    A name that only happens to end like a light stands for white light when there is no such other file.
    """
    parts = {path: _LIGHTS.match(path.stem) for path in files}
    bases = {path.parent / path.stem for path, part in parts.items()} | {
        path.parent / part["base"]
        for path, part in parts.items()
        if part is not None and part["light"].lower() in ("white", "vis")
    }
    sets: dict[Path, dict[str, Path]] = {}
    for path, part in parts.items():
        if part is not None and part["base"] and path.parent / part["base"] in bases:
            light = part["light"].lower()
            sets.setdefault(path.parent / part["base"], {})["white" if light == "vis" else light] = path
        else:
            sets.setdefault(path.parent / path.stem, {})["white"] = path
    return [FrameSet(s["white"], s.get("ir"), s.get("uv")) for s in sets.values() if "white" in s]


def _manifest(path: Path) -> Iterator[FrameSet]:
    data = _bytes(path, _MOST_MANIFEST, "optical.bad_manifest")
    for line in data.splitlines():
        if not line.strip():
            continue
        try:
            entry = msgspec.json.decode(line, type=_Entry)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError("optical manifest", "optical.bad_manifest") from error
        at = path.parent
        yield FrameSet(
            at / entry.white,
            None if entry.ir is None else at / entry.ir,
            None if entry.uv is None else at / entry.uv,
        )


def features_of(frames: FrameSet) -> Features:
    """The features of one document's files. Raises `DecodeError` when one is no image or no MRZ was read."""
    from edged.core.image import MAX_BYTES, decode_image
    from edged.core.optical import measure
    from edged.core.portrait import find_portrait
    from edged.core.reading import read_page
    from edged.events import Light

    files = {Light.WHITE: frames.white, Light.IR: frames.ir, Light.UV: frames.uv}
    pictures = {
        light: decode_image(_bytes(path, MAX_BYTES, "image.too_large"))
        for light, path in files.items()
        if path is not None
    }
    reading = read_page(pictures[Light.WHITE], today=datetime.now().astimezone().date())
    if reading.mrz is None:
        raise DecodeError("image", "optical.no_mrz")
    state = reading.mrz.issuing_state.strip("<")
    return measure(
        pictures,
        reading.rows,
        reading.mrz.format,
        portrait=find_portrait(pictures[Light.WHITE], reading.rows, reading.mrz.format),
        issuer=state if reading.valid and re.fullmatch("[A-Z]{1,3}", state) else None,
    )


def _bytes(path: Path, most: int, code: str) -> bytes:
    """A file's bytes. Raises `DecodeError` with `code` for more than `most`, `OSError` when it can't be read."""
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DecodeError("file", code)
    return data


def _fit(args: argparse.Namespace) -> int:
    from edged.core.optical_fit import encode, fit

    thresholds = fit(_samples(args.samples), args.model)
    out = args.out or Path(f"{args.model}.optical.json")
    _write(out, encode(thresholds))
    _print(thresholds, args.lang)
    print(messages.text("optical.written", args.lang, file=ascii(str(out))[1:-1]))
    return os.EX_OK


def _samples(files: list[Path]) -> Iterator[Features]:
    from edged.core.optical_fit import decode_capture

    for path in files:
        for line in _bytes(path, _MOST_SAMPLES, "optical.too_many").splitlines():
            if line.strip():
                yield decode_capture(line)


def _write(out: Path, data: bytes) -> None:
    """All of it or nothing: a daemon may be reading the file."""
    with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(out)


def _show(args: argparse.Namespace) -> int:
    from edged.core.optical_fit import MOST_BYTES, decode

    thresholds = decode(_bytes(args.file, MOST_BYTES, "optical.bad_thresholds"))
    if args.json:
        print(msgspec.json.encode(thresholds).decode())
    else:
        _print(thresholds, args.lang)
    return os.EX_OK


def _print(thresholds: Thresholds, lang: str) -> None:
    """What a reader model's thresholds rest on, for people."""
    from edged.core.optical_fit import LEAST_CAPTURES, LEAST_ISSUERS, SIDES

    print(
        messages.text(
            "optical.rests_on",
            lang,
            model=thresholds.reader_model,
            captures=thresholds.captures,
            issuers=thresholds.issuers,
        )
    )
    for side in SIDES:
        bound = thresholds.bound(side.feature, side.high)
        if bound is None:
            said = messages.text("optical.bound_missing", lang)
        else:
            said = messages.text(
                "optical.bound_above" if bound.high else "optical.bound_below",
                lang,
                limit=f"{bound.limit:.3f}",
                captures=bound.captures,
                confidence=f"{100 * bound.confidence:.1f}",
            )
        print(f"  {side.check:<18} {side.feature:<14} {said}")
    if len(thresholds.bounds) < len(SIDES):
        print(messages.text("optical.needs", lang, captures=LEAST_CAPTURES, issuers=LEAST_ISSUERS))
