"""Shared by the tests of the chip's protocols: random numbers written down beforehand, a chip that reads a script."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

H = bytes.fromhex


class Written:
    """Random values in the order in which a protocol asks for them."""

    def __init__(self, scalars: Iterable[str] = (), octets: Iterable[str] = ()) -> None:
        self.scalars = [int(text.replace(" ", ""), 16) for text in scalars]
        self.texts = [H(text) for text in octets]

    def scalar(self, below: int) -> int:
        return self.scalars.pop(0)

    def octets(self, count: int) -> bytes:
        value = self.texts.pop(0)
        assert len(value) == count
        return value

    def used_up(self) -> bool:
        return not self.scalars and not self.texts


class Seeded:
    """Random values that a seed brings back."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def scalar(self, below: int) -> int:
        return self._random.randrange(1, below)

    def octets(self, count: int) -> bytes:
        return self._random.randbytes(count)


def chosen_seed() -> int:
    """The same one in every run; EDGED_SEED is another one."""
    return int(os.environ.get("EDGED_SEED") or 9303)


class Script:
    """A chip that expects each command to the octet and answers what is written beside it."""

    def __init__(self, *lines: tuple[str, str]) -> None:
        self.lines = [(H(command), H(response)) for command, response in lines]
        self.read = 0

    def __call__(self, apdu: bytes) -> bytes:
        command, response = self.lines[self.read]
        assert apdu == command, f"command {self.read}: {apdu.hex().upper()}"
        self.read += 1
        return response

    def read_out(self) -> bool:
        return self.read == len(self.lines)
