"""Python imports this by itself where this directory is on its path: a daemon that is tested, and nobody else's."""

import os

if os.environ.get("EDGED_TAINT"):
    import tests.taint.planting
    import tests.taint.planting_counter  # noqa: F401 - they plant what they are told to
