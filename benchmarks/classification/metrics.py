"""How good predictions are, and how honest their probabilities."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import f1_score

__all__ = ["TEMPERATURES", "calibration_error", "fitted_temperature", "scores"]

_BINS = 15
TEMPERATURES = (0.02, 50.0)


def scores(logits: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, float]:
    """Return all metrics of logits (n, C); those named scaled divide them by the temperature."""
    predicted = logits.argmax(axis=1)
    present = np.unique(labels)
    error = float((predicted != labels).mean())
    result = {
        "error": error,
        "micro_f1": 1 - error,
        "macro_f1": float(f1_score(labels, predicted, average="macro", labels=present)),
        # What is predicted and not there is a mistake of the class that is, and no class itself.
        "balanced_accuracy": float(
            np.mean([(predicted[labels == c] == c).mean() for c in present])
        ),
    }
    for suffix, scale in (("", 1.0), ("_scaled", temperature)):
        result[f"nll{suffix}"] = _loss(logits, labels, scale)
        result[f"ece{suffix}"] = calibration_error(softmax(logits / scale, axis=1), labels)
    return result


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean distance of confidence and accuracy, over 15 bins of confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(labels))


def fitted_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature at which the probabilities fit these labels best (Guo et al. 2017).

    Without a mistake no temperature is too low. The loss then vanishes over a whole range, where a
    search could end anywhere, so the lowest temperature is returned.
    """
    if (logits.argmax(axis=1) == labels).all():
        return TEMPERATURES[0]
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda log: _loss(logits, labels, float(np.exp(log))), bounds=(low, high), method="bounded"
    )
    return float(np.exp(found.x))


def _loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    rows = log_softmax(logits / temperature, axis=1)
    return float(-rows[np.arange(len(labels)), labels].mean())
