"""Names of the months as documents print them: capitals without accents, full and shortened.

Languages of ICAO member states that are written in Latin letters. A name that two languages give to different months
(LIS: October in Croatian, November in Polish) has both.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

_NAMES: Final = (
    # English, French, German, Spanish, Portuguese, Italian, Dutch; Nordic; Slavic and Baltic; others
    """JAN JANUARY JANV JANVIER JANUAR ENE ENERO JANEIRO GEN GENNAIO JANUARI TAM TAMMI STY STYCZEN LED LEDEN SIJ SAU
    JAAN OCA OCAK IAN IANUARIE EAN""",
    """FEB FEBR FEBRUARY FEV FEVR FEVRIER FEBRUAR FEBRERO FEVEREIRO FEBBRAIO FEBRUARI HEL HELMI LUT LUTY UNO UNOR VELJ
    VAS VEEBR SUB SUBAT FEBRUARIE SHK FEA""",
    """MAR MARCH MARS MARZ MRZ MAERZ MARZO MARCO MAA MAART MRT MAALIS MARZEC BRE BREZEN OZU KOV MARTS MART MARTIE""",
    """APR APRIL AVR AVRIL ABR ABRIL APRILE HUH HUHTI KWI KWIECIEN DUB DUBEN TRA BAL NISAN NIS APRILIE PRI AIB""",
    """MAY MAI MAYO MAIO MAG MAGGIO MEI MAJ TOU TOUKO KVE KVETEN SVI GEG MAIJS MAYIS BEA""",
    """JUN JUNE JUIN JUNI JUNIO JUNHO GIU GIUGNO KES KESA CZE CZERWIEC CER CERVEN LIP BIR HAZIRAN HAZ IUN IUNIE QER
    MEI""",
    """JUL JULY JUIL JUILLET JULI JULIO JULHO LUG LUGLIO HEI HEINA LIP LIPIEC CVC CER CERVENEC SRP LIE TEMMUZ TEM IUL
    IULIE KOR""",
    """AUG AUGUST AOU AOUT AGO AGOSTO AUGUSTUS AUGUSTI ELO ELOKUU SIE SIERPIEN SRP RGP AGUSTOS AGU GUS AVGUST AVG
    LUN""",
    """SEP SEPT SEPTEMBER SEPTEMBRE SEPTIEMBRE SET SETT SETEMBRO SETTEMBRE SYY SYYS WRZ WRZESIEN ZAR ZARI RUJ RGS EYL
    EYLUL SEPTEMBRIE SHT MEA""",
    """OCT OCTOBER OCTOBRE OKT OKTOBER OCTUBRE OUT OUTUBRO OTT OTTOBRE LOK LOKA PAZ RIJ RIJEN LIS SPA EKIM EKI OCTOMBRIE
    TET DFO""",
    """NOV NOVEMBER NOVEMBRE NOVIEMBRE NOVEMBRO MARRAS LIS LISTOPAD STU LAP KASIM KAS NOIEMBRIE NOI NEN SAM""",
    """DEC DECEMBER DECEMBRE DEZ DEZEMBER DIC DICIEMBRE DEZEMBRO DICEMBRE DES DESEMBER JOU JOULU GRU GRUDZIEN PRO
    PROSINEC GRD ARALIK ARA DECEMBRIE DHJ NOL""",
)


def _by_name() -> dict[str, tuple[int, ...]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for month, names in enumerate(_NAMES, 1):
        for name in names.split():
            found[name].append(month)
    return {name: tuple(months) for name, months in found.items()}


MONTHS: Final = _by_name()
"""The months that each name may mean."""
