"""edged: a document goes in, one inspection happens, signed de-identified verdicts come out."""

from datetime import UTC, datetime

__version__ = "0.1.0"

RELEASED = datetime(2026, 11, 21, tzinfo=UTC)
"""When this release was built: no honest clock can show an earlier time (see `edged.clock`)."""
