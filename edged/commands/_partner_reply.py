"""`edged partner reply --record ID --accept|--correct FIELD…`: what the recipient says to a sealed lodging record."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edged import log
from edged.commands._moments import moment
from edged.commands._saying import minute, say, show_json, show_line
from edged.config import load_toml
from edged.errors import ConfigError, StateError
from edged.uplink.record_reply import RECORD_FIELDS, RecordReply

if TYPE_CHECKING:
    import argparse

    from edged.partner.follow import PartnerSettings
    from edged.partner.replying import Spool
    from edged.uplink.sign import Signer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which record, what of it, and since when it is here."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="help.partner.config")
    parser.add_argument("--record", required=True, metavar="ID", help="help.partner.record")
    verdict = parser.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--accept", action="store_true", help="help.partner.accept")
    verdict.add_argument(
        "--correct", nargs="+", choices=RECORD_FIELDS, metavar="FIELD", help="help.partner.correct"
    )
    parser.add_argument("--device", metavar="DEVICE", help="help.partner.device")
    parser.add_argument("--received", type=moment, metavar="MOMENT", help="help.partner.received")
    parser.add_argument("--json", action="store_true", help="help.json")


def run(args: argparse.Namespace) -> int:
    """EX_OK when a broker has taken it, or a running follower will bring it there."""
    from edged.partner.follow import PartnerSettings, signer_of
    from edged.partner.replying import Spool

    log.configure("warning")
    settings = load_toml(args.config, PartnerSettings)
    signer = signer_of(settings)
    device, received = _found(args, settings.inbox)
    now = datetime.now(UTC)
    reply = RecordReply(
        iss=signer.principal.name,
        fleet=signer.principal.fleet,
        device=device,
        record_id=args.record,
        verdict="accepted" if args.accept else "correction",
        fields=tuple(name for name in RECORD_FIELDS if name in (args.correct or ())),
        iat=int(now.timestamp()),
        received_at=int(min(received or now, now).timestamp()),
    )
    spool = Spool(settings.inbox)
    spool.put(reply, signer)
    published = _publish(settings, spool, signer)
    if args.json:
        show_json(
            {"record_id": args.record, "device": device, "verdict": reply.verdict, "published": published}
        )
    else:
        done = "partner.reply_published" if published else "partner.reply_spooled"
        show_line(f"{args.record}: {say(args, done)} {minute(received)}")
    return os.EX_OK


def _found(args: argparse.Namespace, inbox: Path) -> tuple[str, datetime | None]:
    """The box that sealed the record, and when it came. Raises `ConfigError` (`partner.no_such_record`)."""
    from edged.partner.replying import find_record

    kept = None if args.device and args.received else find_record(inbox, args.record)
    device = args.device or (None if kept is None else kept.device)
    if device is None:
        raise ConfigError("--record", "partner.no_such_record")
    return device, args.received or (None if kept is None else kept.received)


def _publish(settings: PartnerSettings, spool: Spool, signer: Signer) -> bool:
    """Whether everything that waits was taken for its box; False when a follower runs, whose line it is.

    Raises `UplinkError`: the answer is kept, and goes out with the next.
    """
    from edged.partner import replying
    from edged.uplink.mqtt import Session, connect
    from edged.uplink.state_lock import StateLock
    from edged.uplink.subscription import SESSION_EXPIRY_S

    async def go() -> bool:
        # As the follower has it: what the broker keeps for it stays there.
        session = Session(signer.principal.username, expiry_s=SESSION_EXPIRY_S)
        async with connect(settings.broker, session) as connection:
            return not (await replying.publish(connection, spool)).left

    path = settings.inbox.absolute()
    try:
        with StateLock(path.parent, file=f"{path.name}.lock", in_use="partner.inbox_in_use"):
            return asyncio.run(go())
    except StateError as error:
        if error.code != "partner.inbox_in_use":
            raise
        return False
