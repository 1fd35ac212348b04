"""Commands: for each promise one line that breaks it, and the test that then must fail. (`tests/proof/mutations.py`)"""

from __future__ import annotations

from tests.proof.changes import CUT, TEST, _m

AGENT = TEST + "test_command_agent.py -k "

MUTATIONS = (
    _m(
        "only an admin commands a box",
        "uplink/command.py",
        "role=Role.ADMIN, at=at)",
        "role=Role.PRIVACY, at=at)",
        TEST + "test_command_messages.py -k only_an_admin_commands",
    ),
    _m(
        "a command is for one box",
        "uplink/command.py",
        "    if command.device != device:",
        "    if False:",
        AGENT + "nobody_else_is_answered",
    ),
    _m(
        "a command ends",
        "uplink/command.py",
        "    if now > command.exp:",
        "    if now > command.exp + MAX_LIFE_S:",
        AGENT + "an_admins_mistake_is_answered_and_not_obeyed",
    ),
    _m(
        "a repeat gets the first answer",
        "pushed/commands.py",
        '        if known != "new":',
        '        if known == "running":',
        AGENT + "a_repeat_gets_the_first_answer",
    ),
    _m(
        "what was running when the box went down is not done again",
        "pushed/command_journal.py",
        "        journal._settle(now)",
        "        journal._connection.execute(\"DELETE FROM command WHERE state = 'begun'\")",
        TEST + "test_command_journal.py -k what_was_begun",
    ),
    _m(
        "the journal is synced before anything is done",
        "uplink/database.py",
        'connection.execute("PRAGMA synchronous=FULL")',
        'connection.execute("PRAGMA synchronous=OFF")',
        CUT + "commands",
    ),
    _m(
        "what was dropped is not done again",
        "pushed/command_journal.py",
        '            self._set("floor", max(last, self._get("floor")))',
        '            self._set("floor", 0)',
        TEST + "test_command_journal.py -k rows_go_long_after_expiry",
    ),
    _m(
        "a box without a clock obeys nobody",
        "pushed/commands.py",
        "            if not trusted:",
        "            if False:",
        AGENT + "without_a_clock_nothing_is_obeyed",
    ),
    _m(
        "a commanded scan says test or nothing",
        "pushed/obeying.py",
        "    if trial.kind is not Kind.TEST:",
        "    if False:",
        AGENT + "a_scan_is_a_test_or_nothing",
    ),
    _m(
        "diagnostics name no key",
        "pushed/diagnostics.py",
        "    return SET if isinstance(value, Path) else",
        "    return str(value) if isinstance(value, Path) else",
        TEST + "test_command_diagnostics.py -k no_key_and_no_path",
    ),
    _m(
        "what the log withholds is withheld from diagnostics",
        "log.py",
        "            withhold_identity,\n",
        "",
        TEST + "test_command_diagnostics.py -k what_is_not_printed_is_not_kept",
    ),
    _m(
        "an answer to another command is none",
        "fleet/answers.py",
        "            if (reply.id, reply.name, reply.command_sha256) != (issued.id, issued.name, issued.sha256):",
        "            if False:",
        TEST + "test_fleet_command.py -k what_is_no_answer_to_us_changes_nothing",
    ),
    _m(
        "a restart costs nobody an inspection",
        "commanded.py",
        "await self._box.station.between_inspections(self._stopped)",
        "self._stop()",
        TEST + "test_commanded.py -k restart_waits",
    ),
)
