#!/usr/bin/env python3
"""A complete client of a terminal's handover service (docs/integration.md). Needs Python 3.9 or newer, no more.

    handover_client.py --socket /run/edged-handover/handover.sock --scene bank --reference T-1042
    handover_client.py --host 192.168.7.2 --port 7443 --ca fleet-ca.pem \
        --cert audience.bank-tls.pem --key audience.bank-tls.key --scene bank

It shows the holder's notice, asks for one inspection, shows its progress, takes the fields, says which came, and what
the holder is to be told of what was read and who learned what. Values are printed with `--json --values` alone, for the
program that fills the form. Ctrl-C cancels the inspection.

Exit status: 0 fields came; 1 the inspection ended without any; 65 the slip can't be replaced; 69 the terminal can't be
reached; 75 try again; 76 this program and the terminal don't understand each other; 77 the administrator must allow it.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any

VERSION = 1
CONNECT_S = 10.0  # to connect, and for every answer but an inspection's
MAX_LINE = 256 * 1024  # no answer is longer

AGAIN, ADMIN, PROGRAM, SLIP = 75, 77, 76, 65

REFUSALS = {
    # The document has to be inspected again; the fields are gone.
    "handover.taken_already": AGAIN,
    "handover.too_late": AGAIN,
    "handover.replaced": AGAIN,
    "handover.application_left": AGAIN,
    "handover.settings_changed": AGAIN,
    "handover.stopped": AGAIN,
    "handover.not_yours": AGAIN,
    "handover.internal_error": AGAIN,
    "inspection.busy": AGAIN,
    # What the holder was shown is out of date: show the new notice, and ask again.
    "inspection.notice_changed": AGAIN,
    # The slip that was to be replaced isn't one that can be.
    "slip.no_such_slip": SLIP,
    "slip.not_replaceable": SLIP,
    # Somebody has to look at the terminal, its settings or the certificate.
    "handover.not_journalled": ADMIN,
    "handover.not_allowed": ADMIN,
    "handover.not_an_application": ADMIN,
    "handover.unknown_user": ADMIN,
    "handover.other_scene": ADMIN,
    "cert.revoked": ADMIN,
    "cert.expired": ADMIN,
    "cert.not_yet_valid": ADMIN,
    "cert.unknown_issuer": ADMIN,
    "cert.wrong_fleet": ADMIN,
    "cert.wrong_usage": ADMIN,
    "cert.demo_mismatch": ADMIN,
    "cert.malformed": ADMIN,
    "slip.not_configured": ADMIN,
    "slip.too_many_withdrawn": ADMIN,
    # This program is wrong.
    "handover.no_such_inspection": PROGRAM,
    "slip.training_replaces_nothing": PROGRAM,
    "handover.not_json": PROGRAM,
    "handover.not_a_request": PROGRAM,
    "handover.unknown_version": PROGRAM,
    "handover.unknown_method": PROGRAM,
    "handover.bad_parameter": PROGRAM,
    "handover.request_too_long": PROGRAM,
    "handover.too_many_requests": PROGRAM,
    "handover.too_many_refusals": PROGRAM,
}
"""Every code that the service may refuse with, and what to do. Of one that isn't here: call the administrator."""

NEXT = {
    SLIP: "Look at the number on the slip, or inspect without one.",
    AGAIN: "Inspect the document again.",
    ADMIN: "Call the administrator of the terminals.",
    PROGRAM: "Correct this program; see docs/integration.md.",
}


class RefusedError(Exception):
    """The terminal refused a request, or the connection; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LostError(Exception):
    """The terminal can't be reached, or the connection broke."""


class Handover:
    """One connection. It must stay open from `inspect` to `take`: when it ends, the terminal overwrites the fields."""

    def __init__(self, connection: socket.socket, on_event: Callable[[dict], None] = lambda _: None) -> None:
        self._socket = connection
        self._on_event = on_event
        self._buffer = bytearray()
        self._number = 0

    @classmethod
    def local(cls, path: str, **more: Any) -> Handover:
        """Over the terminal's own socket: this process is known by its system user."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(CONNECT_S)
        connection.connect(path)
        return cls(connection, **more)

    @classmethod
    def remote(cls, host: str, port: int, *, ca: str, cert: str, key: str, **more: Any) -> Handover:
        """Over mutual TLS 1.3: the fleet's authority says who either side is; the address must be the terminal's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(ca)
        context.load_cert_chain(cert, key)
        plain = socket.create_connection((host, port), timeout=CONNECT_S)
        try:
            return cls(context.wrap_socket(plain, server_hostname=host), **more)
        except BaseException:
            plain.close()
            raise

    def close(self) -> None:
        """Leave; what wasn't taken is overwritten on the terminal, and what was received here."""
        self._wipe(len(self._buffer))
        self._socket.close()

    def hello(self) -> dict:
        """Which fields and scenes policy allows."""
        return self._call("hello", {})

    def subscribe(self) -> None:
        """From now on `on_event` hears of the progress of this application's inspections."""
        self._call("subscribe", {})

    def notice(self, scene: str | None = None) -> dict:
        """What the holder has to be told before an inspection in `scene`, and whether consent is needed."""
        return self._call("notice", {} if scene is None else {"scene": scene})

    def inspect(self, timeout: float, **params: Any) -> dict:
        """Run one inspection; returns when it is over. Ctrl-C cancels it and waits for how it ended."""
        return self._call("inspect", params, timeout)

    def take(self, inspection: str) -> dict:
        """The fields, by name. Once: whoever asks again is refused."""
        return self._call("take", {"inspection": inspection})["fields"]

    def _call(self, method: str, params: dict, timeout: float = CONNECT_S) -> Any:
        number = self._send(method, params)
        until = time.monotonic() + timeout
        while True:
            try:
                message = self._read(until)
            except KeyboardInterrupt:
                if method != "inspect":
                    raise
                self._send("cancel", {})
                continue
            if "event" in message:
                self._on_event(message)
            elif "error" in message and message["id"] in (number, None):
                raise RefusedError(message["error"]["code"])
            elif message.get("id") == number:
                return message["result"]

    def _send(self, method: str, params: dict) -> int:
        self._number += 1
        request = {"v": VERSION, "id": self._number, "method": method, "params": params}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            # The terminal may have said why before it hung up.
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise LostError(str(error)) from error
        return self._number

    def _read(self, until: float) -> dict:
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE:
                raise LostError("the answer has no end")
            self._socket.settimeout(max(0.01, until - time.monotonic()))
            try:
                received = self._socket.recv(4096)
            except OSError as error:
                raise LostError(str(error) or "no answer in time") from error
            if not received:
                raise LostError("the terminal closed the connection")
            self._buffer += received
        length = self._buffer.index(b"\n") + 1
        message = json.loads(bytes(self._buffer[:length]))
        self._wipe(length)
        if not isinstance(message, dict) or message.get("v") != VERSION:
            raise RefusedError("handover.unknown_version")
        return message

    def _wipe(self, length: int) -> None:
        """As far as Python lets us: copies that `recv` and `json` made stay until their memory is used again."""
        self._buffer[:length] = bytes(length)
        del self._buffer[:length]


PROMPTS = {
    "place_document": "Lay the document into the window.",
    "reading": "Reading …",
    "turn_over": "Turn the document over.",
    "remove": "Take the document away.",
}


def show(event: dict) -> None:
    """Progress for the counter's screen."""
    if event["event"] == "indication" and event["indication"] in PROMPTS:
        print(PROMPTS[event["indication"]], file=sys.stderr)
    elif event["event"] == "advice":
        print(f"Another picture is taken ({event['reason']}).", file=sys.stderr)
    elif event["event"] == "forgotten":
        print(f"The fields have been overwritten ({event['code']}).", file=sys.stderr)


def asked_for_consent(args: argparse.Namespace, notice: dict) -> dict:
    """The notice on the counter's screen, and what the holder says to it, as parameters of `inspect`.

    A consent is to one notice: if settings change what it says before the document is read, the terminal refuses.
    With `--json` nothing is shown here: whoever shows it says which it was.
    """
    if not args.json:
        print("\n".join(notice["lines"][args.lang]), file=sys.stderr)
    given = args.consent
    if notice["consent"] and not given and not args.json and sys.stdin.isatty():
        given = input("Does the holder consent? [y/N] ").strip().lower() == "y"
    return {"consent": given, "notice": args.notice or notice["sha256"]}


def run(args: argparse.Namespace) -> int:
    """Tell the holder, inspect, take, tell the holder."""
    quiet = args.json
    try:
        on_event = (lambda _: None) if quiet else show
        if args.socket:
            client = Handover.local(args.socket, on_event=on_event)
        else:
            tls = {"ca": args.ca, "cert": args.cert, "key": args.key}
            client = Handover.remote(args.host, args.port, on_event=on_event, **tls)
    except (
        OSError
    ) as error:  # with ssl.SSLError: the terminal isn't whom it should be, or a file can't be read
        return tell(args, {"error": "unreachable", "detail": str(error)}, 69)
    try:
        client.hello()
        client.subscribe()
        notice = client.notice(args.scene)
        if args.show_notice:
            return tell_notice(args, notice)
        names = ("scene", "reference", "purpose", "operator", "supersedes")
        asked = {name: getattr(args, name) for name in names}
        asked = {name: value for name, value in asked.items() if value is not None}
        asked.update(asked_for_consent(args, notice), training=args.training)
        told = client.inspect(args.timeout, **asked)
        if told["outcome"] == "refused" and told["reason"] in REFUSALS:  # before anything was read
            raise RefusedError(told["reason"])
        said = {name: told[name] for name in ("inspection", "outcome", "result", "reason", "notice")}
        if told["handover"] is None:
            return tell(args, {**said, "fields": [], "withheld": {}}, 1)
        fields = client.take(told["inspection"])
        if args.twice:
            client.take(told["inspection"])
        came = fields if args.values else sorted(fields)
        return tell(
            args, {**said, "fields": came, "withheld": told["handover"]["withheld"]}, 0 if fields else 1
        )
    except RefusedError as refusal:
        status = REFUSALS.get(refusal.code, ADMIN)
        return tell(args, {"error": refusal.code, "detail": NEXT[status]}, status)
    except LostError as lost:
        return tell(args, {"error": "lost", "detail": str(lost)}, 69)
    finally:
        client.close()


def tell(args: argparse.Namespace, said: dict, status: int) -> int:
    """For a program with `--json`, else for a person: then names of fields, never values."""
    if args.json:
        print(json.dumps(said))
    elif "error" in said:
        print(f"{said['error']}: {said['detail']}", file=sys.stderr)
    else:
        for line in said["notice"]["lines"][args.lang] if said["notice"] else ():
            print(line)
        print(f"Inspection {said['inspection']}: {said['result'] or said['reason'] or said['outcome']}")
        print(f"Fields that came: {', '.join(sorted(said['fields'])) or 'none'}")
        for field, code in said["withheld"].items():
            print(f"Without a value: {field} ({code})")
    return status


def tell_notice(args: argparse.Namespace, notice: dict) -> int:
    """The notice alone, to be shown on another screen: its `sha256` comes back with `--consent --notice`."""
    print(json.dumps(notice) if args.json else "\n".join(notice["lines"][args.lang]))
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Ask a terminal for one inspection and take its fields.")
    parser.add_argument("--socket", help="the terminal's own handover socket")
    parser.add_argument("--host", help="its address on the counter's network, as its certificate has it")
    parser.add_argument("--port", type=int, default=7443)
    for name in ("ca", "cert", "key"):
        parser.add_argument(f"--{name}", help="PEM file for mutual TLS")
    for name in ("scene", "reference", "purpose", "operator"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--supersedes", metavar="NUMBER", help="the slip that this one's stands in place of")
    parser.add_argument("--show-notice", action="store_true", help="the notice alone: nothing is inspected")
    parser.add_argument("--consent", action="store_true", help="the holder saw the notice and consents")
    parser.add_argument("--notice", metavar="SHA256", help="which notice: as --show-notice --json says it")
    parser.add_argument("--lang", choices=("en", "zh-CN"), default="en", help="of the notice")
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds for the inspection")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--values", action="store_true", help="with --json: the fields' values, too")
    parser.add_argument("--twice", action="store_true", help="take a second time, to see it refused")
    args = parser.parse_args()
    if bool(args.socket) == bool(args.host):
        parser.error("name --socket or --host")
    if args.host and not (args.ca and args.cert and args.key):
        parser.error("--host needs --ca, --cert and --key")
    if args.json and args.consent and not args.notice:
        parser.error("--json shows no notice: --consent needs --notice, the one that the holder was shown")
    if args.values and not args.json:
        parser.error("--values is for --json: a screen is read by others")
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
