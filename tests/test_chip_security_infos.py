"""SecurityInfos of EF.CardAccess, DG14 and EF.CardSecurity; which PACE is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.core.emrtd import chip_authentication, pace_choice, tlv
from edged.core.emrtd.chip_authentication import choose_chip_authentication
from edged.core.emrtd.der import encode_oid
from edged.core.emrtd.dh_groups import GROUPS
from edged.core.emrtd.domain_parameters import decode_key
from edged.core.emrtd.domains import DhDomain, EcDomain, standard_domain
from edged.core.emrtd.pace_choice import pace_choices
from edged.core.emrtd.security_infos import (
    MAX_OCTETS,
    MAX_OWN,
    ActiveAuthenticationInfo,
    Agreement,
    ChipAuthenticationInfo,
    ChipAuthenticationPublicKeyInfo,
    Mapping,
    PaceDomainParameterInfo,
    PaceInfo,
    SecurityInfos,
    TerminalAuthenticationInfo,
    UnknownInfo,
    encode_infos,
    read_card_access,
    read_card_security,
    read_dg14,
)
from edged.core.emrtd.suites import AES128, AES192, AES256
from edged.errors import DecodeError, IdentityLeakError
from tests.chip_scripts import H
from tests.chip_spki import encode_key

SHARED_DG14 = Path(__file__).parents[2] / "shared" / "chip" / "bsi-2008" / "010E"


def oid(dotted: str) -> bytes:
    return tlv.encode(0x06, encode_oid(dotted))


def number(value: int) -> bytes:
    return tlv.encode(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def info(dotted: str, *parts: bytes) -> bytes:
    return tlv.encode(0x30, oid(dotted) + b"".join(parts))


def bsi(text: str, *parts: bytes) -> bytes:
    return info(f"0.4.0.127.0.7.2.2.{text}", *parts)


def pace(text: str, parameter_id: int | None = 13, version: int = 2) -> bytes:
    return bsi(f"4.{text}", number(version), *([] if parameter_id is None else [number(parameter_id)]))


def access(*infos: bytes) -> SecurityInfos:
    return read_card_access(encode_infos(list(infos)))


def names(*infos: bytes) -> list[str]:
    return [f"{choice.info.name} {choice.domain.name}" for choice in pace_choices(access(*infos))]


CURVE_KEY = encode_key(standard_domain(13), standard_domain(13).pair(7).public)  # type: ignore[arg-type, union-attr]

EVERYTHING = (
    pace("2.2"),
    pace("6.4", 12),
    bsi("4.2", tlv.encode(0x30, oid("0.4.0.127.0.7.1.2") + number(14)), number(40)),
    bsi("3.2.3", number(1), number(5)),
    bsi("1.2", CURVE_KEY, number(5)),
    bsi("2", number(1)),
    info("2.23.136.1.1.5", number(1), oid("0.4.0.127.0.7.1.1.4.1.3")),
    bsi("6", tlv.encode(0x16, b"http://example.org/")),
)


def test_every_kind() -> None:
    infos = access(*EVERYTHING)
    assert set(infos.of(PaceInfo)) == {
        PaceInfo("0.4.0.127.0.7.2.2.4.2.2", Agreement.ECDH, Mapping.GENERIC, AES128, 2, 13),
        PaceInfo("0.4.0.127.0.7.2.2.4.6.4", Agreement.ECDH, Mapping.CHIP_AUTHENTICATION, AES256, 2, 12),
    }
    (parameters,) = infos.of(PaceDomainParameterInfo)
    assert (parameters.agreement, parameters.mapping, parameters.parameter_id) == ("ECDH", "GM", 40)
    (way,) = infos.of(ChipAuthenticationInfo)
    assert (way.agreement, way.suite, way.version, way.key_id) == ("ECDH", AES192, 1, 5)
    (key,) = infos.of(ChipAuthenticationPublicKeyInfo)
    assert (key.agreement, key.spki, key.key_id) == ("ECDH", CURVE_KEY, 5)
    assert infos.chip_key(Agreement.ECDH, 5) == key
    assert infos.chip_key(Agreement.ECDH, 6) is None
    assert infos.chip_key(Agreement.DH, 5) is None
    assert infos.of(ActiveAuthenticationInfo) == (ActiveAuthenticationInfo(1, "0.4.0.127.0.7.1.1.4.1.3"),)
    assert infos.of(TerminalAuthenticationInfo) == (TerminalAuthenticationInfo(1),)
    (unknown,) = infos.of(UnknownInfo)
    assert unknown.raw == EVERYTHING[-1]


def test_a_key_names_one_document_so_it_is_withheld() -> None:
    infos = access(*EVERYTHING)
    (key,) = infos.of(ChipAuthenticationPublicKeyInfo)
    for held in (infos, key, decode_key(key.spki)):
        assert CURVE_KEY.hex()[:40] not in f"{held!r}"
        assert "withheld" in repr(held)
        with pytest.raises(IdentityLeakError):
            held.__reduce__()


@pytest.mark.parametrize(
    "entry",
    [
        pace("2.5"),  # no such cipher
        pace("5.2"),  # no such mapping
        pace("6.1"),  # chip authentication mapping has no 3DES
        pace("2.2.1"),
        bsi("4.2.2", tlv.encode(0x0C, b"2")),
        bsi("3.3.2", number(1)),
        bsi("3.2.9", number(1)),
        bsi("1.3", CURVE_KEY),
        bsi("1.2", number(1)),
        bsi("2", tlv.encode(0x0C, b"1")),
        info("2.23.136.1.1.5", number(1)),
        bsi("4.2.2", number(2), number(13), number(1)),
        info("1.2.3", number(1)),
    ],
)
def test_what_is_not_known_is_kept_and_harms_nothing(entry: bytes) -> None:
    infos = access(entry, pace("2.2"))
    assert [unknown.raw for unknown in infos.of(UnknownInfo)] == [entry]
    assert [choice.info.name for choice in pace_choices(infos)] == ["PACE-ECDH-GM AES-128"]


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "31",
        "3000",
        "3104 30020601",
        "3103 300102",
        "3107 3005 060104 0101",
        "3108 3006 0602 8004 0201 01",
        "310B 3009 0604 04007F80 020101",
        "3112 3010 060A04007F00070202040202 020200",
        "3111 300F 060A04007F00070202040202 0201FF",
        "3180",
        "31850000000000",
    ],
)
def test_malformed(raw: str) -> None:
    with pytest.raises(DecodeError):
        read_card_access(H(raw))


def test_bounds() -> None:
    with pytest.raises(DecodeError, match=r"security_infos\.too_many"):
        access(*[pace("2.2")] * 65)
    with pytest.raises(DecodeError, match=r"security_infos\.too_long"):
        read_card_access(tlv.encode(0x31, bytes(MAX_OCTETS)))


def test_groups_and_keys_are_looked_at_once_and_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """To check a group of 4096 bits takes a tenth of a second: a file of sixty could keep a processor for long."""
    looked = []

    def look(coded: bytes, what: str = "chip") -> None:
        looked.append(coded)
        raise DecodeError(what, "domain.malformed")

    monkeypatch.setattr(pace_choice, "domain_of_algorithm", look)
    monkeypatch.setattr(chip_authentication, "decode_key", look)
    group = tlv.encode(0x30, oid("1.2.840.10046.2.1") + number(5))
    ways = [pace("1.2", None)] * 40
    assert names(*ways, bsi("4.1", group)) == []
    assert len(looked) == 1
    looked.clear()
    key = tlv.encode(0x30, group + tlv.encode(3, b"\x00"))
    with pytest.raises(DecodeError, match=r"domain\.malformed"):
        choose_chip_authentication(
            read_card_access(encode_infos([*[bsi("3.2.2", number(1))] * 40, bsi("1.2", key)]))
        )
    assert len(looked) == 1
    for many in (
        [bsi("4.1", group, number(n)) for n in range(MAX_OWN + 1)],
        [bsi("1.2", key, number(n)) for n in range(MAX_OWN + 1)],
    ):
        with pytest.raises(DecodeError, match=r"security_infos\.too_many"):
            read_card_access(encode_infos(many))
        read_card_access(encode_infos(many[1:]))


def test_padding_after_card_access_is_left_alone() -> None:
    raw = encode_infos([pace("2.2")])
    assert read_card_access(raw + bytes(40)) == read_card_access(raw)


def test_dg14_is_whole() -> None:
    raw = tlv.encode(0x6E, encode_infos(list(EVERYTHING)))
    assert len(read_dg14(raw).infos) == len(EVERYTHING)
    for bad in (raw + b"\x00", raw[:-1], encode_infos(list(EVERYTHING)), b"\x6f" + raw[1:]):
        with pytest.raises(DecodeError):
            read_dg14(bad)


def card_security(content: bytes) -> bytes:
    """The frame of CMS SignedData, with neither certificates nor signatures."""
    wrapped = tlv.encode(0xA0, tlv.encode(0x04, content))
    encapsulated = tlv.encode(0x30, oid("0.4.0.127.0.7.3.2.1") + wrapped)
    signed = tlv.encode(0x30, number(3) + tlv.encode(0x31, b"") + encapsulated + tlv.encode(0x31, b""))
    return tlv.encode(0x30, oid("1.2.840.113549.1.7.2") + tlv.encode(0xA0, signed))


def test_card_security() -> None:
    raw = card_security(encode_infos(list(EVERYTHING)))
    found = read_card_security(raw + bytes(3))
    assert found.signed == raw
    assert found.infos == access(*EVERYTHING)
    for bad in (
        raw[:-1],
        card_security(b""),
        card_security(b"\x30\x00"),
        raw.replace(b"\xf7\x0d\x01\x07\x02", b"\xf7\x0d\x01\x07\x01"),
    ):
        with pytest.raises(DecodeError):
            read_card_security(bad)


@pytest.mark.skipif(not SHARED_DG14.exists(), reason="the shared specimen (chip/bsi-2008) is not there")
def test_dg14_of_the_bsi_specimen() -> None:
    infos = read_dg14(SHARED_DG14.read_bytes())
    choice = choose_chip_authentication(infos)
    assert choice is not None
    assert choice.key.domain.check(choice.key.public) == choice.key.public
    assert not infos.of(UnknownInfo)


def test_the_order_in_which_ways_are_taken() -> None:
    assert names(
        pace("3.4", 2),
        pace("1.4", 2),
        pace("4.4"),
        pace("2.1"),
        pace("2.2", 12),
        pace("2.2", 18),
        pace("2.4"),
        pace("2.3"),
        pace("6.2"),
    ) == [
        "PACE-ECDH-CAM AES-128 brainpoolP256r1",
        "PACE-ECDH-GM AES-256 brainpoolP256r1",
        "PACE-ECDH-IM AES-256 brainpoolP256r1",
        "PACE-DH-GM AES-256 DH-2048",
        "PACE-DH-IM AES-256 DH-2048",
        "PACE-ECDH-GM AES-192 brainpoolP256r1",
        "PACE-ECDH-GM AES-128 secp521r1",
        "PACE-ECDH-GM AES-128 secp256r1",
        "PACE-ECDH-GM 3DES brainpoolP256r1",
    ]


@pytest.mark.parametrize(
    "entry",
    [
        pace("2.2", version=1),
        pace("2.2", version=3),
        pace("2.2", 5),  # reserved
        pace("2.2", 99),
        pace("2.2", None),  # and no parameters of its own
        pace("2.2", 0),  # numbers for a curve
        pace("1.2", 13),  # a curve for numbers
        pace("4.2", 10),  # secp224r1 has no integrated mapping
    ],
)
def test_ways_that_can_not_be_gone(entry: bytes) -> None:
    assert names(entry) == []
    assert names(entry, pace("2.1", 12)) == ["PACE-ECDH-GM 3DES secp256r1"]


def test_several_groups_for_one_way_are_ambiguous() -> None:
    alone = pace_choices(access(pace("2.2"), pace("6.2"), pace("2.4")))
    assert not any(choice.ambiguous for choice in alone)
    several = pace_choices(access(pace("2.2", 12), pace("2.2", 13)))
    assert all(choice.ambiguous for choice in several)


def explicit_group(p: int, g: int, q: int) -> bytes:
    parameters = tlv.encode(0x30, number(p) + number(g) + number(q))
    return tlv.encode(0x30, oid("1.2.840.10046.2.1") + parameters)


def test_parameters_of_the_chips_own_count_when_they_are_known_ones() -> None:
    """Doc 9303-11 §9.2.2: anything else may give the password away."""
    p, g, q = GROUPS[1]
    known = bsi("4.1", explicit_group(p, g, q), number(77))
    assert names(pace("1.2", 77), known) == ["PACE-DH-GM AES-128 DH-2048"]
    assert names(pace("1.2", None), bsi("4.1", explicit_group(p, g, q))) == ["PACE-DH-GM AES-128 DH-2048"]
    other = bsi("4.1", explicit_group(p, pow(g, 2, p), q), number(77))
    assert names(pace("1.2", 77), other) == []
    curve = bsi("4.2", tlv.encode(0x30, oid("1.2.840.10045.2.1") + oid("1.3.36.3.3.2.8.1.1.9")), number(77))
    assert names(pace("2.2", 77), curve) == ["PACE-ECDH-GM AES-128 brainpoolP320r1"]
    assert names(pace("2.2", 77), bsi("4.2", tlv.encode(0x30, oid("1.2.3") + number(1)), number(77))) == []
    assert names(pace("2.2", 77), known) == []


READERS = (read_card_access, read_dg14, read_card_security)
WHOLE = (
    encode_infos(list(EVERYTHING)),
    tlv.encode(0x6E, encode_infos(list(EVERYTHING))),
    card_security(encode_infos(list(EVERYTHING))),
)


def use(infos: SecurityInfos) -> None:
    """What a reading does with them."""
    for choice in pace_choices(infos):
        assert isinstance(choice.domain, EcDomain | DhDomain)
    try:
        choose_chip_authentication(infos)
    except DecodeError:
        return


def read(which: int, raw: bytes) -> None:
    try:
        found = READERS[which](raw)
    except DecodeError:
        return
    use(found if isinstance(found, SecurityInfos) else found.infos)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 2), st.binary(max_size=200))
def test_any_octets(which: int, raw: bytes) -> None:
    read(which, raw)
    read(which, WHOLE[which][:4] + raw)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.data())
def test_octets_changed(data: st.DataObject) -> None:
    which = data.draw(st.integers(0, 2))
    raw = bytearray(WHOLE[which])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                raw[at] = data.draw(st.integers(0, 255))
            case 1:
                del raw[at : at + data.draw(st.integers(1, 5))]
            case _:
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=5))
        if not raw:
            break
    read(which, bytes(raw))


def test_every_octet_changed_once() -> None:
    for which, whole in enumerate(WHOLE):
        for at in range(len(whole)):
            for bit in (0x01, 0x80):
                read(which, whole[:at] + bytes((whole[at] ^ bit,)) + whole[at + 1 :])
            read(which, whole[:at])
