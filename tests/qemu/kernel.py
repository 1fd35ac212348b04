"""Debian's own kernel for a virtual machine: fetched once into `.cache/qemu`, nothing of it installed on the host.

The packages are downloaded with apt and only unpacked. The kernel is taken out of its compressed image, because under
an emulator unpacking itself takes it longer than everything else until the first process. Of the modules only those
named below are kept, with what they need. What most tests don't need is not loaded when the machine starts, but when a
test runs `loading(...)` in it.

    python -m tests.qemu.kernel     fetch it, unless it is there
"""

from __future__ import annotations

import lzma
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache" / "qemu"

MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_console", "virtio_rng"),
    *("9pnet_virtio", "9p"),  # directories of the host
    *("crc32c_generic", "ext4"),
    *("dm_mod", "dm_log_writes", "dm_snapshot", "brd"),
    *("veth", "sch_netem", "sch_htb"),
)

ON_DEMAND = {
    "camera": ("vivid",),
    "usb": (
        *("dummy_hcd", "libcomposite", "usb_f_fs"),  # a gadget of this machine, enumerated by this machine
        *("usb_f_acm", "cdc_acm", "usblp"),
        *("uinput", "evdev"),
    ),
}
"""Modules that only some tests load, by the name of what they are for."""

UDEV_RULES = "50-udev-default.rules"
"""Groups and modes of devices as Debian has them, which ours build on."""

# Offsets of a kernel image's header: Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
_SETUP_SECTS, _PAYLOAD_OFFSET, _PAYLOAD_LENGTH = 0x1F1, 0x248, 0x24C
_SECTOR = 512


class FetchError(Exception):
    """The packages can't be had, or aren't what they are expected to be; the text says which and why."""


def vmlinux() -> Path:
    return CACHE / "vmlinux"


def busybox() -> Path:
    return CACHE / "busybox"


def udev() -> Path:
    """udevadm, which is udevd as well under that name."""
    return CACHE / "udevadm"


def modules() -> list[Path]:
    """The modules in the order in which they are to be loaded."""
    return sorted((CACHE / "modules").glob("*.ko"))


def loading(purpose: str) -> str:
    """The guest's shell command that loads what `ON_DEMAND` has for a purpose."""
    files = sorted((CACHE / "on-demand" / purpose).glob("*.ko"))
    return " && ".join(f"insmod {shlex.quote(str(file))}" for file in files)


def _wanted() -> str:
    """What the stamp says of the modules."""
    return " ".join(
        ("udev", *MODULES, *(f"{purpose}:{','.join(names)}" for purpose, names in sorted(ON_DEMAND.items())))
    )


def version() -> str | None:
    """Which kernel is there; None when none is, or another set of modules than today's."""
    try:
        release, kept = (CACHE / "stamp").read_text().splitlines()
    except (OSError, ValueError):
        return None
    return release if kept == _wanted() else None


def unpacked(image: bytes) -> bytes:
    """The ELF file inside a compressed kernel image."""
    start = (image[_SETUP_SECTS] + 1) * _SECTOR + int.from_bytes(image[_PAYLOAD_OFFSET:][:4], "little")
    payload = image[start:][: int.from_bytes(image[_PAYLOAD_LENGTH:][:4], "little")]
    try:
        # Not lzma.decompress: behind the stream stands the length of its content.
        elf = lzma.LZMADecompressor().decompress(payload)
    except lzma.LZMAError as error:
        raise FetchError(f"the kernel isn't compressed with xz, as Debian 12's is: {error}") from None
    if not elf.startswith(b"\x7fELF"):
        raise FetchError("there is no kernel inside the kernel's image")
    return elf


def load_order(files: dict[str, Path], wanted: tuple[str, ...]) -> list[str]:
    """`wanted` modules and what they depend on, in an order in which they can be loaded."""
    order: list[str] = []

    def add(name: str) -> None:
        if name in order:
            return
        if name not in files:
            raise FetchError(f"this kernel has no module {name}")
        found = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
        for needed in (found[1].decode() if found else "").split(","):
            if needed:
                add(_plain(needed))
        order.append(name)

    for name in wanted:
        add(_plain(name))
    return order


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _run(*command: str, cwd: Path) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"{command[0]}: {error}") from None
    if done.returncode:
        raise FetchError(f"{' '.join(command)}: {done.stderr.strip()[-500:]} (is apt-get update needed?)")
    return done.stdout


def fetch() -> str:
    """Download, unpack, keep what is needed; the kernel's version."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("modules", "on-demand"):
        shutil.rmtree(CACHE / name, ignore_errors=True)
    (CACHE / "stamp").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        work = Path(name)
        listed = _run("apt-cache", "depends", "linux-image-amd64", cwd=work)
        image = re.search(r"Depends: (linux-image-[0-9]\S+-amd64)", listed)
        if image is None:
            raise FetchError("apt knows no linux-image-amd64: is this Debian on amd64?")
        _run(
            "apt-get",
            "-o",
            "APT::Sandbox::User=root",
            "download",
            image[1],
            "busybox-static",
            "udev",
            cwd=work,
        )
        for package in work.glob("*.deb"):
            _run("dpkg", "-x", package.name, "root", cwd=work)
        root = work / "root"
        release = next((root / "lib" / "modules").iterdir()).name
        vmlinux().write_bytes(unpacked((root / "boot" / f"vmlinuz-{release}").read_bytes()))
        shutil.copy(root / "bin" / "busybox", busybox())
        shutil.copy(root / "bin" / "udevadm", udev())
        shutil.copy(root / "lib" / "udev" / "rules.d" / UDEV_RULES, CACHE / UDEV_RULES)
        files = {_plain(path.stem): path for path in (root / "lib" / "modules" / release).rglob("*.ko")}
        at_start = load_order(files, MODULES)
        _keep(files, at_start, CACHE / "modules")
        for purpose, names in ON_DEMAND.items():
            more = [module for module in load_order(files, names) if module not in at_start]
            _keep(files, more, CACHE / "on-demand" / purpose)
    (CACHE / "stamp").write_text(f"{release}\n{_wanted()}\n")
    return release


def _keep(files: dict[str, Path], order: list[str], directory: Path) -> None:
    """Copies of modules whose names say in which order they are to be loaded."""
    directory.mkdir(parents=True)
    for index, module in enumerate(order):
        shutil.copy(files[module], directory / f"{index:02}-{module}.ko")


def main() -> int:
    try:
        there = version()
        print(f"setup: Debian's kernel {there or fetch()} is in {CACHE}", file=sys.stderr)
    except (FetchError, OSError) as error:
        print(f"setup: no kernel for the virtual machine: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
