"""An update of the box's own software, step by step: what is written down of it, and what follows from what happens.

    idle → installing → waiting → idle (installed)
               └───────────┴────→ reverting → idle (rolled back)

Each step is written down before it is begun and can be done again, so a power cut costs nothing but time; how often is
counted, and then it goes back. Pure: knows no disk, no dpkg and no clock.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from edged.uplink.fields import Code, Name, Sha256

MAX_STARTS: Final = 3
"""How often a step may be begun: a power cut or two are bad luck, a third is the package."""

Number = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]

Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~-]{0,63}$(?!\n)")]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the daemon asks for; nothing of it is believed, the bundle beside it says the same under signatures."""

    format: Literal[1] = 1
    push: Number
    sha256: Sha256


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The daemon's word that this version has proved itself with this push."""

    format: Literal[1] = 1
    push: Number
    version: Version


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What became of a request; for the daemon to read."""

    format: Literal[1] = 1
    push: Number
    sha256: Sha256
    outcome: Literal["installed", "rolled_back", "refused"]
    code: Code | None = None

    def answers(self, request: Request) -> bool:
        """Whether it is about this request."""
        return (self.push, self.sha256) == (request.push, request.sha256)


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A package that lies beside the state, whole."""

    version: Version
    sha256: Sha256
    floor: Version
    """The oldest version that may take its place: its own, unless whoever built it says otherwise."""


class Pending(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An update that has begun."""

    push: Number
    new: Package
    old: Package
    healthy_s: float
    """How long the new version has to prove itself, seconds."""
    starts: int = 0
    """How often the present step was begun."""
    code: Code | None = None
    """Why it goes back."""


class UpdateState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that the helper knows."""

    format: Literal[1] = 1
    device: Name | None = None
    """Whose pushes it takes; found in the box's certificate at the first, and kept."""
    trusted: dict[str, bytes] = {}
    """TUF metadata that it has verified itself (`edged.pushed.verifying.Trusted`)."""
    kept: Package | None = None
    """What is installed, as a file to come back to."""
    floor: Version | None = None
    """The highest floor of any version that has proved itself."""
    phase: Literal["idle", "installing", "waiting", "reverting"] = "idle"
    pending: Pending | None = None
    last: Outcome | None = None


def begin(state: UpdateState, pending: Pending) -> UpdateState:
    """A verified request: install next."""
    assert state.phase == "idle"
    return msgspec.structs.replace(state, phase="installing", pending=pending)


def refuse(state: UpdateState, request: Request, code: str) -> UpdateState:
    """A request that is not followed."""
    return msgspec.structs.replace(
        state, last=Outcome(push=request.push, sha256=request.sha256, outcome="refused", code=code)
    )


def already(state: UpdateState, request: Request) -> UpdateState:
    """A request for what is installed."""
    return msgspec.structs.replace(
        state, last=Outcome(push=request.push, sha256=request.sha256, outcome="installed")
    )


def started(state: UpdateState, installed: str | None) -> UpdateState:
    """The helper has been started, `installed` being the version dpkg knows: begin the present step once more."""
    if state.pending is None or state.phase in ("idle", "reverting"):
        return state
    pending = msgspec.structs.replace(state.pending, starts=state.pending.starts + 1)
    state = msgspec.structs.replace(state, pending=pending)
    if pending.starts > MAX_STARTS:
        return go_back(state, "update.power_cuts")
    if state.phase == "waiting" and installed != pending.new.version:
        return go_back(state, "update.replaced")  # by the way back that needs no helper, or by a person
    return state


def installed(state: UpdateState) -> UpdateState:
    """dpkg is done: now it has to prove itself."""
    assert state.phase == "installing"
    assert state.pending is not None
    pending = msgspec.structs.replace(state.pending, starts=0)
    return msgspec.structs.replace(state, phase="waiting", pending=pending)


def proves(mark: Mark | None, state: UpdateState) -> bool:
    """Whether a mark is the word that is waited for."""
    pending = state.pending
    assert pending is not None
    return mark is not None and (mark.push, mark.version) == (pending.push, pending.new.version)


def proved(state: UpdateState, floor: str) -> UpdateState:
    """It has proved itself: it is what is come back to from now on. `floor` is the higher of the two."""
    assert state.phase == "waiting"
    assert state.pending is not None
    return _ended(state, "installed", kept=state.pending.new, floor=floor)


def go_back(state: UpdateState, code: str) -> UpdateState:
    """It hasn't, or couldn't be installed."""
    assert state.pending is not None
    pending = msgspec.structs.replace(state.pending, code=code)
    return msgspec.structs.replace(state, phase="reverting", pending=pending)


def reverted(state: UpdateState) -> UpdateState:
    """The previous version is back."""
    assert state.phase == "reverting"
    assert state.pending is not None
    return _ended(state, "rolled_back", kept=state.pending.old, floor=state.floor, code=state.pending.code)


def _ended(
    state: UpdateState,
    outcome: Literal["installed", "rolled_back"],
    *,
    kept: Package,
    floor: str | None,
    code: str | None = None,
) -> UpdateState:
    pending = state.pending
    assert pending is not None
    last = Outcome(push=pending.push, sha256=pending.new.sha256, outcome=outcome, code=code)
    return msgspec.structs.replace(state, phase="idle", pending=None, kept=kept, floor=floor, last=last)
