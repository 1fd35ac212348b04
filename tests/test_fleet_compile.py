"""Layers of configuration: precedence, grouping, versions, and errors that name file and key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.desired import AudienceDocument, parse_audience
from edged.errors import ConfigError, DecodeError
from edged.fleet.compile import Layer, compile_config, merge
from edged.uplink import fleet_authority

BANK = AudienceDocument(format=1, name="bank-1", scenes=("bank",))
AUDIENCES = {"bank-1": BANK}
PINNED = {"audience/bank-1.json": "0" * 64}
BASE = Layer("config/fleet.toml", {"audiences": ["bank-1"], "reading": {"frames": 2}})


def compiled(*contents: dict[str, Any], pinned: dict[str, str] = PINNED, device: str = "box-1") -> Any:
    names = ("config/group/a.toml", "config/group/b.toml", "config/device/box-1.toml")
    layers = [BASE, *(Layer(name, content) for name, content in zip(names, contents, strict=False))]
    return compile_config(device, layers, AUDIENCES, pinned)


# Keys of tables and keys of values differ, as in every schema: then grouping can't matter.
values = st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
tables = st.recursive(
    st.dictionaries(st.sampled_from(["v", "w"]), values, max_size=2),
    lambda inner: st.builds(
        lambda one, more: {**one, **more},
        st.dictionaries(st.sampled_from(["v", "w"]), values, max_size=2),
        st.dictionaries(st.sampled_from(["s", "t"]), inner, max_size=2),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(tables, tables, tables)
def test_grouping_never_matters(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    one, two, three = (Layer(name, content) for name, content in zip("abc", (a, b, c), strict=True))
    left = merge([Layer("ab", merge([one, two])), three])
    right = merge([one, Layer("bc", merge([two, three]))])
    assert left == right == merge([one, two, three])


def leaves(content: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found = {}
    for key, value in content.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(tables, max_size=4))
def test_the_last_layer_that_says_a_key_wins(contents: list[dict[str, Any]]) -> None:
    before = [repr(content) for content in contents]
    merged = merge([Layer(str(number), content) for number, content in enumerate(contents)])
    expected: dict[tuple[str, ...], Any] = {}
    for content in contents:
        expected |= leaves(content)
    assert leaves(merged) == expected
    assert [repr(content) for content in contents] == before


def test_layers_in_their_order() -> None:
    done = compiled({"reading": {"pause_s": 1.0}}, {"reading": {"frames": 4}}, {"log": {"level": "debug"}})
    document = done.document
    assert (document.reading.frames, document.reading.pause_s, document.log.level) == (4, 1.0, "debug")
    assert document.device == "box-1"


@pytest.mark.parametrize(
    ("contents", "where", "code"),
    [
        ([{}, {"reading": {"frames": "many"}}], "config/group/b.toml: reading.frames", "config.wrong_type"),
        ([{"reading": {"frames": 99}}, {}], "config/group/a.toml: reading.frames", "config.out_of_range"),
        ([{"reading": {"fps": 1}}], "config/group/a.toml: reading.fps", "config.unknown_key"),
        (
            [{}, {}, {"scenes": {"moon": {"mandatory": ["mrz_read"]}}}],
            "config/device/box-1.toml: scenes.moon",
            None,
        ),
        (
            [{"scenes": {"bank": {"optional": []}}}],
            "config/group/a.toml: scenes.bank.mandatory",
            "config.missing_key",
        ),
        ([{"reading": 3}], "config/group/a.toml: reading", "config.table_or_value"),
        ([{"audiences": {"x": 1}}], "config/group/a.toml: audiences", "config.table_or_value"),
        ([{"audiences": ["other"]}], "config/group/a.toml: audiences.other", "config.no_such_audience"),
        ([{"default_scene": "hotel"}], "config/group/a.toml: default_scene", "config.no_recipient"),
        ([{"chip": {"find_s": 9000.0}}], "config/group/a.toml: chip.find_s", "config.out_of_range"),
        ([{"probation_s": 0.0}], "config/group/a.toml: probation_s", "config.out_of_range"),
        (
            [{"artefacts": {"trust": "scene/x"}}],
            "config/group/a.toml: artefacts.trust",
            "config.wrong_directory",
        ),
        ([{"version": "x" * 41}], "config/group/a.toml: version", "config.wrong_length"),
        ([{"version": 3}], "config/group/a.toml: version", "config.wrong_type"),
        ([{"device": "box-9"}], "config/group/a.toml: device", "config.given_by_tool"),
        ([{"format": 1}], "config/group/a.toml: format", "config.given_by_tool"),
        ([{"timeouts": {"turn_over_s": float("nan")}}], "config/group/a.toml: timeouts.turn_over_s", None),
    ],
)
def test_an_error_names_the_layer_and_the_key(
    contents: list[dict[str, Any]], where: str, code: str | None
) -> None:
    with pytest.raises(ConfigError) as refused:
        compiled(*contents)
    assert refused.value.where == where
    assert code is None or refused.value.code == code


def test_a_missing_key_is_missing_in_the_fleets_layer() -> None:
    with pytest.raises(ConfigError) as refused:
        compile_config("box-1", [Layer("config/fleet.toml", {})], AUDIENCES, PINNED)
    assert (refused.value.where, refused.value.code) == ("config/fleet.toml: audiences", "config.missing_key")


def test_an_audiences_own_fault_names_its_document() -> None:
    bad = parse_audience(
        b'{"format":1,"name":"bank-1","scenes":["bank"],"policy":{"claims":{"surname":"keep"}}}'
    )
    with pytest.raises(ConfigError) as refused:
        compile_config("box-1", [BASE], {"bank-1": bad}, PINNED)
    assert refused.value.where == "audiences/bank-1.json: policy.claims.surname"
    assert refused.value.code == "config.above_ceiling"


def test_the_same_content_has_the_same_version_and_no_other_has() -> None:
    plain = compiled()
    # However the layers are cut, whoever the box is.
    assert compiled({"reading": {"frames": 2}}).document.version == plain.document.version
    assert compiled(device="box-2").document.version == plain.document.version
    others = [
        compiled({"reading": {"frames": 3}}),
        compiled(pinned={"audience/bank-1.json": "1" * 64}),  # what the privacy officer signed has changed
        compiled({"version": "2026-11"}),
    ]
    versions = {plain.document.version, *(one.document.version for one in others)}
    assert len(versions) == 4
    assert others[2].document.version == f"2026-11.{plain.document.version}"
    assert compiled(pinned=PINNED | {"audience/unrelated.json": "2" * 64}).data == plain.data


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda x: st.lists(x, max_size=2) | st.dictionaries(st.text(max_size=5), x, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["audiences", "scenes", "reading", "chip", "artefacts", "broker", "version", "x"]),
)
def test_whatever_a_layer_says_is_a_document_or_one_error(value: Any, key: str) -> None:
    try:
        done = compiled({key: value})
    except ConfigError as error:
        assert error.where.startswith(("config/", "audiences/"))
    else:
        assert done.document.version


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300)
    | st.builds(lambda x: b'{"format":1,"anchors":[' + x + b"]}", st.binary(max_size=60))
)
def test_no_bytes_break_the_list_of_authorities(data: bytes) -> None:
    with pytest.raises(DecodeError) as refused:
        fleet_authority.parse(data)
    assert refused.value.code == "authority.malformed"


def test_a_list_of_authorities_is_bounded() -> None:
    with pytest.raises(DecodeError) as refused:
        fleet_authority.parse(b" " * (fleet_authority.MAX_DOCUMENT + 1))
    assert refused.value.code == "authority.too_large"
