"""Parameters of the control socket's methods: taken as they are allowed, or refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edged.config import SCENES
from edged.errors import ControlError
from edged.events import ScanRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPAQUE = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
"""References are opaque: without spaces and letters beyond ASCII, names don't slip in by mistake."""


def no_parameters(params: Mapping[str, Any]) -> None:
    """Refuse any. Raises `ControlError` (`control.bad_parameter`)."""
    if params:
        raise ControlError("control.bad_parameter")


def scan_request(params: Mapping[str, Any], default_scene: str) -> ScanRequest:
    """What `scan` asks for. Raises `ControlError` (`control.bad_parameter`)."""
    known = {"scene", "reference", "purpose", "operator", "training"}
    scene, training = params.get("scene", default_scene), params.get("training", False)
    opaque = {name: params.get(name) for name in ("reference", "purpose", "operator")}
    good = (
        set(params) <= known
        and scene in SCENES
        and isinstance(training, bool)
        and all(
            value is None or (isinstance(value, str) and _OPAQUE.fullmatch(value))
            for value in opaque.values()
        )
    )
    if not good:
        raise ControlError("control.bad_parameter")
    return ScanRequest(scene, training=training, **opaque)
