"""Names and roles: what may be a name, and that a principal survives its URI and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.uplink.names import MAX_USERNAME, Principal, Role, valid_name

names = st.from_regex(r"\A[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,4}\Z")


@pytest.mark.parametrize("name", ["box-1", "a", "0", "a-b-c", "x" * 63])
def test_good_names(name: str) -> None:
    assert valid_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        "a--b",
        "A",
        "a.b",
        "a/b",
        "a+b",
        "#",
        "a b",
        "a\n",
        "é",
        "x" * 64,
        "audience.bank",
        "a_b",
    ],
)
def test_bad_names(name: str) -> None:
    assert not valid_name(name)
    with pytest.raises(ValueError, match="names are"):
        Principal("harbour", Role.DEVICE, name)
    with pytest.raises(ValueError, match="names are"):
        Principal(name, Role.DEVICE, "box-1")


@given(fleet=names, role=st.sampled_from(Role), name=names)
def test_a_principal_survives_its_uri(fleet: str, role: Role, name: str) -> None:
    principal = Principal(fleet, role, name)
    assert Principal.from_uri(principal.uri) == principal
    assert len(principal.username) <= MAX_USERNAME


@given(
    st.one_of(
        st.text(max_size=60),
        st.tuples(
            st.sampled_from(["edged://", "edged:/", "EDGED://"]), st.text("ab/-.device", max_size=30)
        ).map("".join),
    )
)
def test_no_other_text_is_a_principal(uri: str) -> None:
    try:
        principal = Principal.from_uri(uri)
    except ValueError:
        return
    assert principal.uri == uri


def test_user_names_of_different_roles_never_meet() -> None:
    usernames = {Principal("f", role, "bank").username for role in Role}
    assert len(usernames) == len(Role)
    assert Principal("f", Role.DEVICE, "bank").username == "bank"
    assert Principal("f", Role.AUDIENCE, "bank").username == "audience.bank"


def test_a_user_name_that_no_certificate_can_hold_is_refused() -> None:
    Principal("f", Role.DEVICE, "x" * 63)
    with pytest.raises(ValueError, match="names are"):
        Principal("f", Role.COLLECTOR, "x" * 63)
