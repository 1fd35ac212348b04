"""A fleet as `edged fleet init` makes it, with two audiences and two boxes; and a box that is python-tuf alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edged.fleet import audience_signing, push_numbers
from edged.fleet.bundles import BundleMaker, Made
from edged.fleet.ceremony import Plan, found
from edged.fleet.key_files import OfflineKey, read_offline
from edged.fleet.recovery import repository_of
from edged.fleet.state import DeviceRecord, FleetFile, FleetState, write_text
from edged.fleet.tuf_roles import Holder
from edged.uplink.bundle import decode_bundle

BANK = {
    "format": 1,
    "name": "first-bank",
    "scenes": ["bank"],
    "policy": {"claims": {"surname": "mask", "issuing_state": "keep"}},
}
HOTEL = {"format": 1, "name": "grand-hotel", "scenes": ["hotel"], "policy": {"claims": {"sex": "keep"}}}


def moment() -> datetime:
    """Now: python-tuf's Updater asks the clock itself."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Fleet:
    """A fleet's state and the directories of its offline keys."""

    state: FleetState
    keys: Path

    def offline(self, *names: str) -> list[OfflineKey]:
        return read_offline(Holder.ROOT, [self.keys / name for name in names or ("root1", "root2")])

    def officer(self, holder: Holder) -> OfflineKey:
        return read_offline(holder, [self.keys / holder])[0]

    @property
    def repository(self):
        return repository_of(self.state)


def fleet(directory: Path, now: datetime, roots: int = 3) -> Fleet:
    """Make one in `directory`."""
    keys = directory / "keys"
    plan = Plan(
        directory=directory / "state",
        file=FleetFile(fleet="acme", admin="alice"),
        root_keys=tuple(keys / f"root{number}" for number in range(1, roots + 1)),
        threshold=roots // 2 + 1,
        privacy_keys=keys / "privacy",
        release_keys=keys / "release",
    )
    made = Fleet(found(plan, now, "en"), keys)
    sign_audiences(made, now, BANK, HOTEL)
    write_text(
        made.state.directory / "config/fleet.toml",
        'default_scene = "bank"\naudiences = ["first-bank"]\n[timeouts]\ndocument_s = 20.0\n',
    )
    for name in ("box-1", "box-2"):
        made.state.save_device(DeviceRecord(name=name, added_at=0))
    return made


def sign_audiences(made: Fleet, now: datetime, *documents: dict) -> None:
    """Have the privacy officer sign."""
    paths = []
    for document in documents:
        paths.append(made.keys / f"{document['name']}.json")
        paths[-1].write_text(json.dumps(document))
    checked = audience_signing.check_files(made.state, paths)
    audience_signing.sign(made.state, checked, made.officer(Holder.PRIVACY), now)


def make_bundle(state: FleetState, device: str, now: datetime, *, above: int = 0) -> Made:
    """The next push to one box, of what its layers say, above a number; not written down."""
    record = state.device(device)
    maker = BundleMaker(state, now)
    maker.compile(record)  # before a number is spent on it
    return maker.make(record, push_numbers.reserve(state, above=above)[0])


class Served(FetcherInterface):
    """One bundle's files under made-up addresses."""

    def __init__(self, made: Made) -> None:
        bundle = decode_bundle(made.data)
        self.files = {f"m:/{name}": text for name, text in bundle.metadata.items()}
        self.files |= {f"t:/{name}": text for name, text in bundle.targets.items()}

    def _fetch(self, url: str):
        if url not in self.files:
            raise DownloadHTTPError("not here", 404)
        yield self.files[url].encode()


def plain_box(directory: Path, made: Made, root: bytes) -> Updater:
    """A box of python-tuf's own client; `directory` keeps what it believes between pushes."""
    (directory / "targets").mkdir(parents=True, exist_ok=True)
    (directory / "metadata").mkdir(exist_ok=True)
    config = UpdaterConfig(prefix_targets_with_hash=False)
    return Updater(
        str(directory / "metadata"),
        "m:/",
        str(directory / "targets"),
        "t:/",
        fetcher=Served(made),
        config=config,
        bootstrap=root,
    )


def take(directory: Path, made: Made, root: bytes) -> dict[str, bytes]:
    """What such a box gets from a push: every target of it, verified. Raises python-tuf's own errors."""
    updater = plain_box(directory, made, root)
    updater.refresh()
    got = {}
    for path in decode_bundle(made.data).targets:
        info = updater.get_targetinfo(path)
        assert info is not None, path
        kept = directory / "targets" / path.replace("/", "__")
        got[path] = Path(updater.download_target(info, str(kept))).read_bytes()
    return got
