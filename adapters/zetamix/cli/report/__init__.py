"""The command `zetamix report`: a page about one's own data, with a choice of γ."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from zetamix import metrics
from zetamix.cli.report.data import embedded_digits, read_samples
from zetamix.cli.report.page import render

__all__ = ["write_report"]


def write_report(
    file: Path | None,
    output: Path,
    *,
    track: Callable[..., Iterable[Any]],
    x_name: str | None = None,
    y_name: str | None = None,
    labelled: bool = True,
    image_shape: Sequence[int] | None = None,
    max_samples: int = 2000,
    gammas: Sequence[float] | None = None,
    num_mix: int | None = None,
    batch_size: int = 32,
    neighbors: int = 128,
    tolerance: float = 0.1,
    seed: int = 0,
) -> metrics.GammaReport:
    """Measure the samples of a file, or the digits, and write the page."""
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
    options = {
        "--x": x_name,
        "--y": y_name,
        "--no-labels": not labelled,
        "--image-shape": image_shape,
        "--max-samples": max_samples if max_samples != 2000 else None,
        "--gammas": gammas,
        "--num-mix": num_mix,
        "--batch-size": batch_size if batch_size != 32 else None,
        "--neighbors": neighbors if neighbors != 128 else None,
        "--tolerance": tolerance if tolerance != 0.1 else None,
        "--seed": seed,
    }
    page = render(data, report, (seed,), _command(file, output, options))
    output.write_text(page, encoding="utf-8")
    return report


def _command(file: Path | None, output: Path, options: dict[str, Any]) -> str:
    words = ["zetamix", "report", *([] if file is None else [str(file)]), "-o", str(output)]
    for name, value in options.items():
        if value is True:
            words.append(name)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            words += [name, ",".join(f"{each:g}" for each in value)]
        elif value is not None and value is not False:
            words += [name, str(value)]
    return shlex.join(words)
