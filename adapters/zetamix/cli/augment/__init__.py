"""The command `zetamix augment`: files in, mixed files out.

`command` has the options, `running` the order of things, `places` what is written where, and a
module each format: `arrays`, `images`, `tables` and `stores`.
"""

from zetamix.cli.augment.command import augment

__all__ = ["augment"]
