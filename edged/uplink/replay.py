"""Replay: an audience asks, signed, for its streams from a number on, and gets what the archive holds, verbatim.

One request, one page: a partner that is far behind asks again from where the page ended, so nobody's queue fills up
and the collectors keep no state. A request without spans asks which streams there are. The answer is the stored
envelopes and gap records as they were sent, then a signed `ReplayEnd` that says how many there were, so that a lost
one shows.

Takes time as an argument, does no I/O.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Protocol

import msgspec

from edged.errors import SignatureRefusedError
from edged.uplink import sign
from edged.uplink.fields import MAX_SEQ, Name, Seconds, Seq, Sha256, Token, encode, parse
from edged.uplink.roles import Principal, Role, TrustAnchor

TYP_REQUEST: Final = "replay-request+jws"
TYP_END: Final = "replay-end+jws"

MAX_PAGE: Final = 500
"""Envelopes in one answer: a twentieth of what the broker keeps for a subscriber."""

MAX_SPANS: Final = 50
"""Runs in one request."""

MAX_LISTED: Final = 100
"""Streams in one answer to a request without spans; the next begins after the last of them."""

FRESH: Final = timedelta(minutes=10)
"""How far a request's time may be from the collector's: who recorded it can't have it answered for ever."""


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run of one of the audience's streams; `last` None means: and everything after."""

    device: Name
    log_id: Token
    first: Seq
    last: Seq | None


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stream of the audience, as a place in the list of them (by device, then log_id)."""

    device: Name
    log_id: Token


class StreamExtent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stream of the audience, as the archive has it."""

    device: Name
    log_id: Token
    highest: Seq
    """The highest number that an envelope or a gap record names."""
    stored: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]
    """Envelopes; none where gap records are all there is."""


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an audience asks for (`docs/schemas/replay-request.schema.json`)."""

    iss: Name
    """The audience."""
    fleet: Name
    request: Name
    """The asker's own name of this request, and the last level of the topic of the answer."""
    iat: Seconds
    spans: Annotated[tuple[Span, ...], msgspec.Meta(max_length=MAX_SPANS)]
    """Empty to ask which streams there are."""
    after: Place | None
    """With no spans: list the streams after this one."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)]
    """Envelopes and gap records in the answer at most."""


class ReplayEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an answer ends (`docs/schemas/replay-end.schema.json`)."""

    iss: Name
    """The collector."""
    fleet: Name
    audience: Name
    request: Name
    iat: Seconds
    request_sha256: Sha256
    """Of the request (the whole JWS): which of two with one name this answers."""
    sent: Annotated[int, msgspec.Meta(ge=0, le=MAX_PAGE)]
    """Envelopes and gap records sent before this."""
    more: tuple[Span, ...]
    """What is left of the spans asked for, when `limit` ended the page: ask for these next. Numbers of a span that
    were neither sent nor are left are not in the archive."""
    streams: Annotated[tuple[StreamExtent, ...], msgspec.Meta(max_length=MAX_LISTED)]
    """For a request without spans."""
    more_streams: bool
    """Whether there are streams after the last of `streams`."""


class OpenedRequest(msgspec.Struct, frozen=True):
    """A request whose signature, chain, role, names, form and time hold."""

    request: ReplayRequest
    sha256: str


def seal_request(request: ReplayRequest, *, signer: sign.Signer) -> str:
    """A signed request. Raises `SignatureRefusedError` (`replay.malformed`, `cert.wrong_role`)."""
    if signer.principal.role is not Role.AUDIENCE:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of audience")
    data = encode(request)
    _check(parse(data, ReplayRequest, "replay.malformed"))
    return signer.sign(TYP_REQUEST, data)


def open_request(compact: str | bytes, *, anchor: TrustAnchor, at: datetime, audience: str) -> OpenedRequest:
    """Verify a request of `audience` (its topic's).

    Raises `SignatureRefusedError`: a code of `sign.verify`, `replay.malformed`, `replay.wrong_issuer`,
    `replay.wrong_fleet`, `replay.stale`.
    """
    verified = sign.verify(compact, typ=TYP_REQUEST, anchor=anchor, role=Role.AUDIENCE, at=at)
    request = parse(verified.payload, ReplayRequest, "replay.malformed")
    if not request.iss == verified.principal.name == audience:
        raise SignatureRefusedError("replay.wrong_issuer")
    if request.fleet != anchor.fleet:
        raise SignatureRefusedError("replay.wrong_fleet")
    if abs(datetime.fromtimestamp(request.iat, UTC) - at) > FRESH:
        raise SignatureRefusedError("replay.stale")
    _check(request)
    return OpenedRequest(request, verified.sha256.hex())


def seal_end(end: ReplayEnd, *, signer: sign.Signer) -> str:
    """A signed end of an answer. Raises `SignatureRefusedError` (`replay.malformed`, `cert.wrong_role`)."""
    if signer.principal.role is not Role.COLLECTOR:
        raise SignatureRefusedError("cert.wrong_role", f"{signer.principal.role} instead of collector")
    data = encode(end)
    parse(data, ReplayEnd, "replay.malformed")
    return signer.sign(TYP_END, data)


def open_end(compact: str | bytes, *, anchor: TrustAnchor, at: datetime, audience: str) -> ReplayEnd:
    """Verify the end of an answer to `audience`.

    Raises `SignatureRefusedError`: a code of `sign.verify`, `replay.malformed`, `replay.wrong_issuer`,
    `replay.wrong_fleet`, `replay.wrong_audience`.
    """
    verified = sign.verify(compact, typ=TYP_END, anchor=anchor, role=Role.COLLECTOR, at=at)
    end = parse(verified.payload, ReplayEnd, "replay.malformed")
    check_told(end, verified.principal, audience)
    return end


class Told(Protocol):
    """What every word of a collector's in an answer says of itself."""

    @property
    def iss(self) -> str:
        """The collector."""

    @property
    def fleet(self) -> str:
        """Its fleet."""

    @property
    def audience(self) -> str:
        """Who had asked."""


def check_told(told: Told, signer: Principal, audience: str) -> None:
    """Whether it is its signer's own word to `audience`.

    Raises `SignatureRefusedError`: `replay.wrong_issuer`, `replay.wrong_fleet`, `replay.wrong_audience`.
    """
    if told.iss != signer.name:
        raise SignatureRefusedError("replay.wrong_issuer")
    if told.fleet != signer.fleet:
        raise SignatureRefusedError("replay.wrong_fleet")
    if told.audience != audience:
        raise SignatureRefusedError("replay.wrong_audience")


def _check(request: ReplayRequest) -> None:
    if any(span.last is not None and span.last < span.first for span in request.spans):
        raise SignatureRefusedError("replay.malformed")
    if request.spans and request.after is not None:
        raise SignatureRefusedError("replay.malformed")
