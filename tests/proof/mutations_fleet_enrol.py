"""What breaks enrolment, renewal and keys in tokens, one line each, and the test that must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

SERVICE = TEST + "test_enrol_service.py -k "
IDENTITY = TEST + "test_enrol_identity.py -k "

MUTATIONS = (
    _m(
        "a box believes a fleet by its token alone",
        "pushed/founding.py",
        "if not vouches(token, founding.roots[0].encode(), targets.signed.version):",
        "if False:",
        SERVICE + "middle",
    ),
    _m(
        "a token made after a ceremony doesn't fit what was before it",
        "uplink/token.py",
        "for oldest in range(1, min(targets_version, OLDEST) + 1)",
        "for oldest in range(1, OLDEST)",
        SERVICE + "stolen_authority",
    ),
    _m(
        "the secret is shown to a service under the fleet's authorities alone",
        "pushed/est_client.py",
        "        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n",
        "        self._context = ssl._create_unverified_context()\n",
        SERVICE + "middle",
    ),
    _m(
        "a token serves one key",
        "fleet/enrolment.py",
        "            if _key_of(given) != public_key:\n",
        "            if False:\n",
        SERVICE + "other_keys",
    ),
    _m(
        "a stolen TLS key gets no signing certificate",
        "fleet/est_server.py",
        "            if head.media_type != est.JOSE:\n",
        "            if head.media_type == est.PKCS10:\n"
        "                key = est.requested_key(est.of_body(body))\n"
        "                return self._enrolment._issue(\n"
        "                    self._enrolment._own(certificate, Usage.TLS), usage, key, by_token=False\n"
        "                )\n"
        "            if head.media_type != est.JOSE:\n",
        SERVICE + "stolen_tls",
    ),
    _m(
        "a signed renewal is the same box's whose connection it comes over",
        "fleet/enrolment.py",
        "            if self._own(old, usage).name != record.name:\n",
        "            if False:\n",
        SERVICE + "stolen_tls",
    ),
    _m(
        "both pairs are put in use together",
        "pushed/identity_files.py",
        "        if not self._enrolling.exists():\n",
        "        if True:\n",
        IDENTITY + "all_or_nothing",
    ),
    _m(
        "a key is on the disk before anybody is asked for its certificate, and is used again",
        "pushed/identity_files.py",
        "        if not path.exists():\n            write_private(path, private_pem(generate_key()))\n",
        "        write_private(path, private_pem(generate_key()))\n",
        TEST + "test_enrol_renewal.py -k lost_answer",
    ),
    _m(
        "a pair that is taken away is no pair in one step",
        "pushed/identity_files.py",
        "        (home / number).rename(gone)\n        sync_directory(home)\n        shutil.rmtree(gone)\n",
        "        shutil.rmtree(home / number)\n",
        IDENTITY + "taking_a_pair_away",
    ),
    _m(
        "a private key in a token can't be taken out",
        "uplink/pkcs11.py",
        "pkcs11.Attribute.EXTRACTABLE: False",
        "pkcs11.Attribute.EXTRACTABLE: True",
        TEST + "test_pkcs11.py -k taken_out",
    ),
    _m(
        "a broker that is away doesn't cost a box one certificate after the other",
        "pushed/identity_files.py",
        "        if (home / NEXT).exists():\n            self._remove(",
        "        if True:\n            self._remove(",
        TEST + "test_enrol_renewal.py -k never_takes_it",
    ),
    _m(
        "a certificate of an authority that was replaced is not given again",
        "fleet/enrolment.py",
        " and self._seconds() < half and chain[1:] == issuer",
        "",
        SERVICE + "replaced_is_not_given",
    ),
    _m(
        "the boot file is there before the certificates are in use",
        "pushed/enrolling.py",
        "    before_use(enrolled)\n    files.end_enrolling(chains)\n",
        "    files.end_enrolling(chains)\n    before_use(enrolled)\n",
        TEST + "test_enrol_command.py -k before_the_certificates",
    ),
    _m(
        "of two directories on their way at once the newer one stays",
        "fleet/publishing.py",
        "if newest is None or newest.head.version <= made.head.version:",
        "if True:",
        TEST + "test_fleet_publishing.py -k newest_directory_stays",
    ),
)
