"""The portrait of an ID card, for whoever has a licensed decoder: its format (WLT) is closed, and no open one exists.

A decoder is a Python entry point of the group `edged.id_card_photo`: a callable that is given the photo's octets and
returns a picture, (height, width, 3) uint8, blue first. Without one a photo stays what it is: octets that nobody reads.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from edged import log
from edged.errors import ConfigError, DecodeError
from edged.identity import Sensitive

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from edged.core.id_card import IdCardPhoto

    PhotoDecoder = Callable[[bytes], "NDArray[np.uint8]"]

GROUP: Final = "edged.id_card_photo"

MAX_SIDE: Final = 1024
"""Pixels. The chip's photo has 102 × 126; a decoder that says more than this isn't one."""


def find_decoder() -> PhotoDecoder | None:
    """The decoder that is installed; None when there is none: photos are not supported.

    Raises `ConfigError` when there are several, or when the one can't be loaded.
    """
    found = entry_points(group=GROUP)
    names = sorted({one.name for one in found})
    if not names:
        return None
    if len(names) > 1:
        raise ConfigError(GROUP, "idcard.several_decoders", names=", ".join(names))
    try:
        decoder: Any = found[names[0]].load()
    except Exception as error:  # noqa: BLE001 - a stranger's package: its import may raise anything
        log.get("id_card").error("the decoder of ID-card photos can't be loaded", exc_info=error)
        raise ConfigError(GROUP, "idcard.decoder_unusable", names=names[0]) from None
    if not callable(decoder):
        raise ConfigError(GROUP, "idcard.decoder_unusable", names=names[0])
    return decoder  # type: ignore[no-any-return]


def decode_photo(photo: IdCardPhoto, decoder: PhotoDecoder | None) -> Sensitive[NDArray[np.uint8]] | None:
    """The portrait; None without a decoder. Blocks as long as the decoder does: call it in a thread.

    Raises `DecodeError("photo", "idcard.photo_unreadable")` when the decoder fails, whatever it raises: its text may
    quote the photo.
    """
    import numpy as np

    if decoder is None:
        return None
    made: Any = None
    try:
        made = decoder(bytes(photo.reveal()))
    except Exception as error:  # noqa: BLE001 - a stranger's code
        log.get("id_card").warning("the decoder of ID-card photos failed", error=type(error).__name__)
    if (
        not isinstance(made, np.ndarray)
        or made.dtype != np.uint8
        or made.ndim != 3
        or made.shape[2] != 3
        or not all(1 <= side <= MAX_SIDE for side in made.shape[:2])
    ):
        raise DecodeError("photo", "idcard.photo_unreadable")
    return Sensitive(made)
