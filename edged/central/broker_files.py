"""A mosquitto's files from a small description: who may use it, where it listens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edged.central.mosquitto import Access, Listener, access_list, configuration
from edged.config import load_toml
from edged.errors import ConfigError
from edged.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping

_READABLE: Final = 0o640
"""Nothing secret is in them, but who the partners are is nobody else's business on that machine."""


Address = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.:%_-]+\Z")]
User = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]*\Z")]
"""Words of one line: a line break would begin another setting."""


class ListenerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[listener]`: see `edged.central.mosquitto.Listener`."""

    ca: Path
    certificate: Path
    key: Path
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 8883
    address: Address = "0.0.0.0"  # noqa: S104  # who isn't of the fleet gets no further than the handshake
    persistence: Path = Path("/var/lib/mosquitto")
    user: User | None = "mosquitto"
    revoked: Path | None = None


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file that `edged central broker` reads."""

    access: Access
    listener: ListenerSettings


def load(path: Path) -> BrokerSettings:
    """Read a description. Raises `ConfigError`."""
    return load_toml(path, BrokerSettings)


def texts(settings: BrokerSettings, directory: Path) -> Mapping[str, str]:
    """What the files in `directory` have to say, by name. Raises `ConfigError` for a path that can't stand in them."""
    listener = {name: getattr(settings.listener, name) for name in ListenerSettings.__struct_fields__}
    for name, value in listener.items():
        if isinstance(value, Path):
            listener[name] = value.absolute()
    listed = directory.absolute() / "mosquitto.acl"
    try:
        said = configuration(Listener(**listener, access_list=listed))
    except ValueError:
        raise ConfigError("listener", "broker_files.bad_path") from None
    return {"mosquitto.conf": said, "mosquitto.acl": access_list(settings.access)}


def write(settings: BrokerSettings, directory: Path) -> list[Path]:
    """Write the files, each whole or not at all; their paths. Raises `ConfigError`, `OutputError`.

    As root they are given to the group that the broker runs in, so that it can read its list again at SIGHUP.
    """
    written = []
    for name, text in texts(settings, directory).items():
        path = directory / name
        # Readable for it from the first moment: a SIGHUP may come at any.
        with whole_file(path, mode=_READABLE, group=settings.listener.user) as stream:
            stream.write(text.encode())
        written.append(path)
    return written
