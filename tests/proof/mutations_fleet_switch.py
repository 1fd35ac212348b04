"""The switch from one pushed version to the next: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import CUT, TEST, _m

MUTATIONS = (
    _m(
        "a version on trial is counted before it is started",
        "pushed/switch.py",
        'return (Count(push, attempt), Say(Report(push=push, outcome="trial")), Switch(Slot.CANDIDATE))',
        'return (Say(Report(push=push, outcome="trial")), Switch(Slot.CANDIDATE), Count(push, attempt))',
        CUT + "fleet",
    ),
    _m(
        "a push's metadata and its version are one transaction",
        "pushed/driving.py",
        "await self._store.write(lambda store: store.stage(accepted, bundle))",
        "await self._store.write(lambda store: store._take(accepted, bundle))\n"
        "                    await self._store.write(lambda store: store.stage(accepted, bundle))",
        CUT + "fleet",
    ),
    _m(
        "the second memory is never behind the store",
        "pushed/store.py",
        "self._lower_bound(self.floor.raised(root_version(accepted.trusted), accepted.push))",
        "pass",
        CUT + "fleet",
    ),
    _m(
        "an older push doesn't get past a store that broke",
        "pushed/agent.py",
        "if not floor.admits(root_version(accepted.trusted), accepted.push):",
        "if False:",
        TEST + "test_push_agent.py -k broken_store_is_begun_anew",
    ),
    _m(
        "a version that takes the box down twice isn't started a third time",
        "pushed/switch.py",
        "stored.attempts >= MAX_ATTEMPTS",
        "stored.attempts > MAX_ATTEMPTS",
        TEST + "test_push_switch.py -k power_cut_during",
    ),
    _m(
        "what failed is not tried again",
        "pushed/switch.py",
        "if not event.recovery and event.push <= stored.newest:",
        "if False:",
        TEST + "test_push_switch.py -k not_tried_again",
    ),
    _m(
        "a failure is on the disk before the box goes back",
        "pushed/switch.py",
        "return (*failed, self._to_good())",
        "return (self._to_good(), *failed)",
        TEST + "test_push_switch.py -k brings_the_last_good_one_back",
    ),
    _m(
        "nothing is taken under a clock that can't be believed",
        "pushed/agent.py",
        "elif await self._host.clock_trusted():",
        "elif True:",
        TEST + "test_push_agent.py -k clock_is_lost",
    ),
    _m(
        "a renewal meanwhile undoes no push",
        "box.py",
        "async with self._switching:  # nobody else's settings are undone by it\n            await",
        "if True:\n            await",
        TEST + "test_box.py -k renewal",
    ),
    _m(
        "settings are exchanged whole or not at all",
        "box.py",
        "await self._configure_outbox(settings)\n            anchor.believe(believed)\n            self.held = held",
        "self.held = held\n            await self._configure_outbox(settings)\n            anchor.believe(believed)",
        TEST + "test_box.py -k break",
    ),
    _m(
        "a line goes on though nobody waits for its next uplink",
        "line.py",
        "            self._hand_over()\n            if self._stopping",
        "            if self._stopping",
        TEST + "test_line.py -k stops_waiting",
    ),
    _m(
        "a rider that fails doesn't end delivery",
        "uplink/riding.py",
        "except Exception as error:  # noqa: BLE001 - see above",
        "except LookupError as error:",
        TEST + "test_riding.py -k again",
    ),
    _m(
        "what a push revokes ends when it is taken",
        "pushed/driving.py",
        "await self._host.revoke(accepted.authority)",
        "pass",
        TEST + "test_push_agent.py -k revokes",
    ),
    _m(
        "a box enrolled anew believes its new authorities",
        "pushed/driving.py",
        "authority = version.authority if version.boot_ca == boot_ca else None",
        "authority = version.authority",
        TEST + "test_push_agent.py -k enrolled_anew",
    ),
)
