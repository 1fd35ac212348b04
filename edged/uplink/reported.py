"""Reports: what a box has made of what it was told to apply. Takes time as an argument, does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.fields import Code, Name, Seconds, Word, encode, parse
from edged.uplink.roles import Role, TrustAnchor

if TYPE_CHECKING:
    from datetime import datetime

TYP_REPORTED: Final = "reported+jws"

MAX_PATH: Final = 200
"""Longest path of a key in a document."""

Outcome = Literal["none", "staged", "trial", "applied", "rejected", "rolled_back"]
"""`none`: nothing was ever pushed to this box. `staged`: verified and kept, its artefacts on their way or an inspection
still running. `trial`: switched to, being probed. The other three are final for that push."""

Push = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""Number of a push: the version of the snapshot metadata; 0: none, or one whose number couldn't be read."""


PublicPem = Annotated[str, msgspec.Meta(pattern=r"^-----BEGIN PUBLIC KEY-----\n", max_length=256)]
"""A public key of P-256 has 178 characters; whether it is one is for who uses it to see."""


class Reported(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one box has made of the last push (`docs/schemas/reported.schema.json`)."""

    iss: Name
    fleet: Name
    iat: Seconds
    push: Push
    """Which push this is about."""
    outcome: Outcome
    running: Word
    """Version of the configuration in force, as every envelope carries it."""
    running_push: Push
    """The push it came with; 0 for the boot file alone."""
    code: Code | None = None
    """Why it was rejected or rolled back."""
    path: Annotated[str, msgspec.Meta(max_length=MAX_PATH)] | None = None
    """Rejected: the bad key's path in the document (`scenes.bank.mandatory`), or the metadata's role."""
    probe: Word | None = None
    """Rolled back: the probe that failed."""
    fetched: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    """Staged: per cent of the artefacts' bytes that are here."""
    software: Word
    """Version of the software that runs."""
    sealing_key: PublicPem | msgspec.UnsetType = msgspec.UNSET
    """The box's own public key (P-256, PEM), to which what is for it alone is sealed. Left out by boxes without one."""


def seal_reported(report: Reported, signer: sign.Signer) -> str:
    """`report`, signed. Raises `SignatureRefusedError` (`reported.malformed`, `reported.wrong_issuer`, …)."""
    if signer.principal.role is not Role.DEVICE:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of device")
    if (report.iss, report.fleet) != (signer.principal.name, signer.principal.fleet):
        raise SignatureRefusedError("reported.wrong_issuer")
    data = encode(report)
    parse(data, Reported, "reported.malformed")
    return signer.sign(TYP_REPORTED, data)


def open_reported(compact: str | bytes, *, anchor: TrustAnchor, at: datetime, device: str) -> Reported:
    """Verify `device`'s report.

    Raises `SignatureRefusedError`: a code of `sign.verify`, `reported.malformed`, `reported.wrong_issuer`.
    """
    verified = sign.verify(compact, typ=TYP_REPORTED, anchor=anchor, role=Role.DEVICE, at=at)
    report = parse(verified.payload, Reported, "reported.malformed")
    if not report.iss == verified.principal.name == device or report.fleet != anchor.fleet:
        raise SignatureRefusedError("reported.wrong_issuer")
    return report
