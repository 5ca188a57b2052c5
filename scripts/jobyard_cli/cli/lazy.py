"""Loads commands when they are needed, in the way that Click's documentation describes ("Lazily Loading Subcommands").

Start-up time is a person's waiting time, and a command that another package brings needs no import here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import getdoc
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from jobyard_cli.errors import MissingExtraError

if TYPE_CHECKING:
    from typer._click import Command, Context

ANY_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}


def _convert_when_needed(param: Any) -> None:
    """Have a value reach the command without a conversion if it needs none.

    Typer converts with pydantic, whose import takes as long as that of all else that a short command needs.
    """
    if "process_value" in vars(param):
        return
    annotation = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    convert = param.process_value

    def process_value(context: Context, value: Any) -> Any:
        if value is None and not param.required:
            value = () if param.multiple or param.nargs == -1 else None
        elif type(value) is not annotation:
            return convert(context, value)
        return param.callback(context, param, value) if param.callback else value

    param.process_value = process_value


class QuickCommand(TyperCommand):
    """A command that loads pydantic only for what it needs to convert."""

    def get_params(self, ctx: Context) -> list[Any]:
        """The command's parameters."""
        params: list[Any] = super().get_params(ctx)
        for param in params:
            _convert_when_needed(param)
        return params


class LazyGroup(TyperGroup):
    """A group of commands, each of which is imported when it is looked up."""

    panels: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """By panel of the help: each command's name and where it is, as `module:attribute` (a function or a Typer)."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Earlier names of commands, which work for one release more; the help does not show them."""

    def get_params(self, ctx: Context) -> list[Any]:
        """The group's own parameters."""
        params: list[Any] = super().get_params(ctx)
        for param in params:
            _convert_when_needed(param)
        return params

    def list_commands(self, ctx: Context) -> list[str]:
        """Names of the commands in the order of the help."""
        return [name for commands in self.panels.values() for name in commands]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """The command of that name, imported, or None."""
        if cmd_name not in self.commands and (found := self._load(ctx, cmd_name)) is not None:
            self.commands[cmd_name] = found
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Find the command of the first argument; a wrong name gets a suggestion, for which Typer needs all names."""
        if self.get_command(ctx, args[0]) is None:
            for name in self.list_commands(ctx):
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def _load(self, ctx: Context, name: str) -> Command | None:
        if new := self.renamed.get(name):
            command = self._load(ctx, new)
            assert command is not None
            command.name = name
            command.hidden = True
            command.deprecated = f"Use `{ctx.command_path} {new}`; the next release drops the old name."
            return command
        for panel, commands in self.panels.items():
            if name in commands:
                return _load(name, commands[name], panel)
        return None


def _load(name: str, path: str, panel: str) -> Command:
    app = typer.Typer(add_completion=False)
    # With a callback the application is a group, in which a command keeps its name.
    app.callback()(lambda: None)
    loaded, settings = _import(path)
    if isinstance(loaded, typer.Typer):
        app.add_typer(loaded, name=name, rich_help_panel=panel)
    else:
        app.command(name, cls=QuickCommand, help=_help(loaded), rich_help_panel=panel, context_settings=settings)(
            loaded
        )
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group.commands[name]


def _help(function: Callable[..., Any]) -> str:
    """The function's docstring without the line breaks inside its paragraphs, which Typer would keep."""
    paragraphs = (getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _import(path: str) -> tuple[typer.Typer | Callable[..., Any], dict[str, Any] | None]:
    """What a path names, and settings of the command; a stand-in where a package that it needs is not installed."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute), None
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if missing.startswith("jobyard"):
            raise
        return _unavailable(missing), ANY_ARGUMENTS


def _unavailable(module: str) -> Callable[[], None]:
    def command() -> None:
        """Needs packages that are not installed: pip install 'jobyard\\[local]'."""
        raise MissingExtraError(module, "local")

    return command
