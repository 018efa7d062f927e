"""
JAX, Grain and Optax
====================

The same training twice: mixed by Grain where batches are made, with a checkpoint in the
middle, and mixed in the compiled step, on the device.

It needs the extras ``grain`` and ``cli``, and Optax.
"""

# %%
# A pipeline that mixes
# ---------------------
#
# The source yields digits and their classes, shuffled and batched.
# :class:`zetamix.jax.grain.ZetaMixup` is a random transformation of these batches:
# Grain passes it a generator for each batch, made only from the seed and the position
# of the batch.

import grain
import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
from jax import numpy as jnp
from sklearn.datasets import load_digits
from zetamix.jax import zeta_mixup
from zetamix.jax.grain import ZetaMixup

digits = load_digits()
pixels = (digits.data / 16).astype(np.float32)
order = np.random.default_rng(0).permutation(len(pixels))
train, test = order[:1200], order[1200:]
samples = [(pixels[i], digits.target[i]) for i in train]

source = grain.MapDataset.source(samples).seed(0).shuffle()
mixed = source.batch(50, drop_remainder=True).random_map(
    ZetaMixup(num_mix=8, num_classes=10)
)

x, y = mixed[0]
figure, axes = plt.subplots(1, 8, figsize=(9, 1.6), layout="constrained")
for ax, image, label in zip(axes, x, y, strict=False):
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    first, second = label.argsort()[::-1][:2]
    ax.set(xticks=[], yticks=[])
    ax.set_title(
        f"{first}: {label[first]:.2f}\n{second}: {label[second]:.2f}", fontsize=9
    )

# %%
# A batch of the pipeline is the same whenever and in whatever order it is requested,
# and epochs differ:

epochs = mixed.repeat(2)
again = np.array_equal(mixed[0][0], mixed[0][0])
repeated = np.array_equal(epochs[0][0], epochs[len(mixed)][0])
print(f"{len(mixed)} batches; same again: {again}; same in the next epoch: {repeated}")

# %%
# A step with Optax
# -----------------
#
# ``optax.softmax_cross_entropy`` takes the soft labels as they are.

optimizer = optax.adam(3e-3)


def start():
    first, second = jax.random.split(jax.random.key(0))
    weights = {
        "hidden": jax.random.normal(first, (64, 128)) / 8,
        "output": jax.random.normal(second, (128, 10)) / 11,
    }
    return weights, optimizer.init(weights)


def predict(weights, x):
    return jax.nn.relu(x @ weights["hidden"]) @ weights["output"]


def loss(weights, x, y):
    return optax.softmax_cross_entropy(predict(weights, x), y).mean()


@jax.jit
def update(weights, state, x, y):
    value, slope = jax.value_and_grad(loss)(weights, x, y)
    updates, state = optimizer.update(slope, state)
    return optax.apply_updates(weights, updates), state, value


def accuracy(weights):
    return float(
        (predict(weights, pixels[test]).argmax(axis=1) == digits.target[test]).mean()
    )


# %%
# The iterator of the pipeline has a state. A state saved in the middle of an epoch
# restores the mixtures that would have come next.

weights, state = start()
iterator = iter(mixed.repeat(10).to_iter_dataset())
losses, checkpoint = [], None
for number, (x, y) in enumerate(iterator):
    if number == 100:
        checkpoint, expected = iterator.get_state(), None
    elif number == 101:
        expected = x
    weights, state, value = update(weights, state, x, y)
    losses.append(float(value))

resumed = iter(mixed.repeat(10).to_iter_dataset())
resumed.set_state(checkpoint)
print("resumed alike:", np.array_equal(next(resumed)[0], expected))
print(f"accuracy on other digits: {accuracy(weights):.1%}")

# %%
# Mixed on the device
# -------------------
#
# Now the pipeline passes classes, and the compiled step mixes. In JAX the key comes
# first; the step number is folded into it, so no state is kept. γ is a traced number,
# so a schedule causes no recompilation.

compiled = []


@jax.jit
def mix_and_update(weights, state, key, gamma, x, y):
    compiled.append(x.shape)
    x, y = zeta_mixup(key, x, y, gamma=gamma, num_mix=8, num_classes=10)
    return update(weights, state, x, y)


weights, state = start()
plain = source.batch(50, drop_remainder=True).repeat(10)
device_losses = []
for number, (x, y) in enumerate(plain.to_iter_dataset()):
    key = jax.random.fold_in(jax.random.key(0), number)
    gamma = jnp.interp(number, jnp.asarray([0, 200]), jnp.asarray([2.0, 4.0]))
    weights, state, value = mix_and_update(weights, state, key, gamma, x, y)
    device_losses.append(float(value))
print(
    f"compiled {len(compiled)} time; accuracy on other digits: {accuracy(weights):.1%}"
)

# %%
# The losses differ because the labels do: a loss on soft labels cannot fall below their
# entropy, which decreases as γ grows.

figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(losses, color="tab:orange", label="mixed by Grain, γ = 2.8")
ax.plot(device_losses, color="tab:purple", label="mixed in the step, γ from 2 to 4")
ax.set(xlabel="step", ylabel="loss", ylim=0)
ax.legend()

plt.show()

# %%
# :doc:`/jax` has pytrees, plans and shards, :doc:`/jax-training` worker processes and
# losses for many classes.
