"""
Mixing hidden features
======================

A plan mixes any array with the samples along its first axis, including the output of a
layer. So we can mix what a network has made of the images instead of the images
themselves, and the labels by the same plan. With two samples this is manifold mixup
(Verma et al., 2019). This page does it with ζ-mixup, at a layer chosen at random in
each step, and looks at the features.

It needs the extras ``torch`` and ``cli``.
"""

# %%
# A network that can be cut open
# ------------------------------
#
# The network has three blocks; the last one outputs two numbers, which can be plotted.
# ``mix_at`` is the number of blocks before the mixture; 0 mixes the images.

import matplotlib.pyplot as plt
import torch
import zetamix
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from zetamix.torch import ZetaMixup

torch.set_num_threads(1)  # one is the fastest for batches this small
digits = load_digits(n_class=6)
images = torch.from_numpy(digits.data / 16).float()
labels = torch.from_numpy(digits.target)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(64, 128), nn.ReLU()),
                nn.Sequential(nn.Linear(128, 64), nn.ReLU()),
                nn.Linear(64, 2),
            ]
        )
        self.head = nn.Linear(2, 6)

    def forward(self, x, plan=None, mix_at=0):
        for depth, block in enumerate(self.blocks):
            if plan is not None and depth == mix_at:
                x = plan @ x
            x = block(x)
        if plan is not None and mix_at == len(self.blocks):
            x = plan @ x
        return self.head(x)

    def features(self, x):
        for block in self.blocks:
            x = block(x)
        return x


# %%
# One plan for features and labels
# --------------------------------
#
# :meth:`ZetaMixup.draw <zetamix.torch.ZetaMixup.draw>` gives the plan that a call would
# have used. It is applied in the middle of the network, and to the labels; gradients
# flow through the mixture to all of its samples.


def train(mix=None, depths=(0,), epochs=80):
    torch.manual_seed(0)
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(epochs):
        for chosen in torch.randperm(600).split(60):
            x, y = images[chosen], labels[chosen]
            if mix is None:
                loss = cross_entropy(network(x), y)
            else:
                plan = mix.draw(x)
                mix_at = depths[int(torch.randint(len(depths), ()))]
                loss = cross_entropy(
                    network(x, plan, mix_at), plan.mix_labels(y, num_classes=6)
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


networks = {
    "not mixed": train(),
    "images mixed": train(ZetaMixup(gamma=2.0, num_mix=8, seed=0)),
    "any layer mixed": train(
        ZetaMixup(gamma=2.0, num_mix=8, seed=0), depths=(0, 1, 2, 3)
    ),
}

# %%
# What mixing does to the features
# --------------------------------
#
# Below are the two features of digits that the networks have not seen; the background
# shows how sure the head is of its class.

unseen, truth = images[600:], labels[600:]
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    with torch.no_grad():
        points = network.features(unseen)
        right = (network.head(points).argmax(dim=1) == truth).float().mean()
        low, high = points.amin(dim=0), points.amax(dim=0)
        margin = 0.1 * (high - low)
        across, up = (
            torch.linspace(a, b, 150)
            for a, b in zip(low - margin, high + margin, strict=True)
        )
        plane = torch.cartesian_prod(up, across).flip(1)
        sure = network.head(plane).softmax(dim=1).amax(dim=1).reshape(150, 150)
    ax.pcolormesh(across, up, sure, cmap="Greys", vmin=0.3, vmax=1.6)
    ax.scatter(*points.T, c=truth, s=5, cmap="tab10", vmax=9)
    ax.set(title=f"{name}: {right:.1%}", xticks=[], yticks=[])

# %%
# Without mixing, the head is sure of its class nearly everywhere (dark), right up to
# the borders. With mixed images or features, the head has seen the space between two
# classes with the labels of both, and is unsure there (bright). Mixing only images
# costs accuracy in such a narrow network; mixing at any layer does not. How sure the
# networks are, on digits and on noise:

noise = torch.rand(500, 64, generator=torch.Generator().manual_seed(0))
for name, network in networks.items():
    with torch.no_grad():
        on_digits, on_noise = (
            network(z).softmax(dim=1).amax(dim=1).mean() for z in (unseen, noise)
        )
    print(f"{name:>16}: {on_digits:.3f} on digits, {on_noise:.3f} on noise")

# %%
# The plain network is nearly as sure of noise as of digits. The others are less sure of
# both: labels mixed at γ = 2 are never certain, so the networks say 0.67 where they are
# right nine times out of ten. A larger γ, or training on plain samples at the end,
# reverses that.
#
# In JAX and elsewhere the operator is the same: a plan is a pytree that goes into
# compiled functions. The samples must lie along the first axis: move another axis to
# the front before mixing, and back afterwards.

plan = zetamix.zeta_plan(60, num_mix=8, rng=0)
sequence = torch.zeros(7, 60, 16)  # (time, sample, feature)
mixed = (plan @ sequence.movedim(1, 0)).movedim(0, 1)
print(mixed.shape)

plt.show()
