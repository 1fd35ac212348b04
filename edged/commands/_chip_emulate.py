"""`edged chip emulate`: lay an emulated document on vpcd's reader, or on a simulated one, and exchange it at will."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edged import messages
from edged.commands import _orders
from edged.errors import CodedError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.emulator.faults import FaultyCard, Injected
    from edged.emulator.office import Office
    from edged.emulator.profiles import Profile
    from edged.emulator.vpcd import Happened, Slot

ISSUED_BEFORE: Final = timedelta(days=30)
"""How long ago the emulated state issued its documents and its revocation list, unless told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The document, what is wrong with it, and where it is laid."""
    document = parser.add_mutually_exclusive_group()
    document.add_argument("--document", metavar="NAME", help="help.chip.emulate.document")
    document.add_argument("--mrz", nargs="+", metavar="LINE", help="help.chip.emulate.mrz")
    parser.add_argument("--profile", metavar="NAME", help="help.chip.emulate.profile")
    parser.add_argument("--fault", metavar="NAME[:N]", help="help.chip.emulate.fault")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--vpcd", type=_address, metavar="HOST:PORT", help="help.chip.emulate.vpcd")
    where.add_argument("--socket", type=Path, metavar="PATH", help="help.chip.emulate.socket")
    parser.add_argument("--issue-trust", type=Path, metavar="PATH", help="help.chip.emulate.issue_trust")
    parser.add_argument("--issued", type=date.fromisoformat, metavar="DATE", help="help.chip.emulate.issued")
    parser.add_argument("--seed", help="help.chip.emulate.seed")
    parser.add_argument("--list", action="store_true", help="help.chip.emulate.list")
    parser.add_argument("--json", action="store_true", help="help.json_lines")
    parser.epilog = "help.chip.emulate.more"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError("emulate.bad_address")
    return host, int(port)


def run(args: argparse.Namespace) -> int:
    """Serve until it is interrupted, or until a card that was given with the command is gone by its own fault."""
    if args.list:
        _list(args)
        return os.EX_OK
    if args.vpcd is None and args.socket is None and args.issue_trust is None:
        raise ConfigError("--vpcd, --socket", "emulate.nowhere")
    return asyncio.run(_Emulation(args).run())


def _list(args: argparse.Namespace) -> None:
    from edged.emulator.faults import Fault
    from edged.emulator.profiles import profiles

    known = {"profiles": list(profiles()), "faults": [fault.value for fault in Fault]}
    if args.json:
        print(json.dumps(known))
        return
    for kind, names in known.items():
        print(messages.text(f"emulate.{kind}", args.lang, names=" ".join(names)))


class _Emulation:
    """One process: an office, a reader, and orders on standard input."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._seed = args.seed or secrets.token_hex(16)
        self._on = args.issued or datetime.now(UTC).date() - ISSUED_BEFORE
        self._offices: dict[str, Office] = {}
        self._slot: Slot | None = None

    async def run(self) -> int:
        from edged.emulator.vpcd import Slot

        args = self._args
        lines = _lines(args.document, args.mrz)
        if args.issue_trust is not None:
            self._issue_trust(lines)
        target = args.vpcd or args.socket
        if target is None:
            return os.EX_OK
        self._slot = Slot(target, self._happened)
        if lines is not None:
            await self._slot.lay(self._card(lines, args.profile, args.fault))
            self._tell("laid", document=args.document)
        try:
            await self._orders()
            await self._slot.until_gone()
        finally:
            await self._slot.lift()
        return os.EX_OK

    async def _orders(self) -> None:
        """Orders on standard input, one JSON object a line, until it ends."""
        async for line in _orders.lines():
            await self._obey(line)

    async def _obey(self, line: bytes) -> None:
        assert self._slot is not None
        try:
            order = _order(line)
            if order["do"] == "lift":
                await self._slot.lift()
                return
            lines = _lines(order.get("specimen"), order.get("mrz"))
            if lines is None:
                raise ConfigError("specimen, mrz", "emulate.bad_order")
            card = self._card(lines, order.get("profile"), order.get("fault"))
        except CodedError as error:
            said = messages.text(error.code, self._args.lang, **error.params)
            self._tell("refused", reason=error.code if self._args.json else said)
            return
        await self._slot.lay(card)
        self._tell("laid", document=order.get("specimen"))

    def _card(self, lines: Sequence[str], profile: str | None, fault: str | None) -> FaultyCard:
        return self._office(lines).lay(_profile(profile), lines, _fault(fault))

    def _office(self, lines: Sequence[str]) -> Office:
        from edged.emulator.office import Office, country_of

        country = country_of(lines)
        if country not in self._offices:
            self._offices[country] = Office(country, on=self._on, seed=self._seed)
        return self._offices[country]

    def _issue_trust(self, lines: Sequence[str] | None) -> None:
        """The state of the document, or without one those of all specimens: into a file, or a directory of them."""
        from edged.emulator.office import COUNTRIES, Office

        offices = [self._office(lines)] if lines is not None else []
        if not offices:
            for country in COUNTRIES.values():
                self._offices[country] = Office(country, on=self._on, seed=self._seed)
            offices = list(self._offices.values())
        path: Path = self._args.issue_trust
        if path.is_dir():
            for office in offices:
                for name, octets in office.trust().items():
                    (path / name).write_bytes(octets)
        else:
            path.write_bytes(b"".join(office.trust_pem() for office in offices))
        self._tell("trust", file=str(path))

    def _happened(self, what: Happened) -> None:
        self._tell(what.value)

    def _tell(self, event: str, **more: str | None) -> None:
        """One event; never anything of the document but its specimen's name."""
        given = {name: value for name, value in more.items() if value is not None}
        if self._args.json:
            print(json.dumps({"event": event, **given}, ensure_ascii=False), flush=True)
            return
        print(messages.text(f"emulate.{event}", self._args.lang, **given), flush=True)


def _order(line: bytes) -> dict[str, Any]:
    """One order. Raises `ConfigError` ("emulate.bad_order")."""
    try:
        order = json.loads(line)
    except ValueError:
        raise ConfigError("-", "emulate.bad_order") from None
    texts = ("specimen", "profile", "fault")
    if (
        not isinstance(order, dict)
        or order.get("do") not in {"lay", "lift"}
        or not order.keys() <= {"do", "mrz", *texts}
        or not all(isinstance(order.get(name), str | None) for name in texts)
        or not isinstance(mrz := order.get("mrz", []), list)
        or not all(isinstance(one, str) for one in mrz)
    ):
        raise ConfigError("-", "emulate.bad_order")
    return order


def _lines(specimen: str | None, mrz: Sequence[str] | None) -> Sequence[str] | None:
    """The MRZ lines of a specimen, or those given. Raises `ConfigError` for one that has none."""
    if mrz:
        return mrz
    if specimen is None:
        return None
    from edged.specimens import shipped

    found = {one.name: one for one in shipped()}
    if specimen not in found:
        raise ConfigError("specimen", "emulate.unknown_document", known=" ".join(found))
    expected = found[specimen].expected
    if expected is None or expected.lines is None:
        raise ConfigError("specimen", "emulate.no_mrz")
    return expected.lines


def _profile(name: str | None) -> Profile:
    from edged.emulator.profiles import profiles

    known = profiles()
    if name is None:
        return next(iter(known.values()))
    if name not in known:
        raise ConfigError("profile", "emulate.unknown_profile", known=" ".join(known))
    return known[name]


def _fault(text: str | None) -> Injected | None:
    from edged.emulator.faults import Fault, Injected

    if text is None:
        return None
    try:
        return Injected.parse(text)
    except ValueError:
        known = " ".join(fault.value for fault in Fault)
        raise ConfigError("fault", "emulate.unknown_fault", known=known) from None
