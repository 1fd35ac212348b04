"""`edged trust list`: every certificate and revocation list in the trust store, or one state's."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.commands._saying import say, show, show_json
from edged.commands._trust_common import country_of, day, short, state
from edged.trust.report import certificate_line
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.trust.generation import StoredCertificate, StoredCrl


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged trust list`."""
    parser.add_argument("--state", type=state_code, metavar="CODE", help="help.trust.list.state")


def state_code(text: str) -> str:
    """A state's code, of two or three letters, for argparse."""
    code = country_of(text)
    if code is None:
        raise argparse.ArgumentTypeError("usage.bad_state")
    return code


def run(args: argparse.Namespace) -> int:
    """EX_OK; 1 when there is nothing to list."""
    held = TrustStore(args.trust).current()
    certificates = [one for one in held.certificates if args.state in (None, one.country)]
    certificates.sort(key=lambda one: (one.country, one.not_before, one.fingerprint))
    crls = [one for one in held.crls if args.state in (None, one.country)]
    if args.json:
        show_json(
            {
                "generation": held.number,
                "certificates": [certificate_line(one) for one in certificates],
                "crls": [crl_as_json(one) for one in crls],
            }
        )
    else:
        show(_lines(args, certificates, crls))
    return os.EX_OK if certificates or crls else 1


def crl_as_json(one: StoredCrl) -> dict[str, object]:
    """A revocation list without its octets."""
    return {
        "fingerprint": one.fingerprint,
        "country": one.country,
        "name": one.name,
        "made": one.made,
        "until": one.until,
        "revoked": one.revoked,
        "signer": one.signer,
    }


def _lines(
    args: argparse.Namespace, certificates: list[StoredCertificate], crls: list[StoredCrl]
) -> Iterator[str]:
    if not certificates and not crls:
        yield say(args, "trust.nothing" if args.state is None else "trust.nothing_of_state")
    now = datetime.now(UTC)
    country = None
    for one in certificates:
        if one.country != country:
            country = one.country
            yield state(country, args.lang)
        marks = [
            say(args, code)
            for code, true in (("trust.mark_expired", one.not_after < now), ("trust.mark_link", one.link))
            if true
        ]
        dates = f"{day(one.not_before)} – {day(one.not_after)}"
        yield "  ".join((f"  {short(one.fingerprint)}", dates, one.name, *marks))
    for crl in sorted(crls, key=lambda crl: (crl.country, crl.made)):
        said = say(
            args,
            "trust.crl",
            state=state(crl.country, args.lang),
            made=day(crl.made),
            until=day(crl.until),
            count=crl.revoked,
        )
        yield f"{short(crl.fingerprint)}  {said}"
