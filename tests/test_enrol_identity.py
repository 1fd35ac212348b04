"""A box's identity on the disk: whenever the power goes, a matching pair is in use and the next call goes on."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edged.pushed import identity_files
from edged.pushed.identity_files import IdentityFiles
from edged.uplink.authority import FleetAuthority
from edged.uplink.keys import load_private, read_private
from edged.uplink.names import Principal, Role, Usage

NOW = datetime(2026, 11, 26, tzinfo=UTC)
AUTHORITY = FleetAuthority.create("north", demo=True, now=NOW)


class PowerCut(BaseException):
    pass


class Power:
    """Goes off before the n-th step of the disk that matters: files renamed, links made, things taken away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.steps = 0
        for place, name in (
            (os, "unlink"),
            (os, "rmdir"),
            (os, "symlink"),
            (os, "rename"),
            (os, "replace"),
            (os, "mkdir"),
        ):
            monkeypatch.setattr(place, name, self._watched(getattr(place, name)))

    def _watched(self, work: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **named: object) -> object:
            if self.left == 0:
                raise PowerCut
            self.left -= 1
            self.steps += 1
            return work(*args, **named)

        return step


def issue(usage: Usage, key: ec.EllipticCurvePrivateKey) -> bytes:
    return AUTHORITY.issue(Principal("north", Role.DEVICE, "box-1"), usage, key.public_key(), now=NOW)


def enrolled(files: IdentityFiles) -> None:
    """What enrolment does with the files, for both usages."""
    files.prepare(enrolling=True)
    files.begin_enrolling()
    chains = {usage: issue(usage, files.key_in_the_making(usage)) for usage in Usage}
    identity_files.write_public(files.ca, AUTHORITY.certificate_pem)
    identity_files.write_public(files.root, b"{}")
    files.end_enrolling(chains)


def renewed(files: IdentityFiles) -> None:
    files.prepare()
    files.put_in_use(Usage.TLS, issue(Usage.TLS, files.key_in_the_making(Usage.TLS)))


def whole(files: IdentityFiles, usage: Usage) -> bool:
    """Whether what a boot file names is a key and its certificate."""
    named = files.settings(usage)
    if not named.chain.exists():
        return False
    key = load_private(read_private(Path(named.key)))
    assert named.certificates()[0].public_key() == key.public_key()
    return True


def each_cut(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: Callable[[IdentityFiles], None],
    work: Callable[[IdentityFiles], None],
    check: Callable[[IdentityFiles, int], None],
) -> None:
    """Cut `work` before each of its steps, check, do it again to its end, check once more (-1)."""
    power = Power(monkeypatch)
    measured = IdentityFiles(tmp_path / "measured")
    before(measured)
    power.steps = 0
    work(measured)
    count = power.steps
    assert count >= 4
    for cut in range(count):
        files = IdentityFiles(tmp_path / str(cut))
        before(files)
        power.left = cut
        with pytest.raises(PowerCut):
            work(files)
        power.left = -1
        check(files, cut)
        work(files)
        check(files, -1)


def test_enrolment_is_all_or_nothing_and_keeps_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: dict[Path, dict[Usage, bytes]] = {}

    def check(files: IdentityFiles, cut: int) -> None:
        both = {whole(files, usage) for usage in Usage}
        if cut >= 0:
            # A key that may have been shown to the service is still there to be shown again.
            found = {usage: files.directory / usage / "next" / "key.pem" for usage in Usage}
            keys[files.directory] = {
                usage: path.read_bytes() for usage, path in found.items() if path.exists()
            }
            files.prepare(enrolling=True)  # what the next call begins with
            assert files.complete() or not any(files.current(usage) for usage in Usage)
            if (
                files.complete()
            ):  # `enrol` would leave it as it is; what `work` makes here replaces it for good
                keys[files.directory] = {}
            return
        assert both == {True}
        assert files.complete()
        for usage, key in keys[files.directory].items():
            homes = [files.directory / usage / number / "key.pem" for number in ("1", "2")]
            assert key in [path.read_bytes() for path in homes if path.exists()]

    each_cut(tmp_path, monkeypatch, lambda files: None, enrolled, check)


def test_a_renewal_leaves_a_matching_pair_in_use_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(files: IdentityFiles, cut: int) -> None:
        assert whole(files, Usage.TLS)
        files.prepare()
        assert whole(files, Usage.TLS)

    each_cut(tmp_path, monkeypatch, enrolled, renewed, check)


@pytest.mark.parametrize("work", [IdentityFiles.forget_before, IdentityFiles.go_back])
def test_taking_a_pair_away_never_takes_the_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[IdentityFiles, Usage], object]
) -> None:
    def before(files: IdentityFiles) -> None:
        enrolled(files)
        renewed(files)

    def check(files: IdentityFiles, cut: int) -> None:
        assert whole(files, Usage.TLS)
        files.prepare()
        assert whole(files, Usage.TLS)
        assert not list((files.directory / "tls").glob(".gone*"))

    each_cut(tmp_path, monkeypatch, before, lambda files: work(files, Usage.TLS) and None, check)


def test_going_back_and_forth(tmp_path: Path) -> None:
    files = IdentityFiles(tmp_path / "box")
    enrolled(files)
    first = files.current(Usage.TLS)
    assert files.before(Usage.TLS) is None
    assert files.go_back(Usage.TLS) is None
    renewed(files)
    assert files.before(Usage.TLS) == first
    assert files.go_back(Usage.TLS) == first
    assert files.current(Usage.TLS) == first
    files.prepare()
    assert files.current(Usage.TLS) == first  # what was given up doesn't come back
    renewed(files)
    files.forget_before(Usage.TLS)
    assert files.before(Usage.TLS) is None
    assert whole(files, Usage.TLS)


def test_an_enrolment_that_was_given_up_leaves_no_key_behind(tmp_path: Path) -> None:
    files = IdentityFiles(tmp_path / "box")
    enrolled(files)
    files.begin_enrolling()
    files.key_in_the_making(Usage.TLS)
    files.prepare()  # the daemon starts: renewal begins with a key of its own
    assert not (files.directory / "tls" / "next").exists()
    assert whole(files, Usage.TLS)


def test_nobody_else_reads_a_key(tmp_path: Path) -> None:
    files = IdentityFiles(tmp_path / "box")
    enrolled(files)
    for path in files.directory.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not mode & 0o022
        if path.name == "key.pem":
            assert mode == 0o600
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700
