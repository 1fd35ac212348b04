"""The MQTT contract: topics are built from checked names, and only what we build is parsed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import DecodeError
from edged.uplink import topics
from edged.uplink.names import valid_name

NAMES = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True).filter(
    lambda name: valid_name(name) and name not in topics.RESERVED
)


def test_the_contract_as_it_is_published() -> None:
    assert topics.verdict("north", "box-1", "bank") == "edged/1/north/box-1/verdict/bank"
    assert topics.receipt("north", "box-1") == "edged/1/north/box-1/receipt"
    assert topics.status("north", "box-1") == "edged/1/north/box-1/status"
    assert topics.gap("north", "box-1", "bank") == "edged/1/north/box-1/gap/bank"
    assert topics.replay_request("north", "bank") == "edged/1/north/replay/bank"
    assert topics.replay_answer("north", "bank", "r-1") == "edged/1/north/replay/bank/r-1"
    assert topics.every_stream("north") == ("edged/1/north/+/verdict/+", "edged/1/north/+/gap/+")
    assert topics.every_stream("north", "bank") == (
        "edged/1/north/+/verdict/bank",
        "edged/1/north/+/gap/bank",
    )
    assert topics.every_replay_request("north") == "edged/1/north/replay/+"
    assert topics.every_replay_answer("north", "bank") == "edged/1/north/replay/bank/+"
    assert topics.shared("a/+", "collectors") == "$share/collectors/a/+"


@given(fleet=NAMES, device=NAMES, audience=NAMES)
def test_parsing_inverts_building(fleet: str, device: str, audience: str) -> None:
    topic = topics.verdict(fleet, device, audience)
    assert len(topic) <= topics.MAX_TOPIC
    assert topics.parse_stream(topic, fleet) == topics.StreamTopic("verdict", fleet, device, audience)
    assert topics.parse_stream(topics.gap(fleet, device, audience), fleet).kind == "gap"
    assert topics.parse_replay_request(topics.replay_request(fleet, audience), fleet) == audience
    assert (
        topics.parse_replay_answer(topics.replay_answer(fleet, audience, device), fleet, audience) == device
    )


@pytest.mark.parametrize(
    "name", ["", "+", "#", "a/b", "A", "a.b", "audience.bank", "a--b", "-a", "ü", "a" * 64]
)
def test_a_name_that_is_no_name_never_reaches_a_topic(name: str) -> None:
    for build in (
        lambda: topics.verdict("north", "box", name),
        lambda: topics.verdict("north", name, "bank"),
        lambda: topics.verdict(name, "box", "bank"),
        lambda: topics.receipt("north", name),
        lambda: topics.gap("north", "box", name),
        lambda: topics.every_stream("north", name),
        lambda: topics.every_stream(name),
        lambda: topics.replay_request("north", name),
        lambda: topics.replay_answer("north", "bank", name),
        lambda: topics.shared("a/+", name),
    ):
        with pytest.raises(ValueError):
            build()


@pytest.mark.parametrize("word", sorted(topics.RESERVED))
def test_words_of_the_contract_are_nobodys_name(word: str) -> None:
    with pytest.raises(ValueError):
        topics.verdict("north", word, "bank")
    with pytest.raises(ValueError):
        topics.verdict("north", "box-1", word)
    with pytest.raises(DecodeError):
        topics.parse_stream(f"edged/1/north/{word}/verdict/bank", "north")


def test_usable_says_so_beforehand() -> None:
    assert topics.usable("first-bank")
    assert not topics.usable("keys")
    assert not topics.usable("audience.bank")


def test_a_replay_is_never_taken_for_a_verdict() -> None:
    # "replay/verdict/x" would match the filter for verdicts, if an audience could be called "verdict".
    with pytest.raises(DecodeError):
        topics.parse_stream("edged/1/north/replay/verdict/bank", "north")


@given(st.text(max_size=80) | st.from_regex(r"edged/1/[a-z/+#.]{0,40}", fullmatch=True))
def test_anything_else_is_refused(topic: str) -> None:
    try:
        parsed = topics.parse_stream(topic, "north")
    except DecodeError as error:
        assert error.code == "topic.not_ours"
    else:
        build = topics.verdict if parsed.kind == "verdict" else topics.gap
        assert build("north", parsed.device, parsed.audience) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "edged/1/south/box/verdict/bank",  # another fleet
        "edged/2/north/box/verdict/bank",  # another version
        "edged/1/north/box/verdict",
        "edged/1/north/box/verdict/bank/more",
        "edged/1/north/audience.bank/verdict/bank",  # a broker pattern lets a partner write there
        "/edged/1/north/box/verdict/bank",
        "edged/1/north/" + "a" * 70_000 + "/verdict/bank",
    ],
)
def test_near_misses_are_refused(topic: str) -> None:
    with pytest.raises(DecodeError) as caught:
        topics.parse_stream(topic, "north")
    assert "south" not in str(caught.value)  # a topic is a stranger's text


@pytest.mark.parametrize(
    "topic",
    [
        "edged/1/south/replay/bank",
        "edged/1/north/replay/bank/r-1/more",
        "edged/1/north/replay/keys/r-1",
        "edged/1/north/replay/hotel/R",
        "edged/1/north/replays/bank",
        "edged/1/north/box-1/receipt",
    ],
)
def test_nobody_else_asks_for_a_replay(topic: str) -> None:
    with pytest.raises(DecodeError):
        topics.parse_replay_request(topic, "north")
    with pytest.raises(DecodeError):
        topics.parse_replay_answer(topic, "north", "bank")
