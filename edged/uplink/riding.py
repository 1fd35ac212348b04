"""What shares the box's one connection to its broker: who listens to which topics, and what runs beside them.

One certificate is one connection, so whatever a box hears (receipts, pushes, commands, files) comes through the
uplink's. Each part that listens is a rider; the uplink hands every message to the riders that want it, and
acknowledges it to the broker when they have returned.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from edged import log
from edged.errors import CertificateError, StateError, UplinkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.uplink.mqtt import Connection
    from edged.uplink.mqtt_types import Received

EXPECTED: Final = (UplinkError, CertificateError, StateError)
"""What ends a connection in order; the uplink makes another one."""

AT_ONCE: Final = 8
"""Messages taken together: verifying and applying so many takes some milliseconds, which a commit may wait."""


class Rider(Protocol):
    """A part of the box that listens on the uplink's connection."""

    def filters(self) -> Sequence[str]:
        """Topic filters to subscribe to at the beginning of every connection."""

    def wants(self, topic: str) -> bool:
        """Whether a message on `topic` is this rider's."""

    async def take(self, received: Sequence[Received]) -> None:
        """Take messages, in the order of their arrival; when it returns they are acknowledged.

        Bad messages are its own to refuse and report: it raises `UplinkError` or `StateError` alone, and either ends
        the connection. Anything that takes long it does elsewhere: nothing else is heard meanwhile.
        """

    async def serve(self, connection: Connection) -> None:
        """Run beside the connection, publishing what is to be said, until cancelled with it.

        Raises `UplinkError`, `StateError`, which end the connection.
        """


async def hand_out(connection: Connection, riders: Sequence[Rider]) -> None:
    """Give each arriving message to whoever wants it, for as long as the connection lasts.

    Raises `UplinkError`, `StateError`. Anything else is our own mistake, which costs those messages: the broker would
    send what it retains to the next process as well, and verdicts have to go on.
    """
    while True:
        received = await connection.receive(AT_ONCE)
        for rider in riders:
            if theirs := [message for message in received if rider.wants(message.topic)]:
                try:
                    await rider.take(theirs)
                except EXPECTED:
                    raise
                except Exception as error:  # noqa: BLE001 - see above
                    _report(rider, error)
        for message in received:
            connection.acknowledge(message)
            if not any(rider.wants(message.topic) for rider in riders):
                log.get("uplink").warning("a message nobody asked for", topic=message.topic[:80])


async def serve_all(connection: Connection, riders: Sequence[Rider]) -> None:
    """Run every rider's `serve`; the first that fails ends it. Raises `UplinkError`, `StateError`.

    One that fails in any other way says nothing more on this connection, and the others go on.
    """
    if not riders:
        await asyncio.Event().wait()
    tasks = [asyncio.ensure_future(_served(rider, connection)) for rider in riders]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        await asyncio.Event().wait()  # riders may be done before the connection is
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _served(rider: Rider, connection: Connection) -> None:
    try:
        await rider.serve(connection)
    except EXPECTED:
        raise
    except Exception as error:  # noqa: BLE001 - a daemon that ended over it would end with every connection
        _report(rider, error)


def _report(rider: Rider, error: Exception) -> None:
    log.get("uplink").error(
        "a part of the box failed; please report this", part=type(rider).__name__, exc_info=error
    )
