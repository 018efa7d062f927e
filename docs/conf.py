"""Sphinx configuration: warnings are errors, and nothing is fetched from the network."""

import zetamix

project = "zetamix"
author = "The zetamix developers"
copyright = "2026, The zetamix developers"
release = version = zetamix.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",
]
myst_enable_extensions = ["deflist", "dollarmath"]
autosummary_generate = True
autodoc_mock_imports = ["cupy", "cupyx"]  # they need a driver
autodoc_typehints = "none"
numpydoc_show_class_members = False
default_role = "any"
exclude_patterns = ["_build"]
suppress_warnings = ["ref.any"]

html_theme = "furo"
html_title = f"zetamix {release}"
