"""The tests of the tests: for each property one line that breaks it, and the proof that then must fail.

`python -m tests.proof.mutations [WORD…]` tries them all, each in a checkout of its own (`tests.proof.overlay`). A proof
that passes on a broken product proves nothing, so that is a failure here; a proof that fails on the sound product is
one, too. A line that isn't in the source any more is stale: mend the table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.proof import (
    mutations_fleet_artefact,
    mutations_fleet_command,
    mutations_fleet_enrol,
    mutations_fleet_revoke,
    mutations_fleet_roles,
    mutations_fleet_rollout,
    mutations_fleet_switch,
    mutations_fleet_verify,
    mutations_hardware_board,
    mutations_hardware_boot,
    mutations_hardware_camera,
    mutations_hardware_counter,
    mutations_hardware_devices,
    mutations_hardware_firmware,
    mutations_hardware_idcard,
    mutations_hardware_link,
    mutations_hardware_swipe,
    mutations_privacy_door,
    mutations_privacy_handover,
    mutations_privacy_lodging,
    mutations_privacy_page,
    mutations_privacy_policy,
    mutations_privacy_print,
    mutations_privacy_sealing,
    mutations_privacy_slip,
    mutations_privacy_taint,
    mutations_privacy_told,
)
from tests.proof.changes import CUT, TEST, Mutation, _m
from tests.proof.overlay import StaleError, overlay, run

DELIVERY = (
    # --- on the box's disk ---
    _m(
        "a commit is synced",
        "uplink/database.py",
        'connection.execute("PRAGMA synchronous=FULL")',
        'connection.execute("PRAGMA synchronous=NORMAL")',
        CUT + "outbox",
    ),
    _m(
        "the archive is synced before it is signed for",
        "uplink/database.py",
        'connection.execute("PRAGMA synchronous=FULL")',
        'connection.execute("PRAGMA synchronous=OFF")',
        CUT + "archive",
    ),
    _m(
        "a partner's inbox is synced before the acknowledgement",
        "uplink/database.py",
        'connection.execute("PRAGMA synchronous=FULL")',
        'connection.execute("PRAGMA synchronous=OFF")',
        CUT + "inbox",
    ),
    _m(
        "a PUBACK forgets nothing",
        "uplink/outbox_refusals.py",
        '"UPDATE envelope SET attempts = ?, next_try = ?, published_at = coalesce(published_at, ?),"',
        "\"UPDATE envelope SET state = 'receipted', receipted_at = 1, jws = NULL, attempts = ?, next_try = ?,\"\n"
        '        " published_at = coalesce(published_at, ?),"',
        CUT + "outbox",
    ),
    _m(
        "what is pushed out is told",
        "uplink/outbox_bounds.py",
        "        gap = outbox_gaps.note(\n"
        "            connection, log_id, audience, first, last, reason=reason, code=None, moment=moment\n"
        "        )",
        "        gap = 0",
        CUT + "outbox",
    ),
    _m(
        "an old log never meets a new database",
        "uplink/outbox_aside.py",
        'for end in ("-wal", "-shm"):',
        'for end in ("-shm",):',
        CUT + "noted-repair",
    ),
    _m(
        "the repaired database takes its place only when it is whole",
        "uplink/outbox_recovery.py",
        "        salvaged = _rebuild(new, aside, device, now, audiences)\n"
        "        outbox_aside.take_place(new, path)",
        "        outbox_aside.take_place(path, path)\n"
        "        salvaged = _rebuild(new, aside, device, now, audiences)\n"
        "        path.unlink(missing_ok=True); outbox_aside.take_place(new, path)",
        CUT + "repair",
    ),
    _m(
        "only a receipt whose hash agrees forgets",
        "uplink/outbox_receipts.py",
        'if outbox_gaps.hash_of_range(row["sha256"] for row in rows) != claimed.sha256:',
        "if False:",
        TEST + "test_outbox_database.py -k receipts_that_lie",
    ),
    _m(
        "the ledger forgets only what is settled",
        "uplink/outbox_bounds.py",
        '    if row["state"] not in ("receipted", "lost") or (row["gap"] is not None and row["told"] is None):\n'
        "        return False",
        '    if row["receipted_at"] is None:\n        return True',
        TEST + "test_proof_outbox.py",
    ),
    _m(
        "a repaired database begins a log of its own",
        "uplink/outbox_recovery.py",
        '"log_id": secrets.token_hex(8),',
        '"log_id": "0" * 16,',
        TEST + "test_outbox_recovery.py -k log_of_its_own",
    ),
    _m(
        "a dead letter keeps its body",
        "uplink/outbox_refusals.py",
        "\"UPDATE envelope SET state = 'dead', gap = ? WHERE id = ?\"",
        "\"UPDATE envelope SET state = 'dead', jws = NULL, gap = ? WHERE id = ?\"",
        TEST + "test_outbox_bounds.py",
    ),
    _m(
        "a full broker makes nothing a dead letter",
        "uplink/outbox_refusals.py",
        "    if code in PASSING_CODES:\n        return False\n",
        "",
        TEST + "test_outbox_bounds.py -k missing_right",
    ),
    _m(
        "what the clock can't be trusted for doesn't age",
        "uplink/outbox_bounds.py",
        "    if clock_trusted:\n",
        "    if True:\n",
        TEST + "test_outbox_bounds.py -k too_old",
    ),
    _m(
        "a body that rotted isn't sent",
        "uplink/outbox_lanes.py",
        '    if not isinstance(body, str) or hashlib.sha256(body.encode()).hexdigest() != row["sha256"]:\n',
        "    if False:\n",
        TEST + "test_outbox_recovery.py -k bit_within_a_body",
    ),
    # --- between box and broker ---
    _m(
        "a PUBACK's reason counts",
        "uplink/lanes.py",
        "elif answer.value < FAILURE:",
        "elif answer.value < 256:",
        TEST + "test_uplink_delivery.py -k denied_publish",
    ),
    _m(
        "a fresh verdict goes first",
        "uplink/lanes.py",
        "        self._since = since\n",
        "        self._since = 1 << 60\n",
        TEST + "test_proof_networks.py -k overtakes",
    ),
    _m(
        "what nobody answered was not taken",
        "uplink/lanes.py",
        "            self._release(flight.item)\n        elif answer.value < FAILURE",
        "            self._taken(flight, now)\n        elif answer.value < FAILURE",
        TEST + "test_uplink_lanes.py -k on_its_way",
    ),
    _m(
        "only a collector's receipt counts",
        "uplink/receipts.py",
        "verified = sign.verify(compact, typ=TYP_RECEIPT, anchor=anchor, role=Role.COLLECTOR, at=at)",
        "verified = sign.verify(compact, typ=TYP_RECEIPT, anchor=anchor, role=Role.DEVICE, at=at)",
        TEST + "test_uplink_delivery.py -k receipts_that_are_not",
    ),
    _m(
        "the broker's name is checked",
        "uplink/tls.py",
        "context.check_hostname = True",
        "context.check_hostname = False",
        TEST + "test_proof_certificates.py -k host",
    ),
    _m(
        "nothing below TLS 1.3",
        "uplink/tls.py",
        "context.minimum_version = ssl.TLSVersion.TLSv1_3",
        "context.minimum_version = ssl.TLSVersion.TLSv1_2",
        TEST + "test_proof_certificates.py -k TLS",
    ),
    # --- at the centre ---
    _m(
        "a collector acknowledges after the commit",
        "central/pipeline.py",
        "        archived = await self._store(stream, now) if stream else None\n",
        "        for message in messages:\n            connection.acknowledge(message)\n"
        "        archived = await self._store(stream, now) if stream else None\n",
        TEST + "test_proof_networks.py -k archive_fails",
    ),
    _m(
        "nothing is signed for that isn't committed",
        "central/archive_sqlite.py",
        "        with _told_apart(), transaction(self._connection):\n            done = work()\n",
        '        self._connection.execute("BEGIN")\n        try:\n            done = work()\n'
        '        finally:\n            self._connection.execute("ROLLBACK")\n',
        CUT + "archive",
    ),
    _m(
        "what an audience may forget is only what is old",
        "partner/waiting.py",
        'AND handed_at < ? LIMIT ?)",',
        'AND handed_at + 0 * ? < 9e99 LIMIT ?)",',
        TEST + "test_proof_replay.py -k young",
    ),
    _m(
        "a group of commits is told when it is on the disk",
        "uplink/database.py",
        "                    self._part(write)\n",
        "                    self._part(write)\n                    write.tell()\n",
        TEST + "test_proof_outbox.py -k group",
    ),
    _m(
        "an acknowledgement is by hand",
        "uplink/mqtt_client.py",
        "self._client.manual_ack_set(True)",
        "self._client.manual_ack_set(False)",
        TEST + "test_mqtt_contract.py -k not_acknowledged_comes_again",
    ),
    _m(
        "the broker keeps a subscriber's session",
        "uplink/mqtt_client.py",
        "clean_start=session.expiry_s == 0,",
        "clean_start=True,",
        TEST + "test_mqtt_contract.py -k not_acknowledged_comes_again",
    ),
    _m(
        "the same twice is a duplicate",
        "uplink/placing.py",
        'return Duplicate() if here[0] == entry.sha256 else RefusedAs("stream.equivocation")',
        'return RefusedAs("stream.equivocation")',
        TEST + "test_archive_contract.py -k duplicates",
    ),
    _m(
        "two stories for one number are an alarm",
        "uplink/placing.py",
        'return Duplicate() if here[0] == entry.sha256 else RefusedAs("stream.equivocation")',
        "return Duplicate()",
        TEST + "test_archive_contract.py -k two_stories",
    ),
    _m(
        "a story that doesn't follow is refused",
        "uplink/placing.py",
        "if (before and before[0] != entry.prev) or (after and after[1] != entry.sha256):",
        "if False:",
        TEST + "test_archive_contract.py -k does_not_follow",
    ),
    _m(
        "a jti stands once",
        "uplink/placing.py",
        "if (entry.stream, entry.jti) in self._jtis:",
        "if False:",
        TEST + "test_archive_contract.py -k jti",
    ),
    _m(
        "a verdict is its topic's device's",
        "uplink/envelope.py",
        "if payload.iss != verified.principal.name or device not in (None, payload.iss):",
        "if payload.iss != verified.principal.name:",
        TEST + "test_proof_certificates.py -k other_devices_verdict",
    ),
    _m(
        "a gap record is its topic's device's",
        "uplink/gaps.py",
        "if payload.iss != verified.principal.name or device not in (None, payload.iss):",
        "if payload.iss != verified.principal.name:",
        TEST + "test_proof_certificates.py -k other_devices_gap",
    ),
    _m(
        "retention takes an audience's own",
        "central/archive_write.py",
        '"SELECT stream, seq FROM envelope WHERE audience = (SELECT id FROM audience WHERE name = ?)"',
        '"SELECT stream, seq FROM envelope WHERE audience <> -(SELECT id FROM audience WHERE name = ?)"',
        TEST + "test_archive_reading.py -k retention",
    ),
    _m(
        "what retention took leaves the log as well",
        "uplink/database.py",
        'connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()',
        'connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()',
        TEST + "test_archive_reading.py -k not_in_the_file",
    ),
    _m(
        "an export comes to an end",
        "central/archive_read.py",
        "        end = newest + 1 if until is None else min(newest + 1, to_ms(until))\n",
        "        end = ALL_TIME if until is None else to_ms(until)\n",
        TEST + "test_archive_reading.py -k rows_end",
    ),
    _m(
        "a forgery makes no box give an envelope up",
        "central/answers.py",
        "    if code not in OUT_OF_TIME:\n        return None\n",
        "",
        TEST + "test_archive_contract.py -k forgeries",
    ),
    _m(
        "an absurd clock signs nothing",
        "central/signing_clock.py",
        "        if now > self._not_after:\n",
        "        if False:\n",
        TEST + "test_collector_parts.py -k absurd_clock",
    ),
    # --- at a partner ---
    _m(
        "an answer is to the very request",
        "partner/catching_up.py",
        "(end.request, end.request_sha256) != (flight.ask.request, flight.sha256)",
        "end.request != flight.ask.request",
        TEST + "test_partner_catching_up.py -k ends_of_other",
    ),
    _m(
        "handed on is what was taken",
        "partner/handing.py",
        "        taken = [one for one in ready if await self._offer(one)]\n",
        "        await self._inbox.run(lambda inbox: inbox.mark_handed(ready, self._clock()))\n"
        "        taken = [one for one in ready if await self._offer(one)]\n",
        TEST + "test_partner_handing.py",
    ),
    _m(
        "an answer that lost messages is asked for again",
        "partner/catching_up.py",
        "if end.sent > len(flight.came):",
        "if False:",
        TEST + "test_proof_replay.py",
    ),
    _m(
        "a partner asks only for its own",
        "uplink/replay.py",
        "if not request.iss == verified.principal.name == audience:",
        "if not request.iss == verified.principal.name:",
        TEST + "test_proof_certificates.py -k no_others_streams",
    ),
    _m(
        "what a partner hasn't handed on is kept",
        "partner/waiting.py",
        "\" (SELECT id FROM envelope WHERE body <> '' AND handed_at < ? LIMIT ?)\",",
        "\" (SELECT id FROM envelope WHERE body <> '' AND (handed_at IS NULL OR handed_at < ?) LIMIT ?)\",",
        TEST + "test_proof_replay.py -k retention",
    ),
)

MUTATIONS: tuple[Mutation, ...] = (
    *DELIVERY,
    *mutations_fleet_artefact.MUTATIONS,
    *mutations_fleet_command.MUTATIONS,
    *mutations_fleet_enrol.MUTATIONS,
    *mutations_fleet_revoke.MUTATIONS,
    *mutations_fleet_roles.MUTATIONS,
    *mutations_fleet_rollout.MUTATIONS,
    *mutations_fleet_switch.MUTATIONS,
    *mutations_fleet_verify.MUTATIONS,
    *mutations_hardware_boot.MUTATIONS,
    *mutations_hardware_camera.MUTATIONS,
    *mutations_hardware_counter.MUTATIONS,
    *mutations_hardware_devices.MUTATIONS,
    *mutations_hardware_board.MUTATIONS,
    *mutations_hardware_firmware.MUTATIONS,
    *mutations_hardware_idcard.MUTATIONS,
    *mutations_hardware_link.MUTATIONS,
    *mutations_hardware_swipe.MUTATIONS,
    *mutations_privacy_door.MUTATIONS,
    *mutations_privacy_handover.MUTATIONS,
    *mutations_privacy_lodging.MUTATIONS,
    *mutations_privacy_page.MUTATIONS,
    *mutations_privacy_policy.MUTATIONS,
    *mutations_privacy_print.MUTATIONS,
    *mutations_privacy_sealing.MUTATIONS,
    *mutations_privacy_slip.MUTATIONS,
    *mutations_privacy_taint.MUTATIONS,
    *mutations_privacy_told.MUTATIONS,
)

SAMPLE = ("a commit is synced",)
"""For every run of the tests: the one that no kill could catch."""


def command(proof: str) -> list[str]:
    """The arguments of a proof; `not(slow)` stands for a marker expression of two words."""
    return ["not slow" if word == "not(slow)" else word for word in proof.split(" ")]


def caught(mutation: Mutation) -> str | None:
    """None when the proof fails on the broken product; else what is wrong. Raises `StaleError`."""
    with tempfile.TemporaryDirectory(prefix="edged-mutation-") as name:
        place = overlay(Path(name) / "checkout", mutation.change)
        done = run(place, *command(mutation.proof))
    if done.returncode == 0:
        return "the proof passes on the broken product"
    if done.returncode != 1:  # pytest: 1 is a failed test; 4 and 5 are no test at all
        return f"the proof didn't run (exit {done.returncode}): {done.stdout[-1500:]}{done.stderr[-500:]}"
    if "SyntaxError" in done.stdout + done.stderr or "ImportError" in done.stdout + done.stderr:
        return f"the change breaks the program, not the property: {done.stdout[-1500:]}{done.stderr[-500:]}"
    return None


def passes(proof: str) -> str | None:
    """None when a proof passes on the sound product; else what it says."""
    with tempfile.TemporaryDirectory(prefix="edged-mutation-") as name:
        done = run(overlay(Path(name) / "checkout"), *command(proof))
    if done.returncode == 0 and " skipped" not in done.stdout:
        return None
    return f"exit {done.returncode}: {done.stdout[-1500:]}{done.stderr[-500:]}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="only those with one of these in their names"
    )
    wanted = parser.parse_args().words
    if wanted and not any(word in mutation.name for mutation in MUTATIONS for word in wanted):
        parser.error("no mutation has such a name")
    failed = 0
    sound: dict[str, str | None] = {}
    for mutation in MUTATIONS:
        if wanted and not any(word in mutation.name for word in wanted):
            continue
        began = time.monotonic()
        try:
            wrong = caught(mutation)
        except StaleError as error:
            wrong = f"stale: {error}"
        if wrong is None:
            if mutation.proof not in sound:
                sound[mutation.proof] = passes(mutation.proof)
            wrong = sound[mutation.proof] and f"fails on the sound product: {sound[mutation.proof]}"
        failed += wrong is not None
        said = "caught" if wrong is None else f"NOT CAUGHT: {wrong}"
        print(f"{mutation.name:60} {said} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{failed} of {len(MUTATIONS)} not caught" if failed else "every change was caught")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
