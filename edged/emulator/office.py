"""Where documents of an emulated state are made: a kind, MRZ lines and perhaps a fault in, a card out.

And what a verifier needs to trust them: the state's CSCA certificates, their revocation lists, a master list.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edged.core.emrtd.files import ElementaryFile
from edged.emulator import data_groups, mrz_lines, portraits
from edged.emulator.faults import Fault, FaultyCard, Injected
from edged.emulator.issuing import issue
from edged.emulator.profiles import Profile, profiles
from edged.emulator.signers import Scheme, Signer
from edged.emulator.state import Issued, State, Validity
from edged.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from edged.emulator.chance import Chance
    from edged.emulator.personalised import Personalised

COUNTRIES: Final = {"UTO": "UT", "CHN": "CN"}
"""Two letters for the certificates of the states whose specimens edged comes with."""
FOREIGN: Final = "UX"
"""The state whose signer signs what it shouldn't: nobody's code."""


class Office(Identity):
    """The passport office of one state.

    Attributes:
        country: two letters, as its certificates have them.
    """

    def __init__(self, country: str, *, on: date, seed: str) -> None:
        self.country = country
        self._on = on
        self._seed = seed
        self._states: dict[tuple[str, Scheme], State] = {}

    def lay(
        self,
        profile: Profile,
        lines: Sequence[str],
        fault: Injected | None = None,
        *,
        portrait: tuple[bytes, tuple[int, int]] | None = None,
        chance: Chance | None = None,
    ) -> FaultyCard:
        """A document with these MRZ lines, its chip powered.

        Raises `DecodeError` ("mrz", …) for lines that are no MRZ.
        """
        return FaultyCard(self.personalise(profile, lines, fault, portrait=portrait), fault, chance)

    def personalise(
        self,
        profile: Profile,
        lines: Sequence[str],
        fault: Injected | None = None,
        *,
        portrait: tuple[bytes, tuple[int, int]] | None = None,
    ) -> Personalised:
        """The contents of such a document's chip, with the faults that are made at issuing."""
        if portrait is None:
            portrait = portraits.draw("".join(lines), jpeg_2000=profile.jpeg_2000), portraits.SIZE
        kind = fault.fault if fault else None
        state = self.state(profile.authority)
        renamed = data_groups.dg1(mrz_lines.another_name(lines))
        signer = self._signer(profile, state, kind)
        more = {ElementaryFile.DG1: renamed} if kind is Fault.SWAPPED_CHIP else None
        chip = issue(profile, state, lines, *portrait, signer=signer, seed=self._seed, more=more)
        match kind:
            case Fault.CLONED:
                self._forget_keys(profile, chip, state, lines)
            case Fault.TAMPERED_MRZ:
                chip.files[ElementaryFile.DG1] = renamed
            case Fault.SWAPPED_PORTRAIT:
                other = portraits.draw("somebody else", jpeg_2000=profile.jpeg_2000)
                chip.files[ElementaryFile.DG2] = data_groups.dg2(other, portraits.SIZE)
            case Fault.TAMPERED_SIGNATURE:
                sod = chip.files[ElementaryFile.SOD]
                chip.files[ElementaryFile.SOD] = sod[:-1] + bytes((sod[-1] ^ 0x01,))
        return chip

    def state(self, scheme: Scheme, country: str | None = None) -> State:
        """The state with a CSCA key of this kind: states change theirs, and old documents stay."""
        key = (country or self.country, scheme)
        if key not in self._states:
            schemes = list(dict.fromkeys(one.authority for one in profiles().values()))
            generation = schemes.index(scheme) + 1 if scheme in schemes else len(schemes) + 1
            self._states[key] = State(
                key[0], on=self._on, scheme=scheme, seed=self._seed, generation=generation
            )
        return self._states[key]

    def _signer(self, profile: Profile, state: State, kind: Fault | None) -> Issued | None:
        match kind:
            case Fault.FOREIGN_SIGNER:
                return self.state(profile.authority, FOREIGN).document_signer(profile.signer)
            case Fault.FORGED_AUTHORITY:
                forger = Signer(profile.authority, f"{self._seed}/forger".encode())
                return state.document_signer(profile.signer, label="forged", forged_by=forger)
            case Fault.EXPIRED_SIGNER:
                ended = Validity(self._on - timedelta(days=500), self._on - timedelta(days=60))
                return state.document_signer(profile.signer, label="expired", validity=ended)
            case Fault.REVOKED_SIGNER:
                return _revoked(profile, state)
        return None

    def _forget_keys(self, profile: Profile, chip: Personalised, state: State, lines: Sequence[str]) -> None:
        """Keys of the forger's own: he has to answer with something."""
        other = issue(profile, state, lines, b"", (1, 1), seed=f"{self._seed}/clone")
        chip.chip_key, chip.signing_key, chip.mapping_key = (
            other.chip_key,
            other.signing_key,
            other.mapping_key,
        )

    def trust(self, chosen: Sequence[Profile] | None = None) -> dict[str, bytes]:
        """DER by file name: the CSCA certificate and revocation list of every key of the state, and its master list.

        The foreign state's CSCAs are among them: whoever signs for another state is trusted for his own.
        """
        kinds = list(profiles().values() if chosen is None else chosen)
        files: dict[str, bytes] = {}
        certificates = []
        for country in (self.country, FOREIGN):
            for scheme in dict.fromkeys(kind.authority for kind in kinds):
                state = self.state(scheme, country)
                name = f"{country}-{state.generation:02}"
                certificates.append(state.csca.der)
                files[f"{name}.cer"] = state.csca.der
                revoked = [_revoked(kind, state) for kind in kinds if kind.authority == scheme]
                files[f"{name}.crl"] = state.crl(revoked)
        first = self.state(kinds[0].authority)
        files[f"{self.country}.ml"] = first.master_list(certificates)
        return files

    def trust_pem(self, chosen: Sequence[Profile] | None = None) -> bytes:
        """The certificates and revocation lists of `trust` in one file, which `edged trust import` takes."""
        labels = {"cer": "CERTIFICATE", "crl": "X509 CRL"}
        blocks = []
        for name, der in self.trust(chosen).items():
            label = labels.get(name.rpartition(".")[2])
            if label is not None:
                text = base64.encodebytes(der).decode("ascii")
                blocks.append(f"-----BEGIN {label}-----\n{text}-----END {label}-----\n")
        return "".join(blocks).encode("ascii")


def country_of(lines: Sequence[str]) -> str:
    """Two letters for the state that issued a document with these MRZ lines. Raises `DecodeError` ("mrz", …)."""
    state = mrz_lines.state(lines)
    return COUNTRIES.get(state, state)


def _revoked(profile: Profile, state: State) -> Issued:
    return state.document_signer(profile.signer, label=f"revoked {profile.name}")
