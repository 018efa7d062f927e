"""Numbers that an object shares with its copies in the workers of a DataLoader."""

from __future__ import annotations

import os
from typing import Any, Self

from torch import Tensor
from torch.utils.data import get_worker_info


class SharesNumbers:
    """An object with a tensor of integers that the workers of its process share.

    Other processes that are forked with it, such as those of other ranks, detach from it as soon as
    they write.
    """

    _shared: Tensor
    _owner: int

    def __copy__(self) -> Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._share(self._shared.clone())  # otherwise both would write to one place
        return other

    def __getstate__(self) -> dict[str, Any]:
        self._own()
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if not self._shared.is_shared():  # type: ignore[no-untyped-call]
            self._share(self._shared)

    def _share(self, memory: Tensor) -> None:
        """Share memory with the workers of this process."""
        self._shared = memory
        self._shared.share_memory_()  # type: ignore[no-untyped-call]
        self._owner = os.getpid()

    def _own(self) -> None:
        """Detach from memory inherited from a parent process, which other ranks may share."""
        if get_worker_info() is None:
            own = self._owner == os.getpid()
            self._share(self._shared if own else self._shared.clone())
