"""Pure judging: bytes and arrays in, findings out. No asyncio, no I/O; time comes in as an argument."""

from edged.core.mrz import check_digit, parse_mrz

__all__ = ["check_digit", "parse_mrz"]
