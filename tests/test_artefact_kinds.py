"""What each kind of file must be, and what the box does with it: sentences, trust, thresholds, scenes."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged import messages
from edged.core import optical_fit
from edged.errors import ConfigError, StateError
from edged.messages import overlay, shared
from edged.pushed.artefact_kinds import check_file, check_files, read_messages
from edged.start_up import trust
from edged.trust.loading import HeldTrust, LiveTrust, open_trust
from edged.trust.store import TrustStore
from tests.test_trust_store import content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.desired import ArtefactKind

GOOD = """
["mrz.check_digit_wrong"]
en = "Please look at the {field} again."
zh-CN = "请再次核对{field}。"
"""


@pytest.fixture(autouse=True)
def shipped_words() -> Iterator[None]:
    yield
    messages.lay_over({})


def file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "artefact"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- sentences ---


def test_a_sentence_in_other_words() -> None:
    entry = messages.catalogue()["mrz.check_digit_wrong"]
    assert "{field}" in entry["en"]
    messages.lay_over(messages.overlay_of(GOOD.encode()))
    assert messages.text("mrz.check_digit_wrong", "en", field="x") == "Please look at the x again."
    assert messages.text("mrz.check_digit_wrong", "zh-CN", field="x") == "请再次核对x。"
    assert messages.text("result.failed", "en") == messages.catalogue()["result.failed"]["en"]
    messages.lay_over({})
    assert messages.text("mrz.check_digit_wrong", "en", field="x") == entry["en"].replace("{field}", "x")


def entry(code: str = "mrz.check_digit_wrong", en: str = '"{field}"', zh: str = '"{field}"') -> str:
    return f'["{code}"]\nen = {en}\nzh-CN = {zh}\n'


@pytest.mark.parametrize(
    ("text", "where", "code"),
    [
        ("x = [", "file", "overlay.not_toml"),
        (b"\xff", "file", "config.not_utf8"),
        (b" " * (overlay.MAX_BYTES + 1), "file", "config.too_large"),
        ("a = " + "[" * 100_000, "file", "overlay.not_toml"),
        (entry("mrz.unheard_of"), "mrz.unheard_of", "overlay.unknown_code"),
        ("plain = 1", "plain", "overlay.unknown_code"),
        (entry("result.failed", '"passed"', '"通过"'), "result.failed", "overlay.fixed"),
        (entry("check_name.mrz_read", '"x"', '"x"'), "check_name.mrz_read", "overlay.fixed"),
        (entry("indication.failed", '"Passed"', '"通过"'), "indication.failed", "overlay.fixed"),
        (entry("ending.aborted", '"Stored"', '"已保存"'), "ending.aborted", "overlay.fixed"),
        ('["mrz.check_digit_wrong"]\nen = "{field}"', "mrz.check_digit_wrong", "overlay.languages"),
        (entry() + 'fr = "{field}"', "mrz.check_digit_wrong", "overlay.languages"),
        ('"mrz.check_digit_wrong" = "{field}"', "mrz.check_digit_wrong", "overlay.languages"),
        (entry(en="3"), "mrz.check_digit_wrong.en", "overlay.length"),
        (entry(zh='" "'), "mrz.check_digit_wrong.zh-CN", "overlay.length"),
        (entry(en=f'"{{field}}{"x" * 600}"'), "mrz.check_digit_wrong.en", "overlay.length"),
        (entry(en=r'"{field}\u001b[2J"'), "mrz.check_digit_wrong.en", "overlay.control_character"),
        (entry(en=r'"{field}\n"'), "mrz.check_digit_wrong.en", "overlay.control_character"),
        (entry(en=r'"\u202e{field}"'), "mrz.check_digit_wrong.en", "overlay.control_character"),
        (entry(en='"nothing"'), "mrz.check_digit_wrong.en", "overlay.placeholders"),
        (entry(zh='"{field} {birth_date}"'), "mrz.check_digit_wrong.zh-CN", "overlay.placeholders"),
    ],
)  # fmt: skip
def test_what_is_no_overlay_is_refused_with_its_path(
    tmp_path: Path, text: str, where: str, code: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check_file("messages", file(tmp_path, text))
    assert refused.value.code == code
    assert refused.value.where == f"artefacts.messages: {where}"


def test_the_shipped_catalogue_is_an_overlay_but_for_the_verdicts_words() -> None:
    for path in sorted(Path(str(resources.files(messages))).glob("*.toml")):
        entries = tomllib.loads(path.read_text())
        fixed = {code for code in entries if code.partition(".")[0] in overlay.FIXED}
        if "ceremony.readme" in entries:  # a file for admins, of many lines
            continue
        try:
            messages.overlay_of(path.read_bytes())
        except ConfigError as error:
            assert fixed, error
            assert error.code == "overlay.fixed"
        else:
            assert not fixed


@given(
    st.dictionaries(
        st.sampled_from(sorted(messages.catalogue())) | st.text(max_size=10),
        st.dictionaries(
            st.sampled_from(["en", "zh-CN", "fr"]), st.text(max_size=20) | st.integers(), max_size=3
        ),
        max_size=3,
    )
)
@settings(max_examples=100, deadline=None)
def test_fuzz_whatever_is_taken_fills_like_the_shipped_one(found: dict[str, dict[str, str]]) -> None:
    quote = str.maketrans({"\\": "\\\\", '"': '\\"'})
    lines = []
    for code, said in found.items():
        lines.append(f'["{code.translate(quote)}"]')
        lines += [f'{key} = "{str(value).translate(quote)}"' for key, value in said.items()]
    try:
        taken = messages.overlay_of("\n".join(lines).encode("utf-8", "surrogatepass"))
    except ConfigError as error:
        assert messages.known(error.code)
        return
    for code, said in taken.items():
        shipped = messages.catalogue()[code]
        assert all(said[lang].isprintable() and said[lang].strip() for lang in messages.LANGUAGES)
        for lang in messages.LANGUAGES:
            assert overlay._placeholders(said[lang]) == overlay._placeholders(shipped[lang])


def test_the_clerks_commands_speak_as_the_daemon_does(tmp_path: Path) -> None:
    """In their own process, by the file beside the control socket."""
    socket = tmp_path / "control.sock"
    socket.touch()
    data, _ = read_messages(file(tmp_path, GOOD))
    shared.share(socket, data)
    assert (tmp_path / shared.FILE).stat().st_mode & 0o777 == 0o640
    script = (
        "import sys, pathlib; from edged import messages; from edged.messages import shared;"
        "shared.use(pathlib.Path(sys.argv[1])); print(messages.text('mrz.check_digit_wrong', 'en', field='x'))"
    )
    said = subprocess.run([sys.executable, "-c", script, socket], capture_output=True, text=True, check=True)
    assert said.stdout == "Please look at the x again.\n"
    shared.share(socket, None)
    assert not shared.use(socket)
    shared.share(socket, None)


@pytest.mark.parametrize("bad", [b"x = [", entry("result.failed").encode(), bytes(overlay.MAX_BYTES + 1)])
def test_a_command_with_a_bad_overlay_speaks_the_shipped_words(tmp_path: Path, bad: bytes) -> None:
    socket = tmp_path / "control.sock"
    socket.touch()
    (tmp_path / shared.FILE).write_bytes(bad)
    assert not shared.use(socket)
    assert messages.text("result.failed", "en") == messages.catalogue()["result.failed"]["en"]


def test_an_overlay_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    socket = tmp_path / "control.sock"
    socket.touch()
    (tmp_path / shared.FILE).symlink_to(file(tmp_path, GOOD))
    assert not shared.use(socket)


# --- trust ---


def generation_file(tmp_path: Path) -> Path:
    """A store's generation as the artefact store holds it: alone, read-only."""
    store = TrustStore(tmp_path / "store")
    with store.changing() as change:
        change.commit(content("a"), datetime(2026, 11, 26, tzinfo=UTC))
    path = file(tmp_path, (store.directory / "generation-1").read_bytes())
    path.chmod(0o400)
    return path


async def test_a_pushed_trust_store_is_one_generation_that_stays(tmp_path: Path) -> None:
    path = generation_file(tmp_path)
    check_file("trust", path)
    held = open_trust(path)
    assert isinstance(held, HeldTrust)
    assert len(await held.anchors()) == 3
    assert isinstance(open_trust(tmp_path / "store"), LiveTrust)
    assert isinstance(open_trust(tmp_path / "none yet"), LiveTrust)


async def test_a_pushed_trust_store_takes_the_place_of_the_boxs_own(tmp_path: Path) -> None:
    from edged.config import ChipReaderSettings

    pushed = trust(ChipReaderSettings(driver="pcsc", trust=generation_file(tmp_path)))
    assert pushed is not None
    assert len(await pushed.anchors()) == 3


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data[:-1] + b"?", "truststore.damaged"),
        (lambda data: data[:100], "truststore.damaged"),
        (lambda data: b"", "truststore.damaged"),
    ],
)
def test_a_trust_store_that_is_none_is_refused(tmp_path: Path, change: object, code: str) -> None:
    path = generation_file(tmp_path)
    path.chmod(0o600)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ConfigError) as refused:
        check_file("trust", path)
    assert (refused.value.where, refused.value.code) == ("artefacts.trust", code)


def test_a_trust_store_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = generation_file(tmp_path)
    path.chmod(0o666)
    with pytest.raises(StateError) as refused:
        HeldTrust(path)
    assert refused.value.code == "truststore.writable_by_others"


# --- the others ---


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        ("scenes", '{"format": 2, "scenes": {}}', "config.invalid_choice"),
        ("scenes", "{}", "config.missing_key"),
        ("scenes", '{"format": 1, "scenes": {}, "scenes": {}}', "config.key_twice"),
        ("scenes", " " * 300_000, "config.too_large"),
        ("thresholds", "{}", "optical.bad_thresholds"),
        ("thresholds", " " * 300_000, "optical.bad_thresholds"),
        ("firmware", "anything", "head_image.not_an_image"),
    ],
)
def test_other_kinds_are_refused_with_their_kind(
    tmp_path: Path, kind: ArtefactKind, text: str, code: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        check_files({kind: file(tmp_path, text)})
    assert refused.value.code == code
    assert refused.value.where.startswith(f"artefacts.{kind}")


def test_what_is_good_is_taken(tmp_path: Path) -> None:
    check_file("scenes", file(tmp_path, '{"format": 1, "scenes": {"bank": {"mandatory": ["mrz_read"]}}}'))
    check_file("thresholds", file(tmp_path, optical_fit.encode(optical_fit.fit([], "reader-1"))))
    check_file("software", file(tmp_path, b"looked into by whoever installs it"))


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    for kind in ("scenes", "messages", "trust", "thresholds"):
        with pytest.raises(ConfigError):
            check_file(kind, tmp_path / "none")  # type: ignore[arg-type]
