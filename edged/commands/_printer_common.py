"""Which printer `edged printer` means: the boot file's, or the one that is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from edged.config import PrinterSettings
    from edged.drivers import Printer

CONFIG: Final = Path("/etc/edged/edged.toml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--config`, or `--port` and `--width`; `--json`."""
    parser.add_argument("--config", type=Path, default=CONFIG, metavar="FILE", help="help.printer.config")
    parser.add_argument("--port", metavar="PORT", help="help.printer.port")
    parser.add_argument("--width", type=int, choices=(58, 80), default=58, help="help.printer.width")
    parser.add_argument("--json", action="store_true", help="help.json")


def settings_of(args: argparse.Namespace) -> PrinterSettings:
    """Raises `ConfigError`: also when the boot file names no printer."""
    from edged.config import PrinterSettings, load_box
    from edged.device_checks import check_printer

    if args.port is not None:
        named = PrinterSettings(port=args.port, width_mm=args.width)
        check_printer(named)
        return named
    settings = load_box(args.config).printer
    if settings is None:
        raise ConfigError(str(args.config), "printer.not_configured")
    return settings


def printer_of(settings: PrinterSettings) -> Printer:
    """The driver that the settings name. Raises `ConfigError`."""
    from edged.drivers.registry import open_printer

    return open_printer(settings)
