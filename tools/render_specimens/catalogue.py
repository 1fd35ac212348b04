"""The specimens: what each one is, how it lies on the glass, and what a careful reader must make of it.

Everything is fiction: ICAO's Utopia (UTO) and its citizens, and for the PRC layouts the name 证件样本
("document specimen") that the published specimen lines carry, on designs of our own. `FIXED_TODAY` of
`edged.specimens` (2026-06-15) decides what has expired.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tools.render_specimens import mrz, ornament
from tools.render_specimens.capture import Camera, Glare
from tools.render_specimens.looks import (
    chinese_back,
    chinese_front,
    driving_licence,
    identity_back,
    identity_page,
    passport,
    visa,
)
from tools.render_specimens.plan import Lying, Page, Plan, Shot

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = Camera(ppi=300)  # cards
PAGE = Camera(ppi=280)  # booklets
WRONG = "1"  # the right one is asserted to differ in the tests
GA_NAME = "NGKELMPONBPJLBLO" + "AA" + "B"  # 证件样本, nothing omitted, born in 19xx


def one(page: Page, camera: Camera = PAGE, **where: float) -> tuple[Shot, ...]:
    """A single photograph of a single page."""
    return (Shot((Lying(page, **where),), camera),)


def eriksson() -> Page:
    """ICAO's own specimen passport, with a later expiry."""
    name = mrz.name("ERIKSSON", "ANNA MARIA")
    lines = mrz.td3("UTO", name, "L898902C3", "UTO", "740812", "F", "310415", "ZE184226B")
    return Page("TD3", lines, passport(lines, "ERIKSSON", "ANNA MARIA", 0))


def passport_of(
    look: int,
    primary: str,
    secondary: str,
    number: str,
    birth: str,
    sex: str,
    expiry: str,
    *,
    number_digit: str | None = None,
) -> Page:
    """Any other Utopian passport; `number_digit` is printed behind the number, right or wrong."""
    name = mrz.name(primary, secondary)
    lines = mrz.td3("UTO", name, number, "UTO", birth, sex, expiry, number_digit=number_digit)
    return Page("TD3", lines, passport(lines, primary, secondary, look))


def identity_card(
    look: int, primary: str, secondary: str, number: str, birth: str, sex: str, expiry: str
) -> Page:
    """The MRZ side of a Utopian identity card."""
    lines = mrz.td1("UTO", mrz.name(primary, secondary), number, "UTO", birth, sex, expiry)
    return Page("TD1", lines, identity_back(lines, primary, secondary, number, look))


def td2_card(look: int, primary: str, secondary: str, number: str, birth: str, sex: str, expiry: str) -> Page:
    """A Utopian residence document of TD2 size."""
    lines = mrz.td2("UTO", mrz.name(primary, secondary), number, "UTO", birth, sex, expiry)
    return Page("TD2", lines, identity_page(lines, primary, secondary, look))


def visa_of(format: str, look: int, number: str, birth: str, sex: str, until: str, optional: str) -> Page:  # noqa: A002
    """A Utopian visa of MRV-A or MRV-B size, pasted into a passport."""
    width = 44 if format == "MRVA" else 36
    lines = mrz.visa(
        width, "UTO", mrz.name("ERIKSSON", "ANNA MARIA"), number, "XXX", birth, sex, until, optional
    )
    return Page(format, lines, visa(lines, "ERIKSSON", "ANNA MARIA", look))


def one_way_permit() -> Page:
    """A permit for Hong Kong and Macau, in our own design."""
    lines = mrz.prc_one_line("CS", "C00000000", "340420", "810803")
    fields = ("ZHENGJIAN, YANGBEN", "女 / F", "1981.08.03", "2024.04.21 - 2034.04.20", "C00000000")
    return Page(
        "PRC_PERMIT",
        lines,
        chinese_front("往来港澳通行证 样本", "EXIT-ENTRY PERMIT · SPECIMEN", fields, ornament.BLUE),
    )


def card_permit(code: str, number: str, identity: str, expiry: str, authority: str) -> tuple[Page, Page]:
    """Portrait side and MRZ side of a CR or CT permit, in our own design."""
    lines = mrz.prc_card(
        code,
        number,
        "00",
        expiry,
        "F",
        "810803",
        GA_NAME,
        identity,
        mrz.name("ZHENG JIAN", "YANG BEN"),
        authority,
    )
    title = "来往内地通行证 样本" if code == "CR" else "来往大陆通行证 样本"
    until = f"20{expiry[:2]}.{expiry[2:4]}.{expiry[4:]}"
    fields = ("ZHENG JIAN, YANG BEN", "女 / F", "1981.08.03", f"2022.{until[5:]} - {until}", number)
    palette = ornament.MINT if code == "CR" else ornament.SALMON
    front = Page("PRC_CARD", (), chinese_front(title, "MAINLAND TRAVEL PERMIT · SPECIMEN", fields, palette))
    return front, Page("PRC_CARD", lines, chinese_back(title, identity, palette))


def plain() -> list[Plan]:
    """Documents on a good day."""
    front, back = card_permit("CR", "H12345678", "A123456784", "321211", "")
    _, taiwan = card_permit("CT", "00000000", "R000000000", "320608", "3500")
    card = identity_card(1, "VAN DER LINDE", "PIETER", "D23145890", "880704", "M", "330703")
    td2 = td2_card(2, "SOLBERG", "INGRID", "R40718265", "910227", "F", "290226")
    long_number = identity_card(3, "STEVENSON", "PETER JOHN", "D23145890734", "840712", "M", "300711")
    visa_a = visa_of("MRVA", 0, "L8988901C", "740812", "F", "270331", "6ZE184226B")
    visa_b = visa_of("MRVB", 1, "V20260017", "740812", "F", "260930", "")
    return [
        Plan(
            "passport",
            ("Passport", "护照"),
            "bank",
            "open an account",
            one(eriksson(), y=7, angle=0.7),
            eriksson(),
            "passport",
        ),
        Plan(
            "identity-card",
            ("Identity card, TD1", "身份证件（TD1）"),
            "hotel",
            "check in",
            one(card, SMALL, x=-6, y=4, angle=-1.3),
            card,
            "identity_card",
        ),
        Plan(
            "residence-card",
            ("Residence document, TD2", "居留证件（TD2）"),
            "telecom",
            "new SIM card",
            one(td2, SMALL, x=4, y=3, angle=1.1),
            td2,
            "identity_card",
        ),
        Plan(
            "visa-a",
            ("Visa, large format (MRV-A)", "签证（MRV-A 大型）"),
            "transport",
            "boarding",
            one(visa_a, PAGE, y=6, angle=-0.6),
            visa_a,
            "visa",
        ),
        Plan(
            "visa-b",
            ("Visa, small format (MRV-B)", "签证（MRV-B 小型）"),
            "government",
            "residence application",
            one(visa_b, PAGE, y=6, angle=0.9),
            visa_b,
            "visa",
        ),
        Plan(
            "permit-one-line",
            ("Exit-entry permit, one line (CS)", "往来港澳通行证（单行）"),
            "kiosk",
            "self-service check-in",
            one(one_way_permit(), SMALL, x=5, y=-3, angle=1.6),
            one_way_permit(),
            "permit",
        ),
        Plan(
            "permit-two-sides",
            ("Mainland travel permit (CR), portrait side first", "来往内地通行证（先放人像面）"),
            "bank",
            "bank card",
            (Shot((Lying(front, -3, 2, -0.8),), SMALL), Shot((Lying(back, 2, 1, 1.2),), SMALL)),
            back,
            "permit",
        ),
        Plan(
            "permit-taiwan",
            ("Mainland travel permit (CT), MRZ side", "来往大陆通行证（机读面）"),
            "government",
            "certificate",
            one(taiwan, SMALL, x=-2, y=5, angle=-1.8),
            taiwan,
            "permit",
        ),
        Plan(
            "long-number",
            ("Identity card with a long document number", "长证件号码的身份证件"),
            "telecom",
            "contract",
            one(long_number, SMALL, x=7, y=-5, angle=0.4),
            long_number,
            "identity_card",
        ),
    ]


def honest() -> list[Plan]:
    """Readable documents with something particular about them."""
    expired = passport_of(3, "HOLLOWAY", "EDMUND", "U18250367", "660918", "M", "240415")
    forged = passport_of(4, "MERIWETHER", "JASPER", "U55208143", "520107", "M", "310415", number_digit=WRONG)
    long_name = passport_of(
        5, "WOLKENSTEIN ZAUBERWALD", "ALEXANDRINA PHILOMENA", "U26019473", "960229", "F", "340110"
    )
    month = identity_card(4, "QUILL", "TOBIAS", "M70512936", "58<<<<", "M", "310930")
    upside_down = passport_of(1, "OKONKWO", "DAVID", "U71830426", "830117", "M", "290516")
    sideways = identity_card(2, "MARCHETTI", "GIULIA", "K58203714", "950630", "F", "320629")
    foggy = passport_of(2, "TANAKA", "HANA", "U40958217", "900503", "F", "280802")
    pale = replace(foggy, design=replace(foggy.design, contrast=0.72))
    dull = replace(
        PAGE,
        contrast=0.62,
        noise=1.4,
        blur=0.8,
        exposure=0.8,
        glare=(
            Glare(0.7, 0.72, 0.16, 0.1, 0.55),
            Glare(0.3, 0.3, 0.2, 0.12, 0.7),
            Glare(0.9, 0.1, 0.1, 0.2, 0.5),
        ),
    )
    return [
        Plan(
            "expired",
            ("Passport, expired", "过期护照"),
            "bank",
            "transfer",
            one(expired, y=8, angle=-1.0),
            expired,
            "passport",
            ("expiry",),
        ),
        Plan(
            "wrong-check-digit",
            ("Passport with a wrong check digit", "校验位错误的护照"),
            "government",
            "notary",
            one(forged, y=7, angle=0.5),
            forged,
            "passport",
            ("mrz_check_digits",),
        ),
        Plan(
            "long-name",
            ("Passport, name cut at the field's end", "姓名超长被截断的护照"),
            "transport",
            "ticket gate",
            one(long_name, y=6, angle=1.4),
            long_name,
            "passport",
        ),
        Plan(
            "unknown-birth-month",
            ("Identity card, month and day of birth unknown", "出生月日不详的身份证件"),
            "hospital",
            "hospital card",
            one(month, SMALL, x=-8, y=-2, angle=-0.5),
            month,
            "identity_card",
        ),
        Plan(
            "upside-down",
            ("Passport, upside down", "倒放的护照"),
            "kiosk",
            "queue number",
            one(upside_down, y=-7, angle=181.2),
            upside_down,
            "passport",
        ),
        Plan(
            "sideways",
            ("Identity card, turned by a quarter", "横放的身份证件"),
            "hotel",
            "check in",
            one(sideways, SMALL, x=3, y=-2, angle=91.1),
            sideways,
            "identity_card",
        ),
        Plan(
            "dull-glass",
            ("Passport, pale print, dull glass and glare", "字迹浅淡且反光的护照"),
            "hospital",
            "admission",
            one(pale, dull, y=7, angle=-1.7),
            foggy,
            "passport",
        ),
    ]


def hopeless() -> list[Plan]:
    """What no honest reader reads."""
    cut = passport_of(3, "HALVORSEN", "NILS", "U93027516", "790915", "M", "330914")
    licence = Page("TD1", (), driving_licence())
    left = identity_card(0, "AMBROSE", "CLARA", "P11862045", "870321", "F", "300320")
    right = identity_card(1, "BELLAMY", "HUGO", "P60347719", "851206", "M", "310512")
    blurred = passport_of(4, "IVERSEN", "OLE", "U15600394", "710411", "M", "300101")
    wide = replace(SMALL, ppi=264)
    two = Shot((Lying(left, -3, -28, -1.2), Lying(right, 4, 28, 1.5)), wide)
    out = replace(PAGE, blur=13.0)
    return [
        Plan(
            "half-out",
            ("Passport, half out of the window", "一半放在窗口外的护照"),
            "bank",
            "cash",
            one(cut, x=-66, y=7, angle=0.8),
            None,
        ),
        Plan(
            "driving-licence",
            ("Driving licence: no machine-readable zone", "驾驶证（无机读区）"),
            "hotel",
            "check in",
            one(licence, SMALL, x=2, y=2, angle=-1.1),
            None,
        ),
        Plan(
            "two-documents",
            ("Two identity cards at once", "同时放入两张证件"),
            "hospital",
            "registration",
            (two,),
            None,
        ),
        Plan(
            "blurred",
            ("Passport, too blurred to be sure", "模糊到无法确认的护照"),
            "transport",
            "ticket gate",
            one(blurred, out, y=7, angle=-0.4),
            None,
        ),
        Plan(
            "nothing",
            ("Nothing on the glass", "玻璃上没有证件"),
            "kiosk",
            "queue number",
            (Shot((), PAGE),),
            None,
            empty=True,
        ),
    ]


def plans() -> list[Plan]:
    """All specimens in the order of the demo."""
    parts: tuple[Callable[[], list[Plan]], ...] = (plain, honest, hopeless)
    return [plan for part in parts for plan in part()]
