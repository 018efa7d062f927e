"""The core names that adapters use besides the public ones: their only way into its modules."""

from zetamix_core.annotations import RNG, Donors, Gamma, RoleOptions, SupportsSamples
from zetamix_core.arrays import (
    Array,
    Facts,
    from_host,
    is_array,
    is_dask,
    is_jax,
    is_jax_key,
    is_jax_tracing,
    is_numpy,
    library,
    namespace,
    quick_facts,
    to_host,
)
from zetamix_core.blocks import Blocks
from zetamix_core.checks import (
    check_count,
    check_gamma,
    check_gamma_of_batches,
    check_lengths,
    check_no_ids,
    check_num_mix_of_batches,
    check_number,
    check_same_samples,
    check_samples,
    check_unmarked,
    checked_blocks,
)
from zetamix_core.donors import check_groups
from zetamix_core.dtypes import cast, kind
from zetamix_core.epochs import Epoch, checked_dtype, in_dtype
from zetamix_core.files import replacing
from zetamix_core.inputs import foreign
from zetamix_core.items import check_options, checked_index, refuse_item, stacked
from zetamix_core.keywords import random_by
from zetamix_core.labels import check_num_classes, checked_form, label_options
from zetamix_core.leaves import (
    Batch,
    Leaf,
    at,
    check_leaf,
    flat_pair,
    found_at,
    join,
    leave,
    of_most_axes,
    subject,
)
from zetamix_core.metrics.experiment import Experiment
from zetamix_core.metrics.methods import (
    MIXUP,
    ORIGINALS,
    Key,
    Method,
    epoch_plan,
    mixup_method,
    shuffled_plan,
    zeta_method,
)
from zetamix_core.npz import (
    UNREADABLE,
    X_NAMES,
    Y_NAMES,
    check_claim,
    check_expansion,
    chosen_name,
)
from zetamix_core.numbers import is_whole_number
from zetamix_core.oversampling import grown
from zetamix_core.pixels import checked_pixels
from zetamix_core.random import Stream, stream_for
from zetamix_core.random.seeds import checked_part
from zetamix_core.roles import (
    Found,
    Roles,
    guessed_labels,
    mixed_leaves,
    paths_of_images,
    unmixed_leaves,
)
from zetamix_core.rules.base import averages, check_rule, drawn, mixed_samples, takes_groups
from zetamix_core.rules.one_of import check_asked, chosen, ends, shares
from zetamix_core.threads import num_cores, over_cores

__all__ = [
    "MIXUP",
    "ORIGINALS",
    "RNG",
    "UNREADABLE",
    "X_NAMES",
    "Y_NAMES",
    "Array",
    "Batch",
    "Blocks",
    "Donors",
    "Epoch",
    "Experiment",
    "Facts",
    "Found",
    "Gamma",
    "Key",
    "Leaf",
    "Method",
    "RoleOptions",
    "Roles",
    "Stream",
    "SupportsSamples",
    "at",
    "averages",
    "cast",
    "check_asked",
    "check_claim",
    "check_count",
    "check_expansion",
    "check_gamma",
    "check_gamma_of_batches",
    "check_groups",
    "check_leaf",
    "check_lengths",
    "check_no_ids",
    "check_num_classes",
    "check_num_mix_of_batches",
    "check_number",
    "check_options",
    "check_rule",
    "check_same_samples",
    "check_samples",
    "check_unmarked",
    "checked_blocks",
    "checked_dtype",
    "checked_form",
    "checked_index",
    "checked_part",
    "checked_pixels",
    "chosen",
    "chosen_name",
    "drawn",
    "ends",
    "epoch_plan",
    "flat_pair",
    "foreign",
    "found_at",
    "from_host",
    "grown",
    "guessed_labels",
    "in_dtype",
    "is_array",
    "is_dask",
    "is_jax",
    "is_jax_key",
    "is_jax_tracing",
    "is_numpy",
    "is_whole_number",
    "join",
    "kind",
    "label_options",
    "leave",
    "library",
    "mixed_leaves",
    "mixed_samples",
    "mixup_method",
    "namespace",
    "num_cores",
    "of_most_axes",
    "over_cores",
    "paths_of_images",
    "quick_facts",
    "random_by",
    "refuse_item",
    "replacing",
    "shares",
    "shuffled_plan",
    "stacked",
    "stream_for",
    "subject",
    "takes_groups",
    "to_host",
    "unmixed_leaves",
    "zeta_method",
]
