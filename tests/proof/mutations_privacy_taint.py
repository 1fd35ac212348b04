"""That nothing leaks, and that a leak is found: for each property one line that breaks it, and what must notice."""

from __future__ import annotations

from tests.proof.changes import TEST, _m

MUTATIONS = (
    _m(
        "what is written backwards is found",
        "privacy/leakscan.py",
        "for one in (needle, *_backwards(needle))",
        "for one in (needle,)",
        TEST + "test_taint_scanning.py -k every_encoding",
    ),
    _m(
        "base45 is decoded",
        "privacy/leakviews.py",
        "for found in _fastruns.base45(view.data, SEPARATOR):",
        "for found in ():",
        TEST + "test_taint_scanning.py -k every_encoding",
    ),
    _m(
        "an audit searches rows as well as bytes",
        "auditing.py",
        "for table, rows in _rows(path):",
        "for table, rows in ():",
        TEST + "test_privacy_audit.py -k files_logs_archives",
    ),
    _m(
        "pictures are overwritten when an inspection ends",
        "optics.py",
        "            side.forget()\n",
        "            pass\n",
        TEST + "test_forgetting.py -k whoever_ends",
    ),
    _m(
        "somebody who is alone by two claims together is seen",
        "central/risk.py",
        "for size in range(1, SIZE + 1)",
        "for size in range(1, 2)",
        TEST + "test_privacy_risk.py -k leaks_by_combination",
    ),
    _m(
        "no copy of a picture stays in freed memory",
        "commands/run.py",
        "    process.give_back_large_blocks()\n",
        "",
        TEST + "test_forgetting.py -k left_in_the_daemons_memory",
    ),
)
