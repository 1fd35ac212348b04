"""`edged id-card read`: read the card that lies on the module and judge it.

Prints masked fields; a person's data in full only for a person at a terminal who asks for it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edged import log, messages, process
from edged.commands import _chip_checks
from edged.commands._saying import say, show, show_json
from edged.device_checks import check_id_card
from edged.device_settings import IdCardSettings
from edged.errors import DecodeError, DeviceError, DeviceGoneError
from edged.privacy.masks import mask_name, mask_number
from edged.verdict import Reason, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.core.id_card import IdCardData, IdCardReading
    from edged.drivers.sam import Sam
    from edged.identity import Sensitive
    from edged.uplink.envelope import Provenance
    from edged.verdict import Check

_EXIT: Final = {Result.SUCCESSFUL: os.EX_OK, Result.FAILED: 1, Result.UNDETERMINED: 2}

_NAMES: Final = ("surname", "given_names", "chinese_name")
_NUMBERS: Final = ("document_number", "earlier_number", "permit_number")
_PLAIN: Final = ("nationality", "sex")
_IN_FULL: Final = ("nation", "address", "additional_address", "authority", "issue_count")
_DATES: Final = ("birth_date", "issue_date", "expiry_date")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The module, how long to wait, what to print."""
    parser.add_argument("--port", metavar="PATH", help="help.id_card.read.port")
    parser.add_argument("--baud", type=int, metavar="SPEED", help="help.id_card.read.baud")
    parser.add_argument("--usb", metavar="VENDOR:PRODUCT", help="help.id_card.read.usb")
    for way in ("out", "in"):
        parser.add_argument(
            f"--usb-{way}", type=_endpoints, metavar="ENDPOINTS", help=f"help.id_card.read.usb_{way}"
        )
    parser.add_argument(
        "--additional-address", action="store_true", help="help.id_card.read.additional_address"
    )
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="help.id_card.read.wait")
    parser.add_argument("--show-identity", action="store_true", help="help.id_card.read.show_identity")
    parser.add_argument("--json", action="store_true", help="help.json")
    parser.epilog = "help.id_card.read.more"


def _endpoints(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(one, 0) for one in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("idcardread.bad_endpoints") from None


def run(args: argparse.Namespace) -> int:
    """EX_OK: in order. 1: something failed. 2: undetermined, or not read. EX_UNAVAILABLE: no module, no card."""
    log.configure("error")  # on standard error; what goes wrong here is told by the command itself
    process.forbid_core_dumps()
    if args.show_identity and (args.json or not sys.stdout.isatty()):
        print(f"edged: {say(args, 'chipread.identity_needs_terminal')}", file=sys.stderr)
        return os.EX_USAGE
    settings = IdCardSettings(
        port=args.port,
        baud=args.baud,
        usb=args.usb,
        usb_out=args.usb_out,
        usb_in=args.usb_in,
        additional_address=args.additional_address,
    )
    check_id_card(settings)
    read = asyncio.run(_read(args, settings))
    outcome = _outcome(read.checks)
    if args.json:
        show_json(_as_json(args, read, outcome))
    else:
        show(_report(args, read, outcome))
    if read.reading is not None:
        read.reading.forget()
    return _EXIT[outcome]


class _Read(NamedTuple):
    reading: IdCardReading | None
    checks: tuple[Check, ...]
    provenance: Provenance


async def _read(args: argparse.Namespace, settings: IdCardSettings) -> _Read:
    """Wait for a card and read it. Raises `DeviceGoneError`."""
    from edged.core.id_card import unread_check
    from edged.drivers import sam

    async with sam.open(settings) as module:
        await _until_laid(args, module)
        try:
            reading = await module.read()
        except DeviceGoneError:
            raise
        except (DeviceError, DecodeError) as error:
            return _Read(None, (unread_check(Reason(error.code)),), module.provenance)
        return _Read(reading, reading.checks, module.provenance)


async def _until_laid(args: argparse.Namespace, module: Sam) -> None:
    """Raises `DeviceGoneError` when there is no module, and when `--wait` is over."""
    if module.trouble is not None:
        raise DeviceGoneError("id_card", module.trouble.code)
    if module.card_present:
        return
    print(say(args, "idcardread.lay_it_down"), file=sys.stderr, flush=True)
    events = module.events()
    try:
        async with asyncio.timeout(args.wait):
            while not module.card_present:
                await anext(events)
                if module.trouble is not None:
                    raise DeviceGoneError("id_card", module.trouble.code)
    except TimeoutError:
        raise DeviceGoneError("id_card", "idcardread.no_card") from None


def _outcome(checks: tuple[Check, ...]) -> Result:
    results = {check.result for check in checks}
    if Result.FAILED in results:
        return Result.FAILED
    return Result.SUCCESSFUL if results == {Result.SUCCESSFUL} else Result.UNDETERMINED


# --- words -----------------------------------------------------------------------------------------------------


def _report(args: argparse.Namespace, read: _Read, outcome: Result) -> Iterator[str]:
    yield say(args, "idcardread.module", module=read.provenance.identity or "–")
    if read.reading is not None:
        data = read.reading.data
        yield messages.word(data.kind.value, args.lang)
        for name, value in _fields(args, data):
            yield f"  {messages.word(name, args.lang)}: {value}"
        yield f"  {_photo(args, data)}"
    yield from _chip_checks.lines(args, read.checks)
    if read.provenance.simulated:
        yield say(args, "idcardread.simulated")
    yield say(args, "idcardread.outcome", result=f"result.{outcome}")


def _fields(args: argparse.Namespace, data: IdCardData) -> Iterator[tuple[str, str]]:
    """Names of fields and what is shown of them: masked, unless it was asked for in full."""
    full = args.show_identity
    for names, mask in ((_NAMES, mask_name), (_NUMBERS, mask_number), (_PLAIN, str)):
        for name in names:
            held: Sensitive[str] | None = getattr(data, name)
            value = held.reveal() if held is not None else ""
            if value:
                yield name, value if full else mask(value)
    for name in _DATES:
        date = getattr(data, name)
        if date is not None and date.year is not None:
            whole = full and date.date is not None
            yield name, date.date.isoformat() if whole else f"{date.year:04d}"
    if data.never_expires:
        yield "expiry_date", say(args, "idcardread.never_expires")
    if full:
        for name in _IN_FULL:
            if value := getattr(data, name).reveal():
                yield name, value


def _photo(args: argparse.Namespace, data: IdCardData) -> str:
    from edged.drivers.id_card_photo import decode_photo, find_decoder

    try:
        picture = decode_photo(data.photo, find_decoder())
    except DecodeError as error:
        return say(args, error.code)
    if picture is None:
        return say(args, "idcard.photo_not_supported", octets=len(data.photo))
    height, width = picture.reveal().shape[:2]
    return say(args, "idcard.photo_decoded", width=width, height=height)


def _as_json(args: argparse.Namespace, read: _Read, outcome: Result) -> dict[str, Any]:
    data = None if read.reading is None else read.reading.data
    return {
        "result": outcome,
        "kind": None if data is None else data.kind,
        "checks": _chip_checks.as_json(args, read.checks),
        "fields": {} if data is None else dict(_fields(args, data)),
        "never_expires": data is not None and data.never_expires,
        "photo_octets": 0 if data is None else len(data.photo),
        "module": read.provenance,
    }
