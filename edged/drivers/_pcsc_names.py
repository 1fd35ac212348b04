"""Which of the readers that PC/SC lists is the one for chips: names are all there is to go by.

pcsc-lite names a reader after its USB strings: device, interface in square brackets, serial number in round ones, then
the numbers of device and slot. A device with several slots is several readers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAM: Final = re.compile(r"\bSAM\b|\bSAM[ _-]?\d|\bSIM[ _-]?(card|slot|reader|\d)", re.IGNORECASE)
_CONTACTLESS: Final = re.compile(
    r"contact-?less|\bPICC|\bRF(ID)?\b|\bNFC\b|\bprox|\bCL\b|\d\dCL\b|\bPaypass\b", re.IGNORECASE
)
_CONTACT: Final = re.compile(r"\bcontact(?!-?less)|\bICC\b", re.IGNORECASE)
_INTERFACE: Final = re.compile(r"\[([^\]]*)\]")
_SLOT: Final = re.compile(r" [0-9A-F]{2} [0-9A-F]{2}$")
_VIRTUAL: Final = re.compile(r"virtual|emulat|simulat|\bvpcd\b", re.IGNORECASE)


def choose(names: Iterable[str], wanted: str = "") -> str | None:
    """The reader to use among `names`; None when there is none.

    `wanted` is a part of its name, in any case: the configured one. Slots for security modules (SAM) never are. A slot
    that says it is contactless comes before one that says nothing, and that before one with contacts; then the order
    in which they are listed counts.
    """
    fitting = [name for name in names if wanted.casefold() in name.casefold() and not is_sam(name)]
    return min(fitting, key=_rank, default=None)


def is_sam(name: str) -> bool:
    """Whether it is the slot of a security module, where no document goes."""
    return _SAM.search(name) is not None


def is_virtual(name: str) -> bool:
    """Whether it is made of software: what it reads proves nothing about a document at the counter."""
    return _VIRTUAL.search(name) is not None


def _rank(name: str) -> int:
    """The interface is the slot; the device's own name only counts where there is no word on the slot."""
    slot = _SLOT.sub("", name)
    for part in (*reversed(_INTERFACE.findall(slot)), slot):
        if _CONTACT.search(part):
            return 2
        if _CONTACTLESS.search(part):
            return 0
    return 1
