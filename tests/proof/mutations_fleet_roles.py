"""What breaks the admin's side of trust, one line each, and the test that must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "a push's number is on disk before it is used",
        "fleet/push_numbers.py",
        '    write_text(state.directory / FILE, f"{numbers[-1]}\\n")\n',
        "",
        TEST + "test_fleet_roles.py -k number",
    ),
    _m(
        "metadata is written only when those have signed it who may",
        "fleet/repository.py",
        "        for delegator in delegators:\n            _verify(role, metadata, delegator)\n",
        "",
        TEST + "test_fleet_roles.py -k own_keys_sign_it",
    ),
    _m(
        "an audience's document is pushed only as the privacy officer signed it",
        "fleet/bundles.py",
        'if target is None or target.hashes.get("sha256") != hashlib.sha256(data).hexdigest():',
        "if target is None:",
        TEST + "test_fleet_roles.py -k officers_key_alone",
    ),
    _m(
        "the ceiling holds for the privacy officer, too",
        "fleet/audience_signing.py",
        "            check_audience(document)\n",
        "",
        TEST + "test_fleet_roles.py -k officer_cannot_sign",
    ),
    _m(
        "a stolen admin key signs no timestamp any more",
        "fleet/recovery.py",
        "set_root_keys(root, keys, entry.threshold, online.public_key)",
        "set_root_keys(root, keys, entry.threshold, root.get_key(root.roles['timestamp'].keyids[0]))",
        TEST + "test_fleet_roles.py -k stolen_admin_key",
    ),
    _m(
        "an officer signs nothing that another has laid into the directory",
        "fleet/repository.py",
        "elif not replaced and not any(_carries(old, signer.public_key) for signer in signers):",
        "elif False:",
        TEST + "test_fleet_roles.py -k officer_signs_nothing",
    ),
    _m(
        "the offline keys sign on from a root of their own",
        "fleet/repository.py",
        "            if any(_carries(found, signer.public_key) for signer in signers):\n",
        "            if True:\n",
        TEST + "test_fleet_roles.py -k root_alone",
    ),
    _m(
        "the offline keys go on from the authorities they have signed",
        "fleet/authorities.py",
        'if target is not None and target.hashes.get("sha256") == hashlib.sha256(data).hexdigest():',
        "if target is not None:",
        TEST + "test_fleet_roles.py -k no_anchor",
    ),
    _m(
        "the key of the authority before is never lost",
        "fleet/authorities.py",
        'if not (retired / f"ca-{name}.key").exists():',
        "if True:",
        TEST + "test_fleet_roles.py -k keeps_the_key",
    ),
    _m(
        "no key is written over",
        "fleet/key_files.py",
        '    if path.exists():\n        raise StateError("fleet.key_exists", str(path))\n',
        "",
        TEST + "test_fleet_roles.py -k written_over",
    ),
    _m(
        "git never gets a key",
        "fleet/ceremony.py",
        'IGNORED = "secrets/\\nartefacts/',
        'IGNORED = "artefacts/',
        TEST + "test_fleet_roles.py -k git_would_keep",
    ),
    _m(
        "the configuration's version tells what the privacy officer changed",
        "fleet/compile.py",
        "_encoded([content, pins])",
        "_encoded([content])",
        TEST + "test_fleet_compile.py -k same_content",
    ),
)
