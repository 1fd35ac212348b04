"""Pure judging: bytes and arrays in, findings out. Imports no asyncio, does no I/O, takes time as an argument."""
