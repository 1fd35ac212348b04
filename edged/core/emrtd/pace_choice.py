"""Which way of PACE to take, of those that a chip offers in EF.CardAccess (Doc 9303-11 §4.4.1, §9.2.1-§9.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edged.core.emrtd.domain_parameters import domain_of_algorithm
from edged.core.emrtd.domains import DhDomain, Domain, standard_domain
from edged.core.emrtd.security_infos import (
    Agreement,
    Mapping,
    PaceDomainParameterInfo,
    PaceInfo,
    SecurityInfos,
)
from edged.errors import DecodeError

VERSION: Final = 2
"""Version 1 is of BSI TR-03110 1.x, before Doc 9303 had PACE."""

_MAPPINGS: Final = (Mapping.CHIP_AUTHENTICATION, Mapping.GENERIC, Mapping.INTEGRATED)


@dataclass(frozen=True)
class PaceChoice:
    """A way of PACE that both sides can go.

    Attributes:
        info: as the chip offers it.
        domain: its group.
        ambiguous: whether the chip offers several groups for it, so that it must be told which.
    """

    info: PaceInfo
    domain: Domain
    ambiguous: bool = False


def pace_choices(infos: SecurityInfos) -> tuple[PaceChoice, ...]:
    """What can be done here of what the chip offers, best first; empty when nothing can.

    The order: chip authentication mapping first (it proves the chip in the same breath), then the longer cipher key,
    curves before numbers (the same strength in a tenth of the time), generic before integrated mapping (all chips
    speak it), the larger group, and the chip's own order.
    """
    offered = infos.of(PaceInfo)
    own = {each.algorithm: _own(each.algorithm) for each in infos.of(PaceDomainParameterInfo)}
    found = []
    for info in offered:
        domain = _domain(info, infos.of(PaceDomainParameterInfo), own)
        if info.version == VERSION and domain is not None and _fits(info, domain):
            sets = {other.parameter_id for other in offered if other.oid == info.oid}
            found.append(PaceChoice(info, domain, len(sets) > 1))
    return tuple(sorted(found, key=_rank))


def _rank(choice: PaceChoice) -> tuple[bool, int, bool, int, int]:
    info = choice.info
    return (
        info.mapping is not Mapping.CHIP_AUTHENTICATION,
        -info.suite.key_octets - info.suite.aes,
        info.agreement is not Agreement.ECDH,
        _MAPPINGS.index(info.mapping),
        -choice.domain.octets,
    )


def _fits(info: PaceInfo, domain: Domain) -> bool:
    return domain.agreement == info.agreement and (
        info.mapping is not Mapping.INTEGRATED or domain.maps_integrated
    )


def _domain(
    info: PaceInfo, proprietary: tuple[PaceDomainParameterInfo, ...], own: dict[bytes, Domain | None]
) -> Domain | None:
    """The group an offer means, None for one that isn't known."""
    if info.parameter_id is not None and (known := standard_domain(info.parameter_id)) is not None:
        return known
    matching = [
        other
        for other in proprietary
        if (other.agreement, other.mapping) == (info.agreement, info.mapping)
        and (info.parameter_id is None or other.parameter_id == info.parameter_id)
    ]
    return own[matching[0].algorithm] if len(matching) == 1 else None


def _own(algorithm: bytes) -> Domain | None:
    """A group that the chip tells, None for one that isn't known.

    EF.CardAccess is not signed, and insecure numbers give the password away: an explicit group counts when it is one
    that is known (Doc 9303-11 §9.2.2).
    """
    try:
        domain = domain_of_algorithm(algorithm)
    except DecodeError:
        return None
    if isinstance(domain, DhDomain) and domain not in {standard_domain(number) for number in range(3)}:
        return None
    return domain
