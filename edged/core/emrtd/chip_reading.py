"""What one reading of a chip came to: the files as read, and what the protocols showed. Judged by `judging`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edged.identity import Identity, withheld

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.core.emrtd.files import ElementaryFile
    from edged.verdict import Check, Reason


@withheld
class Challenge(NamedTuple):
    """Active authentication as it went over the wire, for whoever has the public key (DG15).

    Attributes:
        nonce: the 8 octets sent.
        answer: the chip's signature, None when it refused.
        sw: the status word of the answer.
    """

    nonce: bytes
    answer: bytes | None
    sw: int


class ChipReading(Identity):
    """One chip, as far as it was read.

    Attributes:
        checks: what can be said without trust data: `chip_access`, `chip_authentication` where the chip has it.
            They count only when passive authentication holds, which `edged.core.emrtd.judging` sees to.
        files: octets of every file that was read to its end, exactly as read.
        unread: files that should have been read and were not, and why. DG15 is here although it was read when its
            key couldn't be asked for a signature.
        challenge: active authentication, None when it was not done.
        aborted: why the reading ended before its time (the card was taken away, too slow), None when it didn't.
    """

    __slots__ = ("aborted", "challenge", "checks", "files", "unread")

    def __init__(
        self,
        *,
        checks: tuple[Check, ...] = (),
        files: Mapping[ElementaryFile, bytes] | None = None,
        unread: Mapping[ElementaryFile, Reason] | None = None,
        challenge: Challenge | None = None,
        aborted: Reason | None = None,
    ) -> None:
        self.checks = checks
        self.files = dict(files or {})
        self.unread = dict(unread or {})
        self.challenge = challenge
        self.aborted = aborted

    def forget(self) -> None:
        """Let go of the files: they are `bytes`, which Python doesn't let anybody overwrite."""
        self.files.clear()
