#!/bin/sh
# Build edged's Debian package: edged_VERSION_ARCH.deb.
#
#   tools/make-deb.sh [-o DIR] [-f FLOOR] [-p PYTHON] [-w WHEEL] [-d DIRECTORY]
#
#   -o DIR          where the package goes; the current directory by default
#   -f FLOOR        the oldest version that may replace this one on a box, by default this version itself
#   -p PYTHON       Python of the boxes' minor version, 3.11 or newer; python3 by default
#   -w WHEEL        edged's wheel; built from this checkout by default
#   -d DIRECTORY    wheels of everything edged needs: then nothing is fetched (made by `pip download` or `pip wheel`)
#
# Everything edged needs lies in the package, below /usr/lib/edged, and nothing of it touches the system's Python
# packages. Build it on a machine like the boxes: same architecture, a C library that isn't newer, same Python. What is
# built from the same wheels is the same to the byte (SOURCE_DATE_EPOCH, by default the last commit's).

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
out=. floor='' python=python3 wheel='' wheels=''

say() { printf 'make-deb: %s\n' "$*" >&2; }
stop() {
    printf 'make-deb: stopped: %s\n' "$*" >&2
    exit 1
}

while getopts o:f:p:w:d: option; do
    case $option in
    o) out=$OPTARG ;;
    f) floor=$OPTARG ;;
    p) python=$OPTARG ;;
    w) wheel=$OPTARG ;;
    d) wheels=$OPTARG ;;
    *) stop "see the head of this file for what may be said." ;;
    esac
done

command -v dpkg-deb >/dev/null || stop "dpkg-deb is missing: this is a task for a Debian system."
"$python" -m pip --version >/dev/null 2>&1 || stop "$python has no pip: apt-get install python3-pip, or name another one with -p."
[ -d "$out" ] || stop "there is no directory $out."

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
umask 022
tree=$stage/tree
library=$tree/usr/lib/edged/site-packages
mkdir -p "$library" "$tree/DEBIAN"

pip() {
    if [ -n "$wheels" ]; then
        "$python" -m pip --disable-pip-version-check --no-input "$@" --no-index --find-links "$wheels"
    else
        "$python" -m pip --disable-pip-version-check --no-input "$@"
    fi
}

if [ -z "$wheel" ]; then
    say "building the wheel"
    # Of a copy: the checkout's own kernels are for its Python, and its path is nobody's business. With a directory of
    # wheels the build's own tools come from there as well.
    mkdir "$stage/source"
    (cd "$root" && tar --exclude='*.so' --exclude='*.c' --exclude=__pycache__ -cf - edged pyproject.toml setup.py \
        MANIFEST.in README.md LICENSE CHANGELOG.md) | tar -xf - -C "$stage/source"
    CFLAGS="${CFLAGS:-} -g0 -ffile-prefix-map=$stage/source=." \
        pip wheel --quiet --no-deps --wheel-dir "$stage/wheel" "$stage/source" >"$stage/log" 2>&1 ||
        { tail -n 20 "$stage/log" >&2; stop "the wheel could not be built: see above."; }
    wheel=$(echo "$stage"/wheel/edged-*.whl)
fi
[ -f "$wheel" ] || stop "there is no wheel $wheel."

say "installing edged and what it needs into the package"
pip install --quiet --no-compile --no-warn-script-location --only-binary :all: --target "$library" "$wheel[printer,slip]" >"$stage/log" 2>&1 ||
    { tail -n 20 "$stage/log" >&2; stop "what edged needs could not be installed: see above."; }
rm -rf "$library/bin" "$library"/*.dist-info/direct_url.json "$library"/*.dist-info/RECORD

version=$(PYTHONPATH=$library "$python" -c 'import edged; print(edged.__version__)')
case $version in
*[!0-9A-Za-z.+~]* | '') stop "'$version' is no version that Debian would take." ;;
esac
if [ -n "$floor" ] && dpkg --compare-versions "$version" lt "$floor"; then
    stop "the floor $floor is above the version $version itself: no box could ever leave it."
fi
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$("$python" -c 'import sys; print("3.%d" % (sys.version_info[1] + 1))')
architecture=$(dpkg --print-architecture)
libc=$(dpkg-query -W -f '${Version}' libc6 2>/dev/null | cut -d- -f1)
[ -n "$libc" ] || stop "libc6 is no package here: this is a task for a Debian system."
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 1)}"
export SOURCE_DATE_EPOCH

# Compiled here, because the daemon may not write below /usr; by content rather than by time.
"$python" -m compileall -q -j 0 -s "$tree" --invalidation-mode unchecked-hash "$library" || true

mkdir -p "$tree/usr/bin"
cat >"$tree/usr/bin/edged" <<'END'
#!/usr/bin/python3 -I
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib/edged/site-packages"))
from edged.cli import main

sys.exit(main())
END
chmod 755 "$tree/usr/bin/edged"

install -D -m 644 -t "$tree/usr/lib/systemd/system" "$root"/systemd/edged.service "$root"/systemd/edged-update.service \
    "$root"/systemd/edged-update.path "$root"/systemd/edged-update-way-back.service \
    "$root"/systemd/edged-enrol.service "$root"/systemd/media-edged.mount "$root"/systemd/media-edged.automount
install -D -m 644 -t "$tree/usr/share/doc/edged/examples/edged.service.d" "$root"/systemd/edged.service.d/*.example
install -D -m 644 "$root/systemd/edged.sysusers" "$tree/usr/lib/sysusers.d/edged.conf"
install -D -m 644 "$root/systemd/edged.tmpfiles" "$tree/usr/lib/tmpfiles.d/edged.conf"
install -D -m 644 "$root/systemd/70-edged.rules" "$tree/usr/lib/udev/rules.d/70-edged.rules"
install -D -m 644 "$root/systemd/edged.polkit.rules" "$tree/usr/share/polkit-1/rules.d/edged.rules"
install -D -m 644 -t "$tree/usr/share/doc/edged" "$root/README.md" "$root/CHANGELOG.md" "$root/docs/operators.md" "$root/docs/update.md" \
    "$root/docs/enrolment.md"
install -D -m 644 "$root/LICENSE" "$tree/usr/share/doc/edged/copyright"

cat >"$tree/DEBIAN/control" <<END
Package: edged
Version: $version
Architecture: $architecture
Maintainer: edged maintainers <edged@example.invalid>
Depends: python3 (>= $minor~), python3 (<< $next~), libc6 (>= $libc)
Recommends: pcscd, fonts-dejavu-core, fonts-droid-fallback
Section: misc
Priority: optional
Edged-Floor: ${floor:-$version}
Installed-Size: $(du -k -s "$tree/usr" | cut -f1)
Description: reads travel documents inside a reader terminal
 Reads and judges travel documents; only signed, de-identified verdicts leave the terminal.
END

# Nothing is started here: the helper that installs an update does that, and a person who installs by hand decides.
cat >"$tree/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -z "${DPKG_ROOT:-}" ]; then
    if command -v systemd-sysusers >/dev/null; then systemd-sysusers edged.conf; fi
    if [ -d /run/systemd/system ]; then
        systemd-tmpfiles --create edged.conf || true
        systemctl daemon-reload || true
    fi
fi
END
chmod 755 "$tree/DEBIAN/postinst"

find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
package=$out/edged_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
say "$package ($(du -h "$package" | cut -f1))"
printf '%s\n' "$package"
