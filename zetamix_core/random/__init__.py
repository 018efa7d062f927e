"""Streams of random orderings and weights, one class for each source of randomness.

A stream draws on behalf of one plan, in the library and on the device that the plan is for. Each
class offers ``orderings``, ``partners``, ``dirichlet`` and ``uniform`` (see `Stream`).
`PortableStream` draws in NumPy, the same indices everywhere; the others draw natively, on the
device of the array.
"""

from zetamix_core.random.ids import key_of
from zetamix_core.random.orders import permutation
from zetamix_core.random.resolve import stream_for
from zetamix_core.random.stream import Stream

__all__ = ["Stream", "key_of", "permutation", "stream_for"]
