"""The boot file of a box that was just enrolled: a site's template, and what enrolment knows. Does no I/O."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Final

from edged.config import FILE, BoxSettings, check_box, parse_toml
from edged.errors import ConfigError
from edged.uplink.est import Boot
from edged.uplink.names import Usage

if TYPE_CHECKING:
    from pathlib import Path

    from edged.pushed.identity_files import IdentityFiles

OURS: Final = ("identity", "broker", "fleet")
"""Sections that enrolment writes: a template hasn't them."""

HEADING: Final = "# Written by `edged enrol`."


def check(template: str, files: IdentityFiles, *, base: Path) -> None:
    """Whether the template will do, whatever the fleet is. Raises as `fill` does."""
    fill(template, Boot(1, "fleet", "localhost", 8883, "localhost:8443"), files, base=base)


def fill(template: str, boot: Boot, files: IdentityFiles, *, base: Path) -> str:
    """The template with `[identity]`, `[broker]` and `[fleet]` behind it.

    Relative paths in the template are relative to `base`, the boot file's directory. Raises `ConfigError` with the path
    of what is wrong (`enrol.template_has` for a section that isn't the template's to have).
    """
    try:
        document = tomllib.loads(template)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(FILE, "config.not_toml", error=str(error)) from None
    for section in OURS:
        if section in document:
            raise ConfigError(section, "enrol.template_has")
    tls, signing = files.settings(Usage.TLS), files.settings(Usage.SIGNING)
    sections: dict[str, dict[str, str | int]] = {
        "identity": {
            "fleet_ca": str(files.ca.absolute()),
            "signing_key": str(signing.key),
            "signing_certificate": str(signing.chain.absolute()),
            "tls_key": str(tls.key),
            "tls_certificate": str(tls.chain.absolute()),
        },
        "broker": {"host": boot.broker_host, "port": boot.broker_port},
        "fleet": {"root": str(files.root.absolute()), "enrolment": boot.enrolment},
    }
    lines = [template.rstrip("\n"), "", HEADING]
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    text = "\n".join(lines)
    check_box(parse_toml(text.encode(), BoxSettings, base=base))
    return text
