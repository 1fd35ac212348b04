"""Why a claim has no value, inside `edged.privacy`."""

from __future__ import annotations


class WithheldError(Exception):
    """Why one claim has no value: a code of the message catalogue. Never leaves `edged.privacy.disclosing`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
