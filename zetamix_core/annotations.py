"""Types of arguments, for type checkers; nothing here is checked at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    SupportsFloat,
    SupportsIndex,
    TypeAlias,
    TypedDict,
    TypeVar,
)

import numpy as np

if TYPE_CHECKING:
    from zetamix_core.rules.base import Rule


class SupportsSamples(Protocol):
    """An array of any library, as far as checkers can tell."""

    @property
    def shape(self) -> Any:
        """Lengths of the axes, samples first."""

    @property
    def dtype(self) -> Any:
        """Type of the entries."""

    @property
    def ndim(self) -> int:
        """Number of axes."""


class SupportsSeed(Protocol):
    """A torch generator, without importing torch."""

    def initial_seed(self) -> int:
        """Return the seed it was made with."""


class SupportsOrderings(Protocol):
    """A stream of draws, as rules pass it on."""

    def orderings(self, num_outputs: int, n: int, num_mix: int, *, anchored: bool) -> Any:
        """Return the orderings of a plan."""


# Arrays of NumPy change their dtype where integers are mixed, which those of other libraries do not
# tell checkers.
AnyNumpy: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Samples = TypeVar("Samples", bound=SupportsSamples)

# γ: one for all outputs, or an array with one for each.
Gamma: TypeAlias = SupportsFloat | SupportsSamples
# Sources of randomness; an array is a key of JAX or torch.
RNG: TypeAlias = (
    SupportsIndex
    | tuple[SupportsIndex, ...]
    | np.random.SeedSequence
    | np.random.Generator
    | SupportsSamples
    | SupportsSeed
    | SupportsOrderings
    | Literal["device"]
    | None
)


# The donors of a sample: a rule for groups, or a table.
Donors: TypeAlias = Literal["same", "other"] | SupportsSamples | None


class RoleOptions(TypedDict, total=False):
    """Declarations for the leaves of a batch, by path; see `Plan.apply`."""

    as_data: str | Iterable[str]
    keep: str | Iterable[str]
    dominant: str | Iterable[str]
    ignore_index: int | Mapping[str, int] | None
    positions: str | Iterable[str]
    onehot: Mapping[str, int] | None
    scaled: str | Iterable[str]
    valid: Mapping[str, str] | None


class _BatchOptions(TypedDict, total=False):
    num_classes: int | None
    ignore_index: int | None
    groups: SupportsSamples | None
    rng: RNG


class MixOptions(_BatchOptions, total=False):
    """The options of `mix`."""

    step: Any


class _ShortFormOptions(_BatchOptions, total=False):
    anchored: bool
    donors: Literal["same", "other"] | None


class ZetaOptions(_ShortFormOptions, total=False):
    """The options of `zeta_mixup`."""

    gamma: Gamma
    num_mix: int | None


class MixupOptions(_ShortFormOptions, total=False):
    """The options of `mixup`."""

    alpha: float
    per_sample: bool


class CutMixOptions(MixupOptions, total=False):
    """The options of `cutmix`."""

    axes: tuple[int, ...] | list[int]


class EpochOptions(TypedDict, total=False):
    """The options of `batches`."""

    rule: Rule | None
    groups: SupportsSamples | None
    gamma: float
    num_mix: int | None
    num_classes: int | None
    anchored: bool
    shuffle: bool
    drop_last: bool
    dtype: Any
    seed: int | None
    epoch: int
