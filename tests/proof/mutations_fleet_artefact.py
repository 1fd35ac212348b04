"""Large files and the box's own software: for each property the line that breaks it, and the tests that then fail."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a chunk is believed for its hash alone",
        "uplink/artefact.py",
        "return len(data) <= CHUNK and hashlib.sha256(data).digest() == sha256",
        "return len(data) <= CHUNK",
        TEST + "test_artefact.py -k stays_wrong",
    ),
    _m(
        "a file gets its name when the whole is what was signed",
        "pushed/part_file.py",
        "if digest.hexdigest() != self._wanted.sha256:",
        "if not digest.hexdigest():",
        TEST + "test_artefact.py -k not_the_signed_whole",
    ),
    _m(
        "a file too large for its kind costs not one byte",
        "uplink/artefact.py",
        "if wanted.length > MAX_BYTES.get(kind, 0):",
        "if wanted.length > MAX_LENGTH + 1:",
        TEST + "test_artefact.py -k before_the_first_byte",
    ),
    _m(
        "a fetch keeps its rate",
        "pushed/artefact_fetch.py",
        "self._bucket.spend(self._size(part), now)",
        "self._bucket.spend(0, now)",
        TEST + "test_artefact.py -k rate_is_kept",
    ),
    _m(
        "a pushed sentence can't reword a verdict",
        "messages/overlay.py",
        'if code.partition(".")[0] in FIXED:',
        "if code in FIXED:",
        TEST + "test_artefact_kinds.py -k no_overlay",
    ),
    _m(
        "root installs what the push says, not what the daemon says",
        "pushed/package_update.py",
        "if left < 0 or (target is not None and found != target.sha256):",
        "if left < 0:",
        TEST + "test_package_update.py -k lies_about_the_file",
    ),
    _m(
        "a replayed push installs nothing",
        "pushed/package_update.py",
        "self._save(msgspec.structs.replace(self.state, device=device, trusted=accepted.trusted.metadata))",
        "self._save(msgspec.structs.replace(self.state, device=device))",
        TEST + "test_package_update.py -k older_push",
    ),
    _m(
        "software is installed before its version is tried",
        "pushed/software.py",
        "if target is not None and target.version != self._running:",
        "if target is None:",
        TEST + "test_software.py -k helper_refuses",
    ),
    _m(
        "a step is written down before it begins",
        "pushed/package_update.py",
        "            write_note(self._helper / STATE, msgspec.json.encode(state))",
        "            pass",
        TEST + "test_package_update.py -k power_cut_anywhere",
    ),
    _m(
        "root's helper believes no root file that somebody may have put in another's place",
        "commands/update.py",
        "for one in (path, *path.parents):",
        "for one in (path, path.parent):",
        TEST + "test_package_update.py -k others_may_rename",
    ),
    _m(
        "no release makes itself one that no box can leave",
        "pushed/package_update.py",
        "if self._packages.older(package.version, package.floor):",
        "if self._packages.older(package.version, package.version):",
        TEST + "test_package_update.py -k unreachable",
    ),
    _m(
        "a document left on the glass holds up no file",
        "membership.py",
        "busy=lambda: box.station.inspecting",
        'busy=lambda: box.station.state != "ready"',
        TEST + "test_commanded.py -k left_on_the_glass",
    ),
)
