"""`edged config check FILE` and `edged config example`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged import messages
from edged.config import load_box

if TYPE_CHECKING:
    import argparse

EXAMPLE = """\
# edged: configuration of one box. `edged config check FILE` tells what is wrong with it.
# Relative paths are relative to this file.

version = "2026-11-21"              # your own name for this configuration; every envelope carries it
default_scene = "bank"              # scene of the button on the head

[identity]                          # key files must have mode 0600
fleet_ca = "fleet-ca.pem"
signing_key = "/var/lib/edged/signing.key"   # or a pkcs11: URI, for a key that stays in a token (docs/enrolment.md)
signing_certificate = "signing.pem"
tls_key = "/var/lib/edged/tls.key"
tls_certificate = "tls.pem"

[broker]                            # MQTT 5 over mutual TLS 1.3
host = "broker.example.org"
port = 8883

[state]
directory = "/var/lib/edged"        # outbox, pseudonym keys, what was pushed; one daemon only

# Who may push settings to this box; `edged enrol` writes this section. Without it nobody may, and this file is all.
# [fleet]
# root = "/var/lib/edged/identity/fleet-root.json"
# enrolment = "enrol.example.org:8443"   # where certificates are renewed

[outbox]                            # what nobody has taken yet: a box may be offline for months
max_mib = 1024                      # beyond these the oldest is given up, and the centre is told which, signed
max_age_days = 180
ledger_days = 90                    # numbers and hashes of what the centre has stored

[journal]                           # who took what, by names of fields: for auditors
keep_days = 1095                    # three years
max_mib = 256                       # beyond it the oldest entries go first

# [metrics]
# textfile = "/var/lib/prometheus/node-exporter"   # directory of node_exporter's textfile collector

[control]
socket = "/run/edged/control.sock"  # what `edged scan` and the console talk to

# The head with window, lamps and button, and the camera behind it: `edged devices` says what is attached.
#   driver = "usb"                  our own head
#   driver = "serial"               the same on a tty: port = "/dev/edged/head", or /dev/serial/by-id/…
#   driver = "bare"                 a camera alone: presence is seen in its pictures, the button is `edged scan`
# Every driver but "simulated" needs [camera]. A vendor's reader: docs/drivers.md.
[head]
driver = "simulated"                # works under a demo fleet CA alone
socket = "/run/edged/glass.sock"
# optical_thresholds = "/etc/edged/model.optical.json"   # what `edged optical fit` learned about this reader model

[reading]
frames = 3                          # pictures of a side at most: more than one only when the first isn't sure

# [camera]
# driver = "uvc"
# device = "/dev/v4l/by-id/…"       # its stable name; docs/cameras.md has exposure, gain and calibration

# [id_card]                         # the module that reads Chinese ID cards (docs/id-cards.md)
# port = "/dev/serial/by-id/…"      # without it: USB

# [swipe]                           # a reader that delivers the MRZ as text (docs/swipe-readers.md)
# port = "/dev/serial/by-id/…"
# driver = "keyboard"               # one that types: device = "/dev/input/by-id/…-event-kbd" instead of port

# [printer]                         # ESC/POS (docs/printers.md)
# port = "usb"                      # or its tty, /dev/usb/lp0, tcp:HOST:PORT

# The feedback slip for the holder (docs/slip.md). Without this section none is made.
# [slip]
# site = "First Bank, counter 1"    # at most 24 bytes
# url = "https://verify.example.org/S"   # where `edged slip page` put the page; the path in capital letters
# print_after = true                # by itself after every inspection; otherwise `edged slip print`
# valid_days = 90
# reprint_h = 24.0                  # then the box forgets what the slip says

# Applications on the counter that may take fields of the inspections they ask for (docs/integration.md). Each is
# known by its system user or its certificate, and may take what its audience's policy names under `handover`.
# [handover]
# socket = "/run/edged-handover/handover.sock"   # needs the unit's drop-in handover.conf
# users = { first-bank-teller = "bankteller" }
# listen = "192.168.7.2:7443"       # on the counter's own network; key and certificate: `edged fleet certify server`
# key = "/var/lib/edged/handover.key"
# certificate = "handover.pem"

# A contactless PC/SC reader under the window. Without this section no chip is read, and every verdict says so.
[chip_reader]
driver = "pcsc"
# reader = "Contactless"            # part of its name, where there are several: `edged chip read --list`
trust = "/var/lib/edged/trust"      # what `edged trust import` fills; without it no chip is proved genuine
bac_after_failed_pace = false       # true: read on with BAC where PACE is offered and fails; the failure is told anyway

[clock]
require_synchronised = true         # without a synchronised clock, expiry is undetermined

# How much each check counts. A scene that isn't named here has the built-in weights.
[scenes.hotel]
mandatory = ["document_detected", "mrz_read", "mrz_check_digits", "mrz_fields", "expiry"]
optional = ["face_match", "registry"]
conditional = ["chip"]              # mandatory for a document with a chip in reach, read or not

# Recipients: organisations, each with what it may know. A claim that isn't named is dropped.
[audiences.central]
scenes = ["bank", "hotel", "telecom", "hospital", "transport", "government", "kiosk"]
receives = ["live", "test", "training"]
reference = false
[audiences.central.policy.claims]
issuing_state = "keep"

[audiences.first-bank]
scenes = ["bank"]
[audiences.first-bank.policy]
pseudonym_scope = "box"
[audiences.first-bank.policy.claims]
issuing_state = "keep"
nationality = "keep"
surname = "mask"
document_number = "mask"
birth_date = "generalise"
expiry_date = "generalise"
document = "pseudonymise"
holder = "pseudonymise"

# By the name of a ready-made policy (docs/policies.md); `edged privacy explain` shows what each recipient gets.
# What is encrypted or sealed needs the recipient's public key, made with `edged partner key new`.
# [audiences.city-hospital]
# scenes = ["hospital"]
# label = "City Hospital"           # what notice and slip call it; without it, its name
# policy = "hospital-card"          # encrypts its claims, and needs the holder's consent
# encryption_keys = ['''
# -----BEGIN PUBLIC KEY-----
# …
# -----END PUBLIC KEY-----
# ''']

# [audiences.first-bank-teller]
# scenes = ["bank"]
# policy = "bank-teller"            # hands its fields over at the counter, once
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`check FILE` or `example`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="check|example")
    check = actions.add_parser("check", help="help.config.check")
    check.add_argument("file", type=Path, metavar="FILE", help="help.config.file")
    actions.add_parser("example", help="help.config.example")


def run(args: argparse.Namespace) -> int:
    """Exit 0 for a good file; EX_CONFIG (from `edged.cli`) with the path of the bad key otherwise."""
    if args.action == "example":
        print(EXAMPLE, end="")
    else:
        load_box(args.file)
        print(messages.text("cli.config_good", args.lang, file=args.file))
    return os.EX_OK
