"""What breaks a rollout, the admin's link and what the help desk may do: one line each, and the test that notices."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

ENGINE = TEST + "test_fleet_rollout_engine.py -k "
ROLLOUTS = TEST + "test_fleet_rollouts.py -k "

MUTATIONS = (
    _m(
        "failing canaries stop a rollout",
        "fleet/rollout.py",
        "if tally.failed > share * possible or (ended >= ENOUGH and tally.failed > share * ended):",
        "if tally.failed > possible:",
        ENGINE + "failing_canaries",
    ),
    _m(
        "a box that is switched off proves nothing",
        "fleet/rollout.py",
        "if tally.unproven > record.limits.max_unreachable * tally.size:",
        "if False:",
        ENGINE + "switched_off_neither",
    ),
    _m(
        "a box that was there and is silent has failed",
        "fleet/rollout.py",
        'box.state = "unreachable" if self._absent(box) else "lost"',
        'box.state = "unreachable"',
        ENGINE + "silence_of_a_box",
    ),
    _m(
        "a push is written down before it is published",
        "fleet/rolling.py",
        ".push = one.number\n        await asyncio.to_thread(self._save, self._engine.record)",
        ".push = one.number",
        ROLLOUTS + "killed_around",
    ),
    _m(
        "a rollout that is resumed pushes what it began with",
        "commands/_fleet_rollout_resume.py",
        "if sha256(compiled) != engine.record.boxes[name].document:",
        "if False:",
        ROLLOUTS + "stopped_by_another",
    ),
    _m(
        "what nobody has come for is taken back",
        "fleet/rolling.py",
        "await asyncio.gather(*(withdraw(self._link, device) for device in command.withdraw))",
        "pass",
        ROLLOUTS + "switched_off",
    ),
    _m(
        "a message is acknowledged when it was handled",
        "fleet/link.py",
        "        if self._left == 0:\n            self._connection.acknowledge(self.received)",
        "        if self._left < 0:\n            self._connection.acknowledge(self.received)",
        TEST + "test_fleet_link.py -k acknowledged",
    ),
    _m(
        "nothing is pushed when a box's layers don't compile",
        "commands/_fleet_config_push.py",
        "if errors and not (args.skip and good):",
        "if False:",
        TEST + "test_fleet_config.py -k does_not_compile",
    ),
    _m(
        "the help desk changes nothing",
        "fleet/identities.py",
        "if role not in (None, Role.ADMIN) or not _key(state, Role.ADMIN).exists():",
        "if False:",
        TEST + "test_fleet_config.py -k help_desk",
    ),
)
