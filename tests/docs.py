"""Pages written by machine: the settings from their class, the commands from their help.

``python -m tests.docs`` says which page is out of date, ``python -m tests.docs --write`` writes it again;
``tests/unit/test_docs.py`` holds page and code equal.
"""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click

from broker import cli, config

REPOSITORY = Path(__file__).parents[1]
WIDTH = 100  # of the help texts, whatever the terminal's

_SETTINGS_HEAD = """\
# Settings

*Written by `python -m tests.docs --write` from `broker/config.py`; a test holds the two equal.*

Settings are environment variables, read once when a process starts. A `BROKER_` variable that is not in this table
keeps the process from starting (`config.invalid`): it is a typing error. Give all processes of one deployment the same
values. Relative paths are below the folder in which a process is started.

| variable | default | what it is |
|---|---|---|
"""
_SETTINGS_FOOT = """
The tests alone read `BROKER_TEST_DATABASE_URL`, `BROKER_TEST_MARIADB_URL` and `BROKER_TEST_REDIS_URL`; the broker
passes over them.

`BROKER_PLATFORMS_FILE` is YAML. A credential is text, or `{file: name}` for a file beside it, with
`until: 2027-06-30` where its last day is known, so that people are told in time; what a connector wants under
`credentials` and `options` stands in its docstring in `broker/connectors/`.

```yaml
platforms:
  sd-certshare:
    endpoint: https://licences.example/CertShare
    credentials: {account: example, password: {file: sd-certshare.password}, private_key: {file: sd-certshare.pem}}
    options: {services: {ecert-food-licence: "the type code, where the sharing list has none"}}
  ps-orders:  # people who answer work orders: nothing is sent, so there is nowhere to send it
    endpoint: ""
    credentials: {}
    options: {units: {"370400": "the credit code of the body that answers in this region"}}
```

A platform that is missing here is not connected: its lookups end at once as `unknown.not-configured`, and the material
goes on along its chain.
"""
_COMMANDS_HEAD = """\
# Commands

*Written by `python -m tests.docs --write` from `broker/cli/`; a test holds the two equal.*

In a checkout the command is `.venv/bin/broker`. A refusal ends it with 1, its code and next step in both languages on
standard error. [Settings](settings.md) come from the environment.
"""


def settings_page() -> str:
    """The table of the settings, each with the sentence below its field."""
    rows = [f"| `{config.PREFIX}{name.upper()}` | {default} | {sentence} |\n" for name, default, sentence in settings()]
    return _SETTINGS_HEAD + "".join(rows) + _SETTINGS_FOOT


def settings() -> Iterator[tuple[str, str, str]]:
    """Each field of ``Settings`` with its default, as a reader would write it, and its docstring."""
    defaults = {field.name: field.default for field in dataclasses.fields(config.Settings)}
    for name, sentence in _sentences().items():
        default = str(defaults[name])
        if default.startswith(str(config.ROOT)):
            yield name, f"`{Path(default).relative_to(config.ROOT)}`, beside the package", sentence
        else:
            yield name, f"`{default}`" if default else "–", sentence


def _sentences() -> dict[str, str]:
    tree = ast.parse(Path(config.__file__).read_text("utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    found = {}
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            found[field.target.id] = " ".join(str(text).split()).replace("``", "`")
    return found


def commands_page() -> str:
    """The help of every command, groups before their own."""
    return _COMMANDS_HEAD + "".join(
        f"\n## {name}\n\n```text\n{help_of(command, name)}\n```\n" for name, command in commands()
    )


def commands(command: click.Command = cli.main, name: str = "broker") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, in the order in which help lists them."""
    yield name, command
    if isinstance(command, click.Group):
        for inner in sorted(command.commands):
            yield from commands(command.commands[inner], f"{name} {inner}")


def help_of(command: click.Command, name: str) -> str:
    """What ``--help`` prints, at one width."""
    asked = command.context_settings.get("help_option_names") or cli.main.context_settings["help_option_names"]
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH,
                            help_option_names=asked)  # fmt: skip
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


PAGES = {"docs/settings.md": settings_page, "docs/cli.md": commands_page}


def main() -> int:
    """Write the pages, or say which are out of date."""
    status = 0
    for name, page in PAGES.items():
        path, text = REPOSITORY / name, page()
        if path.exists() and path.read_text("utf-8") == text:
            continue
        if "--write" in sys.argv[1:]:
            path.write_text(text, "utf-8")
            continue
        sys.stderr.write(f"{name} is out of date: python -m tests.docs --write\n")
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
