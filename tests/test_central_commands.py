"""`edged central streams|holes|alarms|verify|export|prune|broker`, over a real archive."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import sqlite3
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from edged import cli, messages
from edged.central import columns
from edged.central.archive import open_archive
from edged.demo.fleet import DemoFleet
from edged.uplink import intake, topics
from edged.uplink.envelope import Envelope, StreamPosition, open_envelope
from edged.uplink.gaps import Gap, seal_gap
from edged.uplink.intake import Incoming
from edged.uplink.names import Role, Usage
from edged.uplink.receipts import range_sha256
from edged.uplink.roles import TrustAnchor
from edged.uplink.sign import Signer
from tests import logging_state, postgres
from tests.broker import Sealer, draft, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.postgres import Cluster

NOW = datetime.now(UTC).replace(microsecond=0)


class Centre:
    """A fleet's authority, its archive, and a collector's configuration that names both."""

    def __init__(self, directory: Path, location: str, retention: str = "") -> None:
        self.directory = directory
        self.fleet = DemoFleet(directory / "fleet", fleet="north", now=NOW - timedelta(days=365))
        self.anchor = TrustAnchor.from_file(self.fleet.ca)
        self.location = location
        self.batches: list[tuple[Incoming, ...]] = []
        self.signing = self.fleet.issue(Role.COLLECTOR, "centre", Usage.SIGNING)
        self.config = self.configured(directory / "collector.toml", location, retention)

    def configured(self, path: Path, location: str, retention: str = "") -> Path:
        """A configuration with this archive."""
        path.write_text(f'''
fleet_ca = "{self.fleet.ca}"
signing_key = "{self.signing.key}"
signing_certificate = "{self.signing.certificate}"
archive = "{location}"
{retention}
[broker]
host = "127.0.0.1"
port = 8883
ca = "{self.fleet.ca}"
certificate = "{self.signing.certificate}"
key = "{self.signing.key}"
''')
        return path

    def signer(self, name: str) -> Signer:
        files = self.fleet.issue(Role.DEVICE, name, Usage.SIGNING)
        return Signer.from_files(files.key, files.certificate)

    def store(self, *incoming: Incoming, now: datetime = NOW) -> None:
        self.batches.append(incoming)
        self._store(self.location, incoming, now)

    def _store(self, location: str, incoming: Sequence[Incoming], now: datetime = NOW) -> None:
        archive = open_archive(location, self.anchor)
        try:
            archive.store(intake.check(incoming, anchor=self.anchor, now=NOW), now)
        finally:
            archive.close()

    def changed(self, directory: Path, cluster: Cluster | None, statement: str, *values: object) -> Path:
        """The configuration of a copy in which something was changed behind the archive's back."""
        connection: Any
        copy = location(directory, cluster)
        for batch in self.batches:
            self._store(copy, batch)
        if cluster is None:
            connection = sqlite3.connect(copy)
        else:
            import psycopg

            connection = psycopg.connect(copy)
            statement = statement.replace("?", "%s")
        try:
            assert connection.execute(statement, values).rowcount > 0
            connection.commit()
        finally:
            connection.close()
        return self.configured(directory / "changed.toml", copy)


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster | None]:
    if postgres.missing():
        yield None
    else:
        with postgres.cluster(fsync=False) as cluster:
            yield cluster


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def cluster(request: pytest.FixtureRequest, server: Cluster | None) -> Cluster | None:
    if request.param == "sqlite":
        return None
    if server is None:
        pytest.skip(postgres.missing() or "")
    return server


def verdict(device: str, audience: str, envelope: Envelope) -> Incoming:
    return Incoming(topics.verdict("north", device, audience), envelope.jws.encode())


def location(directory: Path, cluster: Cluster | None) -> str:
    return str(directory / "archive.sqlite") if cluster is None else cluster.database()


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster | None) -> Centre:
    """Two devices, one with a hole (3 to 4, of which a gap record accounts for 3), one that tells two stories.

    Nothing changes it: see `Centre.changed`.
    """
    directory = tmp_path_factory.mktemp("centre")
    made = Centre(directory, location(directory, cluster))
    first, second = made.signer("box-1"), made.signer("box-2")
    sealer = Sealer(first, "log-1", NOW)
    whole = stream(sealer, "bank", 6)
    made.store(*(verdict("box-1", "bank", one) for one in whole if one.seq not in (3, 4)))
    gap = Gap(
        log_id="log-1",
        audience="bank",
        first=3,
        last=3,
        sha256=range_sha256([whole[2].sha256]),
        reason="too_old",
    )
    sealed = seal_gap(gap, jti="g", iat=int(NOW.timestamp()), clock="trusted", signer=first)
    made.store(Incoming(topics.gap("north", "box-1", "bank"), sealed.encode()))
    other = Sealer(second, "log-2", NOW)
    made.store(*(verdict("box-2", "hotel", one) for one in stream(other, "hotel", 2, reference="room-9")))
    story = other(draft("hotel", claims={"issuing_state": "D"}), StreamPosition(1, None), jti="another")
    made.store(verdict("box-2", "hotel", story))
    made.store(Incoming("edged/1/north/box-9/verdict/bank", b"junk"))
    return made


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()  # what the test itself has logged
        try:
            with logging_state.restored():
                code = cli.main([str(one) for one in ("central", *arguments, "--lang", "en")])
        except SystemExit as ended:  # argparse's own
            code = int(ended.code or 0)
        return code, *capfd.readouterr()

    return call


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_streams(centre: Centre, run: Any) -> None:
    code, out, _ = run("streams", "--config", centre.config, "--json")
    assert code == 0
    found = {(one["device"], one["audience"]): one for one in lines(out)}
    bank, hotel = found["box-1", "bank"], found["box-2", "hotel"]
    assert [bank[key] for key in ("highest", "stored", "missing", "gap_records")] == [6, 4, 2, 1]
    assert [hotel[key] for key in ("highest", "stored", "missing", "gap_records")] == [2, 2, 0, 0]
    assert datetime.fromisoformat(bank["newest"]) == NOW
    code, out, _ = run("streams", "--config", centre.config, "--device", "box-2")
    header, row = out.splitlines()
    assert header.split()[:2] == ["device", "audience"]
    assert row.split()[:6] == ["box-2", "hotel", "log-2", "2", "2", "0"]
    code, out, _ = run("streams", "--config", centre.config, "--audience", "nobody")
    assert (code, out.strip()) == (0, messages.text("streams.none", "en"))


def test_streams_come_in_pages(centre: Centre, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.central.survey.PAGE", 1)
    _, out, _ = run("streams", "--config", centre.config, "--json")
    assert [one["device"] for one in lines(out)] == ["box-1", "box-2"]
    _, out, _ = run("alarms", "--config", centre.config, "--json")
    assert len(lines(out)) == 2
    code, out, _ = run("verify", "--config", centre.config, "--json")
    assert (code, lines(out)[-1]["numbers"]) == (0, 6)


def test_holes(centre: Centre, run: Any) -> None:
    code, out, _ = run("holes", "--config", centre.config, "--json")
    assert code == 1
    assert lines(out) == [{"device": "box-1", "log_id": "log-1", "audience": "bank", "first": 4, "last": 4}]
    code, out, _ = run("holes", "--config", centre.config)
    assert code == 1
    assert out.splitlines()[1].split() == ["box-1", "bank", "log-1", "4", "4"]
    assert run("holes", "--config", centre.config, "--limit", "0")[0] == os.EX_USAGE


def test_alarms_and_their_proof(centre: Centre, run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "proof"
    code, out, _ = run("alarms", "--config", centre.config, "--evidence", folder, "--json")
    assert code == 1
    found = {one["code"]: one for one in lines(out)}
    assert set(found) == {"stream.equivocation", "jws.malformed"}
    told = found["stream.equivocation"]
    assert (told["device"], told["seq"], told["count"], told["proof"]) == ("box-2", 1, 1, True)
    assert found["jws.malformed"]["files"] == []
    # Two signed messages of one device for one place: anybody with the authority's certificate can see it.
    refused, kept = (
        open_envelope((tmp_path / name).read_text().strip(), anchor=centre.anchor, at=NOW).payload
        for name in told["files"][:2]
    )
    assert (refused.iss, refused.log_id, refused.seq) == (kept.iss, kept.log_id, kept.seq)
    assert refused.jti != kept.jti
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o600 for name in told["files"])
    code, _, err = run("alarms", "--config", centre.config, "--evidence", folder)
    assert code == os.EX_CANTCREAT
    assert messages.text("export.not_empty", "en") in err
    code, out, _ = run("alarms", "--config", centre.config, "--device", "box-2")
    assert messages.text("stream.equivocation", "en") in out
    assert "junk" not in out


def test_verify_finds_everything_whole(centre: Centre, run: Any) -> None:
    code, out, _ = run("verify", "--config", centre.config, "--json")
    assert code == 0
    assert lines(out) == [
        {
            "event": "verified",
            "streams": 2,
            "numbers": 6,
            "bodies": 6,
            "gap_records": 1,
            "missing": 2,
            "findings": 0,
        }
    ]
    assert run("verify", "--config", centre.config, "--device", "box-7")[0] == 1


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("UPDATE envelope SET prev = sha256 WHERE seq = 6", "archive.chain_broken"),
        (
            "UPDATE envelope SET body = substr(body, 1, length(body) - 4) WHERE seq = 5",
            "archive.hash_mismatch",
        ),
        ("UPDATE envelope SET jti = 'x' WHERE seq = 6", "archive.record_differs"),
        ("DELETE FROM envelope WHERE seq = 6", "archive.count_differs"),
        ("UPDATE stream SET device = 'box-5' WHERE device = 'box-1'", "archive.wrong_place"),
        ("UPDATE stream SET stored = 9 WHERE device = 'box-1'", "archive.count_differs"),
        ("UPDATE gap SET last = 5", "archive.record_differs"),
        ("UPDATE gap SET body = 'x'", "jws.malformed"),
    ],
)
def test_verify_says_what_was_changed(
    centre: Centre, cluster: Cluster | None, run: Any, tmp_path: Path, statement: str, wanted: str
) -> None:
    config = centre.changed(tmp_path, cluster, statement)
    code, out, _ = run("verify", "--config", config, "--json")
    assert code == os.EX_DATAERR
    assert wanted in {one["code"] for one in lines(out) if one["event"] == "finding"}
    code, out, _ = run("verify", "--config", config)
    assert code == os.EX_DATAERR
    assert messages.text(wanted, "en") in out


def test_a_gap_record_beyond_the_last_number_is_no_finding(
    tmp_path: Path, cluster: Cluster | None, run: Any
) -> None:
    centre = Centre(tmp_path, location(tmp_path, cluster))
    signer = centre.signer("box-1")
    centre.store(*(verdict("box-1", "bank", one) for one in stream(Sealer(signer, "l", NOW), "bank", 2)))
    gap = Gap(log_id="l", audience="bank", first=3, last=9, sha256="0" * 64, reason="too_many_bytes")
    sealed = seal_gap(gap, jti="g", iat=int(NOW.timestamp()), clock="trusted", signer=signer)
    centre.store(Incoming(topics.gap("north", "box-1", "bank"), sealed.encode()))
    code, out, _ = run("verify", "--config", centre.config, "--json")
    assert (code, lines(out)[0]["missing"]) == (0, 7)
    assert run("holes", "--config", centre.config)[0] == 0
    (one,) = lines(run("streams", "--config", centre.config, "--json")[1])
    assert (one["highest"], one["stored"], datetime.fromisoformat(one["newest"])) == (9, 2, NOW)


def test_verify_finds_a_forged_signature(
    centre: Centre, cluster: Cluster | None, run: Any, tmp_path: Path
) -> None:
    stranger = DemoFleet(tmp_path / "stranger", fleet="north", now=NOW)
    files = stranger.issue(Role.DEVICE, "box-2", Usage.SIGNING)
    sealer = Sealer(Signer.from_files(files.key, files.certificate), "log-2", NOW)
    forged = stream(sealer, "hotel", 1)[0]
    config = centre.changed(
        tmp_path,
        cluster,
        "UPDATE envelope SET body = ?, sha256 = ? WHERE jti = 'log-2-hotel-1'",
        forged.jws,
        bytes.fromhex(forged.sha256),
    )
    _, out, _ = run("verify", "--config", config, "--device", "box-2", "--json")
    found = {(one["seq"], one["code"]) for one in lines(out) if one["event"] == "finding"}
    assert found == {(1, "cert.unknown_issuer"), (2, "archive.chain_broken")}
    output = tmp_path / "x.csv"
    arguments = ("export", "--config", config, "--output", output)
    assert run(*arguments)[0] == 0
    code, _, err = run(*arguments, "--verify")
    assert code == os.EX_DATAERR
    assert messages.text("cert.unknown_issuer", "en") in err


def test_export_to_a_file_and_to_standard_output(centre: Centre, run: Any, tmp_path: Path) -> None:
    output = tmp_path / "all.csv"
    code, out, err = run("export", "--config", centre.config, "--output", output, "--verify")
    assert (code, out) == (0, "")
    assert messages.text("export.done", "en", count=6) in err
    rows = list(csv.DictReader(io.StringIO(output.read_text("utf-8"), newline="")))
    assert sorted((row["iss"], int(row["seq"])) for row in rows) == [
        *(("box-1", seq) for seq in (1, 2, 5, 6)),
        *(("box-2", seq) for seq in (1, 2)),
    ]
    assert output.stat().st_mode & 0o777 == 0o600
    code, out, err = run("export", "--config", centre.config, "--output", "-", "--audience", "hotel")
    assert code == 0
    assert [line["audience"] for line in lines(out)] == ["hotel", "hotel"]
    assert "room-9" not in out
    _, out, _ = run(
        "export", "--config", centre.config, "--output", "-", "--device", "box-2", "--with-references"
    )
    assert out.count("room-9") == 2
    _, out, err = run("export", "--config", centre.config, "--output", "-", "--json")
    assert json.loads(err.splitlines()[-1])["exported"] == 6
    _, out, _ = run("export", "--config", centre.config, "--output", output, "--json")
    assert json.loads(out)["exported"] == 6


def test_export_by_time(centre: Centre, run: Any) -> None:
    day = f"{NOW:%Y-%m-%d}"
    before, after = (f"{NOW + timedelta(days=days):%Y-%m-%d}" for days in (-1, 1))

    def count(*arguments: str) -> int:
        return len(run("export", "--config", centre.config, "--output", "-", *arguments)[1].splitlines())

    assert count("--since", day) == count("--until", day) == count("--since", day, "--until", day) == 6
    assert count("--since", after) == count("--until", before) == 0
    assert run("export", "--config", centre.config, "--output", "-", "--since", "yesterday")[0] == os.EX_USAGE


def test_days_that_are_exported_one_by_one_leave_nothing_out(
    tmp_path: Path, cluster: Cluster | None, run: Any
) -> None:
    """What came in a day's last millisecond is in that day's export."""
    made = Centre(tmp_path, location(tmp_path, cluster))
    sealer = Sealer(made.signer("box-1"), "log-1", NOW)
    midnight = datetime.combine(NOW, time.min, UTC) + timedelta(days=1)
    moments = [midnight - timedelta(milliseconds=1), midnight]
    for one, moment in zip(stream(sealer, "bank", 2), moments, strict=True):
        made.store(verdict("box-1", "bank", one), now=moment)
    for moment in moments:
        day = f"{moment:%Y-%m-%d}"
        _, out, _ = run("export", "--config", made.config, "--output", "-", "--since", day, "--until", day)
        assert [one["received_at"] for one in lines(out)] == [columns.moment_text(moment)]
    out = run("export", "--config", made.config, "--output", "-", "--until", "9999-12-31")[1]
    assert len(lines(out)) == 2


@pytest.mark.parametrize("cluster", ["sqlite"], indirect=True)
def test_an_export_that_is_told_to_end_leaves_nothing(
    centre: Centre, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    output = tmp_path / "all.csv"
    output.write_text("the last one")
    monkeypatch.setattr(columns, "values", lambda *_: signal.raise_signal(signal.SIGTERM))
    code, out, _ = run("export", "--config", centre.config, "--output", output)
    assert (code, out) == (128 + signal.SIGTERM, "")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("all.csv", "the last one")]
    assert signal.getsignal(signal.SIGTERM) == before


def test_export_as_parquet(centre: Centre, run: Any, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    output = tmp_path / "all.parquet"
    assert run("export", "--config", centre.config, "--output", output)[0] == 0
    assert parquet.read_table(output).num_rows == 6


def test_a_missing_archive_is_told(tmp_path: Path, run: Any) -> None:
    missing = tmp_path / "missing.sqlite"
    centre = Centre(tmp_path, str(missing))
    for action in ("streams", "holes", "alarms", "verify"):
        code, _, err = run(action, "--config", centre.config)
        assert code == os.EX_CANTCREAT
        assert err.startswith("edged: ")
    assert not missing.exists()


def test_prune(tmp_path: Path, cluster: Cluster | None, run: Any) -> None:
    retention = '[retention]\ndays = 30\nevidence_days = 60\naudiences = { hotel = "forever" }\n'
    centre = Centre(tmp_path, location(tmp_path, cluster), retention)
    signer = centre.signer("box-1")
    sealer = Sealer(signer, "log-1", NOW)
    bank, hotel = stream(sealer, "bank", 5), stream(sealer, "hotel", 2)
    now = datetime.now(UTC)
    archive = open_archive(centre.location, centre.anchor)
    incoming = [verdict("box-1", "bank", one) for one in bank] + [
        verdict("box-1", "hotel", one) for one in hotel
    ]
    checked = intake.check(incoming, anchor=centre.anchor, now=now)
    archive.store(checked[:3], now - timedelta(days=31))
    archive.store(checked[3:5], now - timedelta(days=29))
    archive.store(checked[5:], now - timedelta(days=300))
    story = sealer(draft("hotel", claims={"issuing_state": "D"}), StreamPosition(1, None), jti="another")
    two = intake.check([verdict("box-1", "hotel", story)], anchor=centre.anchor, now=now)
    archive.store(two, now - timedelta(days=61))
    archive.close()

    code, out, _ = run("prune", "--config", centre.config, "--dry-run", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"dry_run": True, "event": "pruned", "bodies": {"bank": 3}, "evidence": 1},
    )
    code, out, _ = run("prune", "--config", centre.config)
    assert code == 0
    assert messages.text("prune.took", "en", count=3, days=30) in out
    assert messages.text("prune.took_evidence", "en", count=1, days=60) in out
    code, out, _ = run("prune", "--config", centre.config)
    assert out.strip() == messages.text("prune.nothing", "en")
    # What is left still proves the stream, and nothing of the content is left in the files.
    code, out, _ = run("verify", "--config", centre.config, "--json")
    assert (code, lines(out)[-1]["numbers"], lines(out)[-1]["bodies"]) == (0, 7, 4)
    if cluster is None:  # PostgreSQL's files are emptied when it vacuums
        kept = b"".join(path.read_bytes() for path in tmp_path.glob("archive.sqlite*"))
        assert [one.jws.split(".")[1].encode() in kept for one in bank] == [False] * 3 + [True] * 2
        assert story.jws.split(".")[1].encode() not in kept
    (alarm,) = lines(run("alarms", "--config", centre.config, "--json")[1])
    assert (alarm["count"], alarm["proof"]) == (1, False)
    _, out, _ = run("export", "--config", centre.config, "--output", "-", "--ledger")
    assert [line["payload"] is None for line in lines(out)].count(True) == 3


def test_broker_files(tmp_path: Path, run: Any) -> None:
    description = tmp_path / "broker.toml"
    description.write_text("""
[access]
fleet = "north"
collectors = ["one", "two"]
audiences = ["bank"]

[listener]
ca = "fleet-ca.pem"
certificate = "broker.pem"
key = "broker.key"
persistence = "store"
user = ""
""")
    code, out, err = run("broker", "--config", description, "--output", tmp_path)
    assert code == 0, err
    assert messages.text("broker_files.next", "en") in out
    conf = (tmp_path / "mosquitto.conf").read_text()
    assert f"cafile {tmp_path}/fleet-ca.pem" in conf
    assert f"acl_file {tmp_path}/mosquitto.acl" in conf
    rights = (tmp_path / "mosquitto.acl").read_text()
    assert "user collector.two" in rights
    assert "user audience.bank" in rights
    code, out, _ = run("broker", "--config", description, "--output", tmp_path, "--json")
    assert json.loads(out)["written"] == [str(tmp_path / "mosquitto.conf"), str(tmp_path / "mosquitto.acl")]
    for wrong in ('fleet = "North"', 'fleet = "replay"'):
        description.write_text(description.read_text().replace('fleet = "north"', wrong))
        assert run("broker", "--config", description, "--output", tmp_path)[0] == os.EX_CONFIG
        description.write_text(description.read_text().replace(wrong, 'fleet = "north"'))
    for name, value in (("address", "0.0.0.0\\nallow_anonymous true"), ("user", "a b"), ("ca", "x\\ry")):
        wrong = re.sub(rf"(?m)^{name} = .*$", "", description.read_text())
        (tmp_path / "wrong.toml").write_text(f'{wrong}\n{name} = "{value}"\n')
        assert run("broker", "--config", tmp_path / "wrong.toml", "--output", tmp_path)[0] == os.EX_CONFIG
    assert run("broker", "--config", description, "--output", tmp_path / "nowhere")[0] == os.EX_CANTCREAT
