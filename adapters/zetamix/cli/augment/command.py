"""The command and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from zetamix.cli.terminal import console, progress
from zetamix.cli.values import ALPHA, GAMMA

__all__ = ["augment"]


class _Size(click.ParamType):
    """Height and width, or one number for both."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if len(parts) > 2 or not all(part.isascii() and part.isdecimal() for part in parts):
            self.fail(f"{value!r} must be one or two comma-separated integers.", param, ctx)
        height, width = int(parts[0]), int(parts[-1])
        if not (0 < height <= 65535 and 0 < width <= 65535):
            self.fail(f"{value!r} must be from 1 to 65535 pixels.", param, ctx)
        return height, width


class _Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        """Return the rate, once there is one."""
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "out",
    metavar="OUT",
    required=True,
    type=click.Path(path_type=Path),
    help="File or folder to write, in the format of IN.",
)
@click.option("--x", metavar="NAME", help="Array of samples.  [default: x, x_train, …]")
@click.option("--y", metavar="NAME", help="Array of labels, if any.  [default: y, y_train, …]")
@click.option("--label", metavar="COLUMN", help="Column of a table that holds classes.")
@click.option(
    "--keep",
    metavar="COLUMN",
    multiple=True,
    help="Column of a table, such as an id, to copy unmixed from the row that a mixture is closest "
    "to. Repeat it for several.",
)
@click.option(
    "--rule",
    type=click.Choice(["zeta", "mixup", "dirichlet", "cutmix"]),
    default="zeta",
    show_default=True,
    help="Mixing method. Boxes of cutmix span the last two axes of an array, or the two before "
    "the last if that holds 1, 3 or 4 channels.",
)
@click.option(
    "--gamma",
    metavar="γ",
    default=2.8,
    show_default=True,
    type=GAMMA,
    help="Exponent of zeta. The larger, the closer mixtures stay to samples.",
)
@click.option(
    "--alpha",
    metavar="α",
    default=1.0,
    show_default=True,
    type=ALPHA,
    help="Parameter of mixup, dirichlet and cutmix.",
)
@click.option(
    "--num-mix",
    metavar="T",
    type=click.IntRange(min=1),
    help="Samples in a mixture.  [default: all]",
)
@click.option(
    "--donors",
    type=click.Choice(["same", "other"]),
    help="Mix only samples of the same class, or only of other classes.  [default: any]",
)
@click.option(
    "--copies",
    metavar="K",
    default=1,
    show_default=True,
    type=click.IntRange(1, 2**32 - 1),
    help="Mixed copies of the data: epochs 0 to K − 1.",
)
@click.option("--with-originals", is_flag=True, help="Put the samples themselves first, in order.")
@click.option(
    "--batch-size",
    metavar="N",
    default=128,
    show_default=True,
    type=click.IntRange(min=1),
    help="Samples mixed with one another.",
)
@click.option(
    "--seed",
    metavar="SEED",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Same seed, same bytes.",
)
@click.option(
    "--num-classes",
    metavar="C",
    type=click.IntRange(min=1),
    help="Number of classes, for labels that are integers from 0 to C − 1.  [default: the largest "
    "label + 1]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32", "float64"]),
    help="Dtype of mixed arrays and columns.",
)
@click.option("--size", metavar="H,W", type=_Size(), help="Resize images to H by W, or H by H.")
@click.option(
    "--format",
    type=click.Choice(["png", "jpeg"]),
    default="png",
    show_default=True,
    help="Format of mixed images.",
)
@click.option(
    "--quality",
    metavar="Q",
    default=95,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Quality of JPEGs.",
)
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Leave out images that can't be read, and name them in the manifest. Each image is "
    "decoded once more to find them.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Dask scheduler to compute a Zarr store on; it has 10 s to answer.",
)
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="Compute a Zarr store on local workers with this much memory each, such as 2GB.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Replace OUT, and the parts of an interrupted run.")
@click.pass_context
def augment(context: click.Context, /, source: Path, out: Path, **options: Any) -> None:
    """Mix the samples of a file or folder, and write files of the same kind.

    IN is an .npz or .npy file, a Parquet or CSV table, a folder with a folder of images for each
    class, or a Zarr store with arrays of samples and of labels. Copy k of the data is what
    zetamix.batches returns in epoch k: the same samples, shuffled, each mixed with others of its
    batch (for a Zarr store, what zetamix.dask.mix returns). Labels become class weights: array y,
    columns label=CLASS, or labels.csv next to the images.

    Images are read upright, as RGB unless all are gray; transparency is dropped. All columns of a
    table except --label and --keep are mixed, and must be floats.

    Parts are written to OUT.partial, and moved to OUT when all are finished, with a manifest of
    options and inputs. After Ctrl-C, a kill or a full disk, repeat the command with --resume: it
    continues, and the output has the same bytes. Until it ends, a run needs twice the disk space of
    OUT; for a Zarr store that of OUT and of its uncompressed samples, twice with several copies.

    \b
    Examples:
      zetamix augment data.npz -o mixed.npz --copies 4 --with-originals
      zetamix augment table.parquet -o mixed.parquet --label species --keep id
      zetamix augment photos -o mixed --size 224 --format jpeg --skip-bad
      zetamix augment train.zarr -o mixed.zarr --memory-limit 4GB
    """  # noqa: D301
    from zetamix.cli.augment.options import Options
    from zetamix.cli.augment.running import run

    given = {
        name
        for name in options
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)
    }
    columns = (TextColumn("{task.description}"), BarColumn(), _Rate(), TimeRemainingColumn())
    with progress(*columns) as bar:
        made = run(source, out, Options(**options, given=frozenset(given)), bar)
    console().print(f"Written: {out}, {made}", soft_wrap=True)
