"""Each public function names the right word where `seed=` and `rng=` are mistaken."""

import importlib
import inspect

import numpy as np
import pytest
import zetamix
from sklearn.base import clone

from zetamix_core.keywords import random_by

WORDS = ("rng", "seed", "key", "random_state")
MODULES = ["zetamix", "zetamix.metrics", "zetamix.torch", "zetamix.jax", "zetamix.sklearn"]
MODULES += ["zetamix.dask", "zetamix.cupy", "zetamix.jax.grain"]
NEEDS = {"zetamix.cupy": "cupy", "zetamix.jax.grain": "grain"}
NEEDS |= {f"zetamix.{name}": name for name in ("torch", "jax", "sklearn", "dask")}
COUNTS = {"zetamix": 12, "zetamix.metrics": 2, "zetamix.torch": 8, "zetamix.jax": 4}
COUNTS |= {"zetamix.sklearn": 3, "zetamix.dask": 3}
# Which words go through options of others.
PASSED_ON = {("Mix", "seed"), ("Mixup", "seed"), ("CutMix", "seed"), ("batches", "seed")}
PASSED_ON |= {("zeta_mixup", "seed")}


def drawn_at_random(module):
    """The public callables of a module with the word that each has."""
    found = []
    for name in module.__all__:
        function = getattr(module, name)
        if not callable(function) or getattr(function, "_is_protocol", False):
            continue
        try:
            parameters = inspect.signature(function).parameters
        except ValueError:
            continue
        words = [word for word in WORDS if word in parameters]
        if not words and hasattr(function, "__wrapped__"):
            words = [word for word in WORDS if (name, word) in PASSED_ON]
        if not words and hasattr(getattr(function, "__init__", None), "__wrapped__"):
            words = [word for word in WORDS if (name, word) in PASSED_ON]
        if words:
            found.append((function, words[0]))
    return found


def _imported(name):
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    return importlib.import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_names_its_word(name):
    found = drawn_at_random(_imported(name))
    assert found
    for function, word in found:
        for wrong in set(WORDS) - {word}:
            with pytest.raises(
                TypeError,
                match=f"^{function.__name__} takes its randomness as {word}=, got {wrong}=; pass ",
            ):
                function(**{wrong: 0})


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_how_many_there_are(name, count):
    """So that none is passed over."""
    assert len(drawn_at_random(_imported(name))) == count


def test_a_newcomers_first_try():
    with pytest.raises(TypeError, match="pass a seed, a generator or a key, such as rng=0"):
        zetamix.zeta_mixup(np.ones((4, 2)), seed=0)
    with pytest.raises(TypeError, match="pass a whole number, such as seed=0"):
        zetamix.batches(np.ones((4, 2)), None, 2, rng=0)


def test_other_mistakes_are_those_of_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'sead'"):
        zetamix.zeta_plan(4, sead=0)


def test_functions_stay_what_they_are():
    assert zetamix.zeta_plan.__name__ == "zeta_plan"
    assert list(inspect.signature(zetamix.permutation).parameters) == ["n", "rng"]
    sampler = importlib.import_module("zetamix.sklearn").ZetaMixupSampler(random_state=3)
    assert clone(sampler).get_params()["random_state"] == 3


def test_the_first_of_several_wrong_words_is_named():
    @random_by("rng")
    def function(*, rng=None):
        return rng

    assert function(rng=5) == 5
    with pytest.raises(TypeError, match="function takes its randomness as rng=, got key="):
        function(seed=0, key=0)
