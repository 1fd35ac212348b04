from collections.abc import Sequence
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

_Pair: TypeAlias = tuple[int, int]
_Layer: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32], _Pair, _Pair, bool]

def isas() -> tuple[str, ...]: ...

@final
class Net:
    classes: int
    height: int
    def __init__(self, layers: Sequence[_Layer], height: int, isa: str = "") -> None: ...
    def probabilities(self, strips: NDArray[np.uint8]) -> NDArray[np.float32]: ...
