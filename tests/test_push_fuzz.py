"""Bundles made to hurt: whatever arrives, a push is accepted or refused with a code, and nothing is left behind."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical

from edged import messages
from edged.errors import PushRefusedError
from edged.pushed import refusing
from edged.pushed.verifying import Accepted, Trusted, first_trust, verify_bundle
from edged.uplink.bundle import MAX_BUNDLE
from tests.tuf_repository import DEVICE, NOW, TufRepository, signer

SIGNED = ["root", "timestamp", "snapshot", "targets", "config", "privacy", "release"]


@pytest.fixture(scope="module", autouse=True)
def no_traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where temporary directories are made; empty again in the end, and looked at after every push."""
    directory = tmp_path_factory.mktemp("temporary")
    before, tempfile.tempdir = tempfile.tempdir, str(directory)
    yield directory
    tempfile.tempdir = before
    assert list(directory.iterdir()) == []


@cache
def example() -> tuple[TufRepository, Trusted, Trusted, bytes]:
    """A repository; what a new box trusts, and one that took the push before; the push."""
    repository = TufRepository()
    repository.set_artefact("release", "trust", "trust/icao.sqlite", b"x" * 60_000)
    repository.roles["release"].version += 1
    repository.publish()
    new = first_trust(repository.first_root)
    known = verify_bundle(repository.push(), trusted=new, device=DEVICE, now=NOW).trusted
    repository.publish_root()
    return repository, new, known, repository.push(artefacts={"trust": "trust/icao.sqlite"})


def judge(data: bytes, trusted: Trusted) -> Accepted | str:
    """What was accepted, or the refusal's code; anything else fails the test."""
    assert tempfile.tempdir is not None
    try:
        accepted = verify_bundle(data, trusted=trusted, device=DEVICE, now=NOW)
    except PushRefusedError as error:
        assert messages.known(error.code), error.code
        assert len(error.where) <= 200
        assert 0 <= error.push < 2**53
        return error.code
    finally:
        assert list(Path(tempfile.tempdir).iterdir()) == []
    assert accepted.document.device == DEVICE
    return accepted


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.sampled_from([2**31, 2**53, 2**64, -(2**64), 10**400]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", "root", "targets", "../x", "9999-99-99T99:99:99Z", "2026-11-20T12:00:00Z", "0" * 64, "\ud800"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything in a JSON document."""
    if path:
        yield path
    items = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def change(document: Any, data: st.DataObject) -> Any:
    """`document` with one thing in it replaced, taken out, doubled or renamed."""
    document = copy.deepcopy(document)
    path = data.draw(st.sampled_from(list(places(document))))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    how = data.draw(st.sampled_from(["replace", "remove", "add", "rename"]))
    if how == "replace":
        holder[path[-1]] = data.draw(VALUES)
    elif how == "remove":
        del holder[path[-1]]
    elif isinstance(holder, list):
        holder.insert(0, holder[path[-1]] if how == "add" else data.draw(VALUES))
    elif how == "add":
        holder[data.draw(st.text(max_size=6))] = data.draw(VALUES)
    else:
        holder[data.draw(st.text(max_size=6))] = holder.pop(path[-1])
    return document


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_bytes_of_a_bundle(data: st.DataObject) -> None:
    repository, new, known, bundle = example()
    at = data.draw(st.integers(0, len(bundle)))
    cut = data.draw(st.integers(0, 40))
    put = data.draw(
        st.binary(max_size=8) | st.sampled_from([b"\\ud800", b"\\u0000", b"\xff", b"[" * 5000, b"{}"])
    )
    changed = bundle[:at] + put + bundle[at + cut :]
    judged = judge(changed, data.draw(st.sampled_from([new, known])))
    if isinstance(judged, Accepted):
        assert judged.config == repository.contents[f"config/{DEVICE}.json"]
        assert judged.audiences == {"bank": repository.contents["audience/bank.json"]}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.binary(max_size=120) | st.text(max_size=50).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    assert judge(data, example()[1]) == "push.malformed"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_unsigned_changes_of_metadata(data: st.DataObject) -> None:
    """Somebody without a key changes a file: nothing but what carries no meaning gets through."""
    _, new, known, bundle = example()
    document = json.loads(bundle)
    name = data.draw(st.sampled_from(sorted(document["metadata"])))
    before = json.loads(document["metadata"][name])
    after = change(before, data)
    document["metadata"][name] = json.dumps(after)
    judged = judge(json.dumps(document).encode(), data.draw(st.sampled_from([new, known])))
    read = name not in ("1.root.json", "1.admin-files.json")
    if read and isinstance(judged, Accepted):
        # The library fills in what is missing, so two spellings can mean the same; it is the meaning that is signed.
        assert (
            refusing.parse(json.dumps(after).encode()).signed
            == refusing.parse(json.dumps(before).encode()).signed
        )


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.data())
def test_signed_changes_of_metadata(data: st.DataObject) -> None:
    """Somebody with the right keys signs nonsense."""
    repository, new, known, bundle = example()
    document = json.loads(bundle)
    role = data.draw(st.sampled_from(SIGNED))
    name = next(name for name in sorted(document["metadata"], reverse=True) if name.endswith(f"{role}.json"))
    after = json.loads(document["metadata"][name])
    after["signed"] = change(after["signed"], data)
    try:
        payload = encode_canonical(after["signed"])
    except (FormatError, RecursionError):
        payload = "{}"
    assert payload is not None
    after["signatures"] = [
        signer(number).sign(payload.encode("utf-8", "surrogatepass")).to_dict()
        for number in repository.signers[role]
    ]
    document["metadata"][name] = json.dumps(after)
    judge(json.dumps(document).encode(), data.draw(st.sampled_from([new, known])))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_signed_changes_of_documents(data: st.DataObject) -> None:
    """The admin or the privacy officer signs a document that is none."""
    repository, new, known, _ = example()
    path, role = data.draw(
        st.sampled_from([(f"config/{DEVICE}.json", "config"), ("audience/bank.json", "privacy")])
    )
    text = json.dumps(change(json.loads(repository.contents[path]), data)).encode()
    other = copy.deepcopy(repository)
    other.set_target(role, path, text)
    other.roles[role].version += 1
    other.snapshot.version += 1
    other.timestamp.version += 1
    judge(other.publish(), data.draw(st.sampled_from([new, known])))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_a_store_that_rotted(data: st.DataObject) -> None:
    """What a box has stored is not a stranger's, but its disk may be."""
    _, _, known, bundle = example()
    name = data.draw(st.sampled_from(sorted(known.metadata)))
    text = json.dumps(change(json.loads(known.metadata[name]), data)).encode()
    judge(bundle, Trusted(known.metadata | {name: text}))


@pytest.mark.parametrize(
    "text", ["[" * 20_000, '{"signed":' * 8_000, '{"signed":{"_type":"root","version":' + "9" * 50_000]
)
@pytest.mark.parametrize(
    "name", ["timestamp.json", "3.snapshot.json", "2.root.json", "1.privacy.json", "7.other.json"]
)
def test_deep_and_long(name: str, text: str) -> None:
    _, new, known, bundle = example()
    document = json.loads(bundle)
    files = {
        file: data
        for file, data in document["metadata"].items()
        if "root" not in file or file == "2.root.json"
    }
    document["metadata"] = files | {name: text[: MAX_BUNDLE - 40_000]}
    data = json.dumps(document, separators=(",", ":")).encode()
    for trusted in (new, known):
        assert isinstance(judge(data, trusted), Accepted) == (name == "7.other.json")
