"""Telling boxes to do something: one signed command each, told again until it is answered.

Telling a box again does no harm: it does nothing twice, and a repeat gets the first answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from edged.fleet.answers import Answers, Done, Issued, Partly, Unusable
from edged.uplink import topics
from edged.uplink.command import MAX_LIFE_S, Command, CommandName, seal_command
from edged.uplink.mqtt import PublishRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edged.fleet.link import AdminLink
    from edged.uplink.sign import Signer

AGAIN_S: Final = 15.0
"""A box that hasn't answered is told again this often: it may have been away. Four a minute is far under what it
looks at."""

NO_ANSWER: Final = "command.no_answer"

LIFE_S: Final = 60
"""The least that a command lives: clocks differ, lines are slow."""

TIMEOUT_S: Final[Mapping[CommandName, int]] = {
    "scan": 60,
    "status": 30,
    "diagnostics": 120,
    "restart": 180,
    "rotate-key": 150,
    "identify": 90,
    "collect-logs": 60,
}
"""How long an answer is waited for if nobody says otherwise; a box that is on the line needs a second or two."""


def issue(
    signer: Signer,
    devices: Sequence[str],
    name: CommandName,
    args: Mapping[str, int],
    *,
    now: int,
    timeout_s: int,
) -> dict[str, Issued]:
    """A signed command for each device, all of one id; it ends when nobody waits for it any more.

    Raises `SignatureRefusedError` (`command.bad_argument`, `cert.wrong_role`).
    """
    identifier = f"c-{secrets.token_hex(12)}"
    made = {}
    for device in devices:
        command = Command(
            iss=signer.principal.name,
            fleet=signer.principal.fleet,
            device=device,
            id=identifier,
            name=name,
            args=dict(args),
            iat=now,
            exp=now + min(max(timeout_s, LIFE_S), MAX_LIFE_S),
        )
        compact = seal_command(command, signer)
        made[device] = Issued(device, name, identifier, compact, hashlib.sha256(compact.encode()).hexdigest())
    return made


async def give(
    link: AdminLink,
    issued: Mapping[str, Issued],
    *,
    timeout_s: float,
    on_done: Callable[[Done], None],
    on_news: Callable[[Partly | Unusable], None] = lambda _: None,
    again_s: float = AGAIN_S,
) -> None:
    """Tell every box, and `on_done` of each as it answers; who doesn't in time is done with `command.no_answer`.

    A box whose topic the broker refuses is done with that refusal's code. Raises `UplinkError` when there is no
    connection for too long.
    """
    answers = Answers(link.fleet, issued)
    identifier = next(iter(issued.values())).id
    every = (
        topics.every_reply_to(link.fleet, identifier)
        if len(issued) > 1
        else topics.reply(link.fleet, *next((one.device, one.id) for one in issued.values()))
    )
    async with link.listen(every) as listening:

        async def hear() -> None:
            async for received in listening:
                found = answers.take(received.topic, received.payload, anchor=link.anchor, at=link.clock())
                if isinstance(found, Done):
                    on_done(found)
                elif found is not None:
                    on_news(found)
                if not answers.open:
                    return

        async def tell() -> None:
            while True:
                for one in answers.open:
                    if (refusal := await _publish(link, one)) is not None:
                        on_done(answers.refused(one.device, refusal))
                if not answers.open:
                    return
                await asyncio.sleep(again_s)

        tasks = [asyncio.ensure_future(hear()), asyncio.ensure_future(tell())]
        try:
            await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for one in answers.open:
        on_done(Done(one.device, NO_ANSWER))


async def _publish(link: AdminLink, issued: Issued) -> str | None:
    """The code of the broker's refusal, or None."""
    try:
        await link.publish(topics.command(link.fleet, issued.device, issued.name), issued.compact)
    except PublishRefusedError as error:
        return error.code
    return None
