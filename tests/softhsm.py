"""A SoftHSM token for tests: one module a process, as many tokens as asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)
MODULE = next((path for path in MODULES if Path(path).exists()), None)
PIN = "735-Ostara"

needs_softhsm = pytest.mark.skipif(MODULE is None, reason="softhsm2 is not installed")


class SoftHsm:
    """Tokens in `directory`; the module reads where they lie once a process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "tokens").mkdir()
        configuration = directory / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {directory / 'tokens'}\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(configuration)
        self.pin = directory / "pin"
        self.pin.touch(mode=0o600)
        self.pin.write_text(PIN + "\n")

    def token(self, label: str) -> str:
        """Make a token; the beginning of its keys' URIs."""
        command = (
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            label,
            "--pin",
            PIN,
            "--so-pin",
            "90210-so",
        )
        made = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert made.returncode == 0, made.stderr
        if MODULE is not None:
            import pkcs11

            pkcs11.lib(MODULE).reinitialize()  # a token made meanwhile is seen by a module that starts anew
        return f"pkcs11:token={label};object=verdicts?module-path={MODULE}&pin-source=file:{self.pin}"
