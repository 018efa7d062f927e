"""What can't be mixed: every entry point says so in the same words, with a remedy that works.

Packages that the tests do not install are played by small classes here, which have the names and
the attributes that matter; `tests/pipelines/test_foreign_packages.py` takes the real ones.
"""

import re
import types

import numpy as np
import numpy.lib.recfunctions
import pytest

from zetamix_core import (
    MixPlan,
    batches,
    cutmix,
    cutmix_plan,
    mixed_loss,
    mixup,
    zeta_mixup,
    zeta_plan,
    zeta_weights,
)

X = np.random.default_rng(0).random((4, 2, 3, 3)).astype(np.float32)
Y = np.asarray([0, 1, 2, 1])
PLAN = zeta_plan(4, num_mix=2, rng=0)
BOXES = cutmix_plan(X.shape, rng=0)


def refused(call, *parts):
    """Check that a call raises an error with rule, value and remedy, and return its text."""
    with pytest.raises(TypeError) as caught:
        call()
    text = str(caught.value)
    for part in (*parts, "got", "; "):
        assert part in text, text

    return text


def of_package(module, name, **attributes):
    """Return an object of a class that has this name in a package which is not here."""
    return type(name, (), {"__module__": module, **attributes})()


def file_array(module, name):
    return of_package(module, name, shape=X.shape, dtype=X.dtype, __array__=lambda self: X)


def pandas_series(kind, *, missing=False):
    return of_package(
        "pandas",
        "Series",
        shape=(4,),
        dtype=types.SimpleNamespace(kind=kind),
        isna=lambda self: np.asarray([False, False, False, missing]),
        __array__=lambda self: np.asarray([1, 2, 3, None], dtype=object),
    )


def sparse_array(name):
    xp = types.SimpleNamespace(__name__="sparse")
    return of_package(
        "sparse.numba_backend._coo.core",
        name,
        shape=X.shape,
        ndim=X.ndim,
        dtype=X.dtype,
        device="cpu",
        __array_namespace__=lambda self, api_version=None: xp,
    )


NAMES = np.asarray(["cat", "dog", "owl", "dog"])
RECORDS = np.asarray([(1.0, 2), (3.0, 4), (5.0, 6), (7.0, 8)], dtype=[("a", "f4"), ("b", "i4")])
MIXED_RECORDS = np.asarray([(1.0, "u")] * 4, dtype=[("a", "f4"), ("name", "U1")])
SUPPORTED = "must be an array of a supported library, "
UNIQUE = "numpy.unique({it}, return_inverse=True)[1]"
UNSTRUCTURED = "numpy.lib.recfunctions.structured_to_unstructured({it})"

# name: (what is passed, the rule, the remedy, with {it} for the name of the argument)
FOREIGN = {
    "text": (NAMES, "must hold numbers, got text", UNIQUE),
    "bytes": (NAMES.astype("S"), "must hold numbers, got text", UNIQUE),
    "StringDType": (NAMES.astype(np.dtypes.StringDType()), "must hold numbers, got text", UNIQUE),
    "list of text": (list(NAMES), SUPPORTED + "got list", UNIQUE),
    "objects, text": (NAMES.astype(object), "must hold numbers, got Python objects", UNIQUE),
    "objects, numbers": (
        Y.astype(object),
        "must hold numbers, got Python objects",
        "{it}.astype(float)",
    ),
    "objects, missing": (
        np.asarray([1, None, 2, 3], dtype=object),
        "must hold numbers, got Python objects",
        "fill missing values",
    ),
    "records": (RECORDS, "must hold numbers, got records", UNSTRUCTURED),
    "recarray": (RECORDS.view(np.recarray), "must hold numbers, got records", UNSTRUCTURED),
    "records with text": (MIXED_RECORDS, "must hold numbers, got records", "{it}['a']"),
    "raw bytes": (np.zeros(4, "V4"), "must hold numbers, got raw bytes", "{it}.view(...)"),
    "times": (np.zeros(4, "M8[s]"), "must hold numbers, got times", "{it}.astype('float64')"),
    "durations": (np.zeros(4, "m8[s]"), "must hold numbers, got times", "{it}.astype('float64')"),
    "masked": (np.ma.masked_greater(X, 0.5), "must have no mask", "{it}.filled(...)"),
    "masked classes": (np.ma.masked_equal(Y, 2), "must have no mask", "{it}.filled(...)"),
    "sparse.COO": (sparse_array("COO"), "must be dense, got a sparse.COO", "{it}.todense()"),
    "sparse.DOK": (sparse_array("DOK"), "must be dense, got a sparse.DOK", "{it}.todense()"),
    "zarr": (
        file_array("zarr.core.array", "Array"),
        SUPPORTED + "got zarr.Array",
        "from_zarr({it})",
    ),
    "h5py": (
        file_array("h5py._hl.dataset", "Dataset"),
        SUPPORTED + "got h5py.Dataset",
        "dask.array.from_array({it}, chunks=...)",
    ),
    "pandas, integers": (
        pandas_series("i"),
        SUPPORTED + "got pandas.Series",
        "{it}.to_numpy('int64')",
    ),
    "pandas, missing": (
        pandas_series("i", missing=True),
        SUPPORTED + "got pandas.Series",
        "{it}.to_numpy(dtype='float64', na_value=numpy.nan)",
    ),
    "pandas, text": (
        pandas_series("O"),
        SUPPORTED + "got pandas.Series",
        "pandas.factorize({it})[0]",
    ),
    "pandas, table": (
        of_package(
            "pandas",
            "DataFrame",
            dtypes=[types.SimpleNamespace(kind="f"), types.SimpleNamespace(kind="O")],
            __array__=lambda self: X,
        ),
        SUPPORTED + "got pandas.DataFrame",
        "{it}.select_dtypes('number').to_numpy(",
    ),
    "scipy.sparse": (
        of_package("scipy.sparse._csr", "csr_array", shape=(4, 3), dtype=X.dtype, toarray=len),
        SUPPORTED + "got scipy.csr_array",
        "{it}.toarray()",
    ),
}

# Lists are structures where they are not declared.
LEAVES = [name for name in FOREIGN if not name.startswith("list")]

# name: (a call, how remedies name what was passed; in structures there are more ways out)
ENTRIES = {
    "plan @ x": (lambda x: PLAN @ x, "x"),
    "boxes @ x": (lambda x: BOXES @ x, "x"),
    "apply": (lambda x: PLAN.apply({"a": {"b": x}}, as_data=["a/b"]), "array"),
    "apply, alone": (lambda x: PLAN.apply(x, as_data=[""]), "x"),
    "mix_labels": (lambda x: PLAN.mix_labels(x, 3), "y"),
    "mix_labels of boxes": (lambda x: BOXES.mix_labels(x, 3), "y"),
    "sparse_labels": (lambda x: PLAN.sparse_labels(x), "y"),
    "zeta_mixup, x": (lambda x: zeta_mixup(x, rng=0), "x"),
    "zeta_mixup, y": (lambda x: zeta_mixup(X, x, num_classes=3, rng=0), "y"),
    "mixup, x": (lambda x: mixup(x, rng=0), "x"),
    "mixup, y": (lambda x: mixup(X, x, num_classes=3, rng=0), "y"),
    "cutmix, x": (lambda x: cutmix(x, axes=(-1,), rng=0), "x"),
    "cutmix, y": (lambda x: cutmix(X, x, num_classes=3, rng=0), "y"),
    "batches, x": (lambda x: batches(x, None, 2), "x"),
    "batches, y": (lambda x: batches(X, x, 2, num_classes=3), "y"),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("name", FOREIGN)
def test_refused(name, entry):
    foreign, rule, remedy = FOREIGN[name]
    call, it = ENTRIES[entry]
    text = refused(lambda: call(foreign), remedy.format(it=it))
    if entry != "apply" or isinstance(foreign, np.ndarray):
        assert rule.partition(", got ")[2] in text
    if not entry.startswith("apply"):
        assert rule in text
        assert text.startswith(it)


@pytest.mark.parametrize("name", LEAVES)
def test_refused_as_a_leaf_of_a_structure(name):
    foreign = FOREIGN[name][0]
    refused(lambda: PLAN.apply({"x": X, "meta": {"a": foreign}}), "at 'meta/a'", "keep=['meta/a']")
    assert PLAN.apply({"x": X, "a": foreign}, keep=["a"])["a"] is foreign


# What a remedy says, to be executed with `it` for what was passed.
EXECUTED = {
    "text": UNIQUE,
    "bytes": UNIQUE,
    "StringDType": UNIQUE,
    "list of text": UNIQUE,
    "objects, text": UNIQUE,
    "objects, numbers": "{it}.astype(float)",
    "records": UNSTRUCTURED,
    "recarray": UNSTRUCTURED,
    "records with text": "{it}['a']",
    "times": "{it}.astype('float64')",
    "durations": "{it}.astype('float64')",
    "masked": "{it}.filled(...)",
    "masked classes": "{it}.filled(...)",
}


@pytest.mark.parametrize("name", EXECUTED)
def test_the_remedy_is_the_last_step(name):
    foreign, remedy = FOREIGN[name][0], EXECUTED[name].format(it="x")
    refused(lambda: PLAN @ foreign, remedy)
    names = {"numpy": np, "x": foreign}
    assert np.all(np.isfinite(PLAN @ eval(remedy.replace("...", "0"), names)))


def test_a_table_of_numbers_needs_no_selection():
    numeric = [types.SimpleNamespace(kind=kind) for kind in "fib"]
    table = of_package("pandas", "DataFrame", dtypes=numeric, __array__=lambda self: X)
    text = refused(lambda: PLAN @ table, "pass x.to_numpy(dtype='float64', na_value=numpy.nan)")
    assert "select_dtypes" not in text


@pytest.mark.parametrize("name", ["text", "masked", "sparse.COO", "records"])
def test_refused_beside_samples(name):
    foreign = FOREIGN[name][0]
    refused(lambda: zeta_plan(4, like=foreign), "like must")
    refused(lambda: zeta_weights(4, gamma=foreign), "gamma must")
    if isinstance(foreign, np.ndarray) and not isinstance(foreign, np.ma.MaskedArray):
        refused(lambda: PLAN.where(foreign), "active must be")


@pytest.mark.parametrize("name", ["zarr", "h5py", "pandas, integers"])
def test_messages_show_no_contents(name):
    foreign = FOREIGN[name][0]
    for call in (lambda: zeta_plan(4, like=foreign), lambda: zeta_plan(4, gamma=foreign)):
        text = refused(call)
        assert "object at" not in text
        assert type(foreign).__name__ in text


# --- torch ----------------------------------------------------------------------------------------


def torch_forms():
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X)
    rows = [torch.ones(n) for n in (2, 3, 1, 2)]
    nested = torch.nested.nested_tensor
    return {
        "coo": (x.to_sparse(), "must be dense", "{it}.to_dense()"),
        "csr": (x[:, 0, 0].to_sparse_csr(), "must be dense", "{it}.to_dense()"),
        "mkldnn": (x.to_mkldnn(), "must be dense", "{it}.to_dense()"),
        "nested": (
            nested(rows),
            "must have samples of one shape",
            "torch.nested.to_padded_tensor({it}, ...)",
        ),
        "jagged": (
            nested(rows, layout=torch.jagged),
            "must have samples of one shape",
            "torch.nested.to_padded_tensor({it}, ...)",
        ),
        "masked": (
            torch.masked.masked_tensor(x, x > 0.5),
            "must have no mask",
            "{it}.to_tensor(...)",
        ),
        "quantized": (
            torch.quantize_per_tensor(x, 0.1, 0, torch.quint8),
            "must hold plain numbers",
            "{it}.dequantize()",
        ),
    }


TORCH_FORMS = ["coo", "csr", "mkldnn", "nested", "jagged", "masked", "quantized"]
QUIET = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (
        "Sparse CSR tensor support",
        "Sparse invariant checks",
        "The PyTorch API of nested",
        "The PyTorch API of MaskedTensors",
        "torch.quantize_per_tensor",
        "quantize_per_tensor",
        ".*is deprecated",
    )
]


def quiet(test):
    for mark in QUIET:
        test = mark(test)
    return test


@quiet
@pytest.mark.needs("torch")
@pytest.mark.parametrize("form", TORCH_FORMS)
def test_forms_of_torch(form):
    torch = pytest.importorskip("torch")
    foreign, rule, remedy = torch_forms()[form]
    x = torch.from_numpy(X)
    calls = {
        name: (call, it) for name, (call, it) in ENTRIES.items() if not name.endswith(", y")
    } | {
        "zeta_mixup, y": (lambda y: zeta_mixup(x, y, num_classes=3), "y"),
        "mixup, y": (lambda y: mixup(x, y, num_classes=3), "y"),
        "cutmix, y": (lambda y: cutmix(x, y, num_classes=3), "y"),
    }
    for call, it in calls.values():
        refused(lambda call=call: call(foreign), rule, remedy.format(it=it))
    dense = eval(remedy.format(it="x").replace("...", "0"), {"x": foreign, "torch": torch})
    assert torch.all(torch.isfinite(PLAN @ dense))


@quiet
@pytest.mark.needs("torch")
@pytest.mark.parametrize("form", TORCH_FORMS)
def test_forms_of_torch_in_modules(form):
    torch = pytest.importorskip("torch")
    zt = pytest.importorskip("zetamix.torch")
    foreign, rule, remedy = torch_forms()[form]
    x = torch.from_numpy(X)
    for mix in (zt.ZetaMixup(num_classes=3), zt.Mixup(num_classes=3), zt.CutMix(num_classes=3)):
        refused(lambda mix=mix: mix(foreign), f"x {rule}", remedy.format(it="x"))
        refused(lambda mix=mix: mix(x, foreign), f"'1' {rule}", remedy.format(it="array"))
        refused(lambda mix=mix: mix({"image": x, "label": foreign}), f"'label' {rule}", "keep=")
        refused(lambda mix=mix: mix.draw(foreign), f"x {rule}")


@pytest.mark.needs("torch")
@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_things_in_modules(name):
    torch = pytest.importorskip("torch")
    zt = pytest.importorskip("zetamix.torch")
    foreign, _, remedy = FOREIGN[name]
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    mix = zt.ZetaMixup(num_classes=3)
    it = "labels" if isinstance(foreign, list) else "array"
    refused(lambda: mix(x, foreign), remedy.format(it=it), "tensor")
    refused(lambda: mix({"image": x, "label": foreign}), remedy.format(it=it), "tensor")
    named = zt.ZetaMixup(num_classes={"label": 3})
    refused(lambda: named({"image": x, "label": foreign}), remedy.format(it="array"))
    if not isinstance(foreign, list):
        refused(lambda: mix(foreign), remedy.format(it="x"), "torch.as_tensor")
        refused(lambda: mix({"image": foreign, "label": y}), "'image'", "keep=['image']")
    kept = zt.ZetaMixup(num_classes=3, keep=["extra"])
    assert kept({"image": x, "extra": foreign, "label": y})["extra"] is foreign


@pytest.mark.needs("torch")
def test_text_and_numbers_stay_in_modules():
    torch = pytest.importorskip("torch")
    zt = pytest.importorskip("zetamix.torch")
    batch = {"image": torch.from_numpy(X), "label": torch.from_numpy(Y), "name": list(NAMES)}
    mixed = zt.ZetaMixup(num_classes=3)(batch | {"count": 4})
    assert mixed["name"] == list(NAMES)
    assert mixed["count"] == 4
    refused(lambda: zt.ZetaMixup()("cats"), "a batch must hold torch tensors, got a str")
    refused(lambda: zt.ZetaMixup()([1, 2]), "a batch must hold torch tensors, got a list of")


# --- JAX ------------------------------------------------------------------------------------------


@pytest.mark.needs("jax")
@pytest.mark.parametrize("name", LEAVES)
def test_foreign_things_in_functions_of_jax(name):
    jax = pytest.importorskip("jax")
    zj = pytest.importorskip("zetamix.jax")
    foreign, rule, remedy = FOREIGN[name]
    key = jax.random.key(0)
    for function in (zj.zeta_mixup, zj.mixup, zj.cutmix):
        refused(lambda f=function: f(key, foreign), f"x {rule}", remedy.format(it="x"))
        refused(
            lambda f=function: f(key, X, {"a": foreign}, num_classes=3),
            f"y['a'] {rule}",
            remedy.format(it="y['a']"),
        )


@pytest.mark.needs("jax")
def test_keys_of_jax_are_no_samples():
    jax = pytest.importorskip("jax")
    zj = pytest.importorskip("zetamix.jax")
    keys, key = jax.random.split(jax.random.key(0), 4), jax.random.key(1)
    x = jax.numpy.asarray(X)
    rule = "must hold numbers, got JAX keys of shape (4,) and dtype key<fry>"
    for call, it in ENTRIES.values():
        if call is not ENTRIES["apply"][0]:
            refused(lambda call=call: call(keys), f"{it} {rule}")
    refused(lambda: PLAN.apply({"x": x, "key": keys}), rule, "keep=['key']")
    assert PLAN.apply({"x": x, "key": keys}, keep=["key"])["key"] is keys
    for function in (zj.zeta_mixup, zj.mixup, zj.cutmix):
        refused(lambda f=function: f(key, {"x": x, "key": keys}), f"x['key'] {rule}")
        refused(lambda f=function: f(key, x, keys), f"y {rule}")
        refused(lambda f=function: jax.jit(f)(key, keys), f"x {rule}")


@pytest.mark.needs("jax")
def test_traced_options_are_to_be_static():
    jax = pytest.importorskip("jax")
    zj = pytest.importorskip("zetamix.jax")
    x, y, key = jax.numpy.asarray(X), jax.numpy.asarray(Y), jax.random.key(0)

    calls = [
        ("num_classes", lambda: jax.jit(zeta_mixup)(x, y, num_classes=3, rng=key)),
        ("num_mix", lambda: jax.jit(zeta_mixup)(x, num_mix=2, rng=key)),
        ("anchored", lambda: jax.jit(zeta_mixup)(x, anchored=True, rng=key)),
        ("alpha", lambda: jax.jit(mixup)(x, alpha=1.0, rng=key)),
        ("per_sample", lambda: jax.jit(mixup)(x, per_sample=True, rng=key)),
        ("axes", lambda: jax.jit(cutmix)(x, axes=(-1,), rng=key)),
        ("n", lambda: jax.jit(zeta_plan)(4, rng=key, like=x)),
        ("num_classes", lambda: jax.jit(zj.zeta_mixup)(key, x, y, num_classes=3)),
        ("num_mix", lambda: jax.jit(zj.zeta_mixup)(key, x, num_mix=2)),
        ("alpha", lambda: jax.jit(zj.cutmix)(key, x, alpha=1.0)),
    ]
    for name, call in calls:
        refused(call, f"{name} ", f"make it static: jax.jit(..., static_argnames={name!r})")
    mixed = jax.jit(zj.zeta_mixup, static_argnames=("num_mix", "num_classes"))
    assert mixed(key, x, y, num_mix=2, num_classes=3)[1].shape == (4, 3)


@pytest.mark.needs("jax")
def test_plans_whose_leaves_were_replaced():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    plan = zeta_plan(4, rng=0, like=jnp.asarray(X))
    shapes = jax.tree.map(jnp.shape, plan)
    assert repr(shapes) == "MixPlan(indices=(4, 4), weights=(4,), num_samples=4)"
    assert shapes == jax.tree.map(jnp.shape, plan)
    assert shapes != plan
    assert plan != shapes
    refused(
        lambda: shapes @ jnp.asarray(X),
        "a plan must hold integer indices and weights",
        repr(shapes),
    )
    assert repr(jax.tree.map(lambda leaf: None, plan)).startswith("MixPlan(indices=None")
    assert "Array(1." in repr(jax.tree.map(jnp.sum, plan))
    abstract = jax.eval_shape(
        lambda key: zeta_plan(4, rng=key, like=jnp.ones(1)), jax.random.key(0)
    )
    assert "ShapeDtypeStruct(shape=(4, 4)" in repr(abstract)
    boxes = cutmix_plan(X.shape, rng=0, like=jnp.asarray(X))
    assert "lower=(4, 2)" in repr(jax.tree.map(jnp.shape, boxes))


# --- Dask -----------------------------------------------------------------------------------------


def dask_calls(x, y):
    """Return the ways to mix Dask arrays, computed to the end."""
    return [
        lambda: (PLAN @ x).compute(),
        lambda: (BOXES @ x).compute(),
        lambda: zeta_mixup(x, rng=0)[0].compute(),
        lambda: cutmix(x, rng=0)[0].compute(),
        lambda: PLAN.mix_labels(x).compute(),
        lambda: PLAN.mix_labels(y, 3).compute(),
        lambda: BOXES.mix_labels(y, 3).compute(),
        lambda: PLAN.sparse_labels(y)[0].compute(),
        lambda: mixed_loss(lambda pred, y: y, None, y, PLAN).compute(),
    ]


@pytest.mark.needs("dask")
def test_masked_blocks_are_found_before_they_are_computed():
    da = pytest.importorskip("dask.array")
    column = np.arange(20.0)[:, None]
    lazy = da.from_array(np.ma.masked_array(column, column == 3), chunks=5)
    remedy = "dask.array.ma.filled(x, ...)"
    refused(lambda: zeta_plan(20, num_mix=2, rng=0) @ lazy, "x must have no mask", remedy)
    assert np.all(np.isfinite(zeta_plan(20, rng=0) @ da.ma.filled(lazy, 0.0)))


@pytest.mark.needs("dask")
def test_masked_blocks_are_found_when_they_are_computed():
    da = pytest.importorskip("dask.array")

    def mask(block):
        return np.ma.masked_array(block, block >= block.max())

    def told_nothing(x):
        return da.from_array(x, chunks=(2, *x.shape[1:])).map_blocks(
            mask, meta=x[:0], dtype=x.dtype
        )

    for call in dask_calls(told_nothing(X), told_nothing(Y)):
        text = refused(call, "must have no mask", "map_blocks(...) pass block.filled(...)")
        assert text.startswith(("the blocks of x", "the blocks of y"))


@pytest.mark.needs("dask")
def test_blocks_of_objects_and_sparse_ones():
    da = pytest.importorskip("dask.array")
    objects = da.from_array(X.astype(object), chunks=(2, 1, 3, 3))
    text = da.from_array(NAMES, chunks=2)
    for call in dask_calls(objects, text):
        refused(call, "must hold numbers")
    meta = sparse_array("COO")
    meta.ndim = 4
    lazy = da.from_array(X, chunks=2)
    lazy._meta = meta
    refused(lambda: PLAN @ lazy, "must be dense", "x.map_blocks(lambda block: block.todense())")
    liar = da.from_array(X, chunks=(2, 2, 3, 3)).map_blocks(
        lambda block: block.astype(object), meta=X[:0], dtype=X.dtype
    )
    refused((PLAN @ liar).compute, "the blocks of x must hold numbers")


# --- libraries that NumPy can't read --------------------------------------------------------------


@pytest.fixture(params=[AttributeError, BufferError])
def sealed(request, monkeypatch):
    """Return array-api-strict without export, as ndonnx refuses it and others do not have it."""
    xp = pytest.importorskip("array_api_strict")

    def refuse(self, *args, **kwargs):
        raise request.param("no export of array data")

    monkeypatch.setattr(type(xp.asarray(1.0)), "__dlpack__", refuse)
    return xp


@pytest.mark.needs("array_api_strict")
def test_libraries_without_export_work(sealed):
    x, y = sealed.asarray(X), sealed.asarray(Y)

    def close(a, b):
        floats = sealed.astype(a, sealed.float64), sealed.asarray(b.astype(np.float64))
        return bool(sealed.all(sealed.abs(floats[0] - floats[1]) < 1e-6))

    plan = zeta_plan(4, rng=0, like=x)
    for some in (PLAN, plan):
        assert repr(some)
        assert (some @ x).dtype == sealed.float32
    assert close(PLAN @ x, PLAN @ X)
    assert close(PLAN.mix_labels(y, 3), PLAN.mix_labels(Y, 3))
    assert close(PLAN.sparse_labels(y)[0], PLAN.sparse_labels(Y)[0])
    mixed, soft = zeta_mixup(x, y, num_classes=3, rng=0)
    assert close(mixed, zeta_mixup(X, rng=0)[0])
    assert soft.shape == (4, 3)
    assert mixup(x, rng=0)[0].shape == cutmix(x, rng=0)[0].shape == x.shape
    assert close(
        zeta_plan(4, gamma=sealed.asarray([1.0, 2.0, 3.0, 4.0]), rng=0, like=x) @ x,
        zeta_plan(4, gamma=np.asarray([1.0, 2.0, 3.0, 4.0]), rng=0, like=X) @ X,
    )
    for call in (lambda: plan == plan, lambda: plan.save("nowhere.npz")):
        refused(call, "must be readable by NumPy", "draw the plan with like=None")


# --- two leaves at one path -----------------------------------------------------------------------


def test_declared_paths_lead_to_one_leaf():
    tree = {"a/b": X, "a": {"b": Y}}
    rule = "a declared path must lead to one leaf, got 'a/b' for two of them; rename a key"
    for options in ({"keep": ["a/b"]}, {"as_data": ["a/b"]}, {"num_classes": {"a/b": 3}}):
        with pytest.raises(ValueError, match=re.escape(rule)):
            PLAN.apply(tree, **options)
    with pytest.raises(ValueError, match="got '0' for two"):
        PLAN.apply({0: X, "0": "text"}, keep=["0"])
    floats = {"a/b": X, "a": {"b": X}}
    assert len(PLAN.apply(floats)) == 2  # nothing is declared, nothing is ambiguous
    assert PLAN.apply(floats | {"y": Y}, keep=["y"])["y"] is Y


# --- words that users know ------------------------------------------------------------------------


def test_an_array_alone_has_no_place():
    for call in (lambda: PLAN.apply(Y), lambda: PLAN.apply(NAMES), lambda: PLAN.apply(X[:3])):
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        assert not getattr(caught.value, "__notes__", [])
        assert "at ''" not in str(caught.value)


@pytest.mark.needs("torch")
def test_modules_speak_of_batches_not_of_plans():
    torch = pytest.importorskip("torch")
    zt = pytest.importorskip("zetamix.torch")
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    for mix in (zt.ZetaMixup(num_classes=3), zt.Mixup(num_classes=3), zt.CutMix(num_classes=3)):
        for batch, places in (
            ((x, y[:3]), "got 4 in '0' and 3 in '1'"),
            ({"image": x, "depth": x[:2], "label": y}, "got 4 in 'image' and 2 in 'depth'"),
            ((x, y.to("meta")), "got cpu at '0' and meta at '1'"),
        ):
            with pytest.raises(ValueError, match=re.escape(places)) as caught:
                mix(batch)
            assert "plan" not in str(caught.value)
    with pytest.raises(ValueError, match="boxes were drawn for") as caught:
        zt.CutMix(labels_getter=None)((x, x[..., :2]))
    assert "plan" not in str(caught.value)
    assert MixPlan.__name__ not in str(caught.value)
