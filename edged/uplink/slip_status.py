"""Which slips hold no more: each device's own signed list, and the centre's, merged of them all.

Takes time as an argument, does no I/O.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

SlipNumber = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{12}$(?!\n)")]
"""Twelve figures and letters of Crockford's base 32, as printed, without the spaces."""
