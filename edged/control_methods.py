"""Parameters of the control socket's methods: taken as they are allowed, or refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from edged.config import SCENES
from edged.drivers.told import facts_of, provenance_of, trouble_of
from edged.errors import ControlError
from edged.events import ScanRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edged.drivers import Device

_OPAQUE = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
"""References are opaque: without spaces and letters beyond ASCII, names don't slip in by mistake."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def no_parameters(params: Mapping[str, Any]) -> None:
    """Refuse any. Raises `ControlError` (`control.bad_parameter`)."""
    if params:
        raise ControlError("control.bad_parameter")


def device_list(devices: Mapping[str, Device], gone: Collection[str]) -> dict[str, dict[str, Any]]:
    """What `devices` answers: every device by its name, as `edged.technician.survey.Told` has it.

    Nothing in it comes from a document: a driver's facts don't.
    """
    said: dict[str, dict[str, Any]] = {}
    for name, device in devices.items():
        said[name] = {
            "gone": name in gone,
            "provenance": msgspec.to_builtins(provenance_of(device)),
            "trouble": msgspec.to_builtins(trouble_of(device)),
            "facts": msgspec.to_builtins(facts_of(device)),
        }
    return said


def scan_request(params: Mapping[str, Any], default_scene: str) -> ScanRequest:
    """What `scan` asks for. Raises `ControlError` (`control.bad_parameter`)."""
    known = {"scene", "reference", "purpose", "operator", "training", "consent", "notice", "supersedes"}
    scene = params.get("scene", default_scene)
    notice = params.get("notice")
    said = {name: params.get(name, False) for name in ("training", "consent")}
    opaque: dict[str, Any] = {
        name: params.get(name) for name in ("reference", "purpose", "operator", "supersedes")
    }
    good = (
        set(params) <= known
        and scene in SCENES
        and all(isinstance(value, bool) for value in said.values())
        and (notice is None or (isinstance(notice, str) and _SHA256.fullmatch(notice)))
        and all(
            value is None or (isinstance(value, str) and _OPAQUE.fullmatch(value))
            for value in opaque.values()
        )
    )
    if not good:
        raise ControlError("control.bad_parameter")
    return ScanRequest(scene, **said, **opaque, notice=notice)
