import numpy as np
from numpy.typing import NDArray

def fit(
    shares: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], float, float] | None: ...
