from collections.abc import Sequence
from typing import Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

_Pair: TypeAlias = tuple[int, int]
_Layer: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32], _Pair, _Pair, bool]

def isas() -> tuple[str, ...]: ...

@final
class Net:
    @property
    def classes(self) -> int: ...
    @property
    def height(self) -> int: ...
    def __new__(cls, layers: Sequence[_Layer], height: int, isa: str = "") -> Self: ...
    def probabilities(self, strips: NDArray[np.uint8]) -> NDArray[np.float32]: ...
