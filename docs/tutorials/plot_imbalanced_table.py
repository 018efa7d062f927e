"""
An imbalanced table, from loading to a calibrated score
=======================================================

In one patient of nine in this table, the disease gets worse fast. This page adds
mixtures of rows to this rare class, compares precision–recall curves with their
intervals, and turns the score into a probability.

It needs the extras ``sklearn`` and ``cli``, and pandas.
"""

# %%
# The table
# ---------
#
# Scikit-learn has data on 442 patients with diabetes, and on how the disease progressed
# within a year. Those with an index of 265 or more are the rare class.

import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
)
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from zetamix.sklearn import ZetaMixupSampler

data = load_diabetes(as_frame=True, scaled=False)
table, labels = data.data, (data.target >= 265).astype(int).rename("fast")
table["sex"] = table["sex"].map({1: "a", 2: "b"})  # nobody says which is which
print(table.head(3))
print(table.shape, labels.value_counts().to_dict())

# %%
# More rows of the rare class
# ---------------------------
#
# The sampler returns a table with the same names and dtypes; new rows come last. The
# numbers of a new row are mixed from eight rows of the class. A category has no mean:
# it comes from the row with the largest weight.

sampler = ZetaMixupSampler(categorical_features=["sex"], random_state=0)
more, more_labels = sampler.fit_resample(table, labels)
print(more.shape, more_labels.value_counts().to_dict())

names = ["bmi", "bp"]
added = more.iloc[len(table) :]
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for rows, label, style in (
    (table[labels == 0], "others", {"color": "0.8", "s": 12}),
    (added, "new", {"color": "tab:orange", "s": 8, "alpha": 0.5}),
    (table[labels == 1], "fast", {"color": "tab:red", "s": 24}),
):
    ax.scatter(*rows[names].to_numpy().T, label=label, **style)
ax.set(xlabel="body mass index", ylabel="blood pressure")
ax.legend()

# %%
# Precision and recall, with intervals
# ------------------------------------
#
# The sampler is a step of a pipeline, so rows are added only to the training part of
# each split. Five random splits into halves show how far the curves can be trusted:
# not far, with so few rare rows in a half.

samplers = {
    "as it is": "passthrough",
    "copies": RandomOverSampler(random_state=0),
    "ζ-mixup": sampler,
    "ζ-mixup across classes": clone(sampler).set_params(donors=None),
}


def model_with(step):
    columns = make_column_transformer(
        (OneHotEncoder(drop="if_binary"), ["sex"]), remainder=StandardScaler()
    )
    return make_pipeline(step, columns, LogisticRegression())


splits = RepeatedStratifiedKFold(n_splits=2, n_repeats=5, random_state=0)
recalls = np.linspace(0.01, 1, 100)
curves = {name: [] for name in samplers}
precisions = {name: [] for name in samplers}

for train, test in splits.split(table, labels):
    for name, step in samplers.items():
        model = model_with(step).fit(table.iloc[train], labels.iloc[train])
        scores = model.predict_proba(table.iloc[test])[:, 1]
        precision, recall, _ = precision_recall_curve(labels.iloc[test], scores)
        best = [precision[recall >= least].max() for least in recalls]
        curves[name].append(best)
        precisions[name].append(average_precision_score(labels.iloc[test], scores))

figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), sharey=True, layout="constrained")
for ax, name in zip(axes, samplers, strict=True):
    low, middle, high = np.quantile(curves[name], (0.1, 0.5, 0.9), axis=0)
    ax.fill_between(recalls, low, high, color="tab:orange", alpha=0.25)
    ax.plot(recalls, middle, color="tab:orange")
    ax.axhline(labels.mean(), color="0.6", ls=":")
    ax.set(title=name, xlabel="recall", ylim=(0, 1.02))
axes[0].set_ylabel("precision: median, 10% to 90%")

# %%
# Differences are best measured split by split, since all methods see the same splits.
# Splits share rows, so their variance is taken to be larger than that of independent
# splits (Nadeau and Bengio 2003). Where an interval contains zero, the table does
# not decide.

base = np.asarray(precisions["as it is"])
for name, values in precisions.items():
    change = np.asarray(values) - base
    half = 2.26 * change.std(ddof=1) * np.sqrt(1 / change.size + 1)
    print(f"{name:24} {np.mean(values):.3f}, change {change.mean():+.3f} ± {half:.3f}")

# %%
# From a score to a probability
# -----------------------------
#
# A model that has seen equally many rows of both classes predicts "fast" too readily,
# whatever method made the new rows. ``CalibratedClassifierCV`` fits the pipeline on a
# part of the training rows, and learns how often a score comes true on the other rows,
# to which nothing was added.

models = {
    "as it is": model_with("passthrough"),
    "ζ-mixup": model_with(sampler),
    "ζ-mixup, calibrated": CalibratedClassifierCV(model_with(sampler), cv=5),
}
figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.6", ls=":")
for name, model in models.items():
    probabilities, truths, briers = [], [], []
    for train, test in splits.split(table, labels):
        model.fit(table.iloc[train], labels.iloc[train])
        probabilities.append(model.predict_proba(table.iloc[test])[:, 1])
        truths.append(labels.iloc[test])
        briers.append(brier_score_loss(truths[-1], probabilities[-1]))
    everything = np.concatenate(truths), np.concatenate(probabilities)
    happened, said = calibration_curve(*everything, n_bins=6, strategy="quantile")
    ax.plot(said, happened, marker="o", label=f"{name}, Brier {np.mean(briers):.4f}")
    print(f"{name:20} mean {everything[1].mean():.3f}, Brier {np.mean(briers):.4f}")
print(f"{'truth':20} mean {labels.mean():.3f}")
ax.set(xlabel="predicted probability", ylabel="observed frequency")
ax.legend()

plt.show()

# %%
# :doc:`/tables` has the other ways to choose donors, and covers polars and sparse
# tables.
