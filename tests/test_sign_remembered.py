"""Chains that are remembered as good: the same answers as without, at every time, for every authority."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from edged.errors import SignatureRefusedError
from edged.uplink import roles
from edged.uplink.names import Role, Usage
from edged.uplink.sign import verify
from tests.broker import NOW, Town

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.uplink.roles import TrustAnchor


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


def outcome(
    place: Town, compact: str, at: timedelta, anchor: TrustAnchor | None = None, **changes: Role
) -> str:
    role = changes.get("role", Role.DEVICE)
    try:
        return verify(
            compact, typ="t+jws", anchor=anchor or place.anchor, role=role, at=NOW + at
        ).principal.name
    except SignatureRefusedError as error:
        return error.code


def test_a_remembered_chain_ends_when_its_certificate_does(place: Town) -> None:
    signer = place.signer(Role.DEVICE, "box-1")
    compact = signer.sign("t+jws", b"{}")
    end = signer.not_after - NOW
    for _ in range(2):
        assert outcome(place, compact, timedelta(0)) == "box-1"
        assert outcome(place, compact, end) == "box-1"
        assert outcome(place, compact, end + timedelta(seconds=1)) == "cert.expired"
        assert outcome(place, compact, timedelta(days=-4000)) == "cert.not_yet_valid"
        assert outcome(place, compact, timedelta(0), role=Role.COLLECTOR) == "cert.wrong_role"


def test_one_authoritys_chain_is_not_anothers(place: Town, tmp_path_factory: pytest.TempPathFactory) -> None:
    stranger = Town(tmp_path_factory.mktemp("stranger"))
    compact = place.signer(Role.DEVICE, "box-1").sign("t+jws", b"{}")
    for _ in range(2):
        assert outcome(place, compact, timedelta(0)) == "box-1"
        assert outcome(place, compact, timedelta(0), anchor=stranger.anchor) == "cert.unknown_issuer"


def test_a_chain_is_remembered_for_its_usage_alone(place: Town) -> None:
    files = place.fleet.issue(Role.DEVICE, "box-9", Usage.TLS)
    chain = roles.load_chain(files.certificate.read_bytes())
    for _ in range(2):
        assert place.anchor.verify(chain, usage=Usage.TLS, at=NOW).name == "box-9"
        with pytest.raises(roles.CertificateError, match=r"cert\.wrong_usage"):
            place.anchor.verify(chain, usage=Usage.SIGNING, at=NOW)


def test_a_bad_signature_stays_bad_behind_a_remembered_chain(place: Town) -> None:
    compact = place.signer(Role.DEVICE, "box-1").sign("t+jws", b'{"a":1}')
    assert outcome(place, compact, timedelta(0)) == "box-1"
    header, payload, signature = compact.split(".")
    changed: Callable[[str], str] = lambda text: text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1]  # noqa: E731
    for forged in (f"{header}.{changed(payload)}.{signature}", f"{header}.{payload}.{changed(signature)}"):
        assert outcome(place, forged, timedelta(0)) == "jws.signature_wrong"


def test_what_is_remembered_is_bounded(place: Town) -> None:
    assert place.anchor._path.cache_info().maxsize == roles.KNOWN_CHAINS
