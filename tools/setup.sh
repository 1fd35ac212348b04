#!/bin/sh
# Set up edged in this checkout: Debian packages, a virtual environment in .venv/, the Cython kernels.
#
#   tools/setup.sh demo|tests    what that purpose needs
#   tools/setup.sh firmware      demo, and what builds and emulates the firmware of a Cortex-M (900 MB when installed)
#   tools/setup.sh all           tests, a virtual machine with Debian's kernel (90 MB to download), and what builds, emulates
#                                and takes apart the firmware of a Cortex-M (900 MB when installed)
#   tools/setup.sh check         say whether it is up to date, change nothing
#
# Idempotent: when nothing that matters has changed since the last time it says so in one line and is done in well
# under a second. Everything but the Debian packages stays inside the checkout. pip's own configuration (mirrors,
# proxies) is respected. Every way to fail ends in one sentence that says what to do.

set -eu

purpose=${1:-demo}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=$root/.venv
stamp=$venv/edged-setup.stamp
log=$venv/edged-setup.log

say() { printf 'setup: %s\n' "$*" >&2; }
stop() {
    printf 'setup: stopped: %s\n' "$*" >&2
    exit 1
}

case $purpose in
demo | tests | check) machine= firmware= ;;
firmware) purpose=demo machine= firmware=yes ;;
all) purpose=tests machine=yes firmware=yes ;;
*) stop "unknown purpose '$purpose': say demo, tests, firmware, all or check." ;;
esac

# Two of these at once (run-demo and run-tests) would build into the same place: the second one waits.
if command -v flock >/dev/null; then
    exec 9<"$0"
    flock -n 9 || {
        say "another set-up is running in this checkout; waiting for it"
        flock 9
    }
fi

# mosquitto lives in /usr/sbin, which an ordinary user's PATH may lack.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# --- Python ----------------------------------------------------------------------------------------------------
# Usable: 3.11 or newer, able to make a virtual environment with pip, with the headers the kernels are built with.
# A probe by running it, because a shim (pyenv) may exist for a version that isn't there. An environment that exists
# already keeps the interpreter it was made with.
usable_python() {
    for candidate in "$venv/bin/python" python3.13 python3.12 python3.11 python3 /usr/bin/python3; do
        if "$candidate" - <<'PROBE' >/dev/null 2>&1; then
import pathlib, sys, sysconfig
assert sys.version_info >= (3, 11)
import ensurepip, venv
assert pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()
PROBE
            "$candidate" -c 'import sys; print(sys._base_executable)'
            return 0
        fi
    done
    return 1
}

stop_without_python() {
    stop "no usable Python: edged needs Python 3.11 or newer with venv and its headers (Debian 12: apt-get install python3 python3-venv python3-dev), and found $(python3 --version 2>/dev/null || echo none)."
}

# --- Debian packages --------------------------------------------------------------------------------------------
# What is there is judged by what works, not by dpkg's list: a Python from pyenv or a hand-built mosquitto will do.
missing_packages() {
    usable_python >/dev/null || echo python3 python3-venv python3-dev
    command -v gcc >/dev/null || command -v cc >/dev/null || echo gcc
    [ -e /usr/include/stdlib.h ] || echo libc6-dev
    command -v make >/dev/null || echo make # the head's firmware
    command -v mosquitto >/dev/null || echo mosquitto
    if [ "$purpose" = tests ]; then
        command -v systemd-analyze >/dev/null || echo systemd
        command -v strace >/dev/null || echo strace
        # What docs/central.md tells people to use.
        command -v sqlite3 >/dev/null || echo sqlite3
        command -v curl >/dev/null || echo curl
    fi
}

# What slips are checked with in the tests: a browser for the page, another hand's decoder of QR codes. Without them those
# tests are skipped, so no failure here stops anything.
missing_slip_tools() {
    command -v chromium >/dev/null || echo chromium
    ldconfig -p | grep -q libzbar.so.0 || echo libzbar0
    command -v node >/dev/null || echo nodejs
}

# For the emulated passport: a PC/SC service, a virtual reader, what pyscard is built with; for the tests also somebody
# else's card side of PACE, a database server for the archive, of which they start one of their own, nftables for bad
# networks in namespaces of their own, SoftHSM for keys in tokens, and OpenSSL's command as another client of enrolment.
# Without them the demo lays the passport on a simulated reader, and says so; tests are skipped.
missing_reader() {
    command -v pcscd >/dev/null || echo pcscd
    [ -e /etc/reader.conf.d/vpcd ] || echo vsmartcard-vpcd
    command -v ip >/dev/null || echo iproute2
    command -v swig >/dev/null || echo swig
    [ -e /usr/include/PCSC/winscard.h ] || echo libpcsclite-dev
    if [ "$purpose" = tests ]; then
        ldconfig -p | grep -q libeac.so.3 || echo libeac3
        command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
        command -v nft >/dev/null || echo nftables
        command -v softhsm2-util >/dev/null || echo softhsm2
        command -v openssl >/dev/null || echo openssl
        ldconfig -p | grep -q libusb-1.0.so.0 || echo libusb-1.0-0
    fi
}

# pyscard has no wheels: it is installed where it can be built.
extras() {
    if command -v swig >/dev/null && [ -e /usr/include/PCSC/winscard.h ]; then
        echo test,pcsc
    else
        echo test
    fi
}

install_packages() {
    if ! command -v apt-get >/dev/null; then
        usable_python >/dev/null || stop_without_python
        stop "this is not a Debian system (no apt-get): please install $* (or what your system calls them) and run this again."
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            stop "$* must be installed, and that needs root: run this as root, install sudo, or ask an administrator for 'apt-get install $*'."
        sudo=sudo
        say "sudo may ask for your password"
    fi
    say "installing Debian packages: $*"
    apt_log=$(mktemp)
    # A failed update alone is no reason to stop: the package lists may be fresh enough.
    $sudo apt-get update -qq >"$apt_log" 2>&1 || say "apt-get update failed; trying with the package lists as they are"
    if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$apt_log" 2>&1; then
        tail -n 15 "$apt_log" >&2
        rm -f "$apt_log"
        stop "apt-get could not install $*: see above; without a network connection to the Debian mirror, or without root's rights, this can't go on."
    fi
    rm -f "$apt_log"
    case " $* " in
    *" mosquitto "*)
        # The package starts a broker for the whole machine on port 1883. edged starts its own, on its own port.
        if command -v systemctl >/dev/null && $sudo systemctl disable --now --quiet mosquitto.service 2>/dev/null; then
            say "switched off the system-wide mosquitto service that came with the package: edged runs its own broker (to have it back: systemctl enable --now mosquitto)"
        fi
        ;;
    esac
    case " $* " in
    *" postgresql "*)
        # The same: the package makes a database server for the whole machine and starts it.
        if command -v systemctl >/dev/null && $sudo systemctl disable --now --quiet postgresql.service 2>/dev/null; then
            say "switched off the system-wide PostgreSQL that came with the package: the tests run their own (to have it back: systemctl enable --now postgresql)"
        elif command -v pg_ctlcluster >/dev/null; then
            $sudo service postgresql stop >/dev/null 2>&1 || true
        fi
        ;;
    esac
    case " $* " in
    *" vsmartcard-vpcd "*)
        # The virtual reader listens on every address as soon as the machine's own pcscd starts. edged starts its own, where
        # nobody else reaches it.
        if command -v systemctl >/dev/null && $sudo systemctl disable --now --quiet pcscd.socket pcscd.service 2>/dev/null; then
            say "switched off the system-wide pcscd, which would offer the virtual reader to the network: edged runs its own (for a real reader: apt-get remove vsmartcard-vpcd, then systemctl enable --now pcscd.socket)"
        fi
        ;;
    esac
}

# Free fonts: one for slips, others for the tests that draw pages (tools/render_pages). Without them slips aren't drawn and
# those tests are skipped, so no failure here stops anything. Judged by dpkg's list: where a font's file lies differs between releases.
missing_fonts() {
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0
    [ "$purpose" = tests ] || set -- fonts-droid-fallback fonts-dejavu-core # what slips are drawn with: Han, and Latin
    [ "$purpose" != tests ] || set -- fonts-ocr-b fonts-urw-base35 fonts-liberation2 fonts-courier-prime fonts-go fonts-lmodern \
        fonts-freefont-otf fonts-dejavu-core fonts-wqy-zenhei fonts-droid-fallback
    for font in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$font" 2>/dev/null)" = installed ] || echo "$font"
    done
}

if [ "$purpose" != check ]; then
    fonts=$(missing_fonts | tr '\n' ' ')
    # shellcheck disable=SC2086 # a list of package names
    if [ -n "$fonts" ] && ! (install_packages $fonts); then
        say "going on without fonts: slips can't be drawn, and the tests that draw with them will be skipped"
    fi
fi
if [ "$purpose" = tests ]; then
    # One by one, so that one which this release of Debian lacks costs no other.
    for package in $(missing_slip_tools); do
        (install_packages "$package") || say "going on without $package: the tests of slips that need it will be skipped"
    done
fi

# The virtual machine of the tests that are marked qemu. Without it those are skipped, so no failure here stops anything.
missing_machine() {
    command -v qemu-system-x86_64 >/dev/null || echo qemu-system-x86
    command -v ip >/dev/null && command -v tc >/dev/null || echo iproute2
    command -v mkfs.ext4 >/dev/null || echo e2fsprogs
}

# The reader head's firmware on emulated processors, its static analysis and its fuzzing. Without them the tests that
# need them are skipped.
missing_firmware() {
    command -v arm-none-eabi-gcc >/dev/null || echo gcc-arm-none-eabi
    [ -e /usr/lib/arm-none-eabi/newlib/nano.specs ] || [ -e /usr/lib/arm-none-eabi/lib/nano.specs ] ||
        echo libnewlib-arm-none-eabi
    command -v qemu-system-arm >/dev/null || echo qemu-system-arm
    [ "$purpose" = tests ] || return 0
    command -v cppcheck >/dev/null || echo cppcheck
    command -v clang >/dev/null || echo clang
    # libFuzzer and the sanitizers come with the compiler's own version.
    ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 || echo libclang-rt-14-dev
}

if [ -n "$firmware" ]; then
    needed=$(missing_firmware | tr '\n' ' ')
    if [ -n "$needed" ]; then
        # One by one when all together fail: which version libclang-rt has differs between releases.
        # shellcheck disable=SC2086 # a list of package names
        (install_packages $needed) || for package in $(missing_firmware); do
            (install_packages "$package") ||
                say "going on without $package: the tests of the firmware that need it will be skipped"
        done
    fi
fi

if [ -n "$machine" ]; then
    needed=$(missing_machine | tr '\n' ' ')
    # shellcheck disable=SC2086 # a list of package names
    if [ -n "$needed" ] && ! (install_packages $needed); then
        say "going on without $needed: the tests that are marked qemu will be skipped"
    fi
fi

packages=$(missing_packages | tr '\n' ' ')
if [ -n "$packages" ] && [ "$purpose" != check ]; then
    # shellcheck disable=SC2086 # a list of package names
    install_packages $packages
    packages=$(missing_packages | tr '\n' ' ')
fi
python=$(usable_python) || stop_without_python
[ -z "$packages" ] || stop "still missing: $packages"

# --- virtual environment ----------------------------------------------------------------------------------------
# What the environment was made from: the checkout's place (scripts carry it), the interpreter, and every file that
# decides what is installed or compiled.
fingerprint() {
    {
        printf '%s\n' "$root"
        "$python" -VV
        printf '%s\n' "$python"
        extras
        cd "$root"
        cat pyproject.toml setup.py
        find edged -name '*.pyx' -o -name '*.pxd' -o -name '*.h' | LC_ALL=C sort | while read -r file; do
            printf '%s\n' "$file"
            cat "$file"
        done
    } | sha256sum | cut -d' ' -f1
}

kernels_built() {
    for source in "$root"/edged/*.pyx "$root"/edged/core/*.pyx; do
        [ -e "$source" ] || continue
        set -- "${source%.pyx}".*.so
        [ -e "$1" ] || return 1
    done
}

if [ "$purpose" != check ]; then
    wanted=$(fingerprint) # a set-up that is up to date asks nobody
    reader=$(missing_reader | tr '\n' ' ')
    if [ -n "$reader" ] && ! { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; }; then
        # One by one when all together fail, so that one which this release of Debian lacks costs no other.
        # shellcheck disable=SC2086 # a list of package names
        (install_packages $reader) || for package in $(missing_reader); do
            (install_packages "$package") ||
                say "going on without $package: tests that need it are skipped, and the demo's chips may lie on a simulated reader"
        done
    fi
fi

# Into .cache/qemu, nothing of it on this system. Once it is there it stays as it is: remove the directory for a newer one.
fetch_kernel() {
    [ -n "$machine" ] || return 0
    (cd "$root" && "$venv/bin/python" -m tests.qemu.kernel) ||
        say "going on without a kernel for the virtual machine: the tests that are marked qemu will be skipped"
}

wanted=$(fingerprint)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/edged" ] && kernels_built; then
    fetch_kernel
    say "up to date ($venv)"
    exit 0
fi

[ "$purpose" != check ] || stop "not set up, or changed since: run tools/setup.sh demo."

# An environment of another interpreter, of another place (its scripts name the place), or half made, is made anew; any
# other is brought up to date.
if ! grep -qsF "$venv/bin/python" "$venv/bin/pip" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    [ "$("$venv/bin/python" -VV)" != "$("$python" -VV)" ]; then
    say "making a virtual environment in .venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv" || stop "$python could not make a virtual environment in $venv: see above."
fi
rm -f "$stamp"
# Built anew: the compiler's flags and directives are in setup.py, which no time stamp of a kernel knows about.
for source in "$root"/edged/*.pyx "$root"/edged/core/*.pyx; do
    rm -f "${source%.pyx}".*.so "${source%.pyx}.c"
done

say "installing edged and what it needs into .venv, building the Cython kernels (a minute or two the first time)"
if ! (cd "$root" && "$venv/bin/python" -m pip install --disable-pip-version-check --no-input -e ".[$(extras)]") >"$log" 2>&1; then
    if grep -qE 'NewConnectionError|ConnectTimeout|ConnectionError|Network is unreachable|name resolution|ProxyError|SSLError|Read timed out|from versions: none' "$log"; then
        grep '^ERROR' "$log" | tail -n 3 >&2
        stop "pip could not fetch the packages edged needs: check the network connection, or pip's configuration, and run this again (whole log: $log)."
    fi
    tail -n 25 "$log" >&2
    stop "the installation failed: see above, and the whole log in $log."
fi
kernels_built || stop "the installation left no compiled kernels in edged/core: see $log."
"$venv/bin/python" -c 'import edged.core.mrz, edged.core.ocr' || stop "the compiled kernels can't be loaded: see above."

printf '%s\n' "$wanted" >"$stamp"
fetch_kernel
say "done"
