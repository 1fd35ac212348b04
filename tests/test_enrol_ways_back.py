"""The ways back that enrolment has, walked by a real daemon, the real service and a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edged.central.collector import Collector
from edged.central.mosquitto import Access
from edged.central.settings import CollectorSettings
from edged.cli import main
from edged.demo.broker import HOST as BROKER_HOST
from edged.demo.broker import DemoBroker
from edged.fleet import authorities, certify
from edged.fleet.enrolment import issued_certificate
from edged.fleet.key_files import read_offline
from edged.fleet.state import FLEET_FILE, FleetState, as_toml, write_text
from edged.fleet.tuf_roles import Holder
from edged.pushed.boot_file import fill
from edged.pushed.enrolling import enrol
from edged.pushed.identity_files import IdentityFiles
from edged.uplink.fleet_authority import sha256_of
from edged.uplink.keys import load_private, read_private
from edged.uplink.mqtt import Endpoint
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.outbox import ledger
from edged.uplink.roles import load_chain
from tests.box import EDGED, Box
from tests.enrolling import FLEET, Office, now, serial
from tests.test_enrol_command import TEMPLATE
from tests.waiting import until

SPECIMEN = "passport"
BOOT = (
    TEMPLATE.replace('scenes = ["bank"]', 'scenes = ["bank"]\nreceives = ["live", "test"]')
    + "\n[clock]\nfixed_today = 2026-06-15\nrequire_synchronised = false\n"
)
REFUSED = ("uplink.closed_early", "uplink.tls_failed")
"""How a broker's refusal of a certificate looks."""

AUDIENCE: dict[str, Any] = {
    "format": 1,
    "name": "central",
    "scenes": ["bank"],
    "receives": ["live", "test"],
    "policy": {"claims": {"issuing_state": "keep"}},
}


class EnrolledBox(Box):
    """A daemon with the boot file that enrolment writes."""

    def __init__(self, directory: Path, files: IdentityFiles) -> None:
        self.directory, self.files = directory, files
        self.config = directory / "edged.toml"
        self._command, self.errors = EDGED, b""


class Site:
    """The fleet's office and broker, and one box."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.office = Office(directory / "office")
        access = Access(FLEET, collectors=("centre",), audiences=("central",), admins=("ops",))
        self.broker = DemoBroker(directory / "broker", self.office, access)  # type: ignore[arg-type]
        file = msgspec.structs.replace(
            self.office.state.file, broker_host=BROKER_HOST, broker_port=self.broker.port
        )
        write_text(self.office.state.directory / FLEET_FILE, as_toml(file))
        self.office.state = FleetState.open(self.office.state.directory)
        certify.make_keys(
            self.office.state, Principal(FLEET, Role.COLLECTOR, "centre"), directory / "centre", now=now()
        )

    async def enrolled(self) -> EnrolledBox:
        home = self.directory / "box"
        home.mkdir()
        files = IdentityFiles(home / "identity")
        enrolled = await asyncio.to_thread(enrol, self.office.invite(), files)
        (home / "edged.toml").write_text(fill(BOOT, enrolled.boot, files, base=home))
        return EnrolledBox(home, files)

    @contextlib.asynccontextmanager
    async def centre(self) -> AsyncIterator[None]:
        """A collector that takes what the box says."""
        home, stem = self.directory / "centre", "collector.centre"
        settings = CollectorSettings(
            fleet_ca=self.office.ca,
            signing_key=home / f"{stem}-signing.key",
            signing_certificate=home / f"{stem}-signing.pem",
            archive=str(home / "archive.sqlite"),
            broker=Endpoint(
                host=BROKER_HOST,
                port=self.broker.port,
                ca=self.office.ca,
                certificate=home / f"{stem}-tls.pem",
                key=home / f"{stem}-tls.key",
            ),
            reconnect_min_s=0.05,
            reconnect_max_s=0.5,
        )
        party = Collector(settings)
        task = asyncio.create_task(party.run())
        try:
            yield
            party.stop()
            await asyncio.wait_for(task, 60)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def age(self, files: IdentityFiles) -> None:
        """The box was off for a year: its certificates have ended two days ago, in its files and in its record."""
        record = self.office.state.device("box-1")
        issued = []
        issuing = (self.office.state.secrets / "ca.pem").read_bytes()
        for usage in Usage:
            pair = files.current(usage)
            assert pair is not None
            key = load_private(read_private(Path(pair.key))).public_key()
            principal = Principal(FLEET, Role.DEVICE, "box-1")
            pem = self.office.state.authority().issue(
                principal, usage, key, now=now() - timedelta(days=3), days=1
            )
            pair.chain.write_bytes(pem + issuing)
            issued.append(issued_certificate(usage, pem + issuing))
        self.office.state.save_device(msgspec.structs.replace(record, certificates=tuple(issued)))


def streams(box: Box) -> dict[str, list[tuple[int, bool]]]:
    """By log: numbers, and whether the centre has them."""
    return {key[0]: [(row.seq, row.receipted) for row in rows] for key, rows in ledger(box.database).items()}


async def test_a_box_whose_certificates_have_ended_comes_back_with_a_token(tmp_path: Path) -> None:
    """Under its name, with its outbox and its log: what waited is delivered, and the numbers go on."""
    site = Site(tmp_path)
    async with site.office.open():
        box = await site.enrolled()
        async with box:
            await box.scan(SPECIMEN)
        ((log_id, rows),) = streams(box).items()
        assert rows == [(1, False)]
        site.age(box.files)
        await asyncio.to_thread(site.broker.start)
        try:
            async with site.centre():
                async with box:  # it works on, and isn't let in
                    await until_uplink(box, lambda uplink: uplink["problem"] in REFUSED)
                    assert (await box.control.call("status"))["state"] == "ready"
                assert any(one.get("code") == "enrol.expired" for one in box.log)
                assert streams(box) == {log_id: [(1, False)]}
                token = site.office.invite(again=True)
                code = await asyncio.to_thread(
                    main, ["enrol", "--token", token.line(), "--into", str(box.files.directory)]
                )
                assert code == os.EX_OK
                assert box.files.before(Usage.TLS) is None  # nothing would ever go back to what has ended
                async with box:
                    await box.scan(SPECIMEN)
                    await until(lambda: streams(box) == {log_id: [(1, True), (2, True)]})
        finally:
            await asyncio.to_thread(site.broker.stop)


@pytest.mark.slow
async def test_a_lost_authority_is_replaced_by_pushes_while_its_boxes_work(tmp_path: Path) -> None:
    """A new root by the offline keys; boxes renew by themselves; the old root goes; they are let in still."""
    site = Site(tmp_path)
    office = site.office
    state = str(office.state.directory)
    root_keys = [key.signer for key in read_offline(Holder.ROOT, office.roots)]
    document = tmp_path / "central.json"
    document.write_text(json.dumps(AUDIENCE))

    def fleet(*arguments: str) -> int:
        return main(["fleet", *arguments, "--state", state])

    async def pushed() -> None:
        assert await asyncio.to_thread(fleet, "config", "push", "box-1", "--force") == os.EX_OK

    def serve_broker_anew() -> None:
        """Its certificate is of the present authority, and it reads `authorities.pem`."""
        office.issue_server("broker", (BROKER_HOST, "localhost"))
        site.broker.stop()
        site.broker.start()

    assert fleet("privacy", "sign", "--privacy-keys", str(office.directory / "privacy"), str(document)) == 0
    layer = 'version = "a"\ndefault_scene = "bank"\naudiences = ["central"]\nprobation_s = 60.0\n'
    (office.state.directory / "config/fleet.toml").write_text(layer)
    await asyncio.to_thread(site.broker.start)
    try:
        async with office.open() as server:
            box = await site.enrolled()
            old = {usage: serial(box.files, usage) for usage in Usage}
            async with box:
                await pushed()
                root = authorities.new_root(office.state, tmp_path / "new-root", now())
                both = authorities.put(
                    office.state,
                    lambda before: authorities.with_anchor(before, root.certificate_pem),
                    root_keys,
                    now(),
                )
                await pushed()
            authorities.write_issuing(office.state.secrets, authorities.new_issuing(root, now()))
            authorities.write_admin(office.state, now())
            server.look()
            await asyncio.to_thread(serve_broker_anew)
            async with box:  # a start looks at once; a box that goes on working looks within the hour
                await until(lambda: all(serial(box.files, usage) != old[usage] for usage in Usage), 30)
                await until(
                    lambda: box.files.before(Usage.TLS) is None, 30
                )  # the broker has let it in with it
                gone = sha256_of(load_chain(both.anchors[1].encode())[0])
                authorities.put(
                    office.state,
                    lambda before: authorities.without_anchor(before, gone),
                    root_keys,
                    now(),
                )
                await pushed()
            await asyncio.to_thread(serve_broker_anew)
            assert [one.what for one in office.happened] == ["issued"] * 2 + ["renewed"] * 2
            async with box:  # its boot file still names the old root alone
                await until_uplink(box, lambda uplink: bool(uplink["connected"]))
                await pushed()
    finally:
        await asyncio.to_thread(site.broker.stop)


async def until_uplink(box: Box, wanted: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(60):
        while not wanted((await box.control.call("status"))["uplink"]):
            await asyncio.sleep(0.05)
