"""A command that the card refuses."""

from __future__ import annotations


class RefusedError(Exception):
    """`sw` is the status word to answer with."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw
