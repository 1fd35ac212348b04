"""What a driver may say of its device, whoever makes it: each has a sentence that tells what to do next.

A driver from outside has no sentences of its own: it says one of these, and what only its maker understands as the
error's `detail`, which stands behind the sentence in brackets and never has anything of a document in it.
"""

from __future__ import annotations

from typing import Final

UNPLUGGED: Final = "device.unplugged"
FAILED: Final = "device.failed"
HELD: Final = "device.held"
NOT_ALLOWED: Final = "device.not_allowed"
NO_LIBRARY: Final = "device.no_library"
NO_SUCH_LIGHT: Final = "device.no_such_light"
COVER_OPEN: Final = "device.cover_open"
TOO_HOT: Final = "device.too_hot"

ANY: Final = frozenset({UNPLUGGED, FAILED, HELD, NOT_ALLOWED, NO_LIBRARY, NO_SUCH_LIGHT, COVER_OPEN, TOO_HOT})
