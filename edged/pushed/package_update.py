"""The helper that installs the box's own software: as root, beside the daemon, believing nothing the daemon says.

    {helper}/state.json        `edged.pushed.update_steps.UpdateState`, before every step
    {helper}/outcome.json      what became of the last request, for the daemon to read
    {helper}/{sha256}.deb      the package that is installed, and the one that is tried
    {helper}/way-back          a shell script, while an update is under way: installs the previous package without us

Which package may be installed is decided by the push's TUF metadata alone, verified here again with metadata of the
helper's own. An older version than the installed one is installed when a push says so, down to the highest floor of any
version that has proved itself: the fleet admin chooses among what the release role still signs for, and the release
role says how far back that may go.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from edged import log
from edged.errors import PushRefusedError, StateError
from edged.pushed import update_request, update_steps
from edged.pushed.artefact_store import DIRECTORY as ARTEFACTS
from edged.pushed.dpkg import PACKAGE
from edged.pushed.part_file import disk_error, is_whole
from edged.pushed.update_request import open_plain, write_note
from edged.pushed.update_steps import Mark, Package, Pending, Request, UpdateState
from edged.pushed.verifying import Trusted, first_trust, verify_bundle
from edged.uplink.artefact import CHUNK, MAX_BYTES
from edged.whole_file import sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edged.pushed.dpkg import Fields
    from edged.pushed.verifying import ArtefactTarget

STATE: Final = "state.json"
WAY_BACK: Final = "way-back"
LOCK: Final = ".lock"

START_S: Final = 120.0
"""Beside its probation: for a start, a repair of the state database, and an uplink."""

LOOK_S: Final = 1.0
"""How often it is looked whether the new version has proved itself."""


class Packages(Protocol):
    """`edged.pushed.dpkg.Dpkg`."""

    def fields(self, package: Path) -> Fields | None:
        """What a package file says of itself."""

    def architecture(self) -> str:
        """This system's."""

    def installed(self) -> str | None:
        """The version of our package that is installed."""

    def older(self, one: str, other: str) -> bool:
        """Whether `one` is lower."""

    def install(self, package: Path) -> None:
        """Install a file. Raises `StateError`."""


class Updater:
    """One run of the helper. All of this blocks.

    Attributes:
        state: as it is on the disk.
    """

    def __init__(
        self,
        helper: Path,
        box: Path,
        *,
        packages: Packages,
        restart: Callable[[], None],
        device: Callable[[], str],
        root: Callable[[], bytes],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`helper` is our own directory, `box` the daemon's state directory.

        `device` and `root` (the fleet's root metadata) are asked once, and what they say is kept.
        """
        self._helper = helper
        self._box = box
        self._packages = packages
        self._restart = restart
        self._device = device
        self._root = root
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._log = log.get("update")
        self.state = UpdateState()

    def run(self) -> UpdateState:
        """Finish what was begun, then follow the daemon's request, if there is a new one.

        Raises `StateError` when it can't go on: `update.cannot_go_back`, `update.state_damaged`, `update.busy`, …
        """
        with self._alone():
            self._load()
            self._save(update_steps.started(self.state, self._packages.installed()))
            while self.state.phase != "idle" or self._take_request():
                match self.state.phase:
                    case "installing":
                        self._install()
                    case "waiting":
                        self._wait()
                    case "reverting":
                        self._revert()
            self._tidy()
        return self.state

    def keep(self, package: Path) -> Package:
        """Keep the file of the installed package, to come back to.

        Raises `StateError`: `update.wrong_package` when it isn't the one that is installed, `update.under_way`.
        """
        with self._alone():
            self._load()
            if self.state.phase != "idle":
                raise StateError("update.under_way")
            fields = self._packages.fields(package)
            if fields is None or fields.package != PACKAGE or fields.version != self._packages.installed():
                raise StateError("update.wrong_package")
            sha256 = self._copy(package, None)
            if sha256 is None:
                raise StateError("update.wrong_package")
            try:
                kept = self._package(fields, sha256)
            except _RefusedError as refused:
                raise StateError(refused.code) from None
            self._save(msgspec.structs.replace(self.state, kept=kept, floor=self._higher(kept.floor)))
            self._tidy()
            return kept

    # --- steps ---

    def _take_request(self) -> bool:
        """Whether there is something to do now."""
        request = update_request.asked(self._box)
        if request is None or (self.state.last is not None and self.state.last.answers(request)):
            return False
        try:
            self._consider(request)
        except _RefusedError as refused:
            self._log.warning("not installed", code=refused.code, push=request.push)
            self._save(update_steps.refuse(self.state, request, refused.code))
        return True

    def _consider(self, request: Request) -> None:
        """Verify a request and begin it. Raises `_RefusedError`."""
        target, healthy_s = self._verify(request)
        installed = self._packages.installed()
        if installed is None:
            raise _RefusedError("update.not_a_package")
        if installed == target.version:
            self._save(update_steps.already(self.state, request))
            return
        old = self.state.kept
        if old is None or old.version != installed or not self._is_kept(old):
            raise _RefusedError("update.no_way_back")
        new = self._fetched(target)
        floor = self._higher(old.floor)
        if self._packages.older(new.version, floor):
            raise _RefusedError("update.too_old")
        self._write_way_back(old)
        pending = Pending(push=request.push, new=new, old=old, healthy_s=healthy_s + START_S)
        self._save(update_steps.begin(self.state, pending))

    def _verify(self, request: Request) -> tuple[ArtefactTarget, float]:
        """What the push beside the request says of the software, and the probation it gives. Raises `_RefusedError`."""
        bundle = update_request.read_bundle(self._box)
        if bundle is None:
            raise _RefusedError("update.no_push")
        device = self.state.device or self._device()
        trusted = Trusted(self.state.trusted) if self.state.trusted else first_trust(self._root())
        try:
            accepted = verify_bundle(bundle, trusted=trusted, device=device, now=self._now())
        except PushRefusedError as error:
            raise _RefusedError(error.code) from None
        self._save(msgspec.structs.replace(self.state, device=device, trusted=accepted.trusted.metadata))
        target = accepted.artefacts.get("software")
        if target is None or (accepted.push, target.sha256) != (request.push, request.sha256):
            raise _RefusedError("update.other_request")
        if target.length > MAX_BYTES["software"]:
            raise _RefusedError("artefact.too_large")
        return target, accepted.document.probation_s

    def _fetched(self, target: ArtefactTarget) -> Package:
        """Our own copy of the package, if it is what was signed. Raises `_RefusedError`."""
        if not is_whole(self._deb(target.sha256), target):
            try:
                copied = self._copy(self._box / ARTEFACTS / target.sha256, target)
            except StateError as error:
                raise _RefusedError(error.code) from None
            if copied is None:
                raise _RefusedError("update.wrong_file")
        fields = self._packages.fields(self._deb(target.sha256))
        architectures = (self._packages.architecture(), "all")
        if (
            fields is None
            or (fields.package, fields.version) != (PACKAGE, target.version)
            or fields.architecture not in architectures
        ):
            raise _RefusedError("update.wrong_package")
        return self._package(fields, target.sha256)

    def _package(self, fields: Fields, sha256: str) -> Package:
        """What is written down of a package. Raises `_RefusedError`.

        A floor above the version itself would be one that no release reaches: a slip that ends all updates of a box.
        """
        said = {"version": fields.version, "sha256": sha256, "floor": fields.floor}
        try:
            package = msgspec.convert(said, Package)
        except msgspec.ValidationError:
            raise _RefusedError("update.wrong_package") from None
        if self._packages.older(package.version, package.floor):
            raise _RefusedError("update.wrong_package")
        return package

    def _install(self) -> None:
        pending = self.state.pending
        assert pending is not None
        self._log.info("installing", version=pending.new.version, previous=pending.old.version)
        try:
            self._packages.install(self._deb(pending.new.sha256))
        except StateError as error:
            self._log.error("not installed", code=error.code, detail=error.detail)
            self._save(update_steps.go_back(self.state, error.code))
        else:
            self._save(update_steps.installed(self.state))

    def _wait(self) -> None:
        """Until the new version has proved itself, or its time is up."""
        pending = self.state.pending
        assert pending is not None
        if not self._proved():
            try:
                self._restart()
            except StateError as error:
                self._save(update_steps.go_back(self.state, error.code))
                return
        until = self._clock() + pending.healthy_s
        while not self._proved():
            if self._clock() >= until:
                self._save(update_steps.go_back(self.state, "update.not_healthy"))
                return
            self._sleep(LOOK_S)
        self._log.info("installed", version=pending.new.version)
        self._save(update_steps.proved(self.state, self._higher(pending.new.floor)))

    def _proved(self) -> bool:
        path = self._box / update_request.DIRECTORY / update_request.HEALTHY
        return update_steps.proves(update_request.read_note(path, Mark), self.state)

    def _revert(self) -> None:
        """Raises `StateError` (`update.cannot_go_back`): the way back without us is next (`edged-update.service`)."""
        pending = self.state.pending
        assert pending is not None
        self._log.warning("going back", code=pending.code, version=pending.old.version)
        try:
            self._packages.install(self._deb(pending.old.sha256))
            self._restart()
        except StateError as error:
            raise StateError("update.cannot_go_back", error.detail) from error
        self._save(update_steps.reverted(self.state))

    # --- the disk ---

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._helper.mkdir(mode=0o755, exist_ok=True)
            opened = os.open(self._helper / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_error(error, self._helper) from error
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise StateError("update.busy") from None
        finally:
            os.close(opened)

    def _load(self) -> None:
        path = self._helper / STATE
        try:
            self.state = msgspec.json.decode(path.read_bytes(), type=UpdateState)
        except FileNotFoundError:
            self.state = UpdateState()
        except OSError as error:
            raise disk_error(error, path) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise StateError("update.state_damaged", str(path)) from None

    def _save(self, state: UpdateState) -> None:
        if state != self.state:
            write_note(self._helper / STATE, msgspec.json.encode(state))
            self.state = state
        if state.last is not None:
            outcome = self._helper / update_request.OUTCOME
            data = msgspec.json.encode(state.last)
            if update_request.read_bounded(outcome, update_request.MAX_NOTE) != data:
                write_note(outcome, data, 0o644)

    def _deb(self, sha256: str) -> Path:
        return self._helper / f"{sha256}.deb"

    def _is_kept(self, package: Package) -> bool:
        opened = open_plain(self._deb(package.sha256))
        if opened is None:
            return False
        with os.fdopen(opened, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == package.sha256

    def _copy(self, source: Path, target: ArtefactTarget | None) -> str | None:
        """Copy a package here while hashing it; None when it isn't there or isn't `target`'s. Raises `StateError`."""
        opened = open_plain(source)
        if opened is None:
            return None
        temporary = self._helper / ".incoming"
        digest, left = hashlib.sha256(), MAX_BYTES["software"]
        try:
            with os.fdopen(opened, "rb") as file, temporary.open("wb") as copy:
                while (chunk := file.read(CHUNK)) and left >= 0:
                    digest.update(chunk)
                    copy.write(chunk)
                    left -= len(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            found = digest.hexdigest()
            if left < 0 or (target is not None and found != target.sha256):
                temporary.unlink()
                return None
            temporary.replace(self._deb(found))
            sync_directory(self._helper)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise disk_error(error, temporary) from error
        return found

    def _write_way_back(self, old: Package) -> None:
        """For the day on which the new version can't even run this: plain shell, written by the version that works."""
        lines = (
            "#!/bin/sh",
            "set -e",
            f"dpkg --force-confold --force-downgrade --install {shlex.quote(str(self._deb(old.sha256)))}",
            "systemctl daemon-reload",
            "systemctl restart edged.service",
            "systemctl start --no-block edged-update.service",
            "",
        )
        write_note(self._helper / WAY_BACK, "\n".join(lines).encode(), 0o700)

    def _tidy(self) -> None:
        """Remove packages that nobody comes back to, and the way back when no update is under way."""
        wanted = {self._deb(self.state.kept.sha256)} if self.state.kept is not None else set()
        try:
            (self._helper / WAY_BACK).unlink(missing_ok=True)
            for path in self._helper.glob("*.deb"):
                if path not in wanted:
                    path.unlink()
        except OSError as error:
            raise disk_error(error, self._helper) from error

    def _higher(self, floor: str) -> str:
        known = self.state.floor
        return floor if known is None or self._packages.older(known, floor) else known


class _RefusedError(Exception):
    """A request that is not followed; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
