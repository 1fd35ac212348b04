"""People's names as machine-readable zones print them, by the language they were transliterated from.

Surnames and given names are combined freely, so a full name is nobody's. An entry may hold several words; hyphens
have become spaces and apostrophes are gone, as Doc 9303-3 §4.6 has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


def _pool(surnames: str, given: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    def entries(text: str) -> tuple[str, ...]:
        return tuple(word.replace("_", " ") for word in text.split())

    return entries(surnames), entries(given)


POOLS = {
    "chinese": _pool(
        "WANG LI ZHANG LIU CHEN YANG HUANG ZHAO WU ZHOU XU SUN MA ZHU HU GUO HE LIN GAO LUO ZHENG LIANG XIE OUYANG "
        "SIMA NG CHEUNG KWOK HSIEH CHOU",
        "WEI XIAOMING JING JUN LI_HUA YUXUAN HAORAN MEILING QIANG XIUYING YAN GUOQIANG ZIHAN SHUFEN KA_MING WAI_YEE "
        "CHUN_HUNG YU_TING PEI_SHAN",
    ),
    "uyghur": _pool(
        "ABULIKEMU MAIMAITI TUERXUN AIERKEN KADEER WUSIMAN",
        "ABULA DILINUER AYIGULI YUSUFU GULINAER NUERMAIMAITI",
    ),
    "korean": _pool(
        "KIM LEE PARK CHOI JUNG KANG CHO YOON JANG LIM HAN OH SEO SHIN KWON HWANG AHN SONG RYU HONG",
        "MINJUN SEOYEON JI_HOON HYUN_WOO EUN_JI SUNG_MIN HAEUN DO_YUN YOUNGHO KYUNGHEE",
    ),
    "japanese": _pool(
        "SATO SUZUKI TAKAHASHI TANAKA WATANABE ITO YAMAMOTO NAKAMURA KOBAYASHI KATO YOSHIDA MATSUMOTO INOUE ONO",
        "HARUTO YUI SOTA HINA TAKESHI YOKO KENJI NAOKO MASAHIRO KIYOSHI ICHIRO OHJI",
    ),
    "vietnamese": _pool(
        "NGUYEN TRAN LE PHAM HUYNH PHAN VU DANG BUI DO HO NGO DUONG LY",
        "VAN_ANH THI_HOA QUOC_BAO MINH_DUC THANH_TUNG HONG_NHUNG XUAN_PHUC NGOC_LAN",
    ),
    "thai": _pool(
        "SRISAI WONGSAWAT CHAIYASIT PHROMMIN THONGCHAI RATTANAPORN KITTIKHUN SUKSAWAT",
        "SOMCHAI NAPAT SIRIPORN KANYA WICHAI PIMCHANOK ANUCHA",
    ),
    "malay": _pool(
        "BIN_ABDULLAH BINTI_HASSAN BIN_MOHD_YUSOF WIJAYA SUTANTO HARTONO SURYADI_PUTRA SIREGAR",
        "AHMAD_FAIZAL SITI_NURHALIZA MUHAMMAD_IQBAL DEWI AGUS_SETIAWAN PUTRI_AYU FITRI",
    ),
    "filipino": _pool(
        "DELA_CRUZ REYES SANTOS OCAMPO MANALO DIMAGUIBA MACARAEG BAUTISTA PANGILINAN",
        "JUAN_MIGUEL MARIA_CLARA ANGELO JOSEFINA RODRIGO CRISTINA_MAE",
    ),
    "indian": _pool(
        "SHARMA PATEL SINGH KUMAR REDDY NAIR IYER CHATTERJEE MUKHERJEE GUPTA VENKATARAMAN KRISHNAMURTHY KHAN BEGUM "
        "RAHMAN PERERA THAPA SHRESTHA",
        "RAJESH ANANYA PRIYA VIKRAM SUBRAMANIAM LAKSHMI ARJUN KAVITA MOHAMMED_ASIF FATIMA_ZAHRA NIMAL BISHNU",
    ),
    "arabic": _pool(
        "AL_MANSOORI ALHARBI ABDULRAHMAN HADDAD EL_AMRANI BENALI IBN_KHALID AL_SAYED HUSSEIN NASSER BOUAZIZ MAHFOUZ",
        "MOHAMMED AHMED FATIMA AISHA YOUSSEF ABDULLAH_OMAR NOUR_ELHOUDA KHADIJA ZAINAB HASSAN_ALI",
    ),
    "persian": _pool(
        "HOSSEINI AHMADI REZAEI KARIMI MOHAMMADZADEH TEHRANI FARROKHZAD",
        "ALI_REZA MARYAM FATEMEH MEHDI SHIRIN GHOLAM",
    ),
    "turkic": _pool(
        "YILMAZ KAYA DEMIR OEZTUERK SAHIN NAZARBAYEV ABDULLAYEV KARIMOV TOKAYEV MUKHAMEDZHANOVA ALIYEV BERDIMUHAMEDOW",
        "MEHMET AYSE MUSTAFA GUELSUEM AIGERIM NURSULTAN ZHANSAYA ELDOR DILNOZA RUSTAM",
    ),
    "russian": _pool(
        "IVANOV SMIRNOVA KUZNETSOV POPOVA VASILEV SHCHERBAKOV ZHUKOVSKAIA KHRUSHCHEV TCHAIKOVSKY EFREMOV YUDIN",
        "ALEKSANDR NATALIA DMITRII EKATERINA SERGEI OLGA IURII TATIANA VSEVOLOD",
    ),
    "ukrainian": _pool(
        "SHEVCHENKO KOVALENKO BONDARENKO TKACHUK HRYHORENKO LUKASHEVICH",
        "OLEKSANDR YULIIA MYKHAILO OKSANA VOLODYMYR",
    ),
    "caucasian": _pool(
        "BERIDZE KAPANADZE JAVAKHISHVILI HAKOBYAN GRIGORYAN MKRTCHYAN", "GIORGI NINO TAMAR ARMEN HAYK LUSINE"
    ),
    "german": _pool(
        "MUELLER SCHMIDT SCHNEIDER FISCHER WEISS GROSSMANN VON_DER_HEYDEN BAUMGAERTNER OESTERREICHER KOEHLER HUBER "
        "ZUERCHER",
        "ERIKA HANS_PETER JUERGEN ANNELIESE KARL_HEINZ SOPHIE WOLFGANG URSULA_MARIA",
    ),
    "french": _pool(
        "MARTIN BERNARD DUBOIS LEFEBVRE DE_LA_FONTAINE LE_GOFF DAUBIGNE GERARD BERTHIER NOEL",
        "JEAN_PIERRE MARIE_CLAIRE CORINNE ETIENNE FRANCOIS ZOE LOIC ELODIE",
    ),
    "spanish": _pool(
        "GARCIA RODRIGUEZ_LOPEZ FERNANDEZ MUNOZ IBANEZ NUNEZ_DE_BALBOA PEREZ QUISPE_MAMANI VELASQUEZ HERNANDEZ_DIAZ",
        "JOSE_LUIS MARIA_DEL_CARMEN CARLOS ANGELES IGNACIO XIMENA HUGO",
    ),
    "portuguese": _pool(
        "SILVA DOS_SANTOS OLIVEIRA CACADOR_DE_ARAUJO GONCALVES MAGALHAES CONCEICAO",
        "JOAO ANA_BEATRIZ ANDRE ESTEVAO MARIA_DA_GRACA VINICIUS LUIZ_HENRIQUE",
    ),
    "italian": _pool(
        "ROSSI BIANCHI ESPOSITO DI_GIOVANNI DELLACQUA GUGLIELMETTI ZANETTI",
        "GIUSEPPE CHIARA GIAN_LUCA ANNA_MARIA NICCOLO",
    ),
    "dutch": _pool(
        "DE_JONG VAN_DEN_BERG VAN_DER_MEER WIJNGAARDEN IJSSELSTEIN REINARTZ VERMEULEN",
        "WILLEKE JOOST ULRIKE_KATIA PIETER ELS",
    ),
    "nordic": _pool(
        "JOHANSSON SOERENSEN AAKESSON VIRTANEN GUDMUNDSDOTTIR THORVALDSSON BJOERKLUND KORHONEN TAMM KALLAS",
        "SVEN VILMA_SOFIA BJOERN ASTRID OEYVIND AINO THORA MAGNUS",
    ),
    "baltic": _pool("BERZINS OZOLINA KAZLAUSKAS JANKAUSKIENE KALNINS", "JANIS LAIMA VYTAUTAS AGNE ILZE"),
    "polish": _pool(
        "KOWALSKI WISNIEWSKA WOJCIECHOWSKI LEWANDOWSKA SZCZEPANSKI BRZECZYSZCZYKIEWICZ",
        "JAN AGNIESZKA KRZYSZTOF MALGORZATA GRZEGORZ ZOFIA",
    ),
    "czech": _pool(
        "NOVAK SVOBODOVA DVORAK CERNY PROCHAZKOVA HORVATH KOVACS SZABO",
        "JIRI VZOR ZDENEK ZSOFIA ISTVAN KATERINA",
    ),
    "south_slavic": _pool(
        "JOVANOVIC PETROVIC HORVAT NOVAK DIMITROV GEORGIEVA HADZIHASANOVIC KRASNIQI HOXHA",
        "MARKO IVANA DJORDJE STOYAN NADEZHDA ARBEN",
    ),
    "romanian": _pool(
        "POPESCU IONESCU DUMITRU RADULESCU MUNTEANU STEFANESCU",
        "ANDREI ELENA_DIANA MIHAI IOANA CRISTIAN_VASILE",
    ),
    "greek": _pool(
        "PAPADOPOULOS ECONOMIDOU CHATZIGEORGIOU NIKOLAIDIS", "GEORGIOS ELENI KONSTANTINOS PANAGIOTA"
    ),
    "english": _pool(
        "SMITH JONES OBRIEN MACDONALD WILLIAMS OCONNOR_HUGHES BROWN NGATA TAYLOR WRIGHT JOHNSON",
        "JOHN MARY_ANN OLIVIA WILLIAM_GEORGE SIOBHAN HUGH FRED_WIREMU AMELIA",
    ),
    "african": _pool(
        "OKONKWO ADEYEMI MENSAH NKRUMAH MWANGI OTIENO TESFAYE DIALLO TRAORE NDIAYE MBEKI DLAMINI RAKOTOMALALA",
        "CHINEDU NGOZI KWAME AMA WANJIKU ABEBE MAMADOU AMINATA THABO NOMVULA HAJA",
    ),
    "hebrew": _pool("COHEN LEVI MIZRAHI BEN_DAVID FRIEDMAN", "MOSHE TAMAR YITZHAK RIVKA NOAM"),
    "mongolian": _pool("BATBAYAR GANBOLD ENKHTUYA", "DORJ_SUREN OYUUNBILEG TEMUUJIN"),
}

# Which names a state's documents mostly carry; a state that isn't named here takes any.
STATES = {
    "chinese": "CHN TWN SGP MYS HKG MAC",
    "korean": "KOR PRK",
    "japanese": "JPN",
    "vietnamese": "VNM",
    "thai": "THA LAO KHM",
    "malay": "IDN MYS BRN",
    "filipino": "PHL",
    "indian": "IND BGD LKA NPL PAK MUS MDV BTN",
    "arabic": "SAU ARE QAT JOR IRQ EGY MAR DZA TUN LBN SYR YEM OMN KWT BHR LBY SDN",
    "persian": "IRN AFG TJK",
    "turkic": "TUR KAZ UZB AZE KGZ TKM",
    "russian": "RUS BLR KAZ MDA",
    "ukrainian": "UKR",
    "caucasian": "GEO ARM",
    "german": "D AUT CHE LIE LUX",
    "french": "FRA BEL MCO LUX",
    "spanish": "ESP MEX ARG CHL COL PER ECU VEN CUB GTM BOL URY PRY DOM",
    "portuguese": "PRT BRA AGO MOZ CPV",
    "italian": "ITA SMR VAT",
    "dutch": "NLD BEL SUR",
    "nordic": "SWE NOR DNK FIN ISL EST",
    "baltic": "LVA LTU",
    "polish": "POL",
    "czech": "CZE SVK HUN",
    "south_slavic": "SRB HRV SVN BGR MKD MNE BIH RKS ALB",
    "romanian": "ROU MDA",
    "greek": "GRC CYP",
    "english": "GBR USA CAN AUS NZL IRL MLT JAM TTO FJI PNG",
    "african": "NGA GHA KEN ZAF ETH SEN MLI CMR UGA TZA MDG CIV",
    "hebrew": "ISR",
    "mongolian": "MNG",
}
_LANGUAGES = {
    state: [language for language, states in STATES.items() if state in states.split()]
    for states in STATES.values()
    for state in states.split()
}


def person(rng: random.Random, state: str) -> tuple[str, str]:
    """(surname, given names), words divided by single spaces; now and then one name only, or very many."""
    home = _LANGUAGES.get(state)
    language = rng.choice(home) if home and rng.random() < 0.85 else rng.choice(tuple(POOLS))
    if state == "CHN" and rng.random() < 0.06:
        language = "uyghur"
    surnames, given = POOLS[language]
    surname = rng.choice(surnames)
    first = rng.choice(given)
    lottery = rng.random()
    if lottery < 0.12:
        surname += " " + rng.choice(surnames)
    elif lottery < 0.14:
        surname = " ".join(rng.sample(surnames, min(4, len(surnames))))
    if rng.random() < 0.3:
        first += " " + rng.choice(given)
    if rng.random() < 0.02:
        first = ""
    return surname, first
