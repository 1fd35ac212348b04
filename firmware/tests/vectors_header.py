"""vectors.json as a C header: `python3 vectors_header.py vectors.json vectors.h`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PINS = ("button", "document", "cover", "lamp_current_bad", "presence_blind", "temperature", "supply")


def octets(text: str | None) -> str:
    """Octets and their number; a text that is None stands for any."""
    if text is None:
        return "{NULL, 0, true}"
    values = ",".join(str(value) for value in bytes.fromhex(text))
    return f"{{OCTETS({values}), {len(text) // 2}, false}}" if values else "{NULL, 0, false}"


def frame(vector: dict) -> str:
    """A frame; its payload may be any."""
    header = ", ".join(str(vector[key]) for key in ("kind", "session", "seq", "ack"))
    return f"{{{header}, {octets(vector['payload'])}}}"


def listed(kind: str, items: list[str]) -> str:
    """An array and its length."""
    return f"(const struct {kind}[]){{{', '.join(items)}}}, {len(items)}" if items else "NULL, 0"


def name(vector: dict) -> str:
    """Its name, as C writes it."""
    return json.dumps(vector["name"])


def link_step(step: dict) -> str:
    """A step of a link."""
    said = listed("vector_frame", [frame(each) for each in step["say"]])
    return f"{{{step['at_ms']}, {octets(step['hear'])}, {said}}}"


def talk_step(step: dict) -> str:
    """A step of a conversation."""
    changes = ", ".join(f"{{PIN_{key.upper()}, {value}}}" for key, value in step["pins"].items())
    assert set(step["pins"]) <= set(PINS), step
    change = f"(const struct vector_pin[]){{{changes}}}, {len(step['pins'])}" if changes else "NULL, 0"
    said = listed("vector_octets", [octets(each) for each in step["say"]])
    return f"{{{step['at_ms']}, {change}, {octets(step['ask'])}, {said}}}"


def talks(vectors: list[dict], kind: str, step: Callable[[dict], str]) -> str:
    """Vectors that have steps."""
    rows = (
        f"    {{{name(each)}, {listed(kind, [step(one) for one in each['steps']])}, {each['until_ms']}}},\n"
        for each in vectors
    )
    return "".join(rows)


def delivered(stream: dict) -> str:
    """The frames that a stream delivers."""
    return listed("vector_frame", [frame(one) for one in stream["delivered"]])


def header(vectors: dict) -> str:
    """The whole header."""
    frames = "".join(
        f"    {{{name(each)}, {frame(each)}, {octets(each['line'])}}},\n" for each in vectors["frames"]
    )
    streams = "".join(
        f"    {{{name(each)}, {octets(each['line'])}, {delivered(each)}, {each['damaged']}}},\n"
        for each in vectors["streams"]
    )
    links = talks(vectors["links"], "vector_link_step", link_step)
    spoken = talks(vectors["messages"] + vectors["limits"], "vector_talk_step", talk_step)
    return (
        "/* Made of vectors.json by vectors_header.py. */\n"
        f"static const struct vector_line vector_lines[] = {{\n{frames}}};\n"
        f"static const struct vector_stream vector_streams[] = {{\n{streams}}};\n"
        f"static const struct vector_link vector_links[] = {{\n{links}}};\n"
        f"static const struct vector_talk vector_talks[] = {{\n{spoken}}};\n"
    )


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(header(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")
