"""The array libraries that every test of the core runs on.

By default all of them, of which only CuPy may be missing (it needs a CUDA device). The option
``--backend NAME`` runs the named ones only; what is asked for and can't be loaded is a failure, not
a skip.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import importlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("repeatable")


@dataclasses.dataclass(frozen=True)
class Backend:
    """One array library on one device, and the way to it and back."""

    name: str
    asarray: Callable[[np.ndarray], Any]
    to_numpy: Callable[[Any], np.ndarray]
    # A Dask array has a NumPy plan, and shows no values before it is computed.
    lazy: bool = False

    @property
    def like(self) -> Any:
        """A float32 array, to name library and device."""
        return self.asarray(np.zeros(1, dtype=np.float32))

    @property
    def plan_library(self) -> str:
        return "numpy" if self.lazy else self.name.split("-")[0]


def _numpy() -> Backend:
    return Backend("numpy", np.asarray, np.asarray)


def _readonly() -> Backend:
    def asarray(x: np.ndarray) -> np.ndarray:
        x = np.array(x)
        x.flags.writeable = False
        return x

    return Backend("numpy-readonly", asarray, np.asarray)


def _strict(device: str) -> Backend:
    xp = importlib.import_module("array_api_strict")
    xp.set_array_api_strict_flags(
        boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
    )
    return Backend(
        "array_api_strict",
        lambda x: xp.asarray(np.array(x), device=xp.Device(device)),
        lambda x: np.from_dlpack(xp.asarray(x, copy=True)),
    )


def _torch() -> Backend:
    torch = importlib.import_module("torch")
    return Backend(
        "torch", lambda x: torch.from_numpy(np.array(x)), lambda x: x.detach().cpu().numpy()
    )


def _jax() -> Backend:
    jax = importlib.import_module("jax")
    return Backend("jax", jax.numpy.asarray, np.asarray)


def _dask() -> Backend:
    da = importlib.import_module("dask.array")
    return Backend(
        "dask",
        lambda x: da.from_array(x, chunks=tuple(max(1, n // 2) for n in x.shape)),
        np.asarray,
        lazy=True,
    )


def _cupy() -> Backend:
    cupy = importlib.import_module("cupy")
    if cupy.cuda.runtime.getDeviceCount() < 1:
        raise RuntimeError("no CUDA device answers")
    return Backend("cupy", cupy.asarray, lambda x: x.get())


BACKENDS: dict[str, Callable[[], Backend]] = {
    "numpy": _numpy,
    "numpy-readonly": _readonly,
    # Not on its default device: an array that is made there by chance does not fit to others.
    "array_api_strict": functools.partial(_strict, "device1"),
    "torch": _torch,
    "jax": _jax,
    "dask": _dask,
    "cupy": _cupy,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        choices=sorted(BACKENDS),
        help="run the tests of this array library only (repeatable); it must be there",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(backend): the test runs on that library alone")
    config.addinivalue_line("markers", "fast: what needs NumPy alone; marked by itself")
    config.addinivalue_line("markers", "pipeline: training with a heavy framework; see -m pipeline")
    _share_programs_of_jax(config)
    _share_cores(config)
    # Seldom: what frameworks and their compilers keep is looked through each time.
    gc.set_threshold(100_000, 20, 20)


def _flags_of_jax() -> list[str]:
    """Return flags with which JAX compiles fastest, of those that its release knows."""
    flags = ["--xla_backend_optimization_level=0"]
    try:
        release = importlib.metadata.version("jaxlib")
    except importlib.metadata.PackageNotFoundError:
        return flags
    # A third less time; unknown flags end the process.
    return [*flags, "--xla_cpu_use_fusion_emitters=false"] if release[:5] == "0.10." else flags


def _share_programs_of_jax(config: pytest.Config) -> None:
    """Compile each program of JAX once, for all processes of this run and of later ones.

    Machines that share a folder have a cache each, since code is made for one processor.
    """
    # Another process may still be writing what one reads: it is compiled then, as without a cache.
    unfinished = "ignore:Error reading persistent compilation cache entry:UserWarning"
    config.addinivalue_line("filterwarnings", unfinished)
    # Compiling takes a third of the time of all tests, most of it optimization. XLA_FLAGS= compiles
    # as for users, which .ci/run does for what depends on each rounding.
    os.environ.setdefault("XLA_FLAGS", " ".join(_flags_of_jax()))
    cache = getattr(config, "cache", None)
    if cache is not None and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache.mkdir(f"jax-{platform.node()}"))
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def _share_cores(config: pytest.Config) -> None:
    """Give each process of this run its part of the cores.

    By default the libraries of each take all of them, and wait for one another in busy loops.
    """
    processes = getattr(config.option, "numprocesses", None)
    if processes:  # the libraries read this when they are loaded, in the processes to come
        threads = str(max(1, (os.cpu_count() or 1) // processes))
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, threads)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _is_fast(item):
            item.add_marker("fast")
        for marker in item.iter_markers("needs"):
            if reason := left_out(config, marker.args[0]):
                item.add_marker(pytest.mark.skip(reason=reason))


# Programs, pictures, compilers and other processes, which take their time.
_SLOW = re.compile(
    r"test_(augment|benchmarks|classification|cli|docs|files|poster|report_page|sklearn|tabular|types"
    r"|cupy|jax_|torch_|dimension|realism)"
)


def _is_fast(item: pytest.Item) -> bool:
    """Tell whether a test belongs to the loop of a developer, of one minute in all."""
    if item.get_closest_marker("needs") or _SLOW.match(item.path.name):
        return False
    if item.path.parent.name == "pipelines" or re.search(r"\[.*(jax|torch|dask)", item.name):
        return False
    params = getattr(getattr(item, "callspec", None), "params", {})
    return params.get("backend", "numpy") == "numpy" and "require" not in item.fixturenames


def left_out(config: pytest.Config, name: str) -> str | None:
    """Return the reason why a library is not to be used, None if it is."""
    asked = config.getoption("backend")
    return f"--backend leaves out {name}" if asked and name not in asked else None


@pytest.fixture
def require(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Skip the test where a library is left out, in the middle of it."""

    def require(name: str) -> None:
        if reason := left_out(request.config, name):
            pytest.skip(reason)

    return require


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        names = metafunc.config.getoption("backend") or list(BACKENDS)
        metafunc.parametrize("backend", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    return load(request.config, request.param)


@pytest.fixture
def cupy_backend(request: pytest.FixtureRequest) -> Backend:
    """CuPy alone, for tests of its adapter."""
    if reason := left_out(request.config, "cupy"):
        pytest.skip(reason)
    return load(request.config, "cupy")


def load(config: pytest.Config, name: str) -> Backend:
    """Return a backend; CuPy may be missing, unless it was asked for."""
    if name != "cupy" or config.getoption("backend"):
        return BACKENDS[name]()
    try:
        return BACKENDS["cupy"]()
    except Exception as error:  # noqa: BLE001 - the driver has errors of its own
        pytest.skip(f"CuPy needs a CUDA device: {type(error).__name__}: {error}")
