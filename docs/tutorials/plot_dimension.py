"""
The intrinsic dimension of your data
====================================

Images of digits have 64 pixels, but around each of them the data extend in a few
directions only. Mixtures that leave the data add directions. This page measures that
to choose a γ; put your own samples in place of the digits.

It needs the extra ``cli``, which brings scikit-learn and Matplotlib.
"""

# %%
# In how many directions?
# -----------------------
#
# :func:`~zetamix.metrics.local_intrinsic_dimension` takes the 128 nearest
# neighbours of each sample and counts the eigenvalues of their covariance that are
# above 5% of the largest.

import matplotlib.pyplot as plt
import numpy as np
import zetamix
from sklearn.datasets import load_digits

x, y = load_digits(return_X_y=True)
x = x / 16

dimension = zetamix.metrics.local_intrinsic_dimension(x)
print(x.shape[1], "pixels,", dimension.mean().round(1), "dimensions")

# %%
# Digits differ: there are fewer ways to write a one than an eight.

figure, ax = plt.subplots(figsize=(9, 2.8), layout="constrained")
ax.violinplot([dimension[y == digit] for digit in range(10)], range(10), showmeans=True)
ax.set(xticks=range(10), xlabel="digit", ylabel="local dimension")

# %%
# What mixing adds
# ----------------
#
# We mix an epoch in batches of 32, as in training, also by mixup, whose partners may be
# any samples, and measure the mixtures like a data set of their own.


def epoch(**options):
    return np.concatenate(
        [mixed for mixed, _ in zetamix.batches(x, y, 32, seed=0, **options)]
    )


mixtures = {"originals": x, "mixup": zetamix.mixup_plan(len(x), rng=0) @ x}
mixtures |= {
    f"γ = {gamma}": epoch(gamma=gamma, num_classes=10) for gamma in (1.8, 2.8, 4.0)
}
for name, samples in mixtures.items():
    dimension = zetamix.metrics.local_intrinsic_dimension(samples)
    quality = zetamix.metrics.realism_diversity(x, samples)
    print(
        f"{name:>9}: {dimension.mean():4.1f} dimensions, "
        f"precision {quality.precision:.3f}, recall {quality.recall:.3f}"
    )

# %%
# Precision is the share of mixtures within reach of originals, recall the share of
# originals within reach of mixtures. mixup adds four dimensions, and so does γ = 1.8,
# whose mixtures are realistic but reach few of the originals; at γ = 2.8 both measures
# are those of the originals, and one dimension is added.
#
# Which γ?
# --------
#
# :func:`~zetamix.metrics.gamma_report` does this on a grid of γ, and suggests the
# smallest from which on the data keep their shape: smaller γ give richer labels and
# newer samples.

report = zetamix.metrics.gamma_report(
    x, y, num_classes=10, gammas=(1.8, 2.0, 2.4, 2.8, 3.2, 4, 6)
)
print(report)

# %%
# Its rows are named tuples, ready for a table or a picture.

zeta = [row for row in report.rows if row.gamma is not None]
mixup = next(row for row in report.rows if row.name == "mixup")

figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for ax, name in zip(axes, ("dimension", "recall", "effective_classes"), strict=True):
    ax.plot(
        [row.gamma for row in zeta],
        [getattr(row, name) for row in zeta],
        color="tab:orange",
    )
    ax.axhline(getattr(report.originals, name), color="black", label="originals")
    ax.axhline(getattr(mixup, name), color="tab:blue", ls="--", label="mixup")
    ax.axvline(report.suggested_gamma, color="0.8", zorder=0, lw=6)
    ax.set(xlabel="γ", title=name.replace("_", " "))
axes[0].legend()

# %%
# The gray stripe is the suggestion: try it first. A validation set decides what trains
# best.
#
# The scale matters
# -----------------
#
# The dimension depends on the size of the neighbourhoods. With few neighbours it is
# bounded by their number, and with many it includes the curvature of the data: compare
# only values from the same number of neighbours.

sizes = (16, 32, 64, 128, 256)
by_size = {
    name: [
        zetamix.metrics.local_intrinsic_dimension(z, n_neighbors=k).mean()
        for k in sizes
    ]
    for name, z in mixtures.items()
}
figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
for name, means in by_size.items():
    ax.plot(sizes, means, marker="o", label=name)
ax.set(
    xscale="log",
    xticks=sizes,
    xticklabels=sizes,
    xlabel="neighbours",
    ylabel="dimension",
)
ax.minorticks_off()
ax.legend()

plt.show()

# %%
# ``zetamix report data.npz`` makes a page of all this from a file, with samples to look
# at and a slider for γ: :doc:`/metrics`.
