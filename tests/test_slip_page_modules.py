"""The verifying page's modules, run by Node, say of every slip what `edged.slip` says, and refuse what it refuses."""

from __future__ import annotations

import hashlib
import json
import random
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Final

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import DecodeError, SlipError
from edged.slip import base45, claims, content, cose, registry, site, strict_cbor, url, verifying
from edged.slip.facts import CheckFact, RecipientFact, SlipFacts
from edged.uplink import slip_status
from edged.uplink.directory import KEPT, CertificateRevoked, FormerKey, PrincipalRevoked, open_head
from edged.uplink.names import Role
from edged.uplink.slip_status import Superseded
from edged.verdict import CHECKS, Kind, Result
from tests import slips
from tests.broker import NOW, Town
from tests.directories import Made, chain
from tests.slip_pages import NODE, ask, make, needs_node

PAGE = resources.files("edged.slip") / "page"
MUTATIONS: Final = 2000
"""Strings that both verifiers judge: some seconds for both."""

pytestmark = needs_node


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"), demo=False)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, place: Town) -> Path:
    return make(tmp_path_factory.mktemp("page") / "site", place.fleet.ca.read_bytes())


def judge(page: Path, cases: list[tuple[str, Any, Any, datetime]]) -> None:
    """Both judge alike: word, reasons, facts and lines."""
    questions = [
        {
            "ask": "verify",
            "text": text,
            "at": int(at.timestamp()),
            "directory": None if directory is None else {"head": directory.head, "pages": directory.pages},
            "status": status,
        }
        for text, directory, status, at in cases
    ]
    for case, answer in zip(cases, ask(page, questions), strict=True):
        text, directory, status, at = case
        ours = verifying.verify(text, directory, at=at, status=status, online=True)
        theirs = answer["answer"]
        assert theirs["verdict"] == ours.verdict, (text, theirs, ours)
        assert [(one["code"], one.get("params", {})) for one in theirs["reasons"]] == [
            (one.code, one.params) for one in ours.reasons
        ], text
        assert theirs["facts"] == json.loads(msgspec.json.encode(ours.facts)), text
        assert theirs["lines"] == plain(ours.lines), text
        assert theirs["signed"] == ours.signed, text


def plain(lines: tuple[content.SlipLine, ...]) -> Any:
    return json.loads(json.dumps([asdict(line) for line in lines]))


def verdicts() -> dict[str, tuple[str, Any, Any, datetime]]:
    """A case for everything that a verification can come to."""
    key, good = slips.key(), slips.facts()
    text, number, sha256 = key.url(good), good.number, key.listed.sha256
    listed, fresh, later = slips.directory(), slips.status(), slips.AT + timedelta(hours=1)

    def status(**listed: Any) -> Any:
        return slips.status(box_1=slips.nothing(**listed))

    other = slips.directory(slips.key(device="box-9"))
    former = FormerKey("box-1", key.listed, slips.T - 1, "replaced")
    stolen = CertificateRevoked(sha256, slips.T, "stolen")
    replaced = CertificateRevoked(sha256, slips.T - 9, "replaced")
    lost = PrincipalRevoked(Role.DEVICE, "box-1", slips.T, "lost")
    named = PrincipalRevoked(Role.DEVICE, "box-1", slips.T, "retired")
    cut = base45.encode(key.cose(good)[:-1])
    changed = key.cose(good).replace("滨".encode(), "淮".encode())
    newer = cose.assemble(
        cbor2.dumps({1: "box-1", 4: 9, 6: 1, 7: bytes(8), -65537: [2]}, canonical=True), key.kid, key.sign_raw
    )
    broken = cose.assemble(b"\xa0", key.kid, key.sign_raw)
    return {
        "genuine": (text, listed, fresh, later),
        "lower": (text.replace("HTTPS://VERIFY", "https://verify"), listed, fresh, later),
        "fragment": (text.partition("#")[2], listed, fresh, later),
        "test": (key.url(slips.facts(kind=Kind.TEST)), listed, fresh, later),
        "training": (key.url(slips.facts(kind=Kind.TRAINING, clock_trusted=False)), listed, fresh, later),
        "not_heard": (text, listed, slips.status(box_2=slips.nothing()), later),
        "silent": (text, listed, status(heard=slips.T - 8 * slips.DAY), later),
        "altered": ("HTTPS://H#" + url.fragment(changed), listed, fresh, later),
        "other_terminal": (text, other, fresh, later),
        "newer": ("HTTPS://H#" + url.fragment(newer), listed, fresh, later),
        "broken": ("HTTPS://H#" + url.fragment(broken), listed, fresh, later),
        "key_unknown": (slips.key("two").url(good), listed, fresh, later),
        "no_slip": ("https://example.com/", listed, fresh, later),
        "cut": ("HTTPS://H#" + cut.replace("%", "%25").replace(" ", "%20"), listed, fresh, later),
        "withdrawn": (text, listed, status(withdrawn={number: slips.T + 9}), later),
        "withdrawn_late": (text, listed, status(withdrawn={number: slips.T + 9}), later + timedelta(days=80)),
        "superseded": (text, listed, status(superseded={number: Superseded("0" * 12, slips.T)}), later),
        "expired": (
            text,
            slips.directory(exp=slips.T + 999 * slips.DAY),
            slips.status(exp=slips.T + 999 * slips.DAY),
            later + timedelta(days=90),
        ),
        "future": (text, listed, fresh, slips.AT - timedelta(hours=1)),
        "old_list": (text, listed, fresh, later + timedelta(days=3)),
        "no_list": (text, listed, None, later),
        "other_fleet": (text, listed, slips.status(fleet="elsewhere"), later),
        "no_directory": (text, None, fresh, later),
        "old_directory": (text, slips.directory(exp=slips.T), fresh, later),
        "old_unknown": (slips.key("two").url(good), slips.directory(exp=slips.T), fresh, later),
        "revoked": (text, slips.directory(certificates=(stolen,)), fresh, later),
        "revoked_gone": (text, slips.directory(devices=(), certificates=(stolen,)), fresh, later),
        "retired": (text, slips.directory(revoked=(named,)), fresh, later),
        "retired_gone": (text, slips.directory(devices=(), revoked=(named,)), fresh, later),
        "retired_then_stolen": (
            text,
            slips.directory(certificates=(replaced,), revoked=(lost,)),
            fresh,
            later,
        ),
        "former_stolen": (
            text,
            slips.directory(devices=(), former=(former,), certificates=(stolen,)),
            fresh,
            later,
        ),
        "former": (text, slips.directory(devices=(), former=(former,)), fresh, later),
    }


def test_every_verdict_is_the_same_as_edged_gives(page: Path) -> None:
    cases = verdicts()
    judge(page, list(cases.values()))
    words = {
        verifying.verify(text, directory, at=at, status=status, online=True).verdict
        for text, directory, status, at in cases.values()
    }
    assert words == set(verifying.Word.__args__)  # type: ignore[attr-defined]


def test_the_golden_vectors_give_the_same_lines(page: Path) -> None:
    golden = json.loads(Path(__file__).with_name("slip_vectors.json").read_text(encoding="utf-8"))["slips"]
    facts = [msgspec.convert(one["facts"], SlipFacts) for one in golden]
    answers = ask(page, [{"ask": "lines", "facts": one["facts"]} for one in golden])
    assert [one["answer"] for one in answers] == [plain(content.lines(one)) for one in facts]
    at, directory, status = slips.AT + timedelta(hours=1), slips.directory(), slips.status()
    judge(page, [(slips.key().url(one), directory, status, at) for one in facts if one.device == "box-1"])


def mutated(generator: random.Random) -> Iterator[str]:
    """Strings a little off: of the text, of the bytes, and of claims that are signed all the same."""
    key = slips.key()
    sources = [
        slips.facts(),
        slips.longest(),
        slips.facts(kind=Kind.TEST, recipients=(), checks=(), issuer=None),
    ]
    while True:
        facts = generator.choice(sources)
        signed = key.cose(facts)
        match generator.randrange(4):
            case 0:
                yield spoiled_text(url.build(slips.BASE, signed), generator)
            case 1:
                yield url.build(slips.BASE, spoiled(signed, generator))
            case 2:
                payload = spoiled(claims.encode(facts), generator)
                yield url.build(slips.BASE, cose.assemble(payload, key.kid, key.sign_raw))
            case _:
                payload = cbor2.dumps(odd(cbor2.loads(claims.encode(facts)), generator), canonical=True)
                yield url.build(slips.BASE, cose.assemble(payload, key.kid, key.sign_raw))


def spoiled(data: bytes, generator: random.Random) -> bytes:
    at = generator.randrange(len(data))
    match generator.randrange(3):
        case 0:
            return data[:at] + bytes([generator.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at] + data[at + 1 :]
        case _:
            return data[:at] + bytes([generator.randrange(256)]) + data[at:]


def spoiled_text(text: str, generator: random.Random) -> str:
    at = generator.randrange(len(text))
    put = generator.choice(base45.ALPHABET + "a#é\n\u2028\x1c")
    return text[:at] + put + text[at + generator.randrange(2) :]


ODD: Final = (
    *(
        None,
        True,
        False,
        0,
        1,
        2,
        15,
        16,
        31,
        32,
        33,
        255,
        256,
        -1,
        1 << 31,
        1 << 32,
        1 << 53,
        (1 << 64) - 1,
        "",
        "A",
    ),
    *(
        "box-1",
        "x" * 25,
        "\u202e",
        "a\nb",
        "ａ",
        "\u00a0",
        " ",
        "mrz",
        "<b>",
        "{name}",
        b"",
        b"\x10",
        b"\x01\x00",
        bytes(8),
        [],
        [1],
    ),
    *([["行", 1, 30]], [["行", 1 << 13, None]], [["a" * 17, 1, 30]], {}, 25_000, 22_799, 26_400),
)
"""Values that a place of the claims may be given."""


def odd(content: dict[int, Any], generator: random.Random) -> dict[int, Any]:
    key = generator.choice([*content, -65537, -65537, -65537])
    if key != claims.SLIP:
        return content | {key: generator.choice(ODD)}
    rest = list(content[key])
    rest[generator.randrange(len(rest))] = generator.choice(ODD)
    return content | {key: rest}


def test_thousands_of_spoiled_slips_get_the_same_verdict(page: Path) -> None:
    generator = random.Random(8)
    at, directory, status = slips.AT + timedelta(hours=1), slips.directory(), slips.status()
    made = mutated(generator)
    judge(page, [(next(made), directory, status, at) for _ in range(MUTATIONS)])


def test_white_space_and_addresses_mean_the_same_to_both(page: Path) -> None:
    """What `\\s`, trimming and letters of either case mean differs from language to language."""
    odd = (*"\ufeff\x1c\x85\xa0\u1680\u180e\u200b\u2028\u3000\t\v\0 \x7fé\u017f\u212a", "\U0001f600" * 3)
    good = slips.key().url(slips.facts())
    texts = [good.replace("HTTPS", "http\u017f")]
    for one in odd:
        texts += [one + good, good + one, good.replace("#", one + "#"), good.replace("#", "#" + one)]
        texts += [good.replace("EXAMPLE", one), good.partition("#")[2] + one, one + good.partition("#")[2]]
    at, directory, status = slips.AT + timedelta(hours=1), slips.directory(), slips.status()
    judge(page, [(text, directory, status, at) for text in texts])


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=3)
RESULT = st.sampled_from(list(Result))
FACTS = st.builds(
    SlipFacts,
    number=st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=12, max_size=12),
    copy=st.integers(1, 255),
    supersedes=st.none() | st.just("0" * 12),
    site=TEXT | st.just("</li><script>"),
    device=st.just("box-1"),
    at=st.integers(0, (1 << 32) - 1),
    utc_offset_min=st.integers(-840, 840),
    clock_trusted=st.booleans(),
    expires=st.just((1 << 32) - 1),
    kind=st.sampled_from(list(Kind)),
    scene=st.sampled_from(list(registry.SCENES)),
    result=RESULT,
    document_class=st.sampled_from(list(registry.CLASSES)),
    issuer=st.none() | st.sampled_from(["UTO", "D", "mrz", "chi", "$&"]),
    name=st.none() | TEXT,
    document_number=st.none() | st.just("{time}"),
    document_expires=st.none() | st.dates().map(lambda day: f"{1900 + day.year % 300}-{day.month:02}"),
    checks=st.dictionaries(st.sampled_from(CHECKS), RESULT, max_size=26).map(
        lambda found: tuple(CheckFact(name, found[name]) for name in CHECKS if name in found)
    ),
    person=RESULT,
    read=st.sets(st.sampled_from(list(registry.READ))).map(
        lambda found: tuple(one for one in registry.READ if one in found)
    ),
    recipients=st.lists(
        st.builds(
            RecipientFact,
            label=TEXT,
            told=st.sets(st.sampled_from(list(registry.TOLD))).map(
                lambda found: tuple(one for one in registry.TOLD if one in found)
            ),
            retention_days=st.none() | st.integers(0, 65_535),
        ),
        max_size=4,
    ).map(tuple),
    more_recipients=st.integers(0, 255),
)


@settings(max_examples=3, deadline=None)
@given(st.lists(FACTS, min_size=20, max_size=60))
def test_lines_are_the_lines_that_are_printed(page: Path, many: list[SlipFacts]) -> None:
    answers = ask(page, [{"ask": "lines", "facts": msgspec.to_builtins(facts)} for facts in many])
    for facts, answer in zip(many, answers, strict=True):
        assert answer["answer"] == plain(content.lines(facts))


def test_decoders_are_as_strict(page: Path) -> None:
    generator = random.Random(45)
    texts = ["".join(generator.choices(base45.ALPHABET, k=generator.randrange(9))) for _ in range(400)]
    datas = [generator.randbytes(generator.randrange(1, 12)) for _ in range(3000)]
    asked: list[dict[str, Any]] = [{"ask": "base45", "text": text} for text in texts]
    asked += [{"ask": "cbor", "data": data.hex()} for data in datas]
    answers = ask(page, asked)
    for text, answer in zip(texts, answers, strict=False):
        assert answer.get("answer") == tried(lambda text=text: base45.decode(text).hex()), text
    for data, answer in zip(datas, answers[len(texts) :], strict=True):
        assert ("answer" in answer) == (
            tried(lambda data=data: (strict_cbor.decode(data, 500),)) is not None
        ), data.hex()


def tried(call: Any) -> Any:
    try:
        return call()
    except DecodeError:
        return None


def test_what_is_signed_is_the_same_structure(page: Path) -> None:
    signed = [slips.key().cose(slips.facts()), slips.key().cose(slips.longest())]
    answers = ask(page, [{"ask": "cose", "data": one.hex()} for one in signed])
    assert [one["answer"] for one in answers] == [cose.parse(one).to_be_signed.hex() for one in signed]


# --- what the fleet signs ----------------------------------------------------------------------------------------


def status_of(place: Town, name: str = "centre", **changes: Any) -> str:
    return slip_status.seal_status({}, now=NOW, signer=place.signer(Role.COLLECTOR, name), **changes)


def test_a_directory_is_believed_of_an_admin_of_this_fleet_alone(
    page: Path, place: Town, tmp_path: Path
) -> None:
    at, head = int(NOW.timestamp()), Made(place).head.decode()
    stranger = Made(Town(tmp_path / "other", demo=False)).head.decode()
    demo = Made(Town(tmp_path / "demo")).head.decode()
    header, payload, signature = head.split(".")
    asked = [
        {"text": head, "at": at},
        {"text": stranger, "at": at},
        {"text": demo, "at": at},
        {"text": status_of(place), "at": at},
        {"text": f"{header}.{payload[:-2]}AA.{signature}", "at": at},
        {"text": f"{header}.{payload}.{signature[:-4]}AAAA", "at": at},
        {"text": head, "at": at - 86_400},
        {"text": head, "at": at, "revoked": chain(place.signer(Role.ADMIN, "ops"))[:1]},
        {"text": Made(place, revoked=((Role.ADMIN, "ops", NOW),)).head.decode(), "at": at},
    ]
    answers = ask(page, [{"ask": "head", **one} for one in asked])
    assert ["answer" in one for one in answers] == [True] + [False] * 8
    assert answers[0]["answer"]["version"] == 1


def test_no_byte_of_a_chain_or_a_signature_can_be_changed(page: Path, place: Town) -> None:
    generator = random.Random(509)
    head = Made(place).head.decode()
    places = generator.sample(range(len(head)), 300)
    spoiled = [head[:at] + ("A" if head[at] != "A" else "B") + head[at + 1 :] for at in places]
    answers = ask(page, [{"ask": "head", "text": text, "at": int(NOW.timestamp())} for text in spoiled])
    assert [one for one in answers if "answer" in one] == []


def test_a_list_is_believed_of_a_collector_that_isnt_revoked(page: Path, place: Town) -> None:
    at = int(NOW.timestamp())
    good = json.loads(msgspec.json.encode(Made(place).payload))
    revoking = json.loads(
        msgspec.json.encode(Made(place, revoked=((Role.COLLECTOR, "centre", NOW),)).payload)
    )
    late = at + 800 * 86_400
    asked = [
        {"text": status_of(place), "at": at, "head": good},
        {"text": status_of(place), "at": late, "head": good},
        {"text": status_of(place), "at": at, "head": revoking},
        {"text": status_of(place), "at": at - 86_400, "head": good},
        {"text": Made(place).head.decode(), "at": at, "head": good},
    ]
    answers = ask(page, [{"ask": "status", **one} for one in asked])
    assert ["answer" in one for one in answers] == [True, True, False, False, False]


def test_nothing_holds_for_longer_than_its_signers_certificate(page: Path, place: Town) -> None:
    """Whoever finds an old key could date what it signs back, have it hold for ever, and number it above all others."""
    at, years = int(NOW.timestamp()), timedelta(days=3000)
    late = at + 800 * 86_400
    head, status = Made(place, life=years, version=1 << 40).head.decode(), status_of(place, life=years)
    ends = {
        role: int(place.signer(role, name).chain[0].not_valid_after_utc.timestamp())
        for role, name in ((Role.ADMIN, "ops"), (Role.COLLECTOR, "centre"))
    }
    assert max(ends.values()) < late
    fresh, kept, listed = ask(
        page,
        [
            {"ask": "head", "text": head, "at": late},
            {"ask": "head", "text": head, "at": late, "kept": True},
            {"ask": "status", "text": status, "at": late, "head": None},
        ],
    )
    assert fresh == {"refused": "expired"}
    assert kept["answer"]["exp"] == ends[Role.ADMIN]
    assert listed["answer"]["exp"] == ends[Role.COLLECTOR]
    moment = NOW + timedelta(days=800)
    opened, _ = open_head(head, anchor=place.anchor, at=moment, late=KEPT)
    assert opened.exp == ends[Role.ADMIN]
    assert slip_status.open_status(status, anchor=place.anchor, at=moment).exp == ends[Role.COLLECTOR]


# --- the page as files ---------------------------------------------------------------------------------------------


def modules() -> dict[str, str]:
    return {
        one.name: one.read_text()
        for one in PAGE.iterdir()
        if one.name.endswith(".js") and one.name != "jsQR.js"
    }


def test_every_module_is_valid(page: Path) -> None:
    ask(page, [])
    for name in (
        "app.js",
        "camera.js",
        "knowledge.js",
        "qr.js",
        "sw.js",
        "view.js",
    ):  # the others have just run
        assert NODE is not None
        done = subprocess.run(
            [NODE, "--check", str(page.with_name("site-modules") / name)], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_every_sentence_of_the_page_is_used_and_there(page: Path) -> None:
    sources = "\n".join([*modules().values(), (PAGE / "index.html").read_text()])
    known = json.loads((page / "texts.json").read_text())["texts"]
    used = set(re.findall(r'"(slip[a-z_]*\.[a-z_]+)"', sources)) - {"slip.js"}
    assert used - set(known) == set()
    mine = tomllib.loads((resources.files("edged.messages") / "slip_page.toml").read_text())
    commands = {
        "slip_page.bad_address",
        "slip_page.not_ours",
        "slip_page.unwritable",
        "slip_page.written",
        "slip_page.unchanged",
    }
    verdict_ends = {f"slip_page.next_{word}" for word in (*verifying.Word.__args__, "test")}  # type: ignore[attr-defined]
    assert {code for code in mine if code.startswith("slip_page.")} == {
        code for code in used if code.startswith("slip_page.")
    } | commands | verdict_ends | {"slip_page.no_script"}


def test_the_service_worker_keeps_every_file_that_is_needed(page: Path) -> None:
    listed = set(
        json.loads(
            "[" + re.findall(r"FILES = \[(.*?),?\n\]", (PAGE / "sw.js").read_text(), re.DOTALL)[0] + "]"
        )
    )
    served = {one.name for one in page.iterdir()} - {
        "page-files.json",
        "sw.js",
        "index.html",
        "jsQR.LICENSE.txt",
    }
    assert listed - {"./"} == served


def test_the_policy_of_the_page_lets_nothing_in_or_out() -> None:
    text = (PAGE / "index.html").read_text()
    policy = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?:|style=|\son[a-z]+=|<script>", text)


def test_the_decoder_of_codes_is_the_one_that_was_published() -> None:
    readme = (PAGE / "README.txt").read_text()
    assert hashlib.sha256((PAGE / "jsQR.js").read_bytes()).hexdigest() in readme


@pytest.mark.parametrize(
    ("tags", "language"),
    [(["zh-TW", "en"], "zh-CN"), (["fr", "en-GB"], "en"), (["ZH"], "zh-CN"), ([], "en"), (["de"], "en")],
)
def test_the_language_is_the_browsers(page: Path, tags: list[str], language: str) -> None:
    assert ask(page, [{"ask": "preferred", "tags": tags}])[0]["answer"] == language


def test_an_address_that_is_none_is_refused(place: Town) -> None:
    with pytest.raises(SlipError, match="bad_address"):
        site.fleet_of(place.fleet.ca.read_bytes(), address="http://example.cn/#")
