"""The first file system of the virtual machine: busybox, the modules, and an init that waits for commands.

Everything else comes from directories of the host, shared read-only: its own /usr (Python, mosquitto, tc, dmsetup), the
virtual environment, the checkout. So nothing is packed or copied, and the guest runs exactly what the host tests.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tests.qemu import kernel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DIRECTORY, _FILE, _LINK = 0o40755, 0o100755, 0o120777

_DIRECTORIES = ("busybox", "dev", "etc", "modules", "proc", "root", "run", "sys", "tmp")

_INIT = """#!/busybox/busybox sh
/busybox/busybox --install -s /busybox
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/busybox HOME=/root LANG=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
mount -t devtmpfs dev /dev && mount -t proc proc /proc && mount -t sysfs sys /sys
mkdir -p /dev/shm && mount -t tmpfs tmp /tmp && mount -t tmpfs tmp /run && mount -t tmpfs tmp /dev/shm
for module in /modules/*; do
    case $module in *brd.ko) settings="rd_nr=4 rd_size=65536" ;; *) settings= ;; esac
    insmod $module $settings || echo "init: no $module"
done
{mounts}
ip link set lo up
cd {directory}
for try in $(seq 100); do
    line=$(echo /dev/vport*p1)
    [ -c "$line" ] && break
    usleep 100000
done
exec 3<>"$line"
echo ready >&3
# One command a line: a number, its limit in seconds, the shell's text in base64. Every line it prints goes back with
# the number before it, then its exit status. The host's timeout kills the whole process group; busybox's doesn't.
while read -r number limit text <&3; do
    echo "$text" | base64 -d >/run/command
    {{
        /usr/bin/timeout -s KILL "$limit" /bin/sh /run/command 2>&1 3>&- </dev/null
        echo "$?" >/run/status
    }} | while IFS= read -r line || [ -n "$line" ]; do echo "$number $line"; done >&3
    echo "$number= $(cat /run/status)" >&3
done
poweroff -f
"""


def build(shares: Sequence[Path], directory: Path) -> bytes:
    """An initramfs (cpio, newc, not compressed) that mounts `shares` (9p tags share0, share1, …) and starts in
    `directory`."""
    tree: dict[str, tuple[int, bytes]] = dict.fromkeys(_DIRECTORIES, (_DIRECTORY, b""))
    for share in shares:
        for parent in (*reversed(share.parents), share):
            if parent != Path("/"):
                tree[str(parent)[1:]] = (_DIRECTORY, b"")
    for name in ("bin", "lib", "lib64", "sbin"):
        tree[name] = (_LINK, f"usr/{name}".encode())
    tree["busybox/busybox"] = (_FILE, kernel.busybox().read_bytes())
    for module in kernel.modules():
        tree[f"modules/{module.name}"] = (_FILE, module.read_bytes())
    for name in ("ld.so.cache", "passwd", "group"):
        tree[f"etc/{name}"] = (_FILE, (Path("/etc") / name).read_bytes())
    options = "trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro"
    mounts = "\n".join(
        f"mount -t 9p -o {options} share{index} {shlex.quote(str(share))}"
        for index, share in enumerate(shares)
    )
    tree["init"] = (_FILE, _INIT.format(mounts=mounts, directory=shlex.quote(str(directory))).encode())
    return archive(tree)


def archive(tree: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Files (path to mode and content) as the kernel reads them: Documentation/driver-api/early-userspace."""
    out = bytearray()
    for number, (name, (mode, content)) in enumerate([*tree.items(), ("TRAILER!!!", (0, b""))], start=1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        for part in (b"070701" + b"".join(b"%08X" % field for field in fields) + path, content):
            out += part + b"\0" * (-len(part) % 4)
    return bytes(out)
