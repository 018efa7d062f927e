"""
Scripting on a GPU with CuPy
============================

CuPy arrays are mixed on the device: indices are drawn on the host or on the device,
and nothing else is copied. This page draws and mixes, goes through an epoch from host
memory, and measures a mixture, all on one GPU.

It needs CuPy and a CUDA device.

.. only:: not gpu

   .. note::

      This page was built without a CUDA device: its blocks were not executed, and
      there is no output below them. The tests of the project run them with NumPy in
      place of CuPy, and with CuPy itself where a device is available.
"""

# %%
# Arrays on the device
# --------------------

from datetime import UTC, datetime

import cupy as cp
import numpy as np
import zetamix
import zetamix.cupy

device = cp.cuda.runtime.getDeviceProperties(cp.cuda.Device().id)
print(f"{datetime.now(UTC):%Y-%m-%d}, {device['name'].decode()}, CuPy {cp.__version__}")

rng = cp.random.default_rng(0)
images = rng.random((256, 3, 32, 32), dtype=cp.float32)
labels = cp.arange(256) % 10

mixed, soft = zetamix.zeta_mixup(images, labels, num_mix=8, num_classes=10, rng=(0, 1))
print(type(mixed).__module__, mixed.dtype, mixed.shape, soft.shape)

# %%
# With a number or a tuple as ``rng``, indices are drawn by NumPy, the same as
# everywhere, and copied to the device: 16 kB here. To draw on the device, without a
# copy and without waiting, pass a generator of CuPy, or ``"device"`` for its default
# one.

mixed, soft = zetamix.zeta_mixup(images, labels, num_mix=8, num_classes=10, rng=rng)

# %%
# A plan on the device
# --------------------
#
# A plan drawn with ``like=`` sits on the device of the arrays that it will be applied
# to. It mixes any number of them, and can write to existing memory.

plan = zetamix.zeta_plan(256, num_mix=8, rng=(0, 2), like=images)
buffer = cp.empty_like(images)
plan.mix(images, out=buffer)
classes, weights = plan.sparse_labels(labels)
print(classes.shape, float(weights.sum()))

# %%
# The same plan from NumPy has the same indices, so results from the device can be
# checked on the host.

host = zetamix.zeta_plan(256, num_mix=8, rng=(0, 2))
difference = abs(host @ images - buffer).max()
print(
    "same indices:",
    bool((plan.indices == cp.asarray(host.indices)).all()),
    float(difference),
)

# %%
# An epoch from host memory
# -------------------------
#
# Data that are larger than the memory of the device stay on the host, or in a memory
# map of a file. The next batch is gathered and copied while the device works on the
# current one.

stored = np.random.default_rng(0).integers(
    0, 256, size=(2000, 3, 32, 32), dtype=np.uint8
)
classes = np.arange(2000) % 10
options = {"num_mix": 8, "num_classes": 10, "dtype": np.float32, "seed": 0}
brightness = []
for x, _ in zetamix.cupy.batches(stored, classes, 128, epoch=0, **options):
    brightness.append(x.mean())
print(len(brightness), "batches, mean", float(cp.stack(brightness).mean()))

# %%
# Other libraries take over a batch without a copy, by DLPack:
# ``torch.from_dlpack(x)``, or ``jax.dlpack.from_dlpack(x)``.
#
# Measures
# --------
#
# The neighbour search and the spectra are also computed on the device.

features = images.reshape(256, -1)[:, :64]
dimension = zetamix.metrics.local_intrinsic_dimension(plan @ features, n_neighbors=64)
quality = zetamix.metrics.realism_diversity(features, plan @ features)
print(float(dimension.mean()), float(quality.precision), float(quality.recall))
