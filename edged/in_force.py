"""The settings in force, and what was made of them: exchanged as one, between two inspections.

Everything that can fail while settings are put to use (a key file that is missing, thresholds that are no thresholds)
fails in `prepare`, before anything in use has been touched.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged import start_up
from edged.errors import ConfigError
from edged.orders import Limits
from edged.privacy.pseudonym import Pseudonymiser
from edged.sealing_key import opened_key
from edged.slip_checks import MAX_DEVICE
from edged.uplink.keys import keep_private, read_private
from edged.uplink.roles import Role, TrustAnchor
from edged.uplink.sign import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edged.config import AudienceSettings, BoxSettings
    from edged.core.optical_fit import Thresholds
    from edged.trust.loading import Trust
    from edged.uplink.roles import Principal

PSEUDONYM_FILE = "pseudonym-{audience}.key"
PSEUDONYM_KEY_BYTES = 32


@dataclass(frozen=True)
class InForce:
    """One version of everything."""

    settings: BoxSettings
    anchor: TrustAnchor
    signer: Signer
    pseudonyms: Mapping[str, Pseudonymiser]
    thresholds: Thresholds | None
    trust: Trust | None
    tls_certificate: bytes
    """As it lies in its file: whether it has been renewed."""

    def connects_like(self, other: InForce) -> bool:
        """Whether an uplink of one would do for the other."""
        mine, theirs = self.settings, other.settings
        return (
            (mine.broker, mine.identity) == (theirs.broker, theirs.identity)
            and self.signer.chain == other.signer.chain
            and self.tls_certificate == other.tls_certificate
        )

    @property
    def limits(self) -> Limits:
        """How long an inspection waits for what, and how many pictures it takes."""
        timeouts, reading, chip = self.settings.timeouts, self.settings.reading, self.settings.chip_reader
        return Limits(
            timeouts.document_s,
            timeouts.turn_over_s,
            timeouts.capture_s,
            timeouts.reading_s,
            timeouts.remind_s,
            reading.frames,
            reading.pause_s,
            None if chip is None else chip.total_s,
            prove_each=self.settings.camera is not None and self.settings.camera.prove_live == "document",
        )


def prepare(settings: BoxSettings) -> InForce:
    """Read what the settings name; blocking. The state directory exists and is private.

    Raises `ConfigError`, `CertificateError`, `StateError`.
    """
    identity = settings.identity
    anchor = TrustAnchor.from_file(identity.fleet_ca)
    signer = Signer.from_files(identity.signing_key, identity.signing_certificate)
    _check_identity(settings, anchor, signer)
    return InForce(
        settings,
        anchor,
        signer,
        {
            name: _pseudonymiser(settings, name, audience, signer.principal)
            for name, audience in settings.audiences.items()
        },
        start_up.thresholds(settings.head.optical_thresholds),
        start_up.trust(settings.chip_reader),
        _read(identity.tls_certificate),
    )


def _check_identity(settings: BoxSettings, anchor: TrustAnchor, signer: Signer) -> None:
    """Raises `ConfigError`."""
    if signer.principal.role is not Role.DEVICE:
        raise ConfigError("identity.signing_certificate", "cert.wrong_role")
    if signer.principal.fleet != anchor.fleet:
        raise ConfigError("identity.signing_certificate", "cert.wrong_fleet")
    if settings.slip is not None and len(signer.principal.name) > MAX_DEVICE:
        raise ConfigError("slip", "config.device_name_too_long", most=str(MAX_DEVICE))
    # The anchor isn't asked whether the certificate is valid today: a box whose clock was never set must
    # still judge documents and keep its verdicts; who reads them checks the chain.
    if settings.head.simulated and not anchor.demo:
        raise ConfigError("head.driver", "device.demo_only")
    if settings.camera is not None and settings.camera.simulated and not anchor.demo:
        raise ConfigError("driver", "device.demo_only").within("camera", ".")
    if settings.chip_reader is not None and settings.chip_reader.simulated and not anchor.demo:
        raise ConfigError("chip_reader.driver", "device.demo_only")


def _read(path: Path) -> bytes:
    """A certificate that isn't there yet is for the uplink to complain about: documents can be judged without."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _pseudonymiser(
    settings: BoxSettings, name: str, audience: AudienceSettings, principal: Principal
) -> Pseudonymiser:
    """The audience's own key: the organisation's, or one drawn on this box that never leaves it."""
    if audience.policy.pseudonym_scope == "organisation":
        if audience.organisation_key is not None:
            return Pseudonymiser(
                opened_key(settings.state.directory, name, audience.organisation_key, principal),
                f"organisation:{name}",
            )
        assert audience.pseudonym_key is not None  # edged.config.check_box
        return Pseudonymiser(read_private(audience.pseudonym_key), f"organisation:{name}")
    path = settings.state.directory / PSEUDONYM_FILE.format(audience=name)
    if not path.exists():
        keep_private(path, secrets.token_bytes(PSEUDONYM_KEY_BYTES))
    return Pseudonymiser(read_private(path), f"box:{name}")
