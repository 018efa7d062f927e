"""What all plans share: how they are applied, compared, written to files and read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from zetamix_core.annotations import Samples, SupportsSamples
from zetamix_core.arrays import Array, Facts
from zetamix_core.labels import LabelOptions, check_ignore_index, label_options
from zetamix_core.leaves import check_leaf
from zetamix_core.plans.summary import Summarized
from zetamix_core.plans.union import check_rows, union
from zetamix_core.plans.value import Value
from zetamix_core.roles import Roles, mixed_leaves

if TYPE_CHECKING:
    from zetamix_core.plans.mix import MixPlan

__all__ = ["Plan"]

_PLAIN = LabelOptions()


class Plan(Summarized, Value):
    r"""Which samples make up each output: draw once, apply to any array with the same first axis.

    `MixPlan` averages samples, `CutMixPlan` pastes boxes of one into another. Both are immutable
    values: they compare equal if they make exactly the same mixture, can be pickled and written to
    files, and are pytrees for JAX.

    Attributes
    ----------
    shape : tuple of int
        Number of outputs M and of samples N.
    num_outputs : int
        M, the number of outputs.
    num_samples : int
        N, the number of samples that the plan applies to.
    num_mix : int
        T, the number of samples in a mixture.

    Raises
    ------
    TypeError
        If it is instantiated: `zeta_plan` and the other functions draw plans.

    Examples
    --------
    >>> from zetamix import Plan, cutmix_plan, zeta_plan
    >>> isinstance(zeta_plan(4), Plan), isinstance(cutmix_plan((4, 8, 8)), Plan)
    (True, True)
    """

    __array_ufunc__ = None  # otherwise NumPy would take `x @ plan` apart before refusing it

    num_samples: int

    @property
    @abstractmethod
    def num_mix(self) -> int:
        """Number of samples T in a mixture."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Number of outputs M."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of outputs M and of samples N."""
        return self.num_outputs, self.num_samples

    def __matmul__(self, x: Samples) -> Samples:
        """Mix the samples of one array along its first axis.

        Parameters
        ----------
        x : array, shape (N, ...)
            Samples, as for `mix`; for a NumPy `MixPlan` also a SciPy matrix in CSR or CSC format.

        Returns
        -------
        array, shape (M, ...)
            Mixed samples, with the library, device, dtype and memory order of `x`. Averaged
            integers and bool become the library's default float. Narrow floats are accumulated in
            float32. A sparse matrix gives one of the same format.

        Raises
        ------
        ValueError
            If `x` does not have N samples, or is on another device than the plan.
        TypeError
            If `x` is not an array, or its library differs from that of a plan that is not of NumPy.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> plan = zeta_plan(3, gamma=0, rng=0)  # the plain mean
        >>> plan @ np.asarray([[0.0, 3.0], [3.0, 3.0], [6.0, 9.0]])
        array([[3., 5.],
               [3., 5.],
               [3., 5.]])
        """
        return self._mixed(x)  # type: ignore[no-any-return]

    def mix(self, x: Samples, *, out: SupportsSamples | None = None) -> Samples:
        """Mix the samples of one array, as ``plan @ x``, optionally into an existing array.

        Parameters
        ----------
        x : array, shape (N, ...)
            Samples of any floating, complex, integer or bool dtype.
        out : array, shape (M, ...), optional
            Array to write the mixed samples to, of the library and device of `x`, which shares no
            memory with it. Its dtype decides the precision, and must be floating (complex if `x`
            is) where samples are averaged. Allocation is a large part of the cost of large batches.

        Returns
        -------
        array, shape (M, ...)
            `out`, or what ``plan @ x`` gives.

        Raises
        ------
        ValueError
            If `x` does not have N samples, or `out` differs in shape or device from the result, is
            read-only or shares memory with `x`.
        TypeError
            If `out` is of another library, of one whose arrays can't be written to (JAX, Dask), or
            of a dtype that can't hold the result.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> images, out = np.ones((4, 3), dtype=np.uint8), np.empty((4, 3), dtype=np.float32)
        >>> mixed = zeta_plan(4, rng=0).mix(images, out=out)
        >>> mixed is out, float(out[0, 0].round(6))
        (True, 1.0)
        """
        return self._mixed(x, out=out)  # type: ignore[no-any-return]

    def apply(
        self,
        tree: Any,
        *,
        num_classes: Mapping[str, int] | None = None,
        as_data: Iterable[str] = (),
        keep: Iterable[str] = (),
        dominant: Iterable[str] = (),
        ignore_index: int | Mapping[str, int] | None = None,
        positions: Iterable[str] = (),
        onehot: Mapping[str, int] | None = None,
        scaled: Iterable[str] = (),
        valid: Mapping[str, str] | None = None,
    ) -> Any:
        """Mix every array of a nested structure that shares the first axis.

        Floating arrays are mixed, by the same boxes if the plan has boxes and the array has their
        axes; None is kept. An integer or bool array is refused unless it is declared, so that class
        ids are never averaged by accident. Nothing is guessed.

        Parameters
        ----------
        tree : array, or nested dict, list, tuple and named tuple of arrays
            The first axis of each array has N samples.
        num_classes : mapping of str to int, optional
            Paths of labels, mixed as by `mix_labels`, with their number of classes: "target/mask"
            for ``tree["target"]["mask"]``, "1" for ``tree[1]``, names for fields of named tuples.
        as_data : iterable of str, optional
            Paths of integer arrays that hold data, such as uint8 images.
        keep : iterable of str, optional
            Paths of what is left unmixed, of any type.
        dominant : iterable of str, optional
            Paths of what is taken from the sample that weighs most in each output, among equal
            weights the first rank: ids, names, boxes, text; arrays, or lists of N things.
        ignore_index : int or mapping of str to int, optional
            The label that does not count, for all integer labels or by path.
        positions : iterable of str, optional
            Paths of labels in which every entry is a class, whatever their shape.
        onehot : mapping of str to int, optional
            Paths of integer one-hot masks, with the axis of their classes.
        scaled : iterable of str, optional
            Paths of arrays of another resolution than the boxes, which are scaled for them.
        valid : mapping of str to str, optional
            Paths of padded arrays, each with the path of its mask: bool or 0 and 1, over the first
            axes. Padding has no weight: the rest is renormalized at each position, and zero where
            nothing is valid. Mixed masks are true where any sample with weight is valid.

        Returns
        -------
        tree of arrays
            The structure of `tree`, with mixed arrays; `tree` is left unchanged.

        Raises
        ------
        ValueError
            If an integer array is not declared, a declared path is not in `tree`, or a path is
            declared twice.
        TypeError
            If a leaf is neither an array nor None.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> plan = zeta_plan(2, gamma=1.0, rng=0)
        >>> batch = {"image": np.eye(2), "label": np.asarray([0, 1]), "file": ["a.png", "b.png"]}
        >>> mixed = plan.apply(batch, num_classes={"label": 2}, dominant=["file"])
        >>> mixed["label"].round(3), mixed["file"]
        (array([[0.667, 0.333],
               [0.333, 0.667]]), ['a.png', 'b.png'])
        """
        self._check_single()
        roles = Roles.told(
            num_classes,
            as_data=as_data,
            keep=keep,
            dominant=dominant,
            ignore_index=ignore_index,
            positions=positions,
            onehot=onehot,
            scaled=scaled,
            valid=valid,
        )
        return self._applied(tree, roles)

    def _applied(self, tree: Any, roles: Roles) -> Any:
        """Mix the leaves of a nested structure by their roles."""
        batch = roles.flattened(tree, check_leaf)
        return batch.rebuilt(mixed_leaves(self, batch, roles))

    def mix_labels(
        self,
        y: Samples,
        num_classes: int | None = None,
        *,
        ignore_index: int | None = None,
        positions: bool = False,
        onehot: int | None = None,
    ) -> Samples:
        """Mix labels with the same weights as the samples.

        Parameters
        ----------
        y : array, shape (N, ...)
            One of

            - integer classes (N,) or (N, 1), with `num_classes`: gives (M, num_classes),
            - integer one-hot or multi-hot rows (N, num_classes): gives (M, num_classes),
            - integer masks (N, ...) of three or more axes, a class at each position, with
              `num_classes`: gives (M, ..., num_classes); of two axes with ``positions=True``,
            - integer one-hot masks with their classes along the axis `onehot`: gives their shape,
            - floating soft labels or regression targets (N, ...): gives (M, ...).

            Where boxes are pasted, labels that have their axes are pasted too; other labels are
            mixed by volume.
        num_classes : int, optional
            Number of classes C; required for integer labels.
        ignore_index : int, optional
            The integer label that does not count. Its sample or position adds nothing, so that
            mixed rows sum to the weight that counts (see `label_weights`); multi-hot entries are
            averaged among those that count. It never causes NaN.
        positions : bool, default False
            Whether every entry is a class, even if the shape could mean rows or one-hot masks.
        onehot : int, optional
            The axis of zeros and ones of integer one-hot masks.

        Returns
        -------
        array
            Mixed labels. Rows that sum to one still do. Integer labels get the dtype of the
            weights, or the default float of the library of `y` (at least float32) if that is not
            the plan's library; floating labels keep their dtype.

        Raises
        ------
        ValueError
            If integer labels come without `num_classes` or are out of range, if their shape is
            ambiguous, or if `y` does not have N samples. For arrays that are lazy, traced or on an
            accelerator, where reading them would synchronize, a label out of range gives NaN in the
            outputs that use it.
        TypeError
            If `y` is not an array, or an option has the wrong type.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> plan = zeta_plan(2, gamma=1.0, rng=0)
        >>> plan.mix_labels(np.asarray([2, 0]), 3).round(3)
        array([[0.333, 0.   , 0.667],
               [0.667, 0.   , 0.333]])
        >>> plan.mix_labels(np.asarray([2, -100]), 3, ignore_index=-100).round(3)
        array([[0.   , 0.   , 0.667],
               [0.   , 0.   , 0.333]])
        """
        options = label_options(num_classes, ignore_index, positions, onehot)
        return self._mixed_labels(y, options)  # type: ignore[no-any-return]

    def label_weights(self, y: Samples, ignore_index: int, *, positions: bool = False) -> Samples:
        r"""Return the weight of the labels that count, :math:`\sum_r w_{ir} v_{s_i(r)}`.

        Parameters
        ----------
        y : array of int, shape (N, ...)
            Classes, masks or multi-hot rows, some of which do not count.
        ignore_index : int
            The label that does not count, :math:`v = 0`; for all others :math:`v = 1`.
        positions : bool, default False
            Whether every entry is a class, as in `mix_labels`.

        Returns
        -------
        array of float, shape (M, ...)
            Weights from 0 to 1, one for each mixed class, mask position or entry of a row.

        Raises
        ------
        ValueError
            If `y` does not have N samples, or is floating.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> plan = zeta_plan(2, gamma=1.0, rng=0)
        >>> plan.label_weights(np.asarray([2, -100]), -100).round(3)
        array([0.667, 0.333])
        """
        number = check_ignore_index(ignore_index)
        return self._label_weights(y, number, positions)  # type: ignore[no-any-return]

    def union(self, arrays: Sequence[Samples]) -> tuple[list[Samples], list[Samples]]:
        """Collect the rows of all samples of each mixture, such as the boxes of objects.

        Parameters
        ----------
        arrays : list of N arrays, each of shape (n_i, ...)
            The rows of each sample; for a `CutMixPlan` boxes x1, y1, x2, y2, perhaps with more
            columns.

        Returns
        -------
        rows : list of M arrays
            The rows of the samples with weight in each output, from rank 1 on. Where boxes are
            pasted, objects are clipped to what was pasted, and left out if nothing of them is
            visible.
        weights : list of M arrays, each of shape (number of rows,)
            The weight of the sample that each row comes from.

        Raises
        ------
        ValueError
            If there are not N arrays.
        TypeError
            If `arrays` is not a list of arrays, or the plan is traced or on an accelerator.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import mixup_plan
        >>> boxes = [np.asarray([[0.0, 0.0, 4.0, 4.0]]), np.zeros((0, 4))]
        >>> rows, weights = mixup_plan(2, rng=0).union(boxes)
        >>> [len(each) for each in rows]
        [1, 1]
        """
        self._check_single()
        check_rows(arrays, self.num_samples)
        entries = self._label_plan
        return union(entries.indices, entries.weights, arrays, self._clip)

    # The rows of the sample at rank r that are visible in output i: all, unless boxes are pasted.
    _clip: Any = None

    @abstractmethod
    def where(self, active: Array | bool) -> Self:
        """Return this plan where `active` is true, elsewhere a plan that keeps only rank 1.

        Parameters
        ----------
        active : bool or array of bool, shape () or (M,)
            Which outputs to mix, of the library and device of the plan. It may be traced.

        Returns
        -------
        Plan
            The plan, with weights 1, 0, …, 0 and without boxes where `active` is false; output i
            of an anchored plan is then sample ``i mod N`` itself.

        Raises
        ------
        ValueError
            If `active` is an array of another shape or device.
        TypeError
            If `active` is neither a bool nor an array of bool, or is of another library than the
            plan.

        Examples
        --------
        >>> import numpy as np
        >>> from zetamix import zeta_plan
        >>> plan = zeta_plan(2, gamma=1.0, rng=0).where(np.asarray([True, False]))
        >>> plan.weights.round(3)
        array([[0.667, 0.333],
               [1.   , 0.   ]])
        """

    # What a kind of plan does with one array, whose `facts` are looked up unless known, and what it
    # says about itself.

    @abstractmethod
    def _mixed(
        self, x: Array, facts: Facts | None = None, out: Array | None = None, *, dtype: Any = None
    ) -> Array:
        """Mix the samples of one array, to a `dtype` that may be an integer one; see `mix`."""

    def _mixed_scaled(self, x: Array, facts: Facts | None = None, *, dtype: Any = None) -> Array:
        """Mix an array that may have another resolution than boxes were drawn for."""
        return self._mixed(x, facts, dtype=dtype)

    def _box_axes(self, ndim: int) -> tuple[int, ...] | None:
        """Return the axes along which boxes are pasted, None where samples are averaged."""
        return None

    def _pastes(self, x: Array) -> bool:
        return self._box_axes(x.ndim) is not None

    @abstractmethod
    def _mixed_labels(
        self,
        y: Array,
        options: LabelOptions = _PLAIN,
        facts: Facts | None = None,
        *,
        scaled: bool = False,
    ) -> Array:
        """Mix labels; see `mix_labels`."""

    @abstractmethod
    def _label_weights(self, y: Array, ignore_index: int, positions: bool) -> Array:
        """Return the weight of the labels that count; see `label_weights`."""

    @property
    @abstractmethod
    def _label_plan(self) -> MixPlan:
        """The plan that mixes the labels of samples."""
