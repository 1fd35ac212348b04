"""An emulated eMRTD: our own card side, with a state's PKI of its own behind it (Doc 9303-10, -11, -12).

For tests and the demo. It is written from the specification and shares nothing with the terminal's side but
primitives (`tlv`, `apdu`, `suites`, `curves`, `files`), so that one side's mistake is not the other's. It enforces
access control: a card that lets everybody read proves nothing about a reader.

No part of the product imports it; `edged.demo` and `edged chip emulate` do.
"""
