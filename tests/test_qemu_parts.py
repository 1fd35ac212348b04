"""The virtual machine's parts that need no machine: what a record says, which cuts follow, what is packed."""

from __future__ import annotations

import io
import lzma
import random
import struct
from pathlib import Path

import pytest

from tests.qemu import initramfs, kernel
from tests.qemu.log_writes import SECTOR, Cut, Entry, LogError, Write, cuts, entries
from tests.qemu.machine import shares

FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def record(*written: tuple[int, int, bytes]) -> bytes:
    """A log device as the kernel writes it: (flags, sector, data or mark)."""
    log = struct.pack("<QQQI", 0x6A736677736872, 1, len(written), SECTOR).ljust(SECTOR, b"\0")
    for flags, sector, data in written:
        inline = data if flags & MARK else b""
        count = 0 if flags & MARK else len(data) // SECTOR
        log += (struct.pack("<QQQQ", sector, count, flags, len(inline)) + inline).ljust(SECTOR, b"\0")
        if not flags & (MARK | DISCARD):
            log += data
    return log


def block(letter: str, sectors: int = 1) -> bytes:
    return letter.encode() * SECTOR * sectors


def test_a_record_is_read_as_the_kernel_wrote_it() -> None:
    log = record(
        (0, 8, block("a", 2)),
        (FLUSH, 0, b""),
        (MARK, 0, b"17"),
        (FLUSH | FUA, 3, block("b")),
        (DISCARD, 4, block("c")),
        (MARK, 0, b"dm-log-writes-end"),
        (0, 9, block("d")),
    )
    assert list(entries(io.BytesIO(log))) == [
        Entry(False, Write(8 * SECTOR, block("a", 2)), None),
        Entry(True, None, None),
        Entry(False, None, "17"),
        Entry(True, Write(3 * SECTOR, block("b"), lasting=True), None),
        Entry(False, Write(4 * SECTOR, bytes(SECTOR)), None),
    ]


@pytest.mark.parametrize("log", [b"", bytes(SECTOR), record((0, 0, block("a")))[: SECTOR - 1]])
def test_what_is_no_record_is_refused(log: bytes) -> None:
    with pytest.raises(LogError):
        list(entries(io.BytesIO(log)))


def made_up(chance: random.Random) -> list[Entry]:
    """A disk at work: every write has a sector and content of its own."""
    found = []
    for number in range(60):
        write = Write(number * 8 * SECTOR, block(chr(65 + number % 26), chance.choice((1, 8))))
        match chance.choice(("write", "write", "write", "flush", "lasting", "both", "mark")):
            case "write":
                found.append(Entry(False, write, None))
            case "flush":
                found.append(Entry(True, None, None))
            case "lasting":
                found.append(Entry(False, Write(write.offset, write.data, lasting=True), None))
            case "both":
                found.append(Entry(True, Write(write.offset, write.data, lasting=True), None))
            case "mark":
                found.append(Entry(False, None, str(number)))
    return found


@pytest.mark.parametrize("seed", range(50))
def test_a_cut_loses_only_what_a_drive_may_lose(seed: int) -> None:
    """What was flushed stays, what was written through stays, and nothing is there that wasn't written."""
    chance = random.Random(seed)
    log = made_up(chance)
    seen: list[Entry] = []

    def watched() -> object:
        for entry in log:
            seen.append(entry)
            yield entry

    medium: list[Write] = []
    kinds = set()
    for cut in cuts(watched(), chance, 0.7):  # type: ignore[arg-type]
        medium += cut.lasting
        kinds.add(cut.kind)
        there = {write.offset: write.data for write in (*medium, *cut.kept)}
        written = {entry.write.offset: entry.write.data for entry in seen if entry.write}
        assert all(written[offset].startswith(data) for offset, data in there.items())
        torn = [offset for offset, data in there.items() if data != written[offset]]
        assert len(torn) <= 1
        flushes = [index for index, entry in enumerate(seen) if entry.flush]
        if flushes and flushes[-1] == len(seen) - 1 and cut.kind == "in a flush":
            flushes.pop()  # that flush never answered
        flushed = [entry.write for entry in seen[: flushes[-1] if flushes else 0] if entry.write]
        # A cut at a flush comes before the write that the same entry brings.
        through = [
            entry.write
            for entry in (seen[:-1] if cut.kind in ("in a flush", "after a flush") else seen)
            if entry.write and entry.write.lasting
        ]
        assert all(there.get(write.offset) == write.data for write in (*flushed, *through))
        marks = [entry.mark for entry in seen if entry.mark]
        assert cut.mark == (marks[-1] if marks else None)
    assert {"after a flush", "after a lasting write", "after a mark"} <= kinds


def test_a_cut_after_a_mark_keeps_nothing_of_the_cache() -> None:
    """The worst moment: promised, and the drive has written nothing that it wasn't made to write."""
    log = [Entry(False, Write(0, block("a")), None), Entry(False, None, "1")]
    (cut,) = cuts(iter(log), random.Random(1), 0)
    assert cut == Cut("after a mark", "1", (), ())


def test_modules_are_loaded_after_what_they_need(tmp_path: Path) -> None:
    files = {}
    for name, needed in {
        "ext4": "jbd2,mbcache",
        "jbd2": "",
        "mbcache": "",
        "dm_bufio": "dm-mod",
        "dm_mod": "",
    }.items():
        files[name] = tmp_path / f"{name}.ko"
        files[name].write_bytes(b"\x7fELF\0license=GPL\0depends=" + needed.encode() + b"\0name=x\0")
    order = kernel.load_order(files, ("dm-bufio", "ext4", "jbd2"))
    assert order == ["dm_mod", "dm_bufio", "jbd2", "mbcache", "ext4"]
    with pytest.raises(kernel.FetchError, match="no module veth"):
        kernel.load_order(files, ("veth",))


def test_what_is_loaded_on_demand_is_loaded_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "CACHE", tmp_path)
    for purpose in kernel.ON_DEMAND:
        kernel._keep({}, [], tmp_path / "on-demand" / purpose)
    for name in ("01-vivid.ko", "00-mc.ko"):
        (tmp_path / "on-demand" / "camera" / name).touch()
    where = tmp_path / "on-demand" / "camera"
    assert kernel.loading("camera") == f"insmod {where}/00-mc.ko && insmod {where}/01-vivid.ko"


def test_a_kernel_is_taken_out_of_its_image() -> None:
    elf = b"\x7fELF" + bytes(5000)
    packed = lzma.compress(elf, check=lzma.CHECK_CRC32) + len(elf).to_bytes(4, "little")
    head = bytearray(4 * 512)
    head[0x1F1] = 3
    head[0x248:0x250] = struct.pack("<II", 16, len(packed))
    assert kernel.unpacked(bytes(head) + bytes(16) + packed) == elf
    with pytest.raises(kernel.FetchError):
        kernel.unpacked(bytes(head) + bytes(16) + b"not xz" + packed)


def test_the_first_file_system_is_what_the_kernel_expects() -> None:
    packed = initramfs.archive({"a": (0o40755, b""), "a/b": (0o100755, b"12345")})
    found, position = {}, 0
    while True:
        assert packed[position:][:6] == b"070701"
        fields = [int(packed[position + 6 + 8 * index :][:8], 16) for index in range(13)]
        name = packed[position + 110 :][: fields[11] - 1].decode()
        start = position + (110 + fields[11] + 3) // 4 * 4
        found[name] = (fields[1], packed[start:][: fields[6]])
        position = start + (fields[6] + 3) // 4 * 4
        if name == "TRAILER!!!":
            break
    assert position == len(packed)
    assert found == {"a": (0o40755, b""), "a/b": (0o100755, b"12345"), "TRAILER!!!": (0, b"")}


def test_no_directory_is_shared_twice() -> None:
    shared = shares()
    assert Path("/usr") in shared
    assert not any(one in other.parents for one in shared for other in shared)
