"""How many calls of Python a mixture takes: at small sizes they are what it costs."""

import sys
from pathlib import Path

import numpy as np
import pytest
import zetamix

import zetamix_core

OURS = tuple(str(Path(each.__file__).parent) for each in (zetamix, zetamix_core))
X, Y = np.ones((8, 3, 4, 4), dtype=np.float32), np.arange(8) % 5


def counted(function):
    """The number of functions of Python that are called, in all and of the package."""
    calls = []

    def note(frame, event, arg):
        if event == "call":
            calls.append(frame.f_code.co_filename.startswith(OURS))

    for _ in range(2):  # the first call imports, and remembers weights
        function()
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return len(calls), sum(calls)


def test_a_call_in_numpy():
    whole, ours = counted(lambda: zetamix.zeta_mixup(X, Y, num_classes=5, rng=0))
    assert ours <= 130
    assert whole <= 155  # 146 with NumPy 2.4


def test_a_plan_is_applied_with_few_questions():
    plan = zetamix.zeta_plan(8, rng=0)
    assert counted(lambda: plan @ X)[1] <= 60
    assert counted(lambda: plan.mix_labels(Y, 5))[1] <= 40


@pytest.mark.needs("torch")
def test_a_call_of_a_module():
    import torch
    from zetamix.torch import ZetaMixup

    mix = ZetaMixup(num_classes=5, seed=0)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    whole, ours = counted(lambda: mix(x, y))
    assert ours <= 210
    assert whole <= 280  # 266 with NumPy 2.4 and torch 2.13
