"""Exporting the archive: three forms of one table, nothing in it that isn't vouched for, nothing half written."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edged.central import columns, tables
from edged.central.archive import Row
from edged.central.export import Wanted, export
from edged.errors import ConfigError, OutputError
from edged.privacy.policy import CEILING
from edged.uplink.authority import FleetAuthority
from edged.uplink.envelope import EnvelopePayload
from edged.uplink.keys import generate_key
from edged.uplink.names import Principal, Role, Usage
from edged.uplink.roles import TrustAnchor, load_chain
from edged.uplink.schemas import verdict_schema
from edged.uplink.sign import Signer
from edged.verdict import CHECKS, Check, CheckClass, JudgedCheck, Kind, Reason, Result
from edged.whole_file import whole_file
from tests.broker import Sealer, stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)
CLAIMS = {
    "issuing_state": "UTO",
    "surname": "E*",
    "age_over_18": True,
    "birth_date": None,
    "withheld": {"birth_date": "claim.not_read"},
}
CHECKED = (
    JudgedCheck("mrz_read", CheckClass.MANDATORY, Result.SUCCESSFUL),
    JudgedCheck("expiry", CheckClass.OPTIONAL, Result.FAILED, (Reason("expiry.expired"),)),
)


@pytest.fixture(scope="module")
def authority() -> FleetAuthority:
    return FleetAuthority.create("north", demo=True, now=NOW)


@pytest.fixture(scope="module")
def anchor(authority: FleetAuthority) -> TrustAnchor:
    return TrustAnchor.from_pem(authority.certificate_pem)


def rows_of(
    authority: FleetAuthority, name: str = "box-1", count: int = 3, reference: str = "till-7", **changes: Any
) -> list[Row]:
    key = generate_key()
    pem = authority.issue(Principal("north", Role.DEVICE, name), Usage.SIGNING, key.public_key(), now=NOW)
    sealer = Sealer(Signer(key, load_chain(pem)), f"log-{name}", NOW)
    content: dict[str, Any] = {"reference": reference, "claims": CLAIMS, "checks": CHECKED} | changes
    return [
        Row(name, f"log-{name}", "bank", one.seq, one.sha256, NOW + timedelta(milliseconds=one.seq), one.jws)
        for one in stream(sealer, "bank", count, **content)
    ]


def written(form: str, rows: list[Row], wanted: Wanted = Wanted(), **options: Any) -> tuple[bytes, Any]:  # noqa: B008
    stream = io.BytesIO()
    references = options.pop("references", False)
    table = tables.table(form, stream, fleet="north", references=references)
    done = export(rows, table, wanted, anchor=options.pop("anchor", None), **options)
    return stream.getvalue(), done


def test_claims_with_a_column_are_those_a_policy_can_let_out() -> None:
    assert set(columns.CLAIMS) == {name for name, action in CEILING.items() if action is not None}
    said = verdict_schema()["$defs"]["EnvelopePayload"]["properties"]["claims"]["properties"]
    kinds = {name: (said[name].get("anyOf") or [said[name]])[0]["type"][0] for name in columns.CLAIMS}
    assert kinds == {
        name: {"truth": "boolean", "text": "string"}[kind] for name, kind in columns.CLAIMS.items()
    }


def test_every_field_of_an_envelope_and_every_check_has_a_column() -> None:
    names = [column.name for column in columns.columns(references=True)]
    assert len(names) == len(set(names))
    fields = set(EnvelopePayload.__struct_fields__) - {"document"} | {"document_class", "document_format"}
    assert fields <= set(names)
    assert {f"check_{name}" for name in CHECKS} <= set(names)
    assert set(names) - {c.name for c in columns.columns(references=False)} == set(columns.THEIRS)
    assert set(columns.LEDGER) <= set(names)


def test_a_pseudonym_of_two_periods_is_the_current_one(authority: FleetAuthority) -> None:
    both = {"current": "c" * 22, "previous": "p" * 22}
    (row,) = rows_of(authority, count=1, claims={"holder": both})
    found = columns.values(row, columns.payload_of(row), "north")
    assert found["claim_holder"] == both["current"]
    assert json.loads(str(found["claims"])) == {"holder": both}


def test_csv_reads_back(authority: FleetAuthority, anchor: TrustAnchor) -> None:
    rows = rows_of(authority)
    data, done = written("csv", rows, anchor=anchor)
    assert (done.exported, done.refused) == (3, {})
    assert data.count(b"\r\n") == 4
    found = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))
    assert [int(row["seq"]) for row in found] == [1, 2, 3]
    second = found[1]
    assert second["prev"] == rows[0].sha256 == found[0]["sha256"]
    assert second["received_at"] == f"{NOW:%Y-%m-%dT%H:%M:%S}.002Z"
    assert second["iat"] == f"{NOW:%Y-%m-%dT%H:%M:%S}Z"
    assert (second["claim_surname"], second["claim_age_over_18"], second["claim_birth_date"]) == (
        "E*",
        "true",
        "",
    )
    assert json.loads(second["claims"]) == CLAIMS
    assert (second["check_expiry"], second["check_chip"]) == ("failed", "")
    assert json.loads(second["checks"])[1]["reasons"] == [{"code": "expiry.expired"}]
    assert "reference" not in second
    assert b"till-7" not in data


@pytest.mark.parametrize("form", tables.FORMATS)
def test_what_is_the_callers_is_exported_only_when_asked_for(authority: FleetAuthority, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    rows = rows_of(authority, count=1, purpose="opening", operator="clerk-3")
    for references in (False, True):
        data, _ = written(form, rows, references=references)
        if form == "parquet":
            table = pyarrow_table(data)
            assert set(columns.THEIRS) & set(table.column_names) == (
                set(columns.THEIRS) if references else set()
            )
        else:
            assert [text in data for text in (b"till-7", b"opening", b"clerk-3")] == [references] * 3


@pytest.mark.parametrize("start", tables.FORMULA)
def test_no_cell_is_a_formula(authority: FleetAuthority, start: str) -> None:
    reference = f'{start}HYPERLINK("http://x","y")'
    data, _ = written("csv", rows_of(authority, count=1, reference=reference), references=True)
    (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert row["reference"] == f"'{reference}"
    assert all(not value.startswith(tables.FORMULA) for value in row.values())


def test_no_cell_is_a_formula_where_semicolons_divide(authority: FleetAuthority) -> None:
    claims = CLAIMS | {"holder": "a;=1+1"}
    data, _ = written(
        "csv", rows_of(authority, count=1, reference="a; =1+1;b", claims=claims), references=True
    )
    for cell in data.decode().replace("\r\n", ";").split(";"):
        assert not cell.lstrip(" ").startswith("="), cell
    (row,) = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    assert row["reference"] == "a;' =1+1;b"
    assert json.loads(row["claims"])["holder"] == "a;=1+1"


def test_quotes_and_line_breaks_stay_one_cell(authority: FleetAuthority) -> None:
    reference = 'a,"b"\r\nc'
    data, _ = written("csv", rows_of(authority, count=1, reference=reference), references=True)
    (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert row["reference"] == reference


def test_json_lines_hold_the_payload_as_it_was_signed(authority: FleetAuthority) -> None:
    rows = rows_of(authority)
    data, _ = written("jsonl", rows, references=True)
    lines = [json.loads(line) for line in data.splitlines()]
    for row, line in zip(rows, lines, strict=True):
        assert msgspec.convert(line["payload"], EnvelopePayload) == columns.payload_of(row)
        assert (line["sha256"], line["seq"]) == (row.sha256, row.seq)
    bare = json.loads(written("jsonl", rows)[0].splitlines()[0])
    assert set(lines[0]["payload"]) - set(bare["payload"]) == set(columns.THEIRS)


def pyarrow_table(data: bytes) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(io.BytesIO(data))


def test_parquet_is_typed_and_written_in_portions(
    authority: FleetAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    monkeypatch.setattr(tables, "PORTION", 2)
    rows = rows_of(authority, count=5)
    data, done = written("parquet", rows)
    assert done.exported == 5
    file = parquet.ParquetFile(io.BytesIO(data))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 2, 1]
    assert file.schema_arrow.metadata[b"edged.export"] == columns.VERSION.encode()
    table = file.read()
    types = {field.name: field.type for field in table.schema}
    assert types["iat"] == types["received_at"] == pyarrow.timestamp("us", tz="UTC")
    assert types["seq"] == pyarrow.int64()
    assert types["claim_age_over_18"] == pyarrow.bool_()
    assert types["result"] == pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    assert table["seq"].to_pylist() == [1, 2, 3, 4, 5]
    assert table["received_at"].to_pylist() == [row.received_at for row in rows]
    assert table["sha256"].to_pylist() == [row.sha256 for row in rows]
    assert set(table["result"].to_pylist()) == {"successful"}


def test_parquet_without_rows_is_a_table_without_rows() -> None:
    pytest.importorskip("pyarrow")
    table = pyarrow_table(written("parquet", [])[0])
    assert table.num_rows == 0
    assert table.column_names == [column.name for column in columns.columns(references=False)]


def test_parquet_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError) as caught:
        written("parquet", [])
    assert caught.value.code == "export.no_parquet"


def test_what_does_not_hold_is_left_out_and_named(authority: FleetAuthority, anchor: TrustAnchor) -> None:
    good, other = rows_of(authority), rows_of(authority, "box-2")
    stranger = rows_of(FleetAuthority.create("north", demo=True, now=NOW), "box-3", count=1)
    rows = [
        good[0],
        msgspec.structs.replace(good[1], jws=good[2].jws),
        msgspec.structs.replace(other[0], device="box-1"),
        msgspec.structs.replace(other[1], seq=7),
        *stranger,
    ]
    codes = {"archive.hash_mismatch": 1, "archive.wrong_place": 2}
    data, done = written("jsonl", rows)
    assert (done.exported, done.refused) == (2, codes)
    data, done = written("jsonl", rows, anchor=anchor)
    assert done.refused == codes | {"cert.unknown_issuer": 1}
    assert [json.loads(line)["sha256"] for line in data.splitlines()] == [good[0].sha256]
    assert [(one.seq, one.code) for one in done.named][0] == (2, "archive.hash_mismatch")


@pytest.mark.parametrize("text", ["", "...", "a.!.c", "a.e30.c", "a.W10.c", "a." + "WyJ" * 9000 + ".c"])
def test_an_unreadable_body_is_a_reason(text: str) -> None:
    import hashlib

    row = Row("box-1", "l", "bank", 1, hashlib.sha256(text.encode()).hexdigest(), NOW, text)
    _, done = written("csv", [row])
    assert done.refused == {"archive.unreadable": 1}


def test_forgotten_bodies_are_counted_or_listed(authority: FleetAuthority) -> None:
    rows = rows_of(authority)
    rows[1] = msgspec.structs.replace(rows[1], jws=None)
    data, done = written("csv", rows)
    assert (done.exported, done.listed, done.forgotten) == (2, 0, 1)
    for form in ("csv", "jsonl"):
        data, done = written(form, rows, Wanted(ledger=True))
        assert (done.exported, done.listed, done.forgotten) == (2, 1, 0)
        if form == "csv":
            row = list(csv.DictReader(io.StringIO(data.decode(), newline="")))[1]
            assert {name for name, value in row.items() if value} == set(columns.LEDGER)
        else:
            assert json.loads(data.splitlines()[1])["payload"] is None
    # Nobody knows any more of what kind a forgotten one was.
    _, done = written("csv", rows, Wanted(ledger=True, kind=Kind.TEST))
    assert (done.exported, done.listed, done.forgotten) == (2, 0, 1)


def test_only_what_is_wanted(authority: FleetAuthority) -> None:
    rows = rows_of(authority, count=2) + rows_of(authority, "box-2", count=1, kind=Kind.TRAINING)
    assert written("jsonl", rows, Wanted(device="box-2"))[1].exported == 1
    assert written("jsonl", rows, Wanted(kind=Kind.TEST))[1].exported == 2
    assert written("jsonl", rows, Wanted(kind=Kind.TRAINING, device="box-1"))[1].exported == 0


def test_a_newer_boxs_check_and_claim_are_not_lost(authority: FleetAuthority) -> None:
    rows = rows_of(
        authority,
        count=1,
        claims={"eye_colour": "green"},
        checks=(JudgedCheck("hologram", CheckClass.EVALUATORY, Check("hologram", Result.FAILED).result),),
    )
    data, done = written("csv", rows)
    assert done.exported == 1
    (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert json.loads(row["claims"]) == {"eye_colour": "green"}
    assert json.loads(row["checks"])[0]["name"] == "hologram"


def test_rows_are_not_gathered(authority: FleetAuthority) -> None:
    """Every row is written before the next is asked for."""
    (row,) = rows_of(authority, count=1)
    stream = io.BytesIO()
    sizes = []

    def rows() -> Iterator[Row]:
        for _ in range(3000):
            sizes.append(stream.tell())
            yield row

    heard: list[int] = []
    table = tables.table("jsonl", stream, fleet="north", references=False)
    assert export(rows(), table, Wanted(), anchor=None, on_progress=heard.append).exported == 3000
    assert sizes == sorted(set(sizes))
    assert heard == [1000, 2000, 3000]


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("before")
    with pytest.raises(RuntimeError), whole_file(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert path.read_text() == "before"
    with whole_file(path) as stream:
        stream.write(b"after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["export.csv"]


def test_a_file_is_never_there_without_its_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is told to read its list again in that very moment can."""
    path = tmp_path / "mosquitto.acl"
    with whole_file(path, mode=0o640) as stream:
        stream.write(b"before")
    seen = []

    def replace(self: Path, target: Path) -> Path:
        seen.append(self.stat().st_mode & 0o777)
        return renamed(self, target)

    renamed = type(path).replace
    monkeypatch.setattr(type(path), "replace", replace)
    with whole_file(path, mode=0o640) as stream:
        stream.write(b"after")
    assert (seen, path.stat().st_mode & 0o777) == ([0o640], 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_group_that_is_not_there_leaves_what_was(tmp_path: Path) -> None:
    path = tmp_path / "mosquitto.acl"
    path.write_text("before")
    with pytest.raises(OutputError) as caught, whole_file(path, group="no-such-group") as stream:
        stream.write(b"after")
    assert caught.value.code == "export.no_group"
    assert [one.read_text() for one in tmp_path.iterdir()] == ["before"]


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    for path, code in (
        (tmp_path, "export.not_a_file"),
        (tmp_path / "nowhere" / "x.csv", "export.unwritable"),
    ):
        with pytest.raises(OutputError) as caught, whole_file(path):
            pytest.fail("not reached")
        assert caught.value.code == code
    with pytest.raises(OutputError) as caught, whole_file(tmp_path / "full.csv"):
        raise OSError(28, "No space left on device")
    assert caught.value.code == "export.unwritable"
    assert list(tmp_path.iterdir()) == []
