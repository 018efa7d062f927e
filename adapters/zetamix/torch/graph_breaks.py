"""Functions that `torch.compile` can't trace, each with the reason that it shows.

Importing this module imports the compiler, which takes longer than torch itself. So other modules
import it only while a graph is traced.
"""

from __future__ import annotations

from typing import Any

import torch

from zetamix.torch.keys import word_of as _word_of
from zetamix.torch.one_of import chosen_transform as _chosen_transform
from zetamix_core.adapting import chosen as _chosen

_disable: Any = torch.compiler.disable

word_of = _disable(
    _word_of, reason="a torch.Generator can't be traced; pass seed= to draw inside of graphs"
)
chosen_rule = _disable(
    _chosen,
    reason="OneOf chooses on the host, which can't be traced; each of its rules is a graph",
)
chosen_transform = _disable(
    _chosen_transform,
    reason="OneOf chooses on the host, which can't be traced; compile its transforms instead",
)
