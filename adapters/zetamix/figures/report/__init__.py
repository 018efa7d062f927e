"""A page about one's own data, with a choice of γ."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from zetamix import metrics
from zetamix.figures.report.data import embedded_digits, read_samples
from zetamix.figures.report.page import render

__all__ = ["report_page"]


def report_page(
    file: Path | None,
    command: str,
    *,
    track: Callable[..., Iterable[Any]],
    x_name: str | None,
    y_name: str | None,
    labelled: bool,
    image_shape: Sequence[int] | None,
    max_samples: int,
    gammas: Sequence[float] | None,
    num_mix: int | None,
    batch_size: int,
    neighbors: int,
    tolerance: float,
    seed: int,
) -> tuple[str, metrics.GammaReport]:
    """Measure the samples of a file, or the digits; return the page, and what is on it."""
    if file is None:
        data = embedded_digits()
    else:
        data = read_samples(
            file,
            x_name=x_name,
            y_name=y_name,
            labelled=labelled,
            image_shape=image_shape,
            max_samples=max_samples,
            key=(seed, 0, 0),
        )
    report = metrics.gamma_report(
        data.x,
        data.labels,
        gammas=gammas,
        num_mix=num_mix,
        batch_size=batch_size,
        n_neighbors=neighbors,
        tolerance=tolerance,
        seed=seed,
        progress=functools.partial(track, description="measuring"),
    )
    return render(data, report, (seed,), command), report
