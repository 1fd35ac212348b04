"""Commands to boxes and their answers: an admin signs one, a box obeys it once, signs what came of it.

A command is for one device, has an id of its own and ends within the hour, so that whoever records one can't use it
later; that nothing is done twice is the box's journal (`edged.pushed.command_journal`). The answer goes to the fixed
topic `…/reply/{id}` and names the command by its hash; one that is too large for a message comes in parts. Takes time
as an argument, does no I/O.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.fields import LAST_SECOND, MAX_SEQ, Name, Seconds, Sha256, encode, parse
from edged.uplink.roles import Role, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

TYP_COMMAND: Final = "command+jws"
TYP_REPLY: Final = "reply+jws"

CommandName = Literal["scan", "status", "diagnostics", "restart", "rotate-key", "identify", "collect-logs"]
"""What a box can be told. `scan`: one inspection of a shipped specimen, whose verdicts say `test` · `status`: how it
is · `diagnostics`: a file of everything a technician asks for, and nothing personal · `restart`: the daemon ·
`rotate-key`: a new signing key, certified by the enrolment service · `identify`: blink and beep, to be found on a
counter · `collect-logs`: its latest log lines."""

NAMES: Final[tuple[CommandName, ...]] = get_args(CommandName)

MAX_COMMAND: Final = 16 * 1024
"""Bytes of a signed command: its header may have 12 KiB of certificates, its payload has some hundred."""

MAX_LIFE_S: Final = 3600
"""Longest from signing to expiry: a box that is away for longer is told anew, and what was recorded is useless."""

SKEW_S: Final = 300
"""A command may have been signed so far in the box's future: two good clocks don't differ more."""

MAX_ARGUMENTS: Final = 8
MAX_TEXT: Final = 128
"""Longest text given as an argument."""

MAX_RESULT: Final = 24 * 1024
"""Bytes of an answer's result as JSON: with its signature and certificates it stays under `sign.MAX_COMPACT`."""

PART: Final = 22 * 1024
"""Bytes of an attachment in one part: in base64, and all of it in base64 again, with 12 KiB of certificates and a
result of `MAX_PART_RESULT`, still under `sign.MAX_COMPACT`."""

MAX_PART_RESULT: Final = 2 * 1024
"""Bytes of the result beside an attachment."""

MAX_ATTACHMENT: Final = 1 << 20
"""Bytes of an attachment: what a box on a mobile line can send while somebody waits."""

MAX_PARTS: Final = -(-MAX_ATTACHMENT // PART)

OK: Final = "ok"
"""The code of what went well; every other is of the message catalogue."""

ArgumentName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z_]{0,31}$(?!\n)")]
ArgumentValue = (
    bool
    | Annotated[int, msgspec.Meta(ge=-MAX_SEQ, le=MAX_SEQ)]
    | Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
)
ReplyCode = Annotated[
    str, msgspec.Meta(pattern=r"^(ok|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+)$(?!\n)", max_length=64)
]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one admin tells one box to do (`docs/schemas/command.schema.json`)."""

    iss: Name
    fleet: Name
    device: Name
    id: Name
    name: Name
    args: Annotated[dict[ArgumentName, ArgumentValue], msgspec.Meta(max_length=MAX_ARGUMENTS)]
    iat: Seconds
    exp: Seconds


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of what is too large for one message."""

    number: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PARTS)]
    """From 0."""
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)]
    sha256: Sha256
    """Of the whole, the same in every part."""
    data: Annotated[str, msgspec.Meta(max_length=4 * -(-PART // 3))]
    """Base64 (RFC 4648 §4, padded) of `PART` bytes, the last part of what is left."""


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one command (`docs/schemas/reply.schema.json`)."""

    iss: Name
    fleet: Name
    id: Name
    command_sha256: Sha256
    """Of the whole command (the JWS, ASCII): two commands of one id have answers that are told apart."""
    name: Name
    iat: Seconds
    code: ReplyCode
    """`ok`, or why not, as a code of the message catalogue."""
    result: dict[str, Any]
    part: Part | None


class Signed(msgspec.Struct, frozen=True):
    """A command that an admin of the fleet signed for this box. Whether it is to be obeyed now says `due`."""

    command: Command
    sha256: str
    """Of the whole JWS, in hexadecimal."""


class Range(msgspec.Struct, frozen=True):
    """A whole number that a command takes."""

    least: int
    most: int
    default: int


MAX_LINES: Final = 2000
"""Log lines asked for at once: a busy counter's day."""

ARGUMENTS: Final[Mapping[CommandName, Mapping[str, Range]]] = {
    "scan": {},
    "status": {},
    "diagnostics": {"lines": Range(0, MAX_LINES, 500)},
    "restart": {},
    "rotate-key": {},
    "identify": {"seconds": Range(1, 60, 10)},
    "collect-logs": {"lines": Range(1, MAX_LINES, 200), "since": Range(0, LAST_SECOND, 0)},
}
"""What each command may be given; what isn't given has its default. `since`: seconds since 1970."""


class Order(msgspec.Struct, frozen=True):
    """A command to be obeyed now: known, well-formed, of this hour."""

    signed: Signed
    name: CommandName
    args: Mapping[str, int]
    """Every argument, defaults included."""


def seal_command(command: Command, signer: sign.Signer) -> str:
    """`command`, signed.

    Raises `SignatureRefusedError` for what a box would refuse: `cert.wrong_role`, `command.wrong_issuer`, or a code of
    `due`.
    """
    if signer.principal.role is not Role.ADMIN:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of admin")
    if (command.iss, command.fleet) != (signer.principal.name, signer.principal.fleet):
        raise SignatureRefusedError("command.wrong_issuer")
    data = encode(command)
    parse(data, Command, "command.malformed")
    due(Signed(command, ""), command.iat)
    return signer.sign(TYP_COMMAND, data)


def open_command(
    compact: str | bytes, *, anchor: TrustAnchor, at: datetime, device: str, name: str
) -> Signed:
    """Verify a command that came to `device` on the topic of `name`; `due` says whether to obey it.

    Raises `SignatureRefusedError`: `command.too_large`, a code of `sign.verify`, `command.malformed`,
    `command.wrong_issuer`, `command.wrong_device`, `command.wrong_name`.
    """
    if len(compact) > MAX_COMMAND:
        raise SignatureRefusedError("command.too_large")
    verified = sign.verify(compact, typ=TYP_COMMAND, anchor=anchor, role=Role.ADMIN, at=at)
    command = parse(verified.payload, Command, "command.malformed")
    if command.iss != verified.principal.name or command.fleet != anchor.fleet:
        raise SignatureRefusedError("command.wrong_issuer")
    if command.device != device:
        raise SignatureRefusedError("command.wrong_device")
    if command.name != name:
        raise SignatureRefusedError("command.wrong_name")
    return Signed(command, verified.sha256.hex())


def due(signed: Signed, now: int) -> Order:
    """What is to be done, at `now` in seconds since 1970.

    Raises `SignatureRefusedError`: `command.lives_too_long`, `command.not_yet_valid`, `command.expired`,
    `command.unknown`, `command.bad_argument`.
    """
    command = signed.command
    if not command.iat < command.exp <= command.iat + MAX_LIFE_S:
        raise SignatureRefusedError("command.lives_too_long")
    if now < command.iat - SKEW_S:
        raise SignatureRefusedError("command.not_yet_valid")
    if now > command.exp:
        raise SignatureRefusedError("command.expired")
    known: dict[str, CommandName] = {name: name for name in NAMES}
    if command.name not in known:
        raise SignatureRefusedError("command.unknown")
    name = known[command.name]
    return Order(signed, name, _arguments(ARGUMENTS[name], command.args))


def _arguments(taken: Mapping[str, Range], given: Mapping[str, Any]) -> dict[str, int]:
    if not set(given) <= set(taken):
        raise SignatureRefusedError("command.bad_argument")
    found = {argument: given.get(argument, allowed.default) for argument, allowed in taken.items()}
    for argument, value in found.items():
        allowed = taken[argument]
        if type(value) is not int or not allowed.least <= value <= allowed.most:
            raise SignatureRefusedError("command.bad_argument")
    return found


def seal_reply(
    signed: Signed,
    *,
    code: str,
    result: Mapping[str, Any],
    attachment: bytes | None = None,
    iat: int,
    signer: sign.Signer,
) -> list[str]:
    """The answer to a command, in one message, or in as many as `attachment` takes.

    Raises `SignatureRefusedError` (`cert.wrong_role`, `reply.malformed`, `reply.too_large`, `command.wrong_device`) for
    what readers would refuse.
    """
    principal = signer.principal
    if principal.role is not Role.DEVICE:
        raise SignatureRefusedError("cert.wrong_role", f"{principal.role} instead of device")
    command = signed.command
    if (principal.name, principal.fleet) != (command.device, command.fleet):
        raise SignatureRefusedError("command.wrong_device")
    parts = [None] if attachment is None else _parts(attachment)
    made = []
    for part in parts:
        reply = Reply(
            *(principal.name, principal.fleet, command.id, signed.sha256, command.name),
            *(iat, code, dict(result), part),
        )
        try:
            data = encode(reply)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise SignatureRefusedError("reply.malformed") from None
        _check(_parsed(data))
        made.append(signer.sign(TYP_REPLY, data))
    return made


def open_reply(compact: str | bytes, *, anchor: TrustAnchor, at: datetime, device: str) -> Reply:
    """Verify an answer of `device`. Whether it answers one's own command says its `command_sha256`.

    Its `iat` proves nothing: a box whose clock is lost answers, too.
    Raises `SignatureRefusedError`: a code of `sign.verify`, `reply.malformed`, `reply.too_large`, `reply.wrong_issuer`.
    """
    verified = sign.verify(compact, typ=TYP_REPLY, anchor=anchor, role=Role.DEVICE, at=at)
    reply = _parsed(verified.payload)
    if not reply.iss == verified.principal.name == device or reply.fleet != anchor.fleet:
        raise SignatureRefusedError("reply.wrong_issuer")
    _check(reply)
    return reply


def joined(replies: Sequence[Reply]) -> bytes:
    """The attachment that the parts `replies` are of, in any order.

    Raises `SignatureRefusedError` (`reply.incomplete`) when one is missing or they don't belong together.
    """
    parts = {reply.part.number: reply.part for reply in replies if reply.part is not None}
    wholes = {(part.count, part.sha256) for part in parts.values()}
    if len(wholes) != 1:
        raise SignatureRefusedError("reply.incomplete")
    ((count, sha256),) = wholes
    if set(parts) != set(range(count)):
        raise SignatureRefusedError("reply.incomplete")
    whole = b"".join(base64.b64decode(parts[number].data) for number in range(count))
    if hashlib.sha256(whole).hexdigest() != sha256:
        raise SignatureRefusedError("reply.incomplete")
    return whole


def _parts(attachment: bytes) -> list[Part]:
    if len(attachment) > MAX_ATTACHMENT:
        raise SignatureRefusedError("reply.too_large")
    sha256 = hashlib.sha256(attachment).hexdigest()
    pieces = [attachment[start : start + PART] for start in range(0, len(attachment), PART)] or [b""]
    return [
        Part(number, len(pieces), sha256, base64.b64encode(piece).decode())
        for number, piece in enumerate(pieces)
    ]


def _parsed(data: bytes) -> Reply:
    try:
        return parse(data, Reply, "reply.malformed")
    except (ValueError, OverflowError, RecursionError):  # a number that can be read and not written again
        raise SignatureRefusedError("reply.malformed") from None


def _check(reply: Reply) -> None:
    if len(msgspec.json.encode(reply.result)) > (MAX_RESULT if reply.part is None else MAX_PART_RESULT):
        raise SignatureRefusedError("reply.too_large")
    if reply.part is None:
        return
    if reply.part.number >= reply.part.count:
        raise SignatureRefusedError("reply.malformed")
    try:
        piece = base64.b64decode(reply.part.data, validate=True)
    except ValueError:
        raise SignatureRefusedError("reply.malformed") from None
    if base64.b64encode(piece).decode() != reply.part.data or len(piece) > PART:
        raise SignatureRefusedError("reply.malformed")
