"""Acceptance reports: that a box's devices were tested, and how, signed by the box. Takes time as an argument, no I/O.

Nothing in one comes from a document: measures are numbers and words of fixed forms, in which no name fits.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.envelope import Provenance
from edged.uplink.fields import Code, Name, Opaque, Seconds, Word, encode, parse
from edged.uplink.roles import Role, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

TYP_ACCEPTANCE: Final = "acceptance+jws"

MAX_STEPS: Final = 64
MAX_MEASURES: Final = 32
MAX_DEVICES: Final = 16

KEPT: Final = timedelta(days=3650)
"""So long after the certificate's end a report is still verified, as of when it was signed: it is filed for years."""

StepName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*(/[a-z0-9_]+)*$(?!\n)", max_length=64)]
Measure = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$(?!\n)")]
Value = bool | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | float
"""Numbers and yes or no; a name or a line of text has no place here."""

Outcome = Literal["passed", "failed", "skipped"]
Result = Literal["passed", "failed", "incomplete"]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step and what came of it."""

    name: StepName
    """What was tested: `head/button`, `camera/card`."""
    outcome: Outcome
    at: Seconds
    """When it ended."""
    code: Code | None = None
    """Why it failed or was skipped."""
    measured: Annotated[dict[Measure, Value], msgspec.Meta(max_length=MAX_MEASURES)] = {}
    """Units are part of the names: `_ms`, `_dpi`; shares are 0 to 1."""


class AcceptedDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was tested, as its driver told it."""

    provenance: Provenance
    model: Opaque | None = None
    versions: Annotated[dict[Word, Word], msgspec.Meta(max_length=MAX_MEASURES)] = {}


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One box's acceptance (`docs/schemas/acceptance.schema.json`)."""

    iss: Name
    fleet: Name
    iat: Seconds
    clock: Literal["trusted", "not_trusted"]
    technician: Opaque | None
    """As whoever tested called themselves."""
    software: Word
    config_version: Word
    result: Result
    """Follows from the steps: see `result_of`."""
    simulated: bool
    """Whether any device was: then nothing of it says anything about hardware."""
    devices: Annotated[dict[Word, AcceptedDevice], msgspec.Meta(max_length=MAX_DEVICES)]
    steps: Annotated[tuple[Step, ...], msgspec.Meta(max_length=MAX_STEPS)]


def result_of(steps: Iterable[Step]) -> Result:
    """Failed when any step did; incomplete when any was skipped, or there was none; else passed."""
    outcomes = {step.outcome for step in steps}
    if "failed" in outcomes:
        return "failed"
    return "passed" if outcomes == {"passed"} else "incomplete"


def seal_acceptance(report: Acceptance, signer: sign.Signer) -> str:
    """`report`, signed.

    Raises `SignatureRefusedError` (`acceptance.malformed`, `acceptance.inconsistent`, `acceptance.wrong_issuer`,
    `cert.wrong_role`).
    """
    if signer.principal.role is not Role.DEVICE:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of device")
    if (report.iss, report.fleet) != (signer.principal.name, signer.principal.fleet):
        raise SignatureRefusedError("acceptance.wrong_issuer")
    data = encode(report)
    _consistent(parse(data, Acceptance, "acceptance.malformed"))
    return signer.sign(TYP_ACCEPTANCE, data)


def open_acceptance(
    compact: str | bytes,
    *,
    anchor: TrustAnchor,
    at: datetime,
    device: str | None = None,
    arrived: datetime | None = None,
) -> Acceptance:
    """Verify a report, of `device` where one is named; also after its signer's certificate has ended (`KEPT`).

    Raises `SignatureRefusedError`: a code of `sign.verify`, `acceptance.malformed`, `acceptance.inconsistent`,
    `acceptance.wrong_issuer`, `cert.expired`.
    """
    verified = sign.verify(
        compact, typ=TYP_ACCEPTANCE, anchor=anchor, role=Role.DEVICE, at=at, late=KEPT, arrived=arrived
    )
    report = parse(verified.payload, Acceptance, "acceptance.malformed")
    if report.iss != verified.principal.name or report.fleet != anchor.fleet:
        raise SignatureRefusedError("acceptance.wrong_issuer")
    if device is not None and report.iss != device:
        raise SignatureRefusedError("acceptance.wrong_issuer")
    if not verified.valid_at(report.iat):
        raise SignatureRefusedError("cert.expired")
    return _consistent(report)


def _consistent(report: Acceptance) -> Acceptance:
    """What follows from the rest follows from it, and no step is told twice."""
    names = {step.name for step in report.steps}
    simulated = any(device.provenance.simulated for device in report.devices.values())
    if (
        report.result != result_of(report.steps)
        or report.simulated != simulated
        or len(names) != len(report.steps)
    ):
        raise SignatureRefusedError("acceptance.inconsistent")
    return report
