"""What `edged read` says of a page beyond its MRZ: quality, print, barcodes, portrait. Raw identity included."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from edged import messages
from edged.commands._read_answer import told

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from edged.core.barcode import Barcode
    from edged.core.printed_number import CardReading
    from edged.core.quality import Quality
    from edged.core.reading import PageReading
    from edged.verdict import Check


def add_extras(answer: dict[str, Any], image: NDArray[np.uint8], reading: PageReading, lang: str) -> None:
    """Into `answer` what else the page, (H, W, 3) BGR or (H, W) grey, shows. Takes some hundred milliseconds.

    Without a document in the window its quality alone.
    """
    from edged.core import barcode
    from edged.core.quality import examine
    from edged.core.vision import grey_of

    answer["quality"] = _quality(examine(grey_of(image), reading.rows), lang)
    if not reading.document_present:
        return
    answer["portrait"] = _portrait(image, reading)
    codes = barcode.find_barcodes(image)
    answer["barcodes"] = [_barcode(code) for code in codes]
    if reading.mrz is not None:
        from edged.core.viz import read_visual_zone, visual_zone_checks

        zone = read_visual_zone(image, reading)
        answer["visual_zone"] = _checks(visual_zone_checks(reading, [zone]), lang)
        return
    refused = barcode.refusal(codes)
    if refused is not None:
        named = (told(refused, lang) if one["code"] == "reading.no_mrz" else one for one in answer["reasons"])
        answer["reasons"] = list(named)
        return
    from edged.core.printed_number import read_card_number

    answer["card_number"] = _card_number(read_card_number(image), lang)
    if "document" in answer["card_number"]:
        answer["document"] = answer["card_number"].pop("document")


def _quality(quality: Quality, lang: str) -> dict[str, Any]:
    """The measures that were taken, and the one sentence that helps most, or None."""
    from edged.core.quality import advice

    best = advice(quality)
    measured: dict[str, Any] = {"brightness": quality.brightness, "contrast": quality.contrast}
    if quality.focus is not None:
        measured["focus"] = quality.focus
    if quality.exposure is not None:
        measured |= {"burnt": quality.exposure.burnt, "glare": quality.exposure.glare}
    if quality.print is not None:
        measured["mrz"] = {
            name: _rounded(value) for name, value in quality.print._asdict().items() if name != "sides"
        }
    return {name: _rounded(value) for name, value in measured.items()} | {
        "advice": None if best is None else told(best, lang)
    }


def _rounded(value: Any) -> Any:
    return value if isinstance(value, dict) else round(float(value), 4)


def _portrait(image: NDArray[np.uint8], reading: PageReading) -> dict[str, Any] | None:
    from edged.core.portrait import find_portrait

    found = find_portrait(image, reading.rows, None if reading.mrz is None else reading.mrz.format)
    if found is None:
        return None
    return {"corners": _points(found.corners), "score": round(found.score, 3)}


def _barcode(code: Barcode) -> dict[str, Any]:
    """`content` as text where it is UTF-8, `content_base64` otherwise."""
    content = code.content.reveal()
    try:
        said = {"content": content.decode()}
    except UnicodeDecodeError:
        said = {"content_base64": base64.b64encode(content).decode()}
    return {"symbology": code.symbology, "corners": _points(code.corners)} | said


def _points(corners: Iterable[Iterable[float]]) -> list[list[float]]:
    return [[round(float(value), 1) for value in corner] for corner in corners]


def _checks(checks: Iterable[Check], lang: str) -> dict[str, Any]:
    return {
        check.name: {
            "check": str(check.result),
            "reasons": [told(reason, lang) for reason in check.reasons],
        }
        for check in checks
    }


def _card_number(read: CardReading, lang: str) -> dict[str, Any]:
    """The number's check; with a number also itself, what it belongs to, and how sure its characters are."""
    from edged.core.document_names import card_name

    answer: dict[str, Any] = _checks((read.check,), lang)[read.check.name]
    if read.number is None:
        return {"value": None} | answer
    return {
        "value": read.number.number.reveal(),
        **answer,
        "kind": str(read.number.kind),
        "confidence": round(min(read.confidence), 3),
        "document": card_name(read.number.kind, lang),
    }


def human_extras(answer: dict[str, Any], lang: str) -> list[str]:
    """Lines for people: what `add_extras` found that they'd want to know."""
    lines = []
    if (number := answer.get("card_number")) and number["value"]:
        lines.append(f"{messages.word('card_number', lang)}: {number['value']}")
    for name, one in answer.get("visual_zone", {}).items():
        if one["check"] == "undetermined" and one["reasons"][0]["code"] == "viz.not_in_mrz":
            continue
        why = "" if one["check"] == "successful" else f" – {one['reasons'][0]['text']}"
        title = messages.text(f"check_name.{name}", lang)
        lines.append(f"{title}: {messages.text('result.' + one['check'], lang)}{why}")
    if codes := answer.get("barcodes"):
        kinds = ", ".join(code["symbology"] for code in codes)
        lines.append(f"{messages.word('barcodes', lang)}: {kinds}")
    return lines
