"""Where `reveal()` may be written, and why there. Whatever isn't here mustn't come near a raw value.

A module that is added here says what it does with the value; only `edged.privacy` makes anything of it that leaves.
"""

from __future__ import annotations

from typing import Final

REVEALING: Final = {
    "_identity.pyx": "defines it",
    "identity.py": "explains it",
    "privacy/disclosing.py": "the one way from raw identity to claims",
    "privacy/held.py": "fields for a handover or a record, in buffers that are overwritten",
    "privacy/leakscan.py": "searches for raw values",
    "core/card_numbers.py": "judges a number in memory",
    "core/emrtd/access_keys.py": "the chip's key is made of the MRZ",
    "core/emrtd/details.py": "parses a chip's text in memory",
    "core/emrtd/dg1.py": "compares the chip's MRZ with the printed one",
    "core/emrtd/dg11.py": "parses a chip's text in memory",
    "core/emrtd/dg12.py": "parses a chip's text in memory",
    "core/id_card.py": "parses an ID card in memory",
    "core/id_card_rules.py": "judges an ID card in memory",
    "core/mrz.py": "parses an MRZ in memory",
    "core/printed_number.py": "compares print with the MRZ",
    "core/reading.py": "gives each character its evidence",
    "core/viz.py": "compares print with the MRZ",
    "drivers/id_card_photo.py": "decodes a photo in memory",
    "technician/card.py": "recognises the test card, which is nobody's",
    "testing/id_card.py": "compares what a driver read with the emulated card",
    "commands/_read_answer.py": "`edged read` shows a file's contents to who has the file",
    "commands/_read_extras.py": "the same",
    "commands/_chip_read_identity.py": "`edged chip read` shows a technician a chip, where asked to",
    "commands/_id_card_read.py": "`edged id-card read` shows a technician a card, where asked to",
    "pushed/token_sources.py": "an enrolment token, which is no identity",
}
