"""Revocation: for each property the one line that breaks it, and the test that then must fail."""

from __future__ import annotations

from typing import Final

from tests.proof.changes import TEST, Mutation, _m

LIVE: Final = TEST + "test_revocation_live.py -k "
DIRECTORY: Final = TEST + "test_directory.py -k "
PURE: Final = TEST + "test_revocation.py -k "

MUTATIONS: Final[tuple[Mutation, ...]] = (
    _m(
        "a chain that is remembered as good is asked for revocation each time",
        "uplink/roles.py",
        "        self._revocations.check(fingerprints, principal, arrived=arrived)\n",
        "",
        PURE + "remembered",
    ),
    _m(
        "what forgives an ended certificate doesn't forgive a revoked one",
        "uplink/roles.py",
        "        self._revocations.check(fingerprints, principal, arrived=arrived)\n"
        "        for certificate in path:\n"
        "            _check_validity(certificate, at)\n",
        "        for certificate in path:\n"
        "            _check_validity(certificate, at)\n"
        "        if at == chain[0].not_valid_after_utc:\n"
        "            return principal\n"
        "        self._revocations.check(fingerprints, principal, arrived=arrived)\n",
        PURE + "forgiven",
    ),
    _m(
        "nothing that arrives now is excused",
        "uplink/revoked.py",
        "(arrived is None or arrived.timestamp() >= at)",
        "(arrived is not None and arrived.timestamp() >= at)",
        PURE + "record_holds",
    ),
    _m(
        "a collector vouches for what came before",
        "central/replay_service.py",
        "(*vouches, *answer.messages)",
        "answer.messages",
        LIVE + "still_served",
    ),
    _m(
        "a directory is never older than the one before",
        "uplink/directory_reader.py",
        "head.version <= newest.head.version",
        "head.version == newest.head.version",
        DIRECTORY + "second_stories",
    ),
    _m(
        "a page counts only when the head names it",
        "uplink/directory_reader.py",
        "        return sum(sha256 not in self._pages for sha256 in set(self._next.head.pages))",
        "        return max(0, len(self._next.head.pages) - len(self._pages))",
        DIRECTORY + "somebody_elses",
    ),
    _m(
        "a restart remembers who was revoked",
        "uplink/directory_keeper.py",
        "            _write(self._path, self._reader.stored())\n",
        "            self._reader.stored()\n",
        DIRECTORY + "keeper_applies",
    ),
    _m(
        "a revocation is written down before anybody is told",
        "fleet/revoking.py",
        "        members.save_revocations(state, found)\n    if principal.role",
        "        pass\n    if principal.role",
        TEST + "test_fleet_revoke.py -k written_down",
    ),
)
