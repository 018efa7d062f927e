"""The command `zetamix augment`: files in, mixed files out.

`command` defines the options, `running` the steps of a run, and `places` where files are written.
Each format has its own module: `arrays`, `images`, `tables` and `stores`.
"""

from zetamix.cli.augment.command import augment

__all__ = ["augment"]
