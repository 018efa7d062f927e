"""
Scripting on a GPU with CuPy
============================

CuPy arrays are mixed where they are: indices are drawn on the host or on the device,
and nothing else is copied. This page draws and mixes, goes through an epoch from host
memory, and measures a mixture, all on one GPU.

It needs CuPy and a CUDA device.

.. only:: not gpu

   .. note::

      No CUDA device answered where this page was built: its blocks were not
      executed, and there is no output below them. The tests of the project run them
      with NumPy in the place of CuPy, and with CuPy itself where a device answers.
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
# copy and without waiting, hand over a generator of CuPy, or say ``"device"`` for its
# default one.

mixed, soft = zetamix.zeta_mixup(images, labels, num_mix=8, num_classes=10, rng=rng)

# %%
# A plan on the device
# --------------------
#
# Drawn with ``like=``, a plan sits beside the arrays that it will be applied to. It
# mixes any number of them, and writes into memory that is there.

plan = zetamix.zeta_plan(256, num_mix=8, rng=(0, 2), like=images)
buffer = cp.empty_like(images)
plan.mix(images, out=buffer)
classes, weights = plan.sparse_labels(labels)
print(classes.shape, float(weights.sum()))

# %%
# The same plan from NumPy has the same indices; what was mixed on the device can be
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
# map of a file. The next batch is gathered and copied while the device works on the one
# before.

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
# Another library takes a batch over without a copy, by DLPack:
# ``torch.from_dlpack(x)``, or ``jax.dlpack.from_dlpack(x)``.
#
# Measures
# --------
#
# Neighbours are searched and spectra computed on the device, too.

features = images.reshape(256, -1)[:, :64]
dimension = zetamix.metrics.local_intrinsic_dimension(plan @ features, n_neighbors=64)
quality = zetamix.metrics.realism_diversity(features, plan @ features)
print(float(dimension.mean()), float(quality.precision), float(quality.recall))
