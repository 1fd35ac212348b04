"""The message catalogue is complete, consistent, and says something about every code the source uses."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

import edged
from edged import messages
from edged.config import SCENES
from edged.core.layouts import DocumentClass
from edged.errors import IdentityLeakError
from edged.events import Indication
from edged.identity import Sensitive
from edged.verdict import CHECKS, CheckClass, Kind, Reason, Result

PACKAGE = Path(edged.__file__).parent
CATALOGUES = sorted((PACKAGE / "messages").glob("*.toml"))
CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
HAN = re.compile(r"[\u4e00-\u9fff]")

CODE_ARGUMENT = {
    "Reason": 0,
    "DecodeError": 1,
    "ConfigError": 1,
    "PartyError": 0,
    "BrokerError": 0,
    "DeviceError": 1,
    "DeviceGoneError": 1,
    "CertificateError": 0,
    "ChipError": 0,
    "ChipGoneError": 0,
    "SignatureRefusedError": 0,
    "StateError": 0,
    "SlipError": 0,
    "ControlError": 0,
    "OutputError": 0,
    "UplinkError": 0,
    "text": 0,
}
"""Which positional argument of a call is a code of the catalogue; by keyword it is always `code`."""

NOT_A_CODE = re.compile(
    r".*\.(db|json|jsonl|toml|pem|log|sock|lock|conf|acl|pid|jws|txt|md|jpg|png|key|crt|sqlite3?)"
)
"""Literals that look like codes and are file names."""


def entries() -> list[tuple[str, str, dict[str, str]]]:
    """(file, code, translations) of every entry, duplicates across files kept."""
    return [
        (path.name, code, entry)
        for path in CATALOGUES
        for code, entry in tomllib.loads(path.read_text(encoding="utf-8")).items()
    ]


@cache
def sources() -> dict[Path, ast.Module]:
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def code_literals(tree: ast.AST) -> set[str]:
    """String literals that stand where a call expects a code."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        if name not in CODE_ARGUMENT:
            continue
        position = CODE_ARGUMENT[name]
        arguments = [node.args[position]] if len(node.args) > position else []
        arguments += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        for argument in arguments:
            # A conditional (`"a.b" if x else "a.c"`) is a choice between literals: all of them count.
            leaves = ast.walk(argument) if isinstance(argument, ast.IfExp) else [argument]
            found |= {
                leaf.value
                for leaf in leaves
                if isinstance(leaf, ast.Constant)
                and isinstance(leaf.value, str)
                and CODE.fullmatch(leaf.value)
            }
    return found


def docstrings(tree: ast.AST) -> set[int]:
    """Identities of the nodes that are docstrings: prose that mentions a code doesn't use it."""
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }


def f_string_parts(tree: ast.AST) -> set[int]:
    """Identities of the constant pieces of f-strings: a beginning of a code is not a code."""
    return {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}


def is_prefix(text: str) -> bool:
    """Whether codes are made by putting something behind it: `demo.stage_`, `scene.`."""
    return re.fullmatch(r"[a-z][a-z0-9_]*\.([a-z0-9_.]*[_.])?", text) is not None


@cache
def literals_and_prefixes() -> tuple[frozenset[str], frozenset[str]]:
    """Every string literal of the package, and every beginning of a code that code completes."""
    literals, prefixes = set(), set()
    for tree in sources().values():
        skip = docstrings(tree) | f_string_parts(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skip:
                (prefixes if is_prefix(node.value) else literals).add(node.value)
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                prefixes |= {head for head in [str(node.values[0].value)] if is_prefix(head)}
    return frozenset(literals), frozenset(prefixes)


@cache
def suffixes() -> frozenset[str]:
    """Every end that code puts behind a name to make a code: `f"{check}.not_supported"`."""
    ends = {
        str(node.values[1].value)
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        and len(node.values) == 2
        and isinstance(node.values[1], ast.Constant)
    }
    return frozenset(end for end in ends if re.fullmatch(r"\.[a-z_]+", end) and not NOT_A_CODE.fullmatch(end))


def used(code: str) -> bool:
    literals, prefixes = literals_and_prefixes()
    return (
        code in literals
        or any(code.startswith(prefix) for prefix in prefixes)
        or any(code.endswith(end) and code.removesuffix(end) in literals for end in suffixes())
        or (code.startswith("word.") and code.removeprefix("word.") in literals)
    )


def placeholders(sentence: str) -> set[str]:
    """Names in braces; braces around anything else must be quoted text, or they are a typing error."""
    names = re.findall(r"\{([^{}\"]*)\}", sentence)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names), sentence
    return set(names)


@pytest.mark.parametrize(("file", "code", "entry"), [pytest.param(*e, id=e[1]) for e in entries()])
def test_entry_is_complete(file: str, code: str, entry: dict[str, str]) -> None:
    assert CODE.fullmatch(code), f"{file}: a code is dotted lower case"
    assert set(entry) == set(messages.LANGUAGES), f"{file}: {code} needs exactly {messages.LANGUAGES}"
    assert all(sentence and sentence == sentence.strip() for sentence in entry.values())
    assert HAN.search(entry["zh-CN"]), f"{file}: {code} has no Chinese in zh-CN"
    assert not HAN.search(entry["en"]), f"{file}: {code} has Chinese in en"
    assert placeholders(entry["en"]) == placeholders(entry["zh-CN"])


def test_no_code_is_defined_twice() -> None:
    files: dict[str, list[str]] = {}
    for file, code, _ in entries():
        files.setdefault(code, []).append(file)
    assert {code: where for code, where in files.items() if len(where) > 1} == {}


def test_every_code_in_the_source_has_a_sentence() -> None:
    missing = {
        f"{path}: {code}"
        for path, tree in sources().items()
        for code in code_literals(tree)
        if not messages.known(code)
    }
    assert not missing, "\n".join(sorted(missing))


def test_every_literal_of_a_catalogue_area_has_a_sentence() -> None:
    """Codes also stand in tables (MQTT reason -> code), away from the call that uses them."""
    areas = {code.split(".")[0] for _, code, _ in entries()}
    literals, _ = literals_and_prefixes()
    missing = {
        literal
        for literal in literals
        if CODE.fullmatch(literal)
        and not NOT_A_CODE.fullmatch(literal)
        and literal.split(".")[0] in areas
        and not messages.known(literal)
        and not messages.known(f"help.{literal}")  # a command that has actions of its own
    }
    assert not missing, "\n".join(sorted(missing))


def test_every_sentence_is_used() -> None:
    """An entry nobody can ask for is a sentence nobody keeps true.

    A code is used when it stands in the source as a literal, or begins or ends like one that code makes; `word.x`
    is used when `x` is a literal somewhere.
    """
    unused = {f"{file}: {code}" for file, code, _ in entries() if not used(code)}
    assert not unused, "\n".join(sorted(unused))


@pytest.mark.parametrize(
    ("area", "words"),
    [
        ("check_name", CHECKS),
        ("result", Result),
        ("check_class", CheckClass),
        ("kind", Kind),
        ("scene", SCENES),
        ("document_class", DocumentClass),
        ("indication", Indication),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_word_of_judging_is_translated_and_no_other(area: str, words: Iterable[str]) -> None:
    translated = {code for _, code, _ in entries() if code.startswith(f"{area}.")}
    assert translated == {f"{area}.{word}" for word in words}


def test_walker_finds_codes_where_they_are_written() -> None:
    tree = ast.parse(
        'raise errors.DecodeError("image", "image.empty")\n'
        'Reason(code="mrz.a")\n'
        'UplinkError("uplink.b" if x else "uplink.c")\n'
        'DeviceError("camera", dynamic)\n'
        'unrelated("other.thing")\n'
    )
    assert code_literals(tree) == {"image.empty", "mrz.a", "uplink.b", "uplink.c"}


def test_text_in_both_languages() -> None:
    assert messages.text("result.successful", "en") == "passed"
    assert messages.text("result.successful", "zh-CN") == "通过"


def test_parameters_that_are_codes_are_translated() -> None:
    assert "摄像头" in messages.text("inspection.device_gone", "zh-CN", device="camera")
    assert "unheard-of thing" in messages.text("inspection.device_gone", "zh-CN", device="unheard-of thing")
    nested = Reason("inspection.not_stored", {"reason": "expiry.expired"})
    assert messages.reason(nested, "zh-CN").endswith(messages.text("expiry.expired", "zh-CN"))


def test_a_parameter_is_never_a_template() -> None:
    assert "{device}" in messages.text("inspection.device_gone", "en", device="{device}")


@pytest.mark.parametrize("lang", [*messages.LANGUAGES, "fr", ""])
def test_a_gap_never_stops_a_counter(lang: str) -> None:
    assert "no.such_code" in messages.text("no.such_code", lang)
    assert messages.text("inspection.not_stored", lang)


def test_raw_identity_is_refused() -> None:
    with pytest.raises(IdentityLeakError):
        messages.text("inspection.device_gone", "en", device=Sensitive("ERIKSSON"))


@pytest.mark.parametrize(
    ("locale", "lang"),
    [
        ("zh_CN.UTF-8", "zh-CN"),
        ("zh-CN", "zh-CN"),
        ("zh", "zh-CN"),
        ("en_GB.UTF-8", "en"),
        ("C", "en"),
        ("fr_FR", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_default_language(locale: str | None, lang: str) -> None:
    assert messages.default_language(locale) == lang
