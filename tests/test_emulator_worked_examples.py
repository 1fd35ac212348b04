"""The emulated card against the worked examples of Doc 9303-11: its answers octet for octet, its randomness fixed."""

from __future__ import annotations

import pytest

from edged.core.emrtd import suites
from edged.core.emrtd.files import ElementaryFile
from edged.emulator import pseudo_random
from edged.emulator.card import Card
from edged.emulator.chance import ScriptedChance
from edged.emulator.groups import Points
from edged.emulator.mrz_lines import check_digit, password
from edged.emulator.personalised import PaceOffer, Personalised
from edged.emulator.profiles import group, pace

octets = bytes.fromhex

TD1_OF_D_2 = (
    "I<UTOL898902C<3<<<<<<<<<<<<<<<",
    "6908061F9406236UTO<<<<<<<<<<<1",
    "ERIKSSON<<ANNA<MARIA<<<<<<<<<<",
)
COM_OF_D_4 = octets("60145F0104303130365F36063034303030305C026175")
KEY_OF_G = b"T22000129364081251010318"


def pace_card(offer: PaceOffer, chance: ScriptedChance) -> Card:
    return Card(Personalised({}, KEY_OF_G, pace=(offer,)), chance)


def test_the_password_of_an_mrz() -> None:
    """App. D.2, with a long number after it."""
    assert password(TD1_OF_D_2) == b"L898902C<369080619406236"
    # D.2.2: a TD1 document number of 12 characters, D23145890734.
    long_number = (
        "I<UTOD23145890<7349<<<<<<<<<<<",
        "3407127M9507122UTO<<<<<<<<<<<2",
        "STEVENSON<<PETER<JOHN<<<<<<<<<",
    )
    assert password(long_number) == b"D23145890734934071279507122"
    assert check_digit("D23145890734") == "9"


def test_basic_access_control_and_secure_messaging_of_appendix_d() -> None:
    drawn = [octets("4608F91988702212"), octets("0B4F80323EB3191CB04970CB4052790B")]
    card = Card(Personalised({ElementaryFile.COM: COM_OF_D_4}, password(TD1_OF_D_2)), ScriptedChance(drawn))
    said = [
        card.answer(octets(command)).hex().upper()
        for command in (
            "00A4040C07A0000002471001",
            "0084000008",
            "008200002872C29C2371CC9BDB65B779B8E8D37B29ECC154AA56A8799FAE2F498F76ED92F25F1448EEA8AD90A728",
            "0CA4020C158709016375432908C044F68E08BF8B92D635FF24F800",
            "0CB000000D9701048E08ED6705417E96BA5500",
            "0CB000040D9701128E082EA28A70F3C7B53500",
        )
    ]
    assert said == [
        "9000",
        "4608F919887022129000",
        "46B9342A41396CD7386BF5803104D7CEDC122B9132139BAF2EEDC94EE178534F2F2D235D074D74499000",
        "990290008E08FA855A5D4C50A8ED9000",
        "8709019FF0EC34F9922651990290008E08AD55CC17140B2DED9000",
        "871901FB9235F4E4037F2327DCC8964F1F9B8C30F42C8E2FFF224A990290008E08C8B2787EAEA07D749000",
    ]


PACE_G_1 = (
    ("0022C1A40F800A04007F00070202040202830101", "9000"),
    ("10860000027C0000", "7C12801095A3A016522EE98D01E76CB6B98B42C39000"),
    (
        (
            "10860000457C438141047ACF3EFC982EC45565A4B155129EFBC74650DCBFA6362D896FC70262E0C2CC5E"
            "544552DCB6725218799115B55C9BAA6D9F6BC3A9618E70C25AF71777A9C4922D00"
        ),
        (
            "7C43824104824FBA91C9CBE26BEF53A0EBE7342A3BF178CEA9F45DE0B70AA601651FBA3F57"
            "30D8C879AAA9C9F73991E61B58F4D52EB87A0A0C709A49DC63719363CCD13C549000"
        ),
    ),
    (
        (
            "10860000457C438341042DB7A64C0355044EC9DF190514C625CBA2CEA48754887122F3A5EF0D5EDD301C"
            "3556F3B3B186DF10B857B58F6A7EB80F20BA5DC7BE1D43D9BF850149FBB3646200"
        ),
        (
            "7C438441049E880F842905B8B3181F7AF7CAA9F0EFB743847F44A306D2D28C1D9EC65DF6DB"
            "7764B22277A2EDDC3C265A9F018F9CB852E111B768B326904B59A0193776F0949000"
        ),
    ),
    ("008600000C7C0A8508C2B0BD78D94BA86600", "7C0A86083ABB9674BCE93C089000"),
)

PACE_G_2 = (
    ("0022C1A40F800A04007F00070202040102830101", "9000"),
    ("10860000027C0000", "7C128010854D8DF5827FA6852D1A4FA701CDDDCA9000"),
    (
        (
            "10860000867C818381818023FB3749EA030D2A25B278D2A562047ADE3F01B74F17A15402CB7352CA7D2B3E"
            "B71C343DB13D1DEBCE9A3666DBCFC920B49174A602CB47965CAA73DC702489A44D41DB914DE9613DC5E98C94"
            "160551C0DF86274B9359BC0490D01B03AD54022DCB4F57FAD6322497D7A1E28D46710F461AFE710FBBBC5F8B"
            "A166F4311975EC6C00"
        ),
        (
            "7C818382818078879F57225AA8080D52ED0FC890A4B25336F699AA89A2D3A189654AF70729E623EA5738B263"
            "81E4DA19E004706FACE7B235C2DBF2F38748312F3C98C2DD4882A41947B324AA1259AC22579DB93F7085655A"
            "F30889DBB845D9E6783FE42C9F2449400306254C8AE8EE9DD812A804C0B66E8CAFC14F84D8258950A91B4412"
            "6EE69000"
        ),
    ),
    (
        (
            "10860000867C8183838180907D89E2D425A178AA81AF4A7774EC8E388C115CAE67031E85EECE520BD911551B"
            "9AE4D04369F29A02626C86FBC6747CC7BC352645B6161A2A42D44EDA80A08FA8D61B76D3A154AD8A5A51786B"
            "0BC07147057871A922212C5F67F43173172236B7747D1671E6D692A3C7D40A0C3C5CE397545D015C175EB513"
            "0551EDBC2EE5D400"
        ),
        (
            "7C8183848180075693D9AE941877573E634B6E644F8E60AF17A0076B8B123D9201074D36152BD8B3A213F538"
            "20C42ADC79AB5D0AEEC3AEFB91394DA476BD97B9B14D0A65C1FC71A0E019CB08AF55E1F729005FBA7E3FA5DC"
            "41899238A250767A6D46DB974064386CD456743585F8E5D90CC8B4004B1F6D866C79CE0584E49687FF61BC29"
            "AEA19000"
        ),
    ),
    # The example's chip sends a reference for terminal authentication as well, which ours doesn't do.
    ("008600000C7C0A8508B46DD9BD4D98381F00", "7C0A8608917F37B5C0E6D8D19000"),
)


@pytest.mark.parametrize(
    ("offer", "nonce", "mapping", "ephemeral", "exchange"),
    [
        pytest.param(
            pace(13, "GM", suites.AES128),
            "3F00C4D39D153F2B2A214A078D899B22",
            "498FF49756F2DC1587840041839A85982BE7761D14715FB091EFA7BCE9058560",
            "107CF58696EF6155053340FD633392BA81909DF7B9706F226F32086C7AFF974A",
            PACE_G_1,
            id="G.1",
        ),
        pytest.param(
            pace(0, "GM", suites.AES128),
            "FA5B7E3E49753A0DB9178B7B9BD898C8",
            "66DDAFEAC1609CB5B963BB0CB3FF8B3E047F336C",
            "A5B780126B7C980E9FCEA1D4539DA1D27C342DFA",
            PACE_G_2,
            id="G.2",
        ),
    ],
)
def test_generic_mapping_of_appendix_g(
    offer: PaceOffer, nonce: str, mapping: str, ephemeral: str, exchange: tuple[tuple[str, str], ...]
) -> None:
    card = pace_card(offer, ScriptedChance([octets(nonce)], [int(mapping, 16), int(ephemeral, 16)]))
    assert [card.answer(octets(command)).hex().upper() for command, _ in exchange] == [
        answer for _, answer in exchange
    ]
    assert card.channel is not None


def test_integrated_mapping_of_appendix_h_1() -> None:
    """The card's public key isn't needed: the terminal's token, which only fits the right one, is accepted."""
    offer = pace(13, "IM", suites.AES128)
    chip = int("107CF58696EF6155053340FD633392BA81909DF7B9706F226F32086C7AFF974A", 16)
    card = pace_card(offer, ScriptedChance([octets("2923BE84E16CD6AE529049F1F1BBE9EB")], [chip]))
    curve = offer.group
    assert isinstance(curve, Points)
    generator = curve.decode(
        octets(
            "048E82D31559ED0FDE92A4D0498ADD3C23BABA94FB77691E31E90AEA77FB17D427"
            "4C1AE14BD0C3DBAC0C871B7F3608169364437CA30AC243A089D3F266C1E60FAD"
        )
    )
    terminal = int("A73FB703AC1436A18E0CFA5ABB3F7BEC7A070E7A6788486BEE230C4A22762595", 16)
    public = curve.encode(curve.times(generator, terminal))
    assert card.answer(octets("0022C1A40F800A04007F00070202040402830101")) == octets("9000")
    assert card.answer(octets("10860000027C0000"))[-2:] == octets("9000")
    mapped = card.answer(octets("10860000147C1281105DD4CBFC96F5453B130D890A1CDBAE3200"))
    assert mapped == octets("7C0282009000")
    agreed = card.answer(octets("10860000457C438341") + public + b"\x00")
    assert agreed == octets("7C438441") + curve.encode(curve.times(generator, chip)) + octets("9000")
    assert card.answer(octets("008600000C7C0A8508450F02B86F6A090900")) == octets(
        "7C0A860875D4D96E8D5B03089000"
    )


def test_integrated_mapping_of_appendix_h_2() -> None:
    """Its pseudo-random number and the generator that follows from it."""
    numbers = group(0)
    drawn = pseudo_random.number(
        suites.AES128,
        octets("FA5B7E3E49753A0DB9178B7B9BD898C8"),
        octets("B3A6DB3C870C3E99245E0D1C06B747DE"),
        numbers.modulus,
    )
    assert drawn.to_bytes(128, "big").hex().upper() == (
        "A0C7C50C002061A51CC87D254EF38068607417B6EE1B36473CFB800D2D2E5FA2B6980F01105D24FAB22ACD1BFA5C8A4C"
        "093ECDFAFE6D7125D42A843E338603835CF19AFAFF75EFE21DC5F6AA1F9AE46C25087E7368166FB08C1E4627AFED7D93"
        "570417B790FF7F747E57F432B04E1236819E0DFEF5B6E77CA4999925328182D2"
    )
    assert numbers.encode(numbers.hashed(drawn)).hex().upper() == (
        "1D7D767F11E333BCD6DBAEF40E799E7A926B96973550656FF3C830726D118D61C276CDCC61D475CF03A98E0C0E79CAEB"
        "A5BE25578BD4551D0B10903236F0B0F976852FA78EEA14EA0ACA87D1E91F688FE0DFF897BBE35A472621D343564B262F"
        "34223AE8FC59B664BFEDFA2BFE7516CA5510A6BBB633D517EC25D4E0BBAA16C2"
    )
