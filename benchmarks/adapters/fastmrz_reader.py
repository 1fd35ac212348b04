"""fastmrz: its text, then its own judgement of that text."""

from fastmrz import FastMRZ
from protocol import package, serve, tesseract_version

READER = FastMRZ()


def read(path):
    text = READER.get_details(path, ignore_parse=True)
    lines = [line for line in (text or "").split("\n") if line]
    if not lines:
        return None, False
    return lines, bool(READER.validate_mrz(text)["is_valid"])


serve(read, {**package("fastmrz"), **tesseract_version()})
