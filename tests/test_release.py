"""What a release says of itself in several places is the same everywhere."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import zetamix_core

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "packaging" / "recipe.yaml"
pytestmark = pytest.mark.skipif(not RECIPE.is_file(), reason="recipes are in checkouts only")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def recipe():
    return yaml.safe_load(RECIPE.read_text(encoding="utf-8"))


def bounds(requirements):
    """Return the name and the bounds of each requirement."""
    parsed = [Requirement(each.replace(" ", "", 1)) for each in requirements]
    return {each.name: str(each.specifier) for each in parsed}


def test_the_recipe_asks_for_what_the_distribution_asks_for(project, recipe):
    wanted = bounds(project["dependencies"]) | {"python": project["requires-python"]}
    assert bounds(recipe["requirements"]["run"]) == wanted


def test_the_recipe_is_of_this_version(recipe):
    assert recipe["schema_version"] == 1
    assert recipe["context"]["version"] == zetamix_core.__version__


def test_the_recipe_has_the_command(project, recipe):
    points = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == points


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    citation = yaml.safe_load(text)
    assert citation["version"] == zetamix_core.__version__
    dated = re.search(
        rf"^## {re.escape(zetamix_core.__version__)} – (\d{{4}}-\d\d-\d\d)$",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert dated
    assert str(citation["date-released"]) == dated[1]


def test_pythons_are_those_of_the_workflows(project):
    declared = [name.rpartition(" :: ")[2] for name in project["classifiers"] if "3." in name]
    assert declared[0] == project["requires-python"].removeprefix(">=")
    workflow = yaml.safe_load(
        (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    )
    assert workflow["jobs"]["whole"]["strategy"]["matrix"]["python"] == [declared[0], declared[-1]]


SITE = "https://zetamix.readthedocs.io/en/latest/"
FILES = ("https://github.com/zetamix/zetamix/blob/main/",)
FILES += ("https://raw.githubusercontent.com/zetamix/zetamix/main/",)


def test_links_of_the_readme_lead_somewhere_from_an_index():
    """They are absolute, and what they name is in the checkout."""
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) > 20
    for link in links:
        if link.startswith(SITE):
            page = link.removeprefix(SITE).removesuffix(".html")
            assert page == "gallery/index" or (ROOT / "docs" / f"{page}.md").is_file(), link
        else:
            base = next(base for base in FILES if link.startswith(base))
            assert (ROOT / link.removeprefix(base)).exists(), link
