"""Parts of the world by the code that a document prints: the five regions of UN M49, and what belongs to none.

Grouping: United Nations Statistics Division, "Standard country or area codes for statistical use" (M49), the level
under "World". Codes: ISO 3166-1 alpha-3 and the special ones of ICAO Doc 9303-3 §5 (`edged.core.countries`; a test
compares). M49 has no entry for Taiwan, Kosovo and Antarctica: the first two are where they lie, the last belongs to no
region. The five British codes are those of one issuing state. Organisations, persons without a state and specimens are
`other`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER: Final = "other"

REGIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "africa": """
            AGO ATF BDI BEN BFA BWA CAF CIV CMR COD COG COM CPV DJI DZA EGY ERI ESH ETH GAB GHA GIN GMB GNB
            GNQ IOT KEN LBR LBY LSO MAR MDG MLI MOZ MRT MUS MWI MYT NAM NER NGA REU RWA SDN SEN SHN SLE SOM
            SSD STP SWZ SYC TCD TGO TUN TZA UGA ZAF ZAR ZMB ZWE
        """,
        "americas": """
            ABW AIA ANT ARG ATG BES BHS BLM BLZ BMU BOL BRA BRB BVT CAN CHL COL CRI CUB CUW CYM DMA DOM ECU
            FLK GLP GRD GRL GTM GUF GUY HND HTI JAM KNA LCA MAF MEX MSR MTQ NIC PAN PER PRI PRY SGS SLV SPM
            SUR SXM TCA TTO URY USA VCT VEN VGB VIR
        """,
        "asia": """
            AFG ARE ARM AZE BGD BHR BRN BTN CHN CYP GEO HKG IDN IND IRN IRQ ISR JOR JPN KAZ KGZ KHM KOR KWT
            LAO LBN LKA MAC MDV MMR MNG MYS NPL NTZ OMN PAK PHL PRK PSE QAT SAU SGP SYR THA TJK TKM TLS TMP
            TUR TWN UZB VNM YEM
        """,
        "europe": """
            ALA ALB AND AUT BEL BGR BIH BLR CHE CZE D DEU DNK ESP EST FIN FRA FRO GBD GBN GBO GBP GBR GBS
            GGY GIB GRC HRV HUN IMN IRL ISL ITA JEY LIE LTU LUX LVA MCO MDA MKD MLT MNE NLD NOR POL PRT RKS
            ROM ROU RUS SJM SMR SRB SVK SVN SWE UKR UNK VAT XXK YUG
        """,
        "oceania": """
            ASM AUS CCK COK CXR FJI FSM GUM HMD KIR MHL MNP NCL NFK NIU NRU NZL PCN PLW PNG PYF SLB TKL TON
            TUV UMI VUT WLF WSM
        """,
        OTHER: "ATA EUE INP UNA UNO UTO XBA XCC XCE XCO XDC XEC XES XIM XOM XPO XXA XXB XXC XXX",
    }
)
"""Region to its codes."""

REGION_OF: Final[Mapping[str, str]] = MappingProxyType(
    {code: region for region, codes in REGIONS.items() for code in codes.split()}
)
