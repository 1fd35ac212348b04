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
        "await take_back(self._engine, command, self._link, self._maker.pushes)",
        "pass",
        ROLLOUTS + "switched_off",
    ),
    _m(
        "what somebody has pushed since is not taken back",
        "fleet/pushing.py",
        "if found is not None and hashlib.sha256(found).hexdigest() != record.bundle_sha256:",
        "if False:",
        ROLLOUTS + "its_own_pushes_alone",
    ),
    _m(
        "a rollout has not stopped before its pushes are taken back",
        "fleet/rolling.py",
        '        record.state, record.reason = "running", None\n        for device in stop.withdraw:\n',
        "        for device in stop.withdraw:\n",
        TEST + "test_fleet_rollouts.py -k its_own_pushes_alone",
    ),
    _m(
        "pushes of another copy of the state are noticed",
        "fleet/pushing.py",
        "if ahead and not self._overtake:",
        "if False:",
        ROLLOUTS + "somebody_else",
    ),
    _m(
        "a push of the same number that isn't ours proves nothing",
        "fleet/rollout.py",
        'if reported.outcome == "applied" and box.version not in (None, reported.running):',
        "if False:",
        ENGINE + "same_number",
    ),
    _m(
        "a long rollout pushes what is signed now, and nothing else than it began with",
        "fleet/pushing.py",
        "if maker.compile(record, self._layers[record.name]).data != self._compiled[record.name].data:",
        "if False:",
        ROLLOUTS + "signed_during",
    ),
    _m(
        "a box's file says until when its push holds",
        "fleet/pushing.py",
        "self._state.save_device(noted(record, made))",
        "self._state.save_device(msgspec.structs.replace(record, push=number))",
        ROLLOUTS + "signed_during",
    ),
    _m(
        "a layer that another has edited meanwhile stays",
        "fleet/editing.py",
        "if current(state, file) != before:",
        "if False:",
        TEST + "test_fleet_config.py -k two_who_edit",
    ),
    _m(
        "a name is never a path",
        "fleet/editing.py",
        "if name is not None and not valid_name(name):",
        "if False:",
        TEST + "test_fleet_config.py -k never_a_path",
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
