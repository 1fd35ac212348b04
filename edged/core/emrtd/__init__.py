"""The chip of an eMRTD, sans-IO: ICAO Doc 9303-10 (LDS), -11 (security mechanisms), -12 (PKI).

Commands out, responses in (`steps`): a protocol is a generator that yields `apdu.Command` and is sent
`apdu.Response`; it does no I/O, reads no clock and can be driven by a driver's thread, an emulator or a test.
Everything a chip or a file says is a stranger's bytes: parsers are bounded and raise `DecodeError` alone.
"""
