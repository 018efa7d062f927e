"""
ζ-mixup on curves in the plane
==============================

Where do mixed samples end up? In two dimensions we can look. This page mixes points on
half-moons and on a helix, by mixup and by ζ-mixup, and measures how far they leave the
curve.

It needs the extra ``cli``, which brings scikit-learn and Matplotlib.
"""

# %%
# Two samples, or many
# --------------------
#
# mixup draws a partner for each sample, anywhere in the data, and a point on the line
# between the two. ζ-mixup draws an ordering of many samples and gives the r-th of them
# the weight :math:`r^{-\gamma} / \sum_j j^{-\gamma}`, so that the first one dominates.
# Both yield a *plan*: indices and weights that can be applied to any array.

import matplotlib.pyplot as plt
import numpy as np
import zetamix
from sklearn.datasets import make_moons

x, y = make_moons(512, noise=0.05, random_state=0)

mixup = zetamix.mixup_plan(len(x), rng=0)
zeta = zetamix.zeta_plan(len(x), gamma=2.8, num_mix=32, rng=0)
print(zeta.indices[0])
print(zeta.weights.round(3))

# %%
# Apply them with ``@``, which also takes the labels 0 and 1 as numbers; mixed labels
# lie between, and color the points. (For more than two classes, ``plan.mix_labels``
# turns labels into probabilities.)

panels = {"originals": None, "mixup": mixup, "ζ-mixup, γ = 2.8": zeta}
figure, axes = plt.subplots(
    1, 3, figsize=(9, 2.1), layout="constrained", sharex=True, sharey=True
)
for ax, (name, plan) in zip(axes, panels.items(), strict=True):
    points, labels = (x, y) if plan is None else (plan @ x, plan @ y)
    shown = ax.scatter(*points.T, c=labels, s=5, cmap="coolwarm", vmin=0, vmax=1)
    ax.set(title=name, aspect="equal", xticks=[], yticks=[])
figure.colorbar(shown, ax=axes, label="label", ticks=[0, 0.5, 1])

# %%
# Many points of mixup lie between the moons, with a label between 0 and 1. Those of
# ζ-mixup have moved a little towards the middle, and no label is near one half. The
# distance is known in advance: :func:`zetamix.theory.displacement
# <zetamix.theory.displacement>` is the root mean square of the distance between a
# sample and its mixture, in units of the spread of the data.

spread = np.sqrt(x.var(axis=0).sum())
for name, plan in (("mixup", mixup), ("ζ-mixup", zeta)):
    moved = np.sqrt(np.square(plan @ x - x).sum(axis=1).mean()) / spread
    print(f"{name}: {moved:.3f}")
print(f"expected of ζ-mixup: {zetamix.theory.displacement(2.8, 32):.3f}")

# %%
# What γ does
# -----------
#
# For one γ, a sample has as many mixtures as there are orderings of the other samples.
# Here are 400 mixtures of each of the two points in black rings: a plan may have more
# outputs than samples, and output i is anchored on sample i mod N, so every 512th
# output belongs to one point.

anchors = {100: "tab:blue", 200: "tab:orange"}
figure, axes = plt.subplots(
    1, 4, figsize=(9, 1.6), layout="constrained", sharex=True, sharey=True
)
for ax, gamma in zip(axes, (1.0, 1.7, 2.8, 6.0), strict=True):
    plan = zetamix.zeta_plan(
        len(x), gamma=gamma, num_mix=32, num_outputs=400 * len(x), rng=1
    )
    mixed = plan @ x
    ax.scatter(*x.T, s=3, color="0.8")
    for anchor, color in anchors.items():
        ax.scatter(*mixed[anchor :: len(x)].T, s=3, color=color)
        ax.scatter(*x[anchor], s=50, facecolor="none", edgecolor="black")
    ax.set(title=f"γ = {gamma}", aspect="equal", xticks=[], yticks=[])

# %%
# At γ = 1 the mixtures of both points crowd in the middle of the data. The larger γ,
# the closer they stay to their own point. The second panel is just above the threshold
# for mixtures of 32, where the first sample begins to outweigh all others together:

print(zetamix.theory.dominance_threshold(32))

# %%
# A thin curve needs a larger γ
# -----------------------------
#
# Samples of a helix are far from each other compared with its thickness, which is zero.
# γ = 2.8 gives a fifth of the weight to other samples, enough to leave the curve.
# :func:`zetamix.metrics.nearest_distance <zetamix.metrics.nearest_distance>` measures
# how far mixed samples are from the originals.

angle = np.random.default_rng(0).uniform(0, 6 * np.pi, size=4096)
helix = np.stack([np.cos(angle), np.sin(angle), angle / 6], axis=1)

gammas = np.linspace(1.5, 8, 14)
plans = [zetamix.zeta_plan(4096, gamma=gamma, num_mix=32, rng=0) for gamma in gammas]
distances = [
    zetamix.metrics.nearest_distance(helix, plan @ helix).mean() for plan in plans
]
mixup = zetamix.metrics.nearest_distance(
    helix, zetamix.mixup_plan(4096, rng=0) @ helix
).mean()

figure = plt.figure(figsize=(9, 3.4), layout="constrained")
for place, gamma in enumerate((2.8, 6.0), start=1):
    ax = figure.add_subplot(1, 3, place, projection="3d")
    mixed = zetamix.zeta_plan(4096, gamma=gamma, num_mix=32, rng=0) @ helix
    ax.scatter(*mixed[::4].T, c=angle[::4], s=3, cmap="twilight")
    ax.set(title=f"γ = {gamma}", xticks=[], yticks=[], zticks=[])
ax = figure.add_subplot(1, 3, 3)
ax.plot(gammas, distances, color="tab:orange", label="ζ-mixup")
ax.axhline(mixup, color="tab:blue", ls="--", label="mixup")
ax.set(xlabel="γ", title="mean distance to the data", ylim=0)
ax.legend()

plt.show()

# %%
# Below a γ of about 2.6, mixtures end up farther from the curve than those of mixup,
# whose λ is often close to 0 or 1; above, they come near, and at γ = 6 they appear to
# lie on it. So the right γ depends on the data. :doc:`/gallery/plot_dimension` chooses
# it for data that cannot be plotted, and :doc:`/metrics` has results on eight data
# sets.
