"""`edged fleet …`: what a fleet's admins do. One module an action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edged.commands import _actions

if TYPE_CHECKING:
    import argparse

_ACTIONS: Final[dict[str, str]] = {
    "init": "edged.commands._fleet_init",
    "keys": "edged.commands._fleet_keys",
    "privacy": "edged.commands._fleet_privacy",
    "organisation-key": "edged.commands._fleet_organisation_key",
    "authority": "edged.commands._fleet_authority",
    "refresh": "edged.commands._fleet_refresh",
    "certify": "edged.commands._fleet_certify",
    "serve": "edged.commands._fleet_serve",
    "enrol": "edged.commands._fleet_enrol",
    "list": "edged.commands._fleet_list",
    "show": "edged.commands._fleet_show",
    "config": "edged.commands._fleet_config",
    "rollout": "edged.commands._fleet_rollout",
    "artefact": "edged.commands._fleet_artefact",
    "command": "edged.commands._fleet_command",
    "revoke": "edged.commands._fleet_revoke",
    "directory": "edged.commands._fleet_directory",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with its own arguments, `--state` and `--json`."""
    _actions.add(parser, "fleet", _ACTIONS)


def run(args: argparse.Namespace) -> int:
    """The exit code of the action that was asked for."""
    return _actions.run(args, _ACTIONS)
