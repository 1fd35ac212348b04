"""What a state puts into a chip: its files, and the keys that never leave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edged.identity import Identity

if TYPE_CHECKING:
    from edged.core.emrtd.files import ElementaryFile
    from edged.core.emrtd.suites import Suite
    from edged.emulator.groups import Group


@dataclass(frozen=True)
class PaceOffer:
    """One way of PACE that a chip has.

    Attributes:
        oid: the protocol, dotted.
        mapping: "GM", "IM" or "CAM".
        parameter: the identifier of the standardised domain parameters (Doc 9303-11 §9.5.1).
    """

    oid: str
    mapping: Literal["GM", "IM", "CAM"]
    suite: Suite
    parameter: int
    group: Group


@dataclass(frozen=True, repr=False)
class AgreementKey:
    """A static key pair of chip authentication, or of PACE with chip authentication mapping.

    Attributes:
        number: its key identifier, None when the chip has no other.
        oid: of the chip authentication protocol, dotted.
    """

    group: Group
    private: int
    oid: str
    suite: Suite
    number: int | None = None

    def public(self) -> bytes:
        """The public key as it is sent."""
        return self.group.encode(self.group.times(self.group.generator(), self.private))


@dataclass(frozen=True, repr=False)
class SigningKey:
    """A key pair of active authentication.

    Attributes:
        key: `cryptography`'s private key, RSA or elliptic curve.
        digest: its hash algorithm's name ("sha1", "sha256", …).
        der: whether ECDSA signatures are DER instead of r ‖ s (documents that do exist, the specification has none).
    """

    key: Any
    digest: str = "sha256"
    der: bool = False


@dataclass(frozen=True)
class Conduct:
    """How a chip behaves where the specification leaves room, or where chips in the field don't keep to it.

    Attributes:
        extended: whether it takes extended length.
        extended_octets: the most it answers in one extended response.
        counts_refused: how far the send sequence counter moves when an extended command is refused in clear: 0 (some
            PRC passports), 1 or 2; None when the refusal is protected and counts as any answer.
        most_read: the most that may be asked for in one Read Binary; beyond it `too_much` is answered.
        too_much: the status word for it.
        warns_of_end: reading across the end of a file answers 6282 with what there is, instead of 9000.
        needs_parameter: PACE's MSE:Set AT without the parameter identifier is refused with 6A88.
        tries: how often a wrong password may be tried before the counter stands at one; None when it isn't counted.
            Neither MRZ nor CAN ever blocks a chip (Doc 9303-11 §4.4.2).
    """

    extended: bool = True
    extended_octets: int = 4096
    counts_refused: int | None = 0
    most_read: int | None = None
    too_much: int = 0x63CF
    warns_of_end: bool = False
    needs_parameter: bool = False
    tries: int | None = None


class Personalised(Identity):
    """A chip's contents.

    Attributes:
        files: octets of every file; EF.CardAccess and EF.CardSecurity lie under the master file.
        mrz_information: the MRZ's password (Doc 9303-11 §4.3.2), which BAC and PACE use.
        can: the card access number, None when there is none.
        bac: whether the chip does basic access control.
        pace: what it offers, in the order of EF.CardAccess.
        mapping_key: the key pair of PACE-CAM, whose public half is in EF.CardSecurity.
        chip_key: the key pair of chip authentication.
        signing_key: the key pair of active authentication.
        conduct: how it behaves where chips differ.
    """

    __slots__ = (
        "bac",
        "can",
        "chip_key",
        "conduct",
        "files",
        "mapping_key",
        "mrz_information",
        "pace",
        "signing_key",
    )

    def __init__(
        self,
        files: dict[ElementaryFile, bytes],
        mrz_information: bytes,
        *,
        can: str | None = None,
        bac: bool = True,
        pace: tuple[PaceOffer, ...] = (),
        mapping_key: AgreementKey | None = None,
        chip_key: AgreementKey | None = None,
        signing_key: SigningKey | None = None,
        conduct: Conduct | None = None,
    ) -> None:
        self.files = files
        self.mrz_information = mrz_information
        self.can = can
        self.bac = bac
        self.pace = pace
        self.mapping_key = mapping_key
        self.chip_key = chip_key
        self.signing_key = signing_key
        self.conduct = conduct or Conduct()
