"""`edged trust show`: certificates by the beginning of a fingerprint, or a state's, with where they come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from edged.commands._saying import minute, say, show, show_json
from edged.commands._trust_common import country_of, short, spaced, state
from edged.commands._trust_list import crl_as_json
from edged.core.emrtd.certificates import parse_certificate
from edged.trust.report import certificate_line
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.trust.generation import Generation, Source, StoredCertificate, StoredCrl


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged trust show`."""
    parser.add_argument("which", metavar="FINGERPRINT|STATE", help="help.trust.show.which")


def run(args: argparse.Namespace) -> int:
    """EX_OK; 1 when nothing in the store is meant."""
    held = TrustStore(args.trust).current()
    # Two or three letters are a state: nobody means a certificate with so few digits, and "DE" is both.
    code = country_of(args.which) if len(args.which) <= len("DEU") else None
    digits = args.which.replace(":", "").replace(" ", "").lower()

    def meant(one: StoredCertificate | StoredCrl) -> bool:
        return one.fingerprint.startswith(digits) if code is None else one.country == code

    certificates = [one for one in held.certificates if meant(one)]
    crls = [one for one in held.crls if meant(one)]
    sources = {source.id: source for source in held.sources}
    if args.json:
        show_json(
            {
                "generation": held.number,
                "certificates": [_as_json(one, sources) for one in certificates],
                "crls": [crl_as_json(one) | {"source": sources[one.source]} for one in crls],
            }
        )
    else:
        show(_lines(args, held, certificates, crls))
    return os.EX_OK if certificates or crls else 1


def _as_json(one: StoredCertificate, sources: dict[int, Source]) -> dict[str, Any]:
    line: dict[str, Any] = msgspec.to_builtins(certificate_line(one))
    return line | _facts(one) | {"sources": [sources[number] for number in one.sources]}


def _facts(one: StoredCertificate) -> dict[str, str]:
    """What only parsing tells."""
    certificate = parse_certificate(one.der)
    return {
        "issuer": certificate.issuer.text,
        "serial": f"{certificate.serial:x}",
        "key_identifier": one.ski.hex(),
        "authority_key_identifier": (certificate.aki or b"").hex(),
    }


def _lines(
    args: argparse.Namespace,
    held: Generation,
    certificates: list[StoredCertificate],
    crls: list[StoredCrl],
) -> Iterator[str]:
    if not certificates and not crls:
        yield say(args, "trust.nothing_meant")
    sources = {source.id: source for source in held.sources}
    for one in certificates:
        facts = _facts(one)
        yield f"{state(one.country, args.lang)}: {one.name}"
        for code, value in (
            ("trust.fingerprint", spaced(one.fingerprint)),
            ("trust.valid", f"{minute(one.not_before)} – {minute(one.not_after)}"),
            ("trust.issuer", facts["issuer"]),
            ("trust.serial", facts["serial"]),
            ("trust.key_identifier", facts["key_identifier"] or "–"),
        ):
            yield f"  {say(args, code)}: {value}"
        for number in one.sources:
            yield f"  {_source(args, sources[number])}"
    for crl in crls:
        yield f"{state(crl.country, args.lang)}: {crl.name}"
        yield f"  {say(args, 'trust.fingerprint')}: {spaced(crl.fingerprint)}"
        yield f"  {say(args, 'trust.crl_facts', made=minute(crl.made), until=minute(crl.until), count=crl.revoked)}"
        yield f"  {say(args, 'trust.crl_signer', signer=short(crl.signer))}"
        yield f"  {_source(args, sources[crl.source])}"


def _source(args: argparse.Namespace, source: Source) -> str:
    """Where something comes from. The file's name stands outside the sentence: it is other people's text."""
    if source.kind == "master_list":
        said = say(
            args,
            "trust.from_list",
            publisher=state(source.publisher, args.lang),
            made=minute(source.made),
            root=short(source.root),
            imported=minute(source.imported),
        )
    elif source.kind == "crl":
        said = say(args, "trust.from_file", imported=minute(source.imported))
    else:
        said = say(args, f"trust.from_certificate_{source.confirmed}", imported=minute(source.imported))
    return f"{said} [{source.file}]"
