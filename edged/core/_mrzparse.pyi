import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar, final

from edged.core._fastmrz import Kernel
from edged.core._mrzfields import Parsed
from edged.core.layouts import DocumentClass, MrzFormat
from edged.core.mrz_checks import Judge

_Made = TypeVar("_Made", bound=Parsed)

@final
class Parser(Generic[_Made]):
    def __new__(
        cls,
        kernel: Kernel,
        made: type[_Made],
        judges: tuple[Judge, ...],
        codes: Sequence[str],
        numbers: Mapping[str, Sequence[str]],
        document_class: Callable[[MrzFormat, str], DocumentClass],
        cf_name: tuple[int, int],
        cf_nationality: tuple[int, int],
    ) -> Parser[_Made]: ...
    def parse(self, lines: Sequence[str], today: datetime.date) -> _Made | None: ...
