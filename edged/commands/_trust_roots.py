"""`edged trust roots`: the certificates that master lists are verified against, and letting one of them go."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edged.commands._saying import minute, say, show, show_json
from edged.commands._trust_common import day, spaced, state
from edged.core.emrtd.certificates import parse_certificate
from edged.trust.forgetting import without_root
from edged.trust.store import TrustStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.trust.generation import Root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `edged trust roots`."""
    parser.add_argument("--forget", metavar="FINGERPRINT", help="help.trust.roots.forget")


def run(args: argparse.Namespace) -> int:
    """EX_OK; 1 when no root is pinned."""
    store = TrustStore(args.trust)
    if args.forget is not None:
        with store.changing() as change:
            held = without_root(change.current(), args.forget)
            change.commit(held, datetime.now(UTC))
    else:
        held = store.current()
    if args.json:
        show_json({"roots": [_as_json(root) for root in held.roots]})
    else:
        show(_lines(args, held.roots))
    return os.EX_OK if held.roots else 1


def _as_json(root: Root) -> dict[str, object]:
    certificate = parse_certificate(root.der)
    return {
        "fingerprint": root.fingerprint,
        "pinned": root.pinned,
        "country": certificate.country,
        "name": certificate.subject.text,
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
    }


def _lines(args: argparse.Namespace, roots: tuple[Root, ...]) -> Iterator[str]:
    if not roots:
        yield say(args, "trust.no_roots")
    for root in roots:
        certificate = parse_certificate(root.der)
        yield f"{state(certificate.country or '', args.lang)}: {certificate.subject.text}"
        yield f"  {say(args, 'trust.fingerprint')}: {spaced(root.fingerprint)}"
        yield f"  {say(args, 'trust.valid')}: {day(certificate.not_before)} – {day(certificate.not_after)}"
        yield f"  {say(args, 'trust.pinned_at', pinned=minute(root.pinned))}"
