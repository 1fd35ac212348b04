"""PDF files by hand: what a scanner writes, and worse."""

from __future__ import annotations

import struct


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height of a baseline JPEG."""
    at = data.index(b"\xff\xc0")
    height, width = struct.unpack_from(">HH", data, at + 5)
    return width, height


def document(objects: list[bytes], *, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return b"%sxref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (
        out, len(objects) + 1, table, len(objects) + 1, trailer, len(out),
    )  # fmt: skip


def stream(body: bytes, entries: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(body), body)


def of_pages(
    contents: list[bytes], resources: list[bytes], size: tuple[float, float], extra: list[bytes]
) -> list[bytes]:
    """The objects of a document: for each page its drawing and resources; `extra` follow (numbered from 3 + 2 n)."""
    count = len(contents)
    kids = b" ".join(b"%d 0 R" % (3 + 2 * i) for i in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count),
    ]
    for i, (content, resource) in enumerate(zip(contents, resources, strict=True)):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Resources << %s >> /Contents %d 0 R >>"
            % (*size, resource, 4 + 2 * i)
        )
        objects.append(stream(content))
    return objects + extra


def scanned(jpegs: list[bytes | None], *, trailer: bytes = b"") -> bytes:
    """One picture on each A4 page, as wide as a passport's page is there; None is an empty page."""
    width, height = 595.0, 842.0
    contents, resources, pictures = [], [], []
    for data in jpegs:
        if data is None:
            contents.append(b"")
            resources.append(b"")
            continue
        across, down = jpeg_size(data)
        shown = 420.0
        contents.append(b"q %g 0 0 %g 80 300 cm /Im Do Q" % (shown, shown * down / across))
        resources.append(b"/XObject << /Im %d 0 R >>" % (3 + 2 * len(jpegs) + len(pictures)))
        kind = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB" % (across, down)
        pictures.append(stream(data, kind + b" /BitsPerComponent 8 /Filter /DCTDecode"))
    return document(of_pages(contents, resources, (width, height), pictures), trailer=trailer)
