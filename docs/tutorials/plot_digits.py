"""
Digits and their soft labels
============================

Labels are mixed with the weights of the samples. This page mixes handwritten digits,
looks at the mixed labels, and computes a loss on them, with and without an array of
all classes.

It needs the extra ``cli``, which brings scikit-learn and Matplotlib.
"""

# %%
# One call
# --------
#
# Classes go in as integers, and rows of probabilities come out, which needs the number
# of classes. With ``rng=0`` the mixture is the same each time.

import matplotlib.pyplot as plt
import numpy as np
import zetamix
from sklearn.datasets import load_digits

digits = load_digits()
images, labels = digits.images[:64] / 16, digits.target[:64]

mixed, soft = zetamix.zeta_mixup(images, labels, num_mix=16, num_classes=10, rng=0)
print(mixed.shape, soft.shape)
print(soft[0].round(3))

# %%
# Compared with mixup, whose λ is drawn from a uniform distribution, these mixtures are
# legible, and each carries traces of many samples:

mixup_images, mixup_soft = zetamix.mixup(images, labels, num_classes=10, rng=0)

rows = {
    "originals": (images, np.eye(10)[labels]),
    "mixup": (mixup_images, mixup_soft),
    "ζ-mixup": (mixed, soft),
}
figure, axes = plt.subplots(
    6, 8, figsize=(9, 5.6), layout="constrained", height_ratios=[3, 1] * 3
)
for row, (name, (pictures, targets)) in enumerate(rows.items()):
    for column in range(8):
        picture, bars = axes[2 * row : 2 * row + 2, column]
        picture.imshow(pictures[column], cmap="gray_r", vmin=0, vmax=1)
        picture.set(xticks=[], yticks=[])
        bars.bar(range(10), targets[column], color="tab:orange", width=0.9)
        bars.set(ylim=(0, 1), yticks=[], xticks=[0, 5, 9])
        bars.tick_params(labelsize=7)
    axes[2 * row, 0].set_ylabel(name)

# %%
# Richer labels
# -------------
#
# The entropy of a label shows how much it says beyond one class; its exponential is an
# effective number of classes. A small γ makes labels rich, and samples less like the
# data: that is the trade-off.

gammas = np.linspace(1.6, 6, 12)
effective, heaviest = [], []
for gamma in gammas:
    plan = zetamix.zeta_plan(64, gamma=gamma, num_mix=16, rng=0)
    targets = plan.mix_labels(labels, num_classes=10)
    effective.append(zetamix.metrics.label_richness(targets).effective_classes.mean())
    heaviest.append(targets.max(axis=1).mean())

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left.plot(gammas, effective, color="tab:orange")
left.set(xlabel="γ", title="effective number of classes", ylim=1)
right.plot(gammas, heaviest, color="tab:orange")
right.set(xlabel="γ", title="largest probability", ylim=(0, 1))
for ax, value in (
    (left, zetamix.metrics.label_richness(mixup_soft).effective_classes.mean()),
    (right, mixup_soft.max(axis=1).mean()),
):
    ax.axhline(value, color="tab:blue", ls="--", label="mixup")
    ax.legend()

# %%
# Thousands of classes
# --------------------
#
# An array of all classes may be larger than the images. The T classes and weights of a
# mixture say the same, and a loss can be mixed instead of the labels.

plan = zetamix.zeta_plan(64, num_mix=16, rng=0)
classes, weights = plan.sparse_labels(labels)
for value, weight in zip(classes[0, :5], weights[0, :5], strict=True):
    print(f"{weight:.3f} of a {value}")

# %%
# Here is a cross-entropy both ways, for a model that guesses. The mixed loss calls a
# loss on class ids once for each rank.

scores = np.random.default_rng(0).normal(size=(64, 10))
log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def cross_entropy(log_probs, classes):
    return -log_probs[np.arange(len(classes)), classes]


sparse = zetamix.mixed_loss(cross_entropy, log_probs, labels, plan)
dense = -(plan.mix_labels(labels, num_classes=10) * log_probs).sum(axis=1).mean()
print(sparse, dense)

# %%
# Several arrays
# --------------
#
# A plan mixes all arrays that share its first axis. For a nested batch, say which
# integers are classes, so that no class id is averaged by accident; a mask of classes
# becomes a soft mask.

batch = {"image": images, "ink": (images > 0.5).astype(int), "label": labels}
together = plan.apply(batch, num_classes={"ink": 2, "label": 10})
print({name: array.shape for name, array in together.items()})

# %%
figure, axes = plt.subplots(1, 8, figsize=(9, 1.4), layout="constrained")
for ax, mask in zip(axes, together["ink"][..., 1], strict=False):
    ax.imshow(mask, cmap="viridis", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
figure.suptitle("probability of ink")

plt.show()

# %%
# :doc:`/labels` lists the forms of labels. Training follows in
# :doc:`/gallery/plot_torch_training` and :doc:`/gallery/plot_jax_grain`.
