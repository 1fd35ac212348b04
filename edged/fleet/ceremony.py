"""How a fleet begins: its keys, each in the place where it belongs, and everything they sign first.

Keys come first and `fleet.toml` last, so what was stopped half-way is no fleet: the directories are emptied by hand,
and it begins again. Nothing is ever written over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edged import messages
from edged.errors import ConfigError, StateError
from edged.fleet import authorities
from edged.fleet.bundles import ONLINE_KEY
from edged.fleet.compile import FLEET_LAYER
from edged.fleet.key_files import CA_ROOT, OfflineKey, file_name, make_offline, signer_of, write_new
from edged.fleet.repository import Repository
from edged.fleet.state import FLEET_FILE, FleetFile, FleetState, as_toml, write_text
from edged.fleet.tuf_roles import Holder
from edged.uplink.authority import FleetAuthority
from edged.uplink.fleet_authority import TARGET, FleetAuthorities, encode
from edged.uplink.keys import generate_key, private_pem
from edged.uplink.names import Principal, Role
from edged.uplink.topics import usable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import CryptoSigner

IGNORED = "secrets/\nartefacts/\n.lock\n.pending/\n.seen.json\nrollouts/.*\n*.key\n.*.new\nedged-enrol.txt\n"
"""What git leaves out of the state directory: keys by their place and by their name, too, and enrolment tokens."""


class Plan(NamedTuple):
    """What `edged fleet init` was asked for."""

    directory: Path
    file: FleetFile
    root_keys: tuple[Path, ...]
    threshold: int
    privacy_keys: Path
    release_keys: Path

    @property
    def key_files(self) -> Iterator[Path]:
        """Every offline key's file."""
        yield from (directory / file_name(Holder.ROOT) for directory in self.root_keys)
        yield self.root_keys[0] / CA_ROOT
        yield self.privacy_keys / file_name(Holder.PRIVACY)
        yield self.release_keys / file_name(Holder.RELEASE)


class Step(NamedTuple):
    """Something that is made: a code of the catalogue, what fills its sentence."""

    code: str
    params: Mapping[str, str]


def majority(count: int) -> int:
    """The smallest number of keys that is more than half: the threshold when none is asked for."""
    return count // 2 + 1


def check(plan: Plan) -> None:
    """Refuse a plan before anything is made.

    Raises `ConfigError` (`config.bad_name`), `StateError`: `fleet.state_exists`, `fleet.key_exists`,
    `fleet.same_directory`, `fleet.keys_inside_state`, `fleet.bad_threshold`.
    """
    if not usable(plan.file.fleet):
        raise ConfigError("--fleet", "config.bad_name")
    try:
        Principal(plan.file.fleet, Role.ADMIN, plan.file.admin)
    except ValueError:
        raise ConfigError("--admin", "config.bad_name") from None
    if (plan.directory / FLEET_FILE).exists():
        raise StateError("fleet.state_exists", str(plan.directory))
    if not 1 <= plan.threshold <= len(plan.root_keys):
        raise StateError("fleet.bad_threshold", keys=str(len(plan.root_keys)))
    directories = [path.resolve() for path in (*plan.root_keys, plan.privacy_keys, plan.release_keys)]
    state = plan.directory.resolve()
    for number, directory in enumerate(directories):
        if directory in directories[:number]:
            raise StateError("fleet.same_directory", str(directory))
        if directory.is_relative_to(state):
            raise StateError("fleet.keys_inside_state", str(directory))
    secrets = (plan.directory / "secrets" / name for name in ("ca.key", ONLINE_KEY))
    for path in (*plan.key_files, *secrets):
        if path.exists():
            raise StateError("fleet.key_exists", str(path))
    for path in (plan.directory / "metadata").glob("*.json"):
        raise StateError("fleet.metadata_exists", str(path))


def steps(plan: Plan) -> Iterator[Step]:
    """What `found` makes, in its order, for a person who stands beside it."""
    count = str(len(plan.root_keys))
    for number, directory in enumerate(plan.root_keys, 1):
        where = str(directory / file_name(Holder.ROOT))
        yield Step("ceremony.root_key", {"number": str(number), "count": count, "file": where})
    yield Step("ceremony.ca_root", {"file": str(plan.root_keys[0] / CA_ROOT)})
    yield Step("ceremony.privacy_key", {"file": str(plan.privacy_keys / file_name(Holder.PRIVACY))})
    yield Step("ceremony.release_key", {"file": str(plan.release_keys / file_name(Holder.RELEASE))})
    yield Step("ceremony.admin_keys", {"directory": str(plan.directory / "secrets")})
    yield Step("ceremony.metadata", {"threshold": str(plan.threshold), "count": count})
    yield Step("ceremony.state", {"directory": str(plan.directory)})


def found(plan: Plan, now: datetime, lang: str) -> FleetState:
    """Make the fleet: what `steps` says. `lang` is the language of the README.

    Raises what `check` raises, and `OSError` where a directory can't be written.
    """
    check(plan)
    state = FleetState(plan.directory, plan.file)
    plan.directory.mkdir(parents=True, exist_ok=True)
    write_text(plan.directory / ".gitignore", IGNORED)  # before any key is near
    state.secrets.mkdir(mode=0o700, exist_ok=True)
    offline = [make_offline(Holder.ROOT, where, f"root-{n}") for n, where in enumerate(plan.root_keys, 1)]
    privacy = make_offline(Holder.PRIVACY, plan.privacy_keys, Holder.PRIVACY)
    release = make_offline(Holder.RELEASE, plan.release_keys, Holder.RELEASE)
    online_key = generate_key()
    online = signer_of(online_key, f"admin {plan.file.admin}")
    write_new(state.secrets / ONLINE_KEY, private_pem(online_key))
    authority = _x509(plan, state, now)
    _sign_first(plan, offline, {Holder.PRIVACY: privacy, Holder.RELEASE: release}, online, authority, now)
    authorities.write_files(plan.directory, authority)
    write_text(plan.directory / "README.md", messages.text("ceremony.readme", lang, **_places(plan)) + "\n")
    if not (plan.directory / FLEET_LAYER).exists():
        write_text(plan.directory / FLEET_LAYER, 'default_scene = "bank"\naudiences = []\n')
    write_text(plan.directory / FLEET_FILE, as_toml(plan.file))
    return state


def _x509(plan: Plan, state: FleetState, now: datetime) -> FleetAuthorities:
    root = FleetAuthority.create(plan.file.fleet, demo=plan.file.demo, now=now)
    write_new(plan.root_keys[0] / CA_ROOT, root.key_pem)
    authorities.write_issuing(state.secrets, authorities.new_issuing(root, now))
    authorities.write_admin(state, now)
    return FleetAuthorities(1, (root.certificate_pem.decode(),))


def _sign_first(
    plan: Plan,
    offline: list[OfflineKey],
    officers: Mapping[Holder, OfflineKey],
    online: CryptoSigner,
    authority: FleetAuthorities,
    now: datetime,
) -> None:
    Repository(plan.directory / "metadata").begin(
        offline={key.keyid: key.signer.public_key for key in offline},
        threshold=plan.threshold,
        holders={
            Holder.ADMIN: online.public_key,
            **{holder: key.signer.public_key for holder, key in officers.items()},
        },
        targets={TARGET: encode(authority)},
        signers={
            Holder.ROOT: [key.signer for key in offline],
            Holder.ADMIN: [online],
            **{holder: [key.signer] for holder, key in officers.items()},
        },
        now=now,
    )


def _places(plan: Plan) -> dict[str, str]:
    """What the README names: directories by their own names alone, for paths are of the machine it was made on."""
    return {
        "fleet": plan.file.fleet,
        "threshold": str(plan.threshold),
        "count": str(len(plan.root_keys)),
        "roots": ", ".join(path.resolve().name for path in plan.root_keys),
        "first": plan.root_keys[0].resolve().name,
        "privacy": plan.privacy_keys.resolve().name,
        "release": plan.release_keys.resolve().name,
    }
