"""What the types of `[slip]` can't say: a place and an address that every slip's QR code has room for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edged.errors import ConfigError

if TYPE_CHECKING:
    from edged.config import BoxSettings, SlipSettings

MAX_SITE: Final = 24
"""Bytes of UTF-8: `edged.slip.facts.MAX_SITE`, a test compares."""

MAX_URL: Final = 44
"""Characters of the page's address, without `#`: with it and the longest of everything else a slip's QR code is of
version 13 at level M (a test makes them)."""

MAX_DEVICE: Final = 32
"""Characters of a terminal's name: `edged.slip.facts.MAX_DEVICE`, a test compares."""

MAX_LABEL: Final = 24
MAX_LABEL_CHARACTERS: Final = 16
"""Of what a recipient is called: `edged.slip.facts`, a test compares."""

MAX_VALID_DAYS: Final = 366
"""Status lists and the directory's former keys are kept for as long as slips hold."""

MAX_REPRINT_H: Final = 24 * 31
"""A month: nobody comes back for a copy later, and a signed slip that isn't kept can't be stolen."""

_ADDRESS: Final = re.compile(r"https://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?(/[A-Z0-9./-]*)?")


def check_slip(settings: BoxSettings) -> None:
    """Nothing without `[slip]`. Raises `ConfigError` with the path of the bad key."""
    if settings.slip is None:
        return
    try:
        _check_section(settings.slip)
    except ConfigError as error:
        raise error.within("slip", ".") from None
    for name, audience in settings.audiences.items():
        label = audience.label
        if label is not None and not _fits(label, MAX_LABEL, MAX_LABEL_CHARACTERS):
            raise ConfigError(
                f"audiences.{name}.label",
                "slip.config_label",
                bytes=str(MAX_LABEL),
                characters=str(MAX_LABEL_CHARACTERS),
            )


def _check_section(slip: SlipSettings) -> None:
    if not _fits(slip.site, MAX_SITE, MAX_SITE):
        raise ConfigError("site", "slip.config_site", bytes=str(MAX_SITE))
    if len(slip.url) > MAX_URL or not _ADDRESS.fullmatch(slip.url):
        raise ConfigError("url", "slip.config_url", most=str(MAX_URL))
    for name, value, least, most in (
        ("valid_days", slip.valid_days, 1, MAX_VALID_DAYS),
        ("reprint_h", slip.reprint_h, 0, MAX_REPRINT_H),
    ):
        if not least <= value <= most:
            raise ConfigError(name, "config.out_of_range", least=str(least), most=str(most))


def _fits(text: str, most: int, characters: int) -> bool:
    return text.isprintable() and 0 < len(text.encode()) <= most and len(text) <= characters
