"""The documentation against the code: what one can type, set or be told is written down, and every link is good."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

import engage_pipeline
from engage_pipeline.cli.app import app
from engage_pipeline.database import vocabulary
from engage_pipeline.errors import EngageError
from engage_pipeline.intake import delimited, json_records, normalise
from engage_pipeline.settings import PROJECT_ROOT, Settings

README = PROJECT_ROOT / "README.md"
ARCHITECTURE = PROJECT_ROOT / "ARCHITECTURE.md"
GUIDES = sorted((PROJECT_ROOT / "docs").glob("*.md"))
PAGES = [README, ARCHITECTURE, PROJECT_ROOT / "CHANGELOG.md", *GUIDES]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in (README, *GUIDES))
CONCEPTS = (PROJECT_ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
SOURCES = sorted((PROJECT_ROOT / "engage_pipeline").rglob("*.py"))


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    """Every command that does something, as it is typed."""
    subcommands: dict[str, click.Command] = getattr(command, "commands", {})
    if not subcommands:
        yield " ".join(path)
    for name, subcommand in subcommands.items():
        yield from commands(subcommand, (*path, name))


def error_classes() -> list[type[EngageError]]:
    """EngageError and all that inherit from it, in whichever module."""
    for module in pkgutil.walk_packages(engage_pipeline.__path__, "engage_pipeline."):
        if "__main__" not in module.name and ".migrations" not in module.name:
            importlib.import_module(module.name)
    found, waiting = [], [EngageError]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting += each.__subclasses__()
    return found


def refusal_codes() -> set[str]:
    """The first argument of every `FileRefused(...)`, which is always written out."""
    calls = [
        node
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "FileRefused"
    ]
    return {ast.literal_eval(call.args[0]) for call in calls}


def links(page: Path) -> list[str]:
    """Targets of the page's links that lead to a file of the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [target for target in targets if not target.startswith(("http://", "https://", "mailto:"))]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_named(word: str, text: str) -> bool:
    """Whether `text` has the word by itself, not as a part of a longer one."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def test_the_readme_begins_with_the_two_commands():
    first_screen = README.read_text(encoding="utf-8").splitlines()[:15]
    assert any("make demo" in line for line in first_screen)
    assert any("make test" in line for line in first_screen)


@pytest.mark.parametrize("command", list(commands(typer.main.get_command(app), ("engage",))))
def test_every_command_is_documented(command):
    assert is_named(command, TEXT)


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_documented(name):
    assert is_named(f"ENGAGE_{name.upper()}", TEXT)


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_documented_default_of_a_setting_is_its_default(name):
    default = Settings.model_fields[name].default
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `ENGAGE_{name.upper()}` |")]
    documented = row.split("|")[2].split()[0].strip("`")
    expected = ".engage" if name == "home" else "none" if default is None else str(default)
    assert documented == expected


def test_every_error_code_is_documented():
    codes = {each.code for each in error_classes()}
    assert len(codes) > 20
    assert {code for code in codes if not is_named(f"`{code}`", TEXT)} == set()


def test_every_reason_to_refuse_a_file_is_documented():
    codes = refusal_codes()
    assert "no_header" in codes
    assert {code for code in codes if not is_named(f"`{code}`", TEXT)} == set()


def test_every_reason_to_reject_a_row_is_documented():
    codes = {
        normalise.INVALID_PHONE,
        normalise.INVALID_EMAIL,
        normalise.NO_IDENTITY,
        normalise.UNSTORABLE_TEXT,
        normalise.TEST_LEAD,
        delimited.MALFORMED_QUOTES,
        delimited.WRONG_FIELD_COUNT,
        json_records.MALFORMED_JSON,
    }
    assert {code for code in codes if not is_named(f"`{code}`", CONCEPTS)} == set()


@pytest.mark.parametrize(
    "words",
    [
        vocabulary.ACTION_LOG_STATUSES,
        vocabulary.ASSIGNMENT_REASONS,
        vocabulary.BATCH_STATUSES,
        vocabulary.EXECUTE_CONDITIONS,
        vocabulary.EXECUTION_STATUSES,
        vocabulary.UPLOAD_STATUSES,
    ],
)
def test_every_state_and_reason_is_in_the_concepts(words):
    assert {word for word in words if not is_named(f"`{word}`", CONCEPTS)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in links(page):
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_every_page_that_the_code_names_exists():
    named = {
        (source, name)
        for source in SOURCES
        for name in re.findall(r"\bdocs/[\w-]+\.md", source.read_text(encoding="utf-8"))
    }
    assert named
    assert {(source.name, name) for source, name in named if not (PROJECT_ROOT / name).exists()} == set()


def test_every_module_that_the_architecture_names_exists():
    named = re.findall(r"`((?:engage_pipeline|assets|sensors|dbt_like_sql|tests)/[\w/.]*)`", ARCHITECTURE.read_text())
    assert named
    assert [name for name in named if not (PROJECT_ROOT / name).exists()] == []
