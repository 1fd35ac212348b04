"""Ready-made kinds of documents: what a chip offers and how its state signs, as documents in the field do."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from edged.core.emrtd import suites
from edged.core.emrtd.curves import curves
from edged.core.emrtd.dh_groups import GROUPS
from edged.core.emrtd.domains import CURVE_OF_ID
from edged.emulator import object_identifiers as oids
from edged.emulator.groups import Numbers, Points
from edged.emulator.personalised import Conduct, PaceOffer
from edged.emulator.signers import Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.core.emrtd.suites import Suite
    from edged.emulator.groups import Group

_ARC_OF_SUITE: Final = {suites.DES3: 1, suites.AES128: 2, suites.AES192: 3, suites.AES256: 4}
_ARC_OF_PACE: Final = {
    ("DH", "GM"): 1,
    ("ECDH", "GM"): 2,
    ("DH", "IM"): 3,
    ("ECDH", "IM"): 4,
    ("ECDH", "CAM"): 6,
}


@cache
def group(parameter: int) -> Group:
    """The group of a standardised domain parameter identifier (Doc 9303-11 §9.5.1)."""
    if parameter in GROUPS:
        p, g, q = GROUPS[parameter]
        return Numbers(p, q, g)
    return Points(curves()[CURVE_OF_ID[parameter]])


def pace(parameter: int, mapping: Literal["GM", "IM", "CAM"], suite: Suite) -> PaceOffer:
    """One way of PACE (Doc 9303-11 §9.2.3)."""
    kind = "DH" if parameter in GROUPS else "ECDH"
    oid = f"{oids.PACE}.{_ARC_OF_PACE[kind, mapping]}.{_ARC_OF_SUITE[suite]}"
    return PaceOffer(oid, mapping, suite, parameter, group(parameter))


@dataclass(frozen=True)
class ChipAuthenticationOffer:
    """Chip authentication: the group of its key (a parameter identifier), and the cipher.

    Attributes:
        number: the key's identifier, None without one.
        standard: the public key names its parameters by their identifier instead of spelling them out.
    """

    parameter: int
    suite: Suite
    number: int | None = None
    standard: bool = False

    @property
    def oid(self) -> str:
        """Of the protocol (Doc 9303-11 §9.2.5)."""
        kind = 1 if self.parameter in GROUPS else 2
        return f"{oids.CHIP_AUTHENTICATION}.{kind}.{_ARC_OF_SUITE[self.suite]}"


@dataclass(frozen=True)
class ActiveAuthenticationOffer:
    """Active authentication: RSA of some bits, or a curve.

    Attributes:
        told: whether DG14 says which hash ECDSA uses, as it should.
        der: the signature comes in DER instead of r ‖ s.
    """

    bits: int | None = None
    curve: str | None = None
    digest: str = "sha256"
    told: bool = True
    der: bool = False


_AUTHORITY: Final = Scheme("ECDSA", curve="brainpoolP256r1", explicit=True)
_SIGNER: Final = Scheme("ECDSA", curve="brainpoolP256r1")
_RSA: Final = Scheme("RSA", bits=3072)
_RSA_SIGNER: Final = Scheme("RSA", bits=2048)
_OLD_RSA_SIGNER: Final = Scheme("RSA", digest="sha1", bits=2048)
_PSS: Final = Scheme("RSA-PSS", bits=3072)
_PSS_SIGNER: Final = Scheme("RSA-PSS", bits=2048)
_P256: Final = Scheme("ECDSA", curve="secp256r1")
_P384: Final = Scheme("ECDSA", digest="sha384", curve="secp384r1")
_BRAINPOOL_384: Final = Scheme("ECDSA", digest="sha384", curve="brainpoolP384r1", explicit=True)


@dataclass(frozen=True)
class Profile:
    """One kind of document.

    Attributes:
        name: what `edged chip emulate --profile` calls it.
        digest: of the LDS security object.
        extras: whether DG11 and DG12 are there.
        fingers: whether DG3 is, which terminal authentication protects.
        jpeg_2000: the portrait's format.
        can: whether the card has an access number printed on it.
    """

    name: str
    bac: bool = True
    pace: tuple[PaceOffer, ...] = ()
    chip_authentication: ChipAuthenticationOffer | None = None
    active_authentication: ActiveAuthenticationOffer | None = None
    authority: Scheme = _AUTHORITY
    signer: Scheme = _SIGNER
    digest: str = "sha256"
    extras: bool = False
    fingers: bool = False
    jpeg_2000: bool = False
    can: bool = False
    conduct: Conduct = field(default_factory=Conduct)


def _profiles() -> tuple[Profile, ...]:
    des, aes, aes192, aes256 = suites.DES3, suites.AES128, suites.AES192, suites.AES256
    chip, active = ChipAuthenticationOffer, ActiveAuthenticationOffer
    return (
        Profile(
            "pace-gm",
            pace=(pace(13, "GM", aes),),
            chip_authentication=chip(13, aes),
            active_authentication=active(curve="secp256r1"),
            extras=True,
            fingers=True,
            jpeg_2000=True,
        ),
        Profile(
            "bac",  # a passport of the first generation
            active_authentication=active(bits=1024, digest="sha1"),
            authority=_RSA,
            signer=_OLD_RSA_SIGNER,
            digest="sha1",
            conduct=Conduct(extended=False),
        ),
        Profile("bac-plain", authority=_PSS, signer=_PSS_SIGNER, extras=True),
        Profile(
            "pace-cam",
            bac=False,
            pace=(pace(13, "CAM", aes),),
            authority=_P256,
            signer=_P256,
            jpeg_2000=True,
            can=True,
        ),
        Profile(
            "pace-im",
            pace=(pace(13, "IM", aes),),
            chip_authentication=chip(12, aes, number=1),
            authority=_P384,
            signer=_P384,
            digest="sha384",
        ),
        Profile(
            "pace-dh",
            pace=(pace(0, "GM", aes),),
            chip_authentication=chip(0, aes),
            authority=_RSA,
            signer=_RSA_SIGNER,
        ),
        Profile("pace-dh-im", pace=(pace(0, "IM", aes),), authority=_RSA, signer=_RSA_SIGNER),
        Profile(
            "pace-3des",
            pace=(pace(13, "GM", des),),
            chip_authentication=chip(13, des),
            active_authentication=active(curve="secp256r1", der=True, told=False),
            can=True,
        ),
        Profile(
            "pace-aes192",
            bac=False,
            pace=(pace(15, "GM", aes192),),
            chip_authentication=chip(15, aes192, number=2, standard=True),
            active_authentication=active(curve="secp384r1", digest="sha256", told=False),
            authority=_P384,
            signer=_P384,
            can=True,
        ),
        Profile(
            "pace-aes256",
            bac=False,
            pace=(pace(17, "GM", aes256), pace(16, "IM", aes256)),
            chip_authentication=chip(16, aes256),
            authority=_BRAINPOOL_384,
            signer=_BRAINPOOL_384,
            digest="sha512",
            fingers=True,
            can=True,
        ),
        Profile(
            "ca-3des",  # BAC, then chip authentication in one command
            chip_authentication=chip(12, des, number=3),
            authority=_RSA,
            signer=_RSA_SIGNER,
            fingers=True,
        ),
        Profile("ca-dh", chip_authentication=chip(0, des), authority=_RSA, signer=_RSA_SIGNER),
        Profile(
            "aa-rsa",
            active_authentication=active(bits=1536),
            authority=_RSA,
            signer=_RSA_SIGNER,
        ),
        Profile(
            "prc",  # exit-entry cards: short reads, no extended length
            authority=_P256,
            signer=_P256,
            extras=True,
            jpeg_2000=True,
            conduct=Conduct(extended=False, most_read=0xA0),
        ),
    )


@cache
def profiles() -> Mapping[str, Profile]:
    """Every kind by its name; the first is what a passport of today has."""
    return {profile.name: profile for profile in _profiles()}
