"""RapidOCR over the whole page, lines filtered by length."""

from protocol import package, serve, zone
from rapidocr_onnxruntime import RapidOCR

ENGINE = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)


def read(path):
    found, _ = ENGINE(path)
    rows = sorted(found or (), key=lambda row: min(point[1] for point in row[0]))
    return zone([row[1] for row in rows]), None


serve(read, package("rapidocr-onnxruntime", "onnxruntime"))
