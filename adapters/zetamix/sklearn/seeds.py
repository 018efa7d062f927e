"""From the `random_state` of scikit-learn to a portable source of randomness."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def seed_of(random_state: Any) -> int:
    """Return a seed: the int itself, or one that is drawn."""
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    high, low = check_random_state(random_state).randint(2**31, size=2)
    return int(high) << 31 | int(low)
