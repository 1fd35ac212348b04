"""The ID-card module: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a card is only said to be false when it is said twice",
        "drivers/sam_session.py",
        "if code in _NOT_GENUINE and first != second.sw3:",
        "if False:",
        TEST + "test_sam_protocol.py -k said_twice",
    ),
    _m(
        "a damaged answer is never taken for a card",
        "drivers/sam_frame.py",
        "if check_of(body):",
        "if False:",
        TEST + "test_sam_protocol.py -k damaged_frame",
    ),
    _m(
        "buffers that held a card's text are overwritten",
        "drivers/_sam_wire.py",
        "self._buffer[:came] = bytes(came)",
        "pass",
        TEST + "test_drivers_sam.py -k overwritten",
    ),
    _m(
        "what is read through a pseudo-terminal is simulated whatever the module calls itself",
        "drivers/_serial_port.py",
        "self.simulated = is_simulated(self.name)",
        "self.simulated = False",
        TEST + "test_drivers_sam.py -k whatever_its_module_says",
    ),
    _m(
        "a number that contradicts the birth date fails the card",
        "core/id_card_rules.py",
        'yield failure("idcard.number_contradicts", "birth_date")',
        'yield doubt("birth_date")',
        TEST + "test_id_card_text.py -k says_twice",
    ),
    _m(
        "a card that was read and still lies there is not read again by itself",
        "drivers/sam_presence.py",
        "if self._state is not _State.EMPTY:",
        "if self._state is _State.LIES:",
        TEST + "test_sam_protocol.py -k presence",
    ),
    _m(
        "a module that is pulled out is looked for again",
        "drivers/sam.py",
        "self._pause(error)",
        "return",
        TEST + "test_drivers_sam.py -k not_there_is_found",
    ),
)
