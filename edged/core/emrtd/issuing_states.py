"""Which country a certificate must name for the issuing state that an MRZ names (Doc 9303-12 §7.1.1, Doc 9303-3 §5).

An MRZ has three letters (or Germany's one), a certificate's countryName two. Not every document is signed under its
own code: passports of Hong Kong and Macao say CHN and are signed by authorities whose certificates say CN, those of
Britain's territories are signed in London, and Kosovo's certificates say KS.
"""

from __future__ import annotations

from typing import Final

_ISO: Final = (
    "ABWAW AFGAF AGOAO AIAAI ALAAX ALBAL ANDAD AREAE ARGAR ARMAM ASMAS ATAAQ ATFTF ATGAG AUSAU AUTAT "
    "AZEAZ BDIBI BELBE BENBJ BESBQ BFABF BGDBD BGRBG BHRBH BHSBS BIHBA BLMBL BLRBY BLZBZ BMUBM BOLBO "
    "BRABR BRBBB BRNBN BTNBT BVTBV BWABW CAFCF CANCA CCKCC CHECH CHLCL CHNCN CIVCI CMRCM CODCD COGCG "
    "COKCK COLCO COMKM CPVCV CRICR CUBCU CUWCW CXRCX CYMKY CYPCY CZECZ DEUDE DJIDJ DMADM DNKDK DOMDO "
    "DZADZ ECUEC EGYEG ERIER ESHEH ESPES ESTEE ETHET FINFI FJIFJ FLKFK FRAFR FROFO FSMFM GABGA GBRGB "
    "GEOGE GGYGG GHAGH GIBGI GINGN GLPGP GMBGM GNBGW GNQGQ GRCGR GRDGD GRLGL GTMGT GUFGF GUMGU GUYGY "
    "HKGHK HMDHM HNDHN HRVHR HTIHT HUNHU IDNID IMNIM INDIN IOTIO IRLIE IRNIR IRQIQ ISLIS ISRIL ITAIT "
    "JAMJM JEYJE JORJO JPNJP KAZKZ KENKE KGZKG KHMKH KIRKI KNAKN KORKR KWTKW LAOLA LBNLB LBRLR LBYLY "
    "LCALC LIELI LKALK LSOLS LTULT LUXLU LVALV MACMO MAFMF MARMA MCOMC MDAMD MDGMG MDVMV MEXMX MHLMH "
    "MKDMK MLIML MLTMT MMRMM MNEME MNGMN MNPMP MOZMZ MRTMR MSRMS MTQMQ MUSMU MWIMW MYSMY MYTYT NAMNA "
    "NCLNC NERNE NFKNF NGANG NICNI NIUNU NLDNL NORNO NPLNP NRUNR NZLNZ OMNOM PAKPK PANPA PCNPN PERPE "
    "PHLPH PLWPW PNGPG POLPL PRIPR PRKKP PRTPT PRYPY PSEPS PYFPF QATQA REURE ROURO RUSRU RWARW SAUSA "
    "SDNSD SENSN SGPSG SGSGS SHNSH SJMSJ SLBSB SLESL SLVSV SMRSM SOMSO SPMPM SRBRS SSDSS STPST SURSR "
    "SVKSK SVNSI SWESE SWZSZ SXMSX SYCSC SYRSY TCATC TCDTD TGOTG THATH TJKTJ TKLTK TKMTM TLSTL TONTO "
    "TTOTT TUNTN TURTR TUVTV TWNTW TZATZ UGAUG UKRUA UMIUM URYUY USAUS UZBUZ VATVA VCTVC VENVE VGBVG "
    "VIRVI VNMVN VUTVU WLFWF WSMWS YEMYE ZAFZA ZMBZM ZWEZW "
)
"""ISO 3166-1: alpha-3 and alpha-2 of each country, one behind the other."""

ALPHA2: Final = {entry[:3]: entry[3:] for entry in _ISO.split()}
"""ISO 3166-1 alpha-2 by alpha-3."""

_BRITISH: Final = "AIA BMU CYM FLK GGY GIB IMN IOT JEY MSR PCN SGS SHN TCA VGB"
_FRENCH: Final = "ATF BLM GLP GUF MAF MTQ MYT NCL PYF REU SPM WLF"
_MORE: Final = {
    **{code: {"GB"} for code in _BRITISH.split()},
    **{code: {"FR"} for code in _FRENCH.split()},
    **{code: {"NL"} for code in ("ABW", "BES", "CUW", "SXM")},
    **{code: {"DK"} for code in ("FRO", "GRL")},
    **{code: {"US"} for code in ("ASM", "GUM", "MNP", "PRI", "VIR")},
    "CHN": {"HK", "MO"},
    "HKG": {"CN"},
    "MAC": {"CN"},
}
"""States that sign for others, beside the code's own country."""

_SPECIAL: Final = {
    "D": {"DE"},
    "EUE": {"EU"},
    "UNO": {"UN"},
    "UNA": {"UN"},
    "RKS": {"KS", "XK"},
    "XXK": {"KS", "XK"},
    "UNK": {"UN", "KS", "XK"},
    "GBD": {"GB", *(ALPHA2[code] for code in _BRITISH.split())},
    "GBN": {"GB"},
    "GBO": {"GB"},
    "GBP": {"GB"},
    "GBS": {"GB"},
    "ANT": {"NL", "AN"},
    "ROM": {"RO"},
    "TMP": {"TL"},
    "ZAR": {"CD"},
    "UTO": {"UT"},
}
"""Codes that ISO doesn't have. Other organisations (XOM, XPO, …) are left out: what their certificates say isn't
settled anywhere that could be checked, and a guess would be a false accusation."""


def certificate_countries(state: str) -> frozenset[str]:
    """countryNames that may sign a document of this issuing state, upper case.

    `state` is the MRZ's code without fillers. Empty for a code that isn't known: nothing can be said then.
    """
    if state in _SPECIAL:
        return frozenset(_SPECIAL[state])
    own = ALPHA2.get(state)
    if own is None:
        return frozenset()
    # Some certificates spell the country with the MRZ's own three letters.
    return frozenset({own, state, *_MORE.get(state, ())})


def same_country(one: str, other: str) -> bool:
    """Whether two countryNames, upper case, are one authority's: "DEU" is "DE", Kosovo has two, China's regions one."""
    return _plain(one) == _plain(other)


def _plain(country: str) -> str:
    alike = {"XK": "KS", "HK": "CN", "MO": "CN"}
    short = ALPHA2.get(country, country)
    return alike.get(short, short)


def state_of(country: str) -> str:
    """The MRZ's code for a certificate's country, for naming it to people; the country itself when there is none."""
    if country == "DE":
        return "D"
    special = {"EU": "EUE", "UN": "UNO", "KS": "RKS", "XK": "RKS", "UT": "UTO"}
    return special.get(country) or _ALPHA3.get(country, country)


_ALPHA3: Final = {alpha2: alpha3 for alpha3, alpha2 in ALPHA2.items()}
