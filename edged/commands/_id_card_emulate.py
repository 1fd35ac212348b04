"""`edged id-card emulate`: be an ID-card module on a pseudo-terminal, and exchange the card on it at will."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edged import messages
from edged.commands import _orders
from edged.device_checks import ID_CARD_BAUDS
from edged.errors import CodedError, ConfigError

if TYPE_CHECKING:
    import argparse

    from edged.emulator.id_cards import EmulatedIdCard
    from edged.emulator.sam import SamTty

_ORDERS: Final = {
    "lay": {"card"},
    "lift": set[str](),
    "plug": set[str](),
    "unplug": set[str](),
    "fault": {"operation", "status"},
}
"""What can be done, and the keys that it takes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the port's link stands, and what lies on the module."""
    parser.add_argument("--port-link", type=Path, metavar="PATH", help="help.id_card.emulate.port_link")
    parser.add_argument("--card", metavar="NAME", help="help.id_card.emulate.card")
    parser.add_argument("--baud", type=int, default=115200, metavar="SPEED", help="help.id_card.emulate.baud")
    parser.add_argument("--list", action="store_true", help="help.id_card.emulate.list")
    parser.add_argument("--json", action="store_true", help="help.json_lines")
    parser.epilog = "help.id_card.emulate.more"


def run(args: argparse.Namespace) -> int:
    """Serve until it is interrupted."""
    if args.list:
        _list(args)
        return os.EX_OK
    if args.port_link is None:
        raise ConfigError("--port-link", "emulateid.no_link")
    if args.baud not in ID_CARD_BAUDS:
        raise ConfigError("--baud", "emulateid.bad_baud", known=" ".join(map(str, ID_CARD_BAUDS)))
    if os.path.lexists(args.port_link) and not args.port_link.is_symlink():
        raise ConfigError("--port-link", "emulateid.link_taken")
    return asyncio.run(_Emulation(args).run())


def _list(args: argparse.Namespace) -> None:
    from edged.emulator.id_cards import id_cards
    from edged.emulator.sam_module import OPERATIONS

    cards = id_cards()
    if args.json:
        print(json.dumps({"cards": list(cards), "operations": list(OPERATIONS)}))
        return
    print(messages.text("emulateid.cards", args.lang, names=""))
    for card in cards.values():
        print(f"  {card.name}: {card.title[args.lang]}")
    print(messages.text("emulateid.operations", args.lang, names=" ".join(OPERATIONS)))


class _Emulation:
    """One process: a module, and orders on standard input."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args

    async def run(self) -> int:
        from edged.emulator.sam import Line, SamTty

        first = None if self._args.card is None else _card(self._args.card)
        async with SamTty(self._args.port_link, line=Line(baud=self._args.baud)) as tty:
            self._tell("plugged", port=str(tty.link))
            if first is not None:
                self._lay(tty, first)
            async for line in _orders.lines():
                await self._obey(tty, line)
            await asyncio.Event().wait()  # without orders it stays as it is
        return os.EX_OK

    async def _obey(self, tty: SamTty, line: bytes) -> None:
        try:
            order = _order(line)
            match order["do"]:
                case "lay":
                    self._lay(tty, _card(order["card"]))
                case "lift":
                    tty.lift()
                    self._tell("lifted")
                case "plug":
                    if not tty.plugged:
                        tty.plug()
                    self._tell("plugged", port=str(tty.link))
                case "unplug":
                    await tty.unplug()
                    self._tell("unplugged")
                case _:
                    self._fault(tty, order["operation"], order["status"])
        except CodedError as error:
            said = messages.text(error.code, self._args.lang, **error.params)
            self._tell("refused", reason=error.code if self._args.json else said)

    def _lay(self, tty: SamTty, card: EmulatedIdCard) -> None:
        tty.lay(card)
        self._tell("laid", card=card.name)

    def _fault(self, tty: SamTty, operation: str, status: str) -> None:
        from edged.emulator.sam_module import OPERATIONS

        if operation not in OPERATIONS:
            raise ConfigError("operation", "emulateid.unknown_operation", known=" ".join(OPERATIONS))
        tty.module.faults.setdefault(operation, []).append(bytes.fromhex(status)[0])
        self._tell("fault", operation=operation, status=status)

    def _tell(self, event: str, **more: str) -> None:
        if self._args.json:
            print(json.dumps({"event": event, **more}, ensure_ascii=False), flush=True)
            return
        print(messages.text(f"emulateid.{event}", self._args.lang, **more), flush=True)


def _card(name: str) -> EmulatedIdCard:
    from edged.emulator.id_cards import id_cards

    known = id_cards()
    if name not in known:
        raise ConfigError("card", "emulateid.unknown_card", known=" ".join(known))
    return known[name]


def _order(line: bytes) -> dict[str, Any]:
    """One order. Raises `ConfigError` ("emulateid.bad_order")."""
    bad = ConfigError("-", "emulateid.bad_order")
    try:
        order = json.loads(line)
    except ValueError:
        raise bad from None
    if (
        not isinstance(order, dict)
        or not all(isinstance(value, str) for value in order.values())
        or order.get("do") not in _ORDERS
        or order.keys() != {"do"} | _ORDERS[order["do"]]
    ):
        raise bad
    if "status" in order:
        try:
            if len(bytes.fromhex(order["status"])) != 1:
                raise bad
        except ValueError:
            raise bad from None
    return order
