"""The worked examples of ICAO Doc 9303-11 for access control, byte for byte (appendices D, G, H, I)."""

from __future__ import annotations

from datetime import date

import pytest

from edged.core.emrtd import pace
from edged.core.emrtd.access_keys import AccessKey, key_of_mrz, mrz_key
from edged.core.emrtd.bac import document_keys, establish_bac
from edged.core.emrtd.domains import standard_domain
from edged.core.emrtd.pace import PaceResult, establish_pace, password_key
from edged.core.emrtd.pace_choice import pace_choices
from edged.core.emrtd.pace_mapping import pseudo_random, verify_cam
from edged.core.emrtd.security_infos import read_card_access
from edged.core.emrtd.steps import drive
from edged.core.emrtd.suites import AES128, DES3, sha
from edged.core.mrz import parse_mrz
from tests.chip_examples import G1, G2, G_KEY, H1, H2, I1, Example
from tests.chip_scripts import H, Script, Written


def hexed(*lines: str) -> str:
    return "".join(lines).replace(" ", "")


def run(example: Example, key: AccessKey | None = None) -> PaceResult:
    (choice,) = pace_choices(read_card_access(H(example.card_access)))
    chip, draw = Script(*example.lines), example.draw.written()
    result = drive(establish_pace(choice, key or example.key, draw), chip)
    assert chip.read_out()
    assert draw.used_up()
    return result


def test_d_basic_access_control() -> None:
    key = mrz_key("L898902C", "690806", "940623")
    assert key.octets() == b"L898902C<369080619406236"
    assert document_keys(key) == (
        H("AB94FDECF2674FDFB9B391F85D7F76F2"),
        H("7962D9ECE03D1ACD4C76089DCE131543"),
    )
    draw = Written(octets=("781723860C06C226", "0B795240CB7049B01C19B33E32804F0B"))
    chip = Script(
        ("0084000008", "4608F91988702212 9000"),
        (
            "0082000028 72C29C2371CC9BDB65B779B8E8D37B29ECC154AA56A8799FAE2F498F76ED92F2 5F1448EEA8AD90A7 28",
            "46B9342A41396CD7386BF5803104D7CEDC122B9132139BAF2EEDC94EE178534F 2F2D235D074D7449 9000",
        ),
    )
    keys = drive(establish_bac(key, draw), chip)
    assert chip.read_out()
    assert keys.suite is DES3
    assert keys.encryption == H("979EC13B1CBFE9DCD01AB0FED307EAE5")
    assert keys.mac == H("F1CB1F1FB5ADF208806B89DC579DC1F8")
    assert keys.counter.to_bytes(8, "big") == H("887022120C06C226")


@pytest.mark.parametrize(
    "lines",
    [
        (
            "I<UTOD23145890<7349<<<<<<<<<<<",
            "3407127M9507122UTO<<<<<<<<<<<2",
            "STEVENSON<<PETER<<<<<<<<<<<<<<",
        ),
        ("I<UTOSTEVENSON<<PETER<<<<<<<<<<<<<<<", "D23145890<UTO3407127M95071227349<<<8"),
    ],
    ids=["TD1", "TD2"],
)
def test_d2_a_number_longer_than_its_field(lines: tuple[str, ...]) -> None:
    key = key_of_mrz(parse_mrz(lines, today=date(1995, 1, 1)))
    assert key is not None
    assert key.octets() == b"D23145890734934071279507122"
    assert sha(20, key.octets())[:16] == H("B366AD857DDCA2B08C0E299811714730")


def test_g1_ecdh_generic_mapping() -> None:
    assert G_KEY.octets() == b"T22000129364081251010318"
    assert password_key(AES128, G_KEY) == H("89DED1B26624EC1E634C1989302849DD")
    result = run(G1)
    assert result.keys.encryption == H("F5F0E35C0D7161EE6724EE513A0D9A7F")
    assert result.keys.mac == H("FE251C7858B356B24514B3BD5F4297D1")
    assert result.keys.counter == 0
    assert result.cam is None


def test_g2_dh_generic_mapping() -> None:
    result = run(G2)
    assert result.keys.encryption == H("2F7F46ADCC9E7E521B45D192FAFA9126")
    assert result.keys.mac == H("805A1D27D45A5116F73C54469462B7D8")


@pytest.fixture
def h_key(monkeypatch: pytest.MonkeyPatch) -> AccessKey:
    """Appendix H gives K_pi and not the MRZ that it comes from."""
    monkeypatch.setattr(pace, "password_key", lambda suite, key: H("591468CDA83D65219CCCB8560233600F"))
    return G_KEY


H1_FIELD = "A2F8FF2DF50E52C6599F386ADCB595D229F6A167ADE2BE5F2C3296ADD5B7430E"
H2_FIELD = hexed(
    "A0C7C50C002061A51CC87D254EF38068607417B6EE1B36473CFB800D2D2E5FA2",
    "B6980F01105D24FAB22ACD1BFA5C8A4C093ECDFAFE6D7125D42A843E33860383",
    "5CF19AFAFF75EFE21DC5F6AA1F9AE46C25087E7368166FB08C1E4627AFED7D93",
    "570417B790FF7F747E57F432B04E1236819E0DFEF5B6E77CA4999925328182D2",
)
H2_GENERATOR = hexed(
    "1D7D767F11E333BCD6DBAEF40E799E7A926B96973550656FF3C830726D118D61",
    "C276CDCC61D475CF03A98E0C0E79CAEBA5BE25578BD4551D0B10903236F0B0F9",
    "76852FA78EEA14EA0ACA87D1E91F688FE0DFF897BBE35A472621D343564B262F",
    "34223AE8FC59B664BFEDFA2BFE7516CA5510A6BBB633D517EC25D4E0BBAA16C2",
)


def test_h1_pseudo_random_function_and_mapped_point() -> None:
    domain = standard_domain(13)
    assert domain is not None
    s, t = H("2923BE84E16CD6AE529049F1F1BBE9EB"), H("5DD4CBFC96F5453B130D890A1CDBAE32")
    element = pseudo_random(AES128, s, t, domain.modulus)
    assert element == int(H1_FIELD, 16)
    assert domain.map_integrated(element).pair(1).public == H(
        "048E82D31559ED0FDE92A4D0498ADD3C23BABA94FB77691E31E90AEA77FB17D427"
        "4C1AE14BD0C3DBAC0C871B7F3608169364437CA30AC243A089D3F266C1E60FAD"
    )


def test_h1_ecdh_integrated_mapping(h_key: AccessKey) -> None:
    result = run(H1, h_key)
    assert result.keys.encryption == H("0D3FEB33251A6370893D62AE8DAAF51B")
    assert result.keys.mac == H("B01E89E3D9E8719E586B50B4A7506E0B")


def test_h2_pseudo_random_function_and_mapped_generator() -> None:
    domain = standard_domain(0)
    assert domain is not None
    s, t = H("FA5B7E3E49753A0DB9178B7B9BD898C8"), H("B3A6DB3C870C3E99245E0D1C06B747DE")
    element = pseudo_random(AES128, s, t, domain.modulus)
    assert element == int(H2_FIELD, 16)
    assert domain.map_integrated(element).pair(1).public == H(H2_GENERATOR)


def test_h2_dh_integrated_mapping(h_key: AccessKey) -> None:
    result = run(H2, h_key)
    assert result.keys.encryption == H("01AFC10CF87BE36D8179E87370171F07")
    assert result.keys.mac == H("23F0FBD05FD6C7B8B88F4C8309669061")


I_STATIC_KEY = (
    "30620609 04007F000702020102 3052300C 060704007F0007010202010D 034200"
    "041872709494399E7470A6431BE25E83EEE24FEA568C2ED28DB48E05DB3A610D"
    "C884D256A40E35EFCB59BF6753D3A489D28C7A4D973C2DA138A6E7A4A08F68E16F 02010D"
)


def test_i1_ecdh_chip_authentication_mapping() -> None:
    result = run(I1)
    assert result.keys.encryption == H("0A9DA4DB03BDDE39FC5202BC44B2E89E")
    assert result.keys.mac == H("4B1C06491ED5140CA2B537D344C6C0B1")
    cam = result.cam
    assert cam is not None
    assert cam.proof == H("85DC3FA93D0952BFA82F5FD189EE75BD82F11D1F0B8ED4BF5319AC9B53C426B3")
    static = H(I_STATIC_KEY)
    assert verify_cam(cam, read_card_access(b"\x31" + bytes((len(static),)) + static))


def test_i1_another_chips_key_or_proof_is_no_proof() -> None:
    domain = standard_domain(13)
    assert domain is not None
    static = H(I_STATIC_KEY)
    infos = read_card_access(b"\x31" + bytes((len(static),)) + static)
    proof = H("85DC3FA93D0952BFA82F5FD189EE75BD82F11D1F0B8ED4BF5319AC9B53C426B3")
    mapping_key = H(
        "04A234236AA9B9621E8EFB73B5245C0E09D2576E5277183C1208BDD55280CAE8B3"
        "04F365713A356E65A451E165ECC9AC0AC46E3771342C8FE5AEDD092685338E23"
    )
    from edged.core.emrtd.pace_mapping import CamData

    assert verify_cam(CamData(domain, mapping_key, proof), infos)
    other = int.from_bytes(proof, "big") + 1
    assert not verify_cam(CamData(domain, mapping_key, other.to_bytes(32, "big")), infos)
    assert not verify_cam(CamData(domain, domain.generate().public, proof), infos)
    assert not verify_cam(CamData(domain, mapping_key, bytes(32)), infos)
    assert not verify_cam(CamData(domain, mapping_key, b"\xff" * 40), infos)
    twelve = standard_domain(12)
    assert twelve is not None
    assert not verify_cam(CamData(twelve, mapping_key, proof), infos)
    assert not verify_cam(CamData(domain, mapping_key, proof), read_card_access(H("3100")))
