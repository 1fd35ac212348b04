"""The ready-made policies (`policies/*.toml`), and policies by name: `policy = "bank-account-opening"`.

A policy may stand on a ready-made one (`base = "…"`) and change it, but only so that less is told: whatever an audience
would learn beyond the base, or keep for longer, is refused with the path of the key.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edged.errors import ConfigError
from edged.privacy.policy import Policy, check_policy
from edged.privacy.tightening import check_tighter

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE: Final = "base"
"""Key of a policy's table: the ready-made one that it stands on."""

_TABLES: Final = ("claims", "record", "handover", "legal_basis", "purpose", "not_certain")
"""Keys whose tables are merged with the base's, key by key."""


FOR_SCENE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "bank": ("bank-account-opening", "bank-teller", "central-archive"),
        "hotel": ("hotel-stay", "hotel-pms", "lodging-authority", "central-archive"),
        "telecom": ("telecom-real-name", "central-archive"),
        "hospital": ("hospital-card", "central-archive"),
        "transport": ("transport", "central-archive"),
        "government": ("government-window", "central-archive"),
        "kiosk": ("self-service-kiosk", "central-archive"),
    }
)
"""Scene to the policies that are meant for it, the scene's own recipient first."""


@cache
def names() -> tuple[str, ...]:
    """The ready-made policies, sorted."""
    found = resources.files("edged.privacy").joinpath("policies").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in found if file.name.endswith(".toml")))


@cache
def load(name: str) -> Policy:
    """A ready-made policy. Raises `ConfigError` for a name that isn't one of `names`."""
    policy = msgspec.convert(_raw(name), Policy)
    check_policy(policy)
    assert policy.name == name, name
    return policy


def resolve(given: object) -> object:
    """What stands for a policy in a settings file or document: a name or a table with a `base` becomes a `Policy`.

    Everything else, and a table that is wrong in itself, is returned as a plain table, for the caller to convert and
    complain about. Raises `ConfigError` with the path from the policy on: an unknown name, or more than the base tells.
    """
    if isinstance(given, str):
        return load(given)
    if not isinstance(given, dict) or BASE not in given:
        return given
    name = given[BASE]
    if not isinstance(name, str):
        return {key: value for key, value in given.items() if key != BASE} | {"name": name}
    base, merged = load(name), _raw(name)
    for key, value in given.items():
        if key in _TABLES and isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merged[key] | value
        elif key != BASE:
            merged[key] = value
    try:
        policy = msgspec.convert(merged, Policy)
    except msgspec.ValidationError:
        return merged
    check_policy(policy)
    check_tighter(policy, base)
    return policy


def resolve_audiences(settings: dict[str, Any]) -> dict[str, Any]:
    """A boot file's tables with every audience's policy resolved. Raises `ConfigError` with the path of the bad key."""
    audiences = settings.get("audiences")
    if not isinstance(audiences, dict):
        return settings
    return settings | {
        "audiences": {
            name: resolve_audience(audience, f"audiences.{name}.policy")
            for name, audience in audiences.items()
        }
    }


def resolve_audience(audience: Any, where: str = "policy") -> Any:
    """One audience's table with its policy resolved; `where` is the policy's path. Raises `ConfigError`."""
    if not isinstance(audience, dict) or "policy" not in audience:
        return audience
    try:
        return audience | {"policy": resolve(audience["policy"])}
    except ConfigError as error:
        whole = error.where in ("", BASE)
        raise (
            ConfigError(where, error.code, **error.params) if whole else error.within(where, ".")
        ) from None


def _raw(name: str) -> dict[str, Any]:
    """A copy of the ready-made policy's tables."""
    if name not in names():
        raise ConfigError(BASE, "policy.no_such", known=", ".join(names()))
    file = resources.files("edged.privacy").joinpath("policies", f"{name}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))
