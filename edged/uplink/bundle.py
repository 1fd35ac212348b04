"""The bundle on `…/{device}/desired`: all that a box needs to verify and apply one push, in one retained message.

TUF metadata files and the small target files they vouch for (the box's configuration, its audiences' documents, the
fleet's authorities), as text. It proves nothing itself: `edged.pushed.verifying` does, with the box's own TUF state.
Larger targets are artefacts and come in chunks.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from edged.errors import DecodeError
from edged.uplink.fields import decoder

MAX_BUNDLE: Final = 60 * 1024
"""Bytes: a bundle travels in one MQTT packet, whose bound is `edged.uplink.mqtt_types.MAX_PACKET`."""

MAX_FILES: Final = 128
"""Metadata files, and target files, at most: roots since the box's own, and an audience's document each."""

FileName = Annotated[
    str,
    msgspec.Meta(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$(?!\n)", max_length=160),
]

Files = Annotated[dict[FileName, str], msgspec.Meta(max_length=MAX_FILES)]


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`metadata`: file name (`2.root.json`, `timestamp.json`) to text; `targets`: target path to text."""

    format: Literal[1]
    metadata: Files
    targets: Files


def encode_bundle(metadata: dict[str, bytes], targets: dict[str, bytes]) -> bytes:
    """The message. Raises `ValueError` when it would be larger than a box takes."""
    bundle = Bundle(
        1,
        {name: data.decode() for name, data in metadata.items()},
        {name: data.decode() for name, data in targets.items()},
    )
    data = msgspec.json.encode(bundle, order="deterministic")
    if len(data) > MAX_BUNDLE:
        raise ValueError(f"a push has {len(data)} bytes; a box takes {MAX_BUNDLE} at most")
    decode_bundle(data)
    return data


def decode_bundle(data: bytes) -> Bundle:
    """Raises `DecodeError`: `push.too_large`, `push.malformed`."""
    if len(data) > MAX_BUNDLE:
        raise DecodeError("push", "push.too_large")
    try:
        return decoder(Bundle).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DecodeError("push", "push.malformed") from None
