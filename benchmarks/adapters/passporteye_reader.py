"""PassportEye; with `mrz` as argument it uses that model, otherwise tesseract's own English one."""

import sys

from passporteye import read_mrz
from protocol import package, serve, tesseract_version

WITH = "-l mrz" if sys.argv[1:] == ["mrz"] else ""


def read(path):
    found = read_mrz(path, extra_cmdline_params=WITH)
    if found is None:
        return None, False
    lines = [line for line in found.aux["text"].split("\n") if line]
    return [line.replace(" ", "") for line in lines], found.valid


serve(read, {**package("PassportEye", "scikit-image"), **tesseract_version()})
