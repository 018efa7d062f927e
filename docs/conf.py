"""Sphinx configuration: warnings are errors, and a build needs no network."""

import importlib
import logging
from pathlib import Path

import zetamix
from sphinx_gallery.sorting import ExplicitOrder

project = "zetamix"
author = "The zetamix developers"
copyright = "2026, The zetamix developers"
release = version = zetamix.__version__


def finds_cuda_device():
    """Tell whether CuPy is installed and a device answers."""
    try:
        return importlib.import_module("cupy").cuda.runtime.getDeviceCount() > 0
    except Exception:  # noqa: BLE001 - no CuPy, no driver, no device: each has an error of its own
        return False


extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
]
default_role = "any"
smartquotes_action = "qe"  # two dashes begin an option
exclude_patterns = ["_build", "tutorials"]  # tutorials are read from where they are executed
suppress_warnings = ["ref.any", "config.cache"]
# Names of this project must lead somewhere; those of others may not, without a network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!zetamix).*")]
templates_path = ["_templates"]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_mock_imports = ["cupy", "cupyx"]  # they need a driver
autodoc_typehints = "none"
numpydoc_show_class_members = False

intersphinx_mapping = {
    "python": ("https://docs.python.org/3", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "scipy": ("https://docs.scipy.org/doc/scipy", None),
    "cupy": ("https://docs.cupy.dev/en/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
    "jax": ("https://docs.jax.dev/en/latest", None),
    "dask": ("https://docs.dask.org/en/stable", None),
}
intersphinx_disabled_reftypes = ["std:*"]  # names of parameters are no terms of others
intersphinx_timeout = 5
# Where there is no network, references to other projects stay text; that is no reason to fail.
logging.getLogger("sphinx.sphinx.ext.intersphinx").addFilter(
    lambda record: "failed to reach any of the inventories" not in record.msg
)

EXECUTED = ["manifolds", "digits", "dimension", "torch_training", "hidden_features", "jax_grain"]
EXECUTED += ["imbalanced_table"]
TUTORIALS = [f"plot_{name}.py" for name in EXECUTED] + ["cupy_scripting.py"]
if finds_cuda_device():
    tags.add("gpu")  # noqa: F821 - given by Sphinx

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "gallery",
    "within_subsection_order": ExplicitOrder(TUTORIALS),
    "filename_pattern": r"\.py$" if "gpu" in tags else r"plot_\w+\.py$",  # noqa: F821
    "abort_on_example_error": True,
    "capture_repr": (),
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("zetamix", "zetamix_core"),
    "download_all_examples": False,
    "image_srcset": ["2x"],
    "min_reported_time": float("inf"),
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "furo"
html_title = f"zetamix {release}"
html_static_path = ["_static"]
html_search_scorer = str(Path(__file__).parent / "scorer.js")
html_css_files = ["style.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5f99", "color-brand-content": "#1f5f99"},
    "dark_css_variables": {"color-brand-primary": "#7cb9f2", "color-brand-content": "#7cb9f2"},
}
