"""The handover service on real sockets: exactly the allowed fields, once, in time, to whoever asked; else nothing."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged import log
from edged.demo.fleet import DemoFleet
from edged.errors import StateError
from edged.handover import connection as connections
from edged.handover import doors
from edged.privacy.held import HeldFields
from edged.uplink.authority import FleetAuthority
from edged.uplink.keys import generate_key, private_pem, write_private
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.revoked import Revocations, fingerprint
from edged.uplink.roles import load_chain
from tests.handover_bench import AUDIENCES, ME, NOBODY, SCANNER, VALUES, WITHHELD, Bench, Client, audience
from tests.logging_state import restored
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edged.demo.fleet import KeyFiles


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path) as found:
        yield found


@asynccontextmanager
async def through(bench: Bench, way: str) -> AsyncIterator[Client]:
    opened = bench.local() if way == "socket" else bench.remote(bench.member())
    async with opened as client:
        yield client


@pytest.mark.parametrize("way", ["socket", "tls"])
async def test_exactly_the_fields_once(bench: Bench, way: str) -> None:
    async with through(bench, way) as client:
        told = await client.call("inspect", scene="bank", reference="A-1", operator="anna", consent=True)
        assert told["handover"]["fields"] == list(VALUES)
        assert told["handover"]["withheld"] == WITHHELD
        assert 0 < told["handover"]["within_s"] <= 60
        assert await client.call("take", inspection=told["inspection"]) == {
            "inspection": told["inspection"],
            "fields": VALUES,
        }
        assert bench.held[0].forgotten
        assert await client.call("take", inspection=told["inspection"]) == "handover.taken_already"
    (request,) = bench.requests
    assert (request.application, request.scene, request.operator, request.consent) == (
        "bank",
        "bank",
        "anna",
        True,
    )
    offered, taken, refused = await bench.entries()
    assert [one.kind for one in (offered, taken, refused)] == [
        "handover.offered",
        "handover.taken",
        "handover.refused",
    ]
    assert taken.detail == {"audience": "bank", "fields": list(VALUES), "withheld": {}, "way": way}
    assert taken.subject == refused.subject == told["inspection"]
    assert refused.detail["fields"] == []
    assert "anna" not in json.dumps(offered.detail)
    assert "A-1" not in json.dumps(offered.detail)
    assert len(offered.detail["operator"]) == len(offered.detail["reference"]) == 22


async def test_what_an_application_is_told_names_no_state(bench: Bench) -> None:
    """Its policy may keep the issuing state from it, and parameters of reasons name it."""
    async with bench.local() as client:
        assert await client.call("subscribe") is True
        told = await client.call("inspect")
        assert told["result"] == "failed"
        assert told["checks"] == [
            {"name": "expiry", "class": "mandatory", "result": "failed", "reasons": ["expiry.expired"]}
        ]
        assert [one["event"] for one in client.events] == [
            "pressed",
            "indication",
            "stage",
            "advice",
            "outcome",
        ]
        assert client.events[3]["reason"] == "expiry.expired"
        assert "UTO" not in json.dumps([client.events, told])


async def test_hello_says_what_policy_allows(bench: Bench) -> None:
    async with bench.local() as client:
        assert await client.call("hello") == {
            "audience": "bank",
            "fields": [*VALUES, *WITHHELD],
            "within_s": 60.0,
            "scenes": ["bank", "hotel"],
            "consent": "not_needed",
        }


async def test_the_notice_of_a_scene_and_a_consent_to_it(bench: Bench) -> None:
    async with bench.local() as client:
        told = await client.call("notice")
        assert (told["scene"], told["consent"]) == ("bank", False)
        assert set(told["lines"]) == {"en", "zh-CN"}
        assert {one["to"] for one in told["policies"]} == set(AUDIENCES)
        assert await client.call("notice", scene="kiosk") == "handover.other_scene"
        assert await client.call("notice", language="en") == "handover.bad_parameter"
        assert bench.requests == []
        done = await client.call("inspect", consent=True, notice=told["sha256"])
        assert (done["notice"]["consent"], done["notice"]["notice"]) == (True, told["sha256"])
        assert done["notice"]["recipients"][0]["told"] == ["checks", "handover_fields"]
        # Settings say something else by now: what was shown is no consent to that.
        bench.audiences = {**AUDIENCES, "bank": audience("surname", within_s=5)}
        late = await client.call("inspect", consent=True, notice=told["sha256"])
        assert (late["outcome"], late["reason"]) == ("refused", "inspection.notice_changed")
        assert (late["handover"], late["notice"], len(bench.requests)) == (None, None, 1)


async def test_an_old_application_says_nothing_of_notices(bench: Bench) -> None:
    async with bench.local() as client:
        assert (await client.call("inspect", consent=True))["handover"]["fields"] == list(VALUES)
    assert (bench.requests[0].notice, bench.requests[0].supersedes) == (None, None)


async def test_a_slip_that_can_t_be_replaced_costs_the_application_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench.local() as client:
        first = await client.call("inspect", supersedes="0123456789AB")
        assert bench.requests[0].supersedes == "0123456789AB"
        assert await client.call("inspect", supersedes="NOSLIP") == "slip.no_such_slip"
        monkeypatch.setattr(bench.service, "_check", broken)
        assert await client.call("inspect", supersedes="0123456789AB") == "handover.not_journalled"
        assert await client.call("inspect", supersedes="a b") == "handover.bad_parameter"
        assert len(bench.requests) == 1
        # What lay ready lies there still, and the next may ask.
        assert (await client.call("take", inspection=first["inspection"]))["fields"] == VALUES


async def test_a_consent_that_was_needed_is_journalled(bench: Bench) -> None:
    held = HeldFields({"surname": "X"}, {})
    assert not await bench.service.offer("bank", "0" * 16, held, asker=None, within_s=5, consent="5b" * 32)
    assert (await bench.entries())[0].detail["consent"] == "5b" * 32


async def test_another_application_gets_nothing(bench: Bench) -> None:
    async with bench.local() as bank, bench.remote(bench.member("hotel")) as hotel:
        assert await hotel.call("subscribe") is True
        told = await bank.call("inspect")
        assert await hotel.call("take", inspection=told["inspection"]) == "handover.not_yours"
        assert hotel.events == []
        assert (await bank.call("take", inspection=told["inspection"]))["fields"] == VALUES
        assert await hotel.call("take", inspection=told["inspection"]) == "handover.not_yours"
        assert (await bench.entries())[-1].detail["audience"] == "hotel"
        told = await hotel.call("inspect")
        assert (await hotel.call("take", inspection=told["inspection"]))["fields"] == {
            "surname": VALUES["surname"]
        }


async def test_another_connection_of_the_same_application_gets_nothing(bench: Bench) -> None:
    async with bench.local() as one, bench.local() as other:
        told = await one.call("inspect")
        assert await other.call("take", inspection=told["inspection"]) == "handover.not_yours"
        assert not bench.held[0].forgotten


async def test_what_was_asked_instead_of_an_inspection_is_not_written_down(bench: Bench) -> None:
    async with bench.local() as client:
        for asked in ("ffffffffffffffff", "L898902C3", "../../x"):
            assert await client.call("take", inspection=asked) == "handover.no_such_inspection"
    assert {one.subject for one in await bench.entries()} == {"-"}


async def test_too_late(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.within_s = 0.05
    async with bench, bench.local() as client:
        await client.call("subscribe")
        told = await client.call("inspect")
        await until(lambda: bench.held[0].forgotten)  # by itself: nobody asks
        assert await client.call("take", inspection=told["inspection"]) == "handover.too_late"
        assert client.events[-1] == {
            "v": 1,
            "event": "forgotten",
            "inspection": told["inspection"],
            "code": "handover.too_late",
        }
        assert ("expired", "handover.too_late") in await bench.kinds()


async def test_a_new_inspection_takes_the_place_of_the_last(bench: Bench) -> None:
    async with bench.local() as client:
        first = await client.call("inspect")
        bench.gate.clear()
        number = client.send("inspect")
        await until(lambda: len(bench.requests) == 2)
        assert bench.held[0].forgotten  # before the next document has been read
        assert await client.call("take", inspection=first["inspection"]) == "handover.replaced"
        bench.gate.set()
        assert (await client.answer())["id"] == number
        assert ("expired", "handover.replaced") in await bench.kinds()


@pytest.mark.parametrize("way", ["socket", "tls"])
async def test_who_leaves_leaves_nothing(bench: Bench, way: str) -> None:
    async with through(bench, way) as client:
        told = await client.call("inspect")
    await until(lambda: bench.held[0].forgotten)
    async with through(bench, way) as client:
        assert await client.call("take", inspection=told["inspection"]) == "handover.application_left"


async def test_who_leaves_while_the_document_is_read_leaves_nothing(bench: Bench) -> None:
    bench.gate.clear()
    async with bench.local() as client:
        client.send("inspect")
        await until(lambda: bench.requests)
    await until(lambda: not bench.service._connections)
    bench.gate.set()
    await until(lambda: bench.offered)
    assert bench.offered == [False]
    assert bench.held[0].forgotten
    assert await bench.kinds() == [("offered", None), ("expired", "handover.application_left")]


async def test_what_was_read_for_one_connection_is_not_the_next_ones(bench: Bench) -> None:
    """It left while the document was read, and another of the same application already asks for the next."""
    bench.gate.clear()
    async with bench.local() as client:
        client.send("inspect")
        await until(lambda: bench.requests)
    await until(lambda: not bench.service._connections)
    async with bench.local() as other:
        other.send("inspect")
        await until(lambda: len(bench.requests) == 2)
        bench.gate.set()
        told = (await other.answer())["result"]
        await until(lambda: len(bench.offered) == 2)
        assert bench.offered == [False, True]
        assert bench.held[0].forgotten
        assert await other.call("take", inspection=f"{1:016x}") == "handover.no_such_inspection"
        assert (await other.call("take", inspection=told["inspection"]))["fields"] == VALUES


async def test_a_switch_overwrites_and_what_is_allowed_changes(bench: Bench) -> None:
    async with bench.local() as client:
        told = await client.call("inspect")
        await bench.service.configure({**AUDIENCES, "bank": audience("surname")})
        assert bench.held[0].forgotten
        assert await client.call("take", inspection=told["inspection"]) == "handover.settings_changed"
        assert (await client.call("hello"))["fields"] == ["surname"]
        await bench.service.configure({"archive": AUDIENCES["archive"]})
        assert json.loads(await client.line())["error"] == {"code": "handover.not_allowed"}
        assert await client.line() == b""


async def test_the_daemons_end_overwrites(tmp_path: Path) -> None:
    async with Bench(tmp_path) as bench:
        async with bench.local() as client:
            await client.call("inspect")
            await bench.service.__aexit__(None, None, None)
            assert bench.held[0].forgotten
            assert await client.line() == b""
        assert await bench.kinds() == [("offered", None), ("expired", "handover.stopped")]
        assert not bench.socket.exists()
        await bench.service.__aenter__()


async def broken(work: Any) -> Any:
    raise StateError("state.disk_full")


async def test_without_a_journal_nothing_is_offered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.journal, "write", broken)
    async with bench.local() as client:
        told = await client.call("inspect")
        assert told["handover"] is None
        assert bench.held[0].forgotten
        assert await client.call("take", inspection=told["inspection"]) == "handover.not_journalled"


async def test_without_a_journal_nothing_is_taken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench.local() as client:
        told = await client.call("inspect")
        with monkeypatch.context() as patch:
            patch.setattr(bench.journal, "write", broken)
            assert await client.call("take", inspection=told["inspection"]) == "handover.not_journalled"
        assert bench.held[0].forgotten
        assert await client.call("take", inspection=told["inspection"]) == "handover.not_journalled"


async def test_the_journal_comes_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is written no octet leaves; what is overwritten meanwhile doesn't leave after."""
    write, goes_on = bench.journal.write, asyncio.Event()

    async def slow(work: Any) -> Any:
        await goes_on.wait()
        return await write(work)

    async with bench.local() as client:
        told = await client.call("inspect")
        monkeypatch.setattr(bench.journal, "write", slow)
        client.send("take", inspection=told["inspection"])
        await until(lambda: bench.service._desk._offers["bank"].state == "claimed")
        assert not client.reader._buffer  # type: ignore[attr-defined]
        client.send("take", inspection=told["inspection"])  # a second at the same time
        switched = asyncio.create_task(bench.service.configure(AUDIENCES))
        await until(lambda: bench.held[0].forgotten)
        goes_on.set()
        await switched
        assert {(await client.answer())["error"]["code"] for _ in range(2)} <= {
            "handover.settings_changed",
            "handover.taken_already",
        }


# --- who connects ---


async def refused(client: Client) -> str | None:
    """What the box says before it hangs up; None when it hangs up without a word."""
    line = await client.line()
    assert await client.line() == b""
    code: str | None = json.loads(line)["error"]["code"] if line else None
    return code


async def test_another_system_user_is_refused(tmp_path: Path) -> None:
    async with Bench(tmp_path, bank=NOBODY) as bench, bench.local() as client:
        client.send("hello")
        assert await refused(client) == "handover.unknown_user"
        assert bench.requests == []


async def test_an_application_without_a_handover_is_refused(tmp_path: Path) -> None:
    async with Bench(tmp_path, archive=ME) as bench:
        async with bench.local() as client:
            assert await refused(client) == "handover.not_allowed"
        async with bench.remote(bench.member("archive")) as client:
            assert await refused(client) == "handover.not_allowed"
        async with bench.remote(bench.member("somebody")) as client:
            assert await refused(client) == "handover.not_allowed"


@pytest.mark.parametrize("role", [Role.DEVICE, Role.COLLECTOR, Role.ADMIN, Role.HELPDESK])
async def test_another_role_is_refused(bench: Bench, role: Role) -> None:
    async with bench.remote(bench.member("bank", role)) as client:
        assert await refused(client) == "handover.not_an_application"


async def test_a_signing_certificate_is_refused(bench: Bench) -> None:
    async with bench.remote(bench.member(usage=Usage.SIGNING)) as client:
        assert await refused(client) is None  # TLS itself refuses it


async def test_another_fleet_is_refused(bench: Bench, tmp_path: Path) -> None:
    other = DemoFleet(tmp_path / "other", fleet="demo-fleet", now=datetime.now(UTC))
    async with bench.remote(other.issue(Role.AUDIENCE, "bank", Usage.TLS), bench.fleet.ca) as client:
        assert await refused(client) is None


async def test_without_a_certificate_there_is_no_word(bench: Bench) -> None:
    context = ssl.create_default_context(cafile=str(bench.fleet.ca))
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.service.port, ssl=context)
    client = Client(reader, writer)
    assert await refused(client) is None
    await client.close()


async def test_tls_below_1_3_is_refused(bench: Bench) -> None:
    context = ssl.create_default_context(cafile=str(bench.fleet.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", bench.service.port, ssl=context)


def revoke(bench: Bench, **what: Any) -> None:
    bench.anchor.revoke("directory", Revocations(**what))


async def test_revoked_at_the_door_and_in_the_middle(bench: Bench) -> None:
    files = bench.member()
    async with bench.remote(files) as client:
        told = await client.call("inspect")
        revoke(bench, principals={("audience", "bank"): 1})
        client.send("take", inspection=told["inspection"])
        assert await refused(client) == "cert.revoked"
        await until(lambda: bench.held[0].forgotten)
    async with bench.remote(files) as client:
        assert await refused(client) == "cert.revoked"


def issued_by(authority: FleetAuthority, chain: bytes, bench: Bench) -> KeyFiles:
    """An application's files under an issuing authority."""
    files = bench.member()
    key = generate_key()
    principal = Principal("demo-fleet", Role.AUDIENCE, "bank")
    leaf = authority.issue(principal, Usage.TLS, key.public_key(), now=datetime.now(UTC))
    files.key.unlink()
    write_private(files.key, private_pem(key))
    files.certificate.write_bytes(leaf + chain)
    return files


async def test_an_authority_in_between_that_is_revoked_counts(bench: Bench) -> None:
    key = generate_key()
    pem = bench.fleet.authority.issue_intermediate("issuing", key.public_key(), now=datetime.now(UTC))
    files = issued_by(FleetAuthority.load(pem, private_pem(key)), pem, bench)
    async with bench.remote(files) as client:
        assert (await client.call("hello"))["audience"] == "bank"
    revoke(bench, certificates={fingerprint(load_chain(pem)[0]): 1})
    async with bench.remote(files) as client:
        assert await refused(client) == "cert.revoked"


# --- bounds ---


async def test_bad_lines_are_refused_and_the_next_is_answered(bench: Bench) -> None:
    async with bench.local() as client:
        for line, number, code in (
            (b"no json", None, "handover.not_json"),
            (b'{"x":' * 700, None, "handover.not_json"),
            (b"[]", None, "handover.not_a_request"),
            (b'{"v": 1, "id": 18446744073709551616, "method": "hello"}', None, "handover.not_a_request"),
            (b'{"v": 1, "id": -1, "method": "hello"}', None, "handover.not_a_request"),
            (b'{"v": 1, "id": 3}', 3, "handover.not_a_request"),
            (b'{"v": 2, "id": 4, "method": "hello"}', 4, "handover.unknown_version"),
            (b'{"v": 1, "id": 5, "method": "scan"}', 5, "handover.unknown_method"),
            (b'{"v": 1, "id": 6, "method": "hello", "params": {"x": 1}}', 6, "handover.bad_parameter"),
            (b'{"v": 1, "id": 7, "method": "take", "params": {}}', 7, "handover.bad_parameter"),
            (
                b'{"v": 1, "id": 8, "method": "inspect", "params": {"reference": "a b"}}',
                8,
                "handover.bad_parameter",
            ),
            (
                b'{"v": 1, "id": 9, "method": "inspect", "params": {"scene": "kiosk"}}',
                9,
                "handover.other_scene",
            ),
        ):
            client.raw(line)
            assert await client.answer() == {"v": 1, "id": number, "error": {"code": code}}
        assert (await client.call("hello"))["audience"] == "bank"
    assert bench.requests == []


async def test_a_line_without_an_end_is_cut(bench: Bench) -> None:
    async with bench.local() as client:
        client.writer.write(b"x" * 100_000)
        assert await refused(client) == "handover.request_too_long"


async def test_who_is_always_wrong_is_sent_away(bench: Bench) -> None:
    async with bench.local() as client:
        for _ in range(connections.MAX_REFUSALS):
            assert await client.call("take", inspection="0" * 16) == "handover.no_such_inspection"
        assert await refused(client) == "handover.too_many_refusals"


async def test_one_inspection_at_a_time_and_no_more_than_four_requests(bench: Bench) -> None:
    bench.gate.clear()
    async with bench.local() as client:
        for _ in range(connections.MAX_REQUESTS + 1):
            client.send("inspect")
        codes = [(await client.answer())["error"]["code"] for _ in range(connections.MAX_REQUESTS)]
        assert sorted(codes) == ["handover.too_many_requests", *["inspection.busy"] * 3]
        bench.gate.set()
        assert (await client.answer())["result"]["handover"]["fields"] == list(VALUES)


async def test_a_crowd_at_the_door_is_bounded(bench: Bench) -> None:
    crowd = [await asyncio.open_connection("127.0.0.1", bench.service.port) for _ in range(doors.MAX_EACH)]
    door = bench.service._network
    assert door is not None
    await until(lambda: door.busy("127.0.0.1") == doors.MAX_EACH)
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.service.port)
    assert await reader.read() == b""
    for _, one in (*crowd, (reader, writer)):
        one.close()
    await until(lambda: not door.busy("127.0.0.1"))
    async with bench.remote(bench.member()) as client:
        assert (await client.call("hello"))["audience"] == "bank"


async def test_one_user_alone_does_not_keep_the_others_out(bench: Bench) -> None:
    crowd = [await asyncio.open_unix_connection(str(bench.socket)) for _ in range(doors.MAX_EACH)]
    await until(lambda: len(bench.service._connections) == doors.MAX_EACH)
    reader, writer = await asyncio.open_unix_connection(str(bench.socket))
    assert await reader.read() == b""
    for _, one in (*crowd, (reader, writer)):
        one.close()


async def test_an_answer_is_overwritten_once_it_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[bytearray] = []
    wipe = connections.wipe

    def watched(line: bytearray) -> None:
        lines.append(line)
        wipe(line)

    monkeypatch.setattr(connections, "wipe", watched)
    async with bench.local() as client:
        told = await client.call("inspect")
        assert (await client.call("take", inspection=told["inspection"]))["fields"] == VALUES
    await until(lambda: lines)
    assert not any(lines[0])
    assert len(lines[0]) > 100


async def test_who_does_not_read_is_left(bench: Bench) -> None:
    bench.gate.clear()
    async with bench.local() as client:
        await client.call("subscribe")
        client.send("inspect")
        await until(lambda: bench.requests)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(100_000):
            bench.service.publish({"event": "stage", "stage": "captured", "ms": 1.0})
            if not bench.service._connections:
                break
            await asyncio.sleep(0)
        assert not bench.service._connections


async def test_cancel_is_for_its_own_inspection(bench: Bench) -> None:
    bench.verdict = False
    bench.gate.clear()
    async with bench.local() as bank, bench.remote(bench.member("hotel")) as hotel:
        bank.send("inspect")
        await until(lambda: bench.requests)
        assert await hotel.call("cancel") is False
        assert bench.cancelled == 0
        assert await bank.call("cancel") is True
        bench.gate.set()
        told = (await bank.answer())["result"]
        assert (told["outcome"], told["reason"], told["result"], told["handover"]) == (
            "aborted",
            "inspection.cancelled",
            None,
            None,
        )
        assert await bank.call("cancel") is False
    assert bench.cancelled == 1


async def test_no_value_is_anywhere_but_in_the_one_answer(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[bytes] = []
    with restored():
        log.configure("debug")
        async with bench.local() as client, bench.remote(bench.member("hotel")) as hotel:
            await client.call("subscribe")
            for method, params in (
                ("inspect", {"operator": "anna"}),
                ("take", {"inspection": "0000000000000002"}),
            ):
                client.send(method, **params)
                said.append(
                    await client.line() if method == "take" else json.dumps(await client.answer()).encode()
                )
            offer = bench.service._desk._offers["bank"]
            said.append(repr([offer, bench.service, bench.service._desk._offers, bench.held]).encode())
            hotel.send("take", inspection=offer.inspection)
            said.append(await hotel.line())
            client.send("take", inspection=offer.inspection)
            one = await client.line()
            for _ in range(2):
                client.send("take", inspection=offer.inspection)
                said.append(await client.line())
            bench.service.publish({"event": "pressed", "inspection": VALUES["document_number"]})
            said.append(json.dumps(client.events).encode())
    said += [bench.files(), "".join(capfd.readouterr()).encode()]
    assert json.loads(one)["result"]["fields"] == VALUES
    assert SCANNER.scan(one)
    assert SCANNER.scan(b"\n".join(said)) == []


@pytest.mark.parametrize("host", ["192.0.2.77", "2001:db8::77"])
def test_an_address_that_the_machine_has_not_yet_is_listened_to(host: str) -> None:
    """Its cable may come later: the daemon starts, and gives verdicts."""
    with doors.network(host, 0) as listener:
        assert listener.getsockname()[0] == host
