"""tesseract over the whole page with the `mrz` model, lines filtered by length."""

import subprocess

from protocol import serve, tesseract_version, zone


def read(path):
    done = subprocess.run(
        ["tesseract", path, "stdout", "-l", "mrz"], capture_output=True, text=True, check=True
    )
    return zone(done.stdout.splitlines()), None


serve(read, tesseract_version())
