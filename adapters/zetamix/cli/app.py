"""The commands and their options. Each command imports what it needs: pictures are slow to load."""

from __future__ import annotations

import functools
import importlib.util
import shlex
from pathlib import Path
from typing import Any

import click

from zetamix import __version__
from zetamix.cli import outputs
from zetamix.cli.augment import augment
from zetamix.cli.terminal import BadInput, as_bad_input, console, progress
from zetamix.cli.values import GAMMA, SAMPLES, SHARE, Count, Numbers

__all__ = ["app", "augment", "demo", "report", "theory"]

# Options of a report that say how a file is read; the others are those of `gamma_report`.
_READING = (
    *("x_name", "y_name", "labelled", "image_shape", "max_samples"),
    *("features", "standardize"),
)
_PAGE_EXTRA = ("altair", "vl_convert")


class _Commands(click.Group):
    """Commands that Ctrl-C ends without the empty line that click would print."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise click.exceptions.Exit(130) from None


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context) -> None:
    """ζ-mixup in pictures and in numbers.

    ζ-mixup mixes the samples of a batch, in random order, with the weights of a p-series, rank^-γ.
    Each output stays close to one sample, and its soft label covers many classes.

    \b
    Examples:
      zetamix demo -o pictures
      zetamix report data.npz -o report.html
      zetamix theory --gamma 2.8 -n 32
      zetamix augment data.npz -o mixed.npz
    """  # noqa: D301
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@app.command()
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    default="zetamix-demo",
    show_default=True,
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    help="Directory for the pictures, created if it does not exist.",
)
@click.option(
    "--seed",
    metavar="SEED",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Same seed, same pictures.",
)
def demo(directory: Path, seed: int) -> None:
    """Compare ζ-mixup with mixup, in pictures for a talk and in a table.

    The data are half-moons, spirals, a helix and the handwritten digits of scikit-learn. Nothing is
    downloaded, and it takes about ten seconds.

    \b
    Example:
      zetamix demo -o pictures --seed 7
    """  # noqa: D301
    directory.mkdir(parents=True, exist_ok=True)

    from zetamix.cli.tables import comparison_report, file_report
    from zetamix.figures.comparison import compare
    from zetamix.figures.gallery import PICTURES
    from zetamix.figures.style import talk_style

    with as_bad_input():
        for name in PICTURES:
            outputs.check_replaced(directory / name, outputs.PICTURES)
    with talk_style(), progress() as bar:
        task = bar.add_task("", total=len(PICTURES) + 1)
        for number, (name, picture) in enumerate(PICTURES.items(), start=1):
            bar.update(task, description=f"drawing {name}")
            outputs.save_picture(picture.plot((seed, number)), directory / name)
            bar.advance(task)
        bar.update(task, description="measuring")
        rows = compare((seed, 0))
    terminal = console()
    terminal.print(comparison_report(rows))
    files = {directory / name: picture.shows for name, picture in PICTURES.items()}
    terminal.print(file_report(files), soft_wrap=True)


@app.command()
@click.argument(
    "file",
    metavar="[DATA]",
    required=False,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="zetamix-report.html",
    show_default=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Page to write.",
)
@click.option("--x", "x_name", metavar="NAME", help="Array of samples.  [default: x, images, …]")
@click.option(
    "--y", "y_name", metavar="NAME", help="Array or column of labels.  [default: y, labels, …]"
)
@click.option("--no-labels", "labelled", flag_value=False, default=True, help="Ignore labels.")
@click.option("--standardize", is_flag=True, help="Scale each column to mean 0, variance 1.")
@click.option(
    "--features",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Features (N, D) to measure instead of the samples, such as those of a trained model.",
)
@click.option(
    "--image-shape",
    metavar="H,W[,C]",
    type=Numbers(int, range(2, 4)),
    help="Shape of images that are stored flat.",
)
@click.option(
    "--max-samples",
    metavar="N",
    default=2000,
    show_default=True,
    type=SAMPLES,
    help="Use at most N samples, drawn at random.",
)
@click.option(
    "--gammas",
    metavar="γ,γ,…",
    type=Numbers(float, range(1, 17), low=0),
    help="Values of γ to try.  [default: 1 to 6]",
)
@click.option(
    "--num-mix",
    metavar="T",
    type=click.IntRange(min=2),
    help="Samples in a mixture.  [default: whole batch]",
)
@click.option(
    "--batch-size",
    metavar="N",
    default=32,
    show_default=True,
    type=click.IntRange(min=2),
    help="Samples in a batch.",
)
@click.option(
    "--neighbors",
    "n_neighbors",
    metavar="K",
    type=int,
    help="Neighbours used to estimate the dimension.  [default: 128, or half the samples if few]",
)
@click.option(
    "--tolerance",
    metavar="SHARE",
    default=0.1,
    show_default=True,
    type=SHARE,
    help="How much the dimension may differ, and precision and recall drop, at the suggested γ.",
)
@click.option(
    "--seed",
    metavar="SEED",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Same seed, same page.",
)
@click.pass_obj
def report(words: list[str], /, file: Path | None, output: Path, seed: int, **options: Any) -> None:
    """Show what ζ-mixup does to your data, and suggest a γ.

    DATA is an .npz file with arrays of samples and, optionally, of labels, an .npy file of samples
    or a .csv table; without it, the digits of scikit-learn are used. Writes one self-contained HTML
    page with a slider for γ, and prints the table. The page needs the extra `report`.

    \b
    Examples:
      zetamix report
      zetamix report data.npz -o report.html --num-mix 8
      zetamix report table.csv --y species --standardize
    """  # noqa: D301
    if not output.parent.is_dir():
        raise BadInput(f"Directory {output.parent} does not exist; create it or choose another -o.")
    _check_options(file, options)
    read = [path for path in (file, options["features"]) if path is not None]
    with as_bad_input():
        outputs.check_inputs(output, read)
        outputs.check_replaced(output, outputs.PAGES)

    from zetamix.cli.tables import measures_report
    from zetamix.figures.report import (
        embedded_digits,
        forecast,
        measure,
        read_samples,
        report_page,
    )

    reading = {name: options.pop(name) for name in _READING}
    with progress() as bar, as_bad_input():
        options["progress"] = functools.partial(bar.track, description="measuring")
        data = read_samples(file, key=(seed, 0, 0), **reading) if file else embedded_digits()
        if (expected := forecast(data, options["gammas"])) is not None:
            bar.console.print(expected)
        found = measure(data, seed=seed, **options)
    terminal = console()
    terminal.print(measures_report(found.rows, (*found.notes, found.advice.sentence)))
    missing = [name for name in _PAGE_EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f'the page needs its extra: pip install "zetamix[report]" (missing: '
            f"{', '.join(missing)})"
        )
    command = shlex.join(["zetamix", *_without_folders(words, [*read, output])])
    outputs.save_page(report_page(data, found, command, seed=seed), output)
    terminal.print(f"\nWritten: {output}", soft_wrap=True)


def _check_options(file: Path | None, options: dict[str, Any]) -> None:
    """Refuse options that need others, in the words of the command."""
    if (options["num_mix"] or 0) > options["batch_size"]:
        raise BadInput(
            f"--num-mix must be at most --batch-size, got {options['num_mix']} for batches of "
            f"{options['batch_size']}; pass a larger --batch-size, or leave --num-mix out"
        )
    named = {"--x": "x_name", "--y": "y_name", "--image-shape": "image_shape"}
    named |= {"--features": "features", "--standardize": "standardize"}
    given = [option for option, name in named.items() if options[name]]
    if file is None and given:
        raise BadInput(
            f"{given[0]} needs a file of samples, got none; add DATA, as in: zetamix report "
            f"data.npz {given[0]} …"
        )


def _without_folders(words: list[str], paths: list[Path]) -> list[str]:
    """Return the words with these paths cut to file names: the page must show no folders."""
    shown = []
    for word in words:
        head, mark, tail = word.rpartition("=")
        if word.startswith("-o") and not mark:
            head, tail = "-o", word[2:]
        for start, value in (("", word), (head + mark, tail)):
            if value and Path(value) in paths:
                word = start + Path(value).name
        shown.append(word)
    return shown


@app.command()
@click.option(
    "--gamma",
    metavar="γ",
    default=2.8,
    show_default=True,
    type=GAMMA,
    help="Exponent of the weights, 0 or more. The larger, the closer outputs stay to samples.",
)
@click.option(
    "-n",
    metavar="N",
    default="32",
    show_default=True,
    type=Count(),
    help="Number of samples in the batch, or inf.",
)
@click.option(
    "--num-mix",
    metavar="T",
    type=Count(),
    help="Number of samples in a mixture.  [default: N]",
)
@click.option(
    "--plot",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Picture of weights, dominance and tail to write: .png, .pdf or .svg, PNG by default.",
)
def theory(gamma: float, n: float, num_mix: float | None, file: Path | None) -> None:
    """Explain what a choice of γ, N and T means.

    Prints the weights, whether one sample outweighs all others, the effective number of samples,
    how far outputs move, and what mixtures of fewer samples would leave out.

    \b
    Examples:
      zetamix theory --gamma 2.8 -n 32
      zetamix theory --gamma 2 -n inf --num-mix 8 --plot weights.png
    """  # noqa: D301
    if num_mix is not None and num_mix > n:
        raise BadInput(
            f"--num-mix must be at most -n, got {num_mix} for -n {n}; pass a larger -n, or leave "
            f"--num-mix out"
        )
    from zetamix.cli.tables import file_report, theory_report
    from zetamix.figures.summary import summarize

    with as_bad_input():
        summary = summarize(gamma, n, num_mix)
        if file is not None:
            outputs.picture_format(file)
            outputs.check_replaced(file, outputs.PICTURES)
    if file is not None:
        from zetamix.figures.style import talk_style
        from zetamix.figures.theory_picture import theory_picture

        with talk_style():
            outputs.save_picture(theory_picture(summary), file)
    terminal = console()
    terminal.print(theory_report(summary))
    if file is not None:
        terminal.print(file_report({file: "weights, dominance and tail"}), soft_wrap=True)


app.add_command(augment)
