"""Reading flags: recipe literals < --config YAML < command line."""

import argparse
import difflib
import re
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser
from transformers.hf_argparser import string_to_bool

from hfkit.arguments.ranges import add_ranges_to_help
from hfkit.errors import UserError, one_line
from hfkit.runtime.files import require_file
from hfkit.runtime.redaction import SECRETS, WITH_PASSWORD

MOST_YAML_BYTES = 1_000_000
PLACES = ("dataset", "other_tests", "split_file")  # flags that are paths, beside those whose names say so


KINDS = {string_to_bool: "true or false", int: "a whole number", float: "a number"}  # all other flags: text


def parse(
    types: tuple[type, ...], *, argv: list[str] | None = None, own_flags: tuple[str, ...] = (), **literals: Any
) -> tuple:
    """One instance of each dataclass in `types`, from literals, a `--config` YAML file and the command line.

    Later sources win. Unknown or abbreviated flags and unknown YAML keys are refused with the nearest valid one.

    Args:
        argv: the command line without the program's name; None takes the process's own.
        own_flags: flags that the program has read already, to be proposed for a misspelt one.
        literals: defaults, by flag name.

    Raises:
        UserError: an unknown key or flag, a value of the wrong type, or a config file that cannot be read.
    """
    parser = FlagParser(types, allow_abbrev=False)
    add_ranges_to_help(parser, types)
    parser.add_argument("--config", help="YAML file of flags; the command line wins over it")
    # A flag that is on by default has two actions, and the first is the one that takes a value.
    actions = {action.dest: action for action in reversed(parser._actions)}
    if "debug" in actions:
        # Bare `--debug` asks for tracebacks (see `runtime.commands`); with a value it is the stock flag.
        actions["debug"].nargs, actions["debug"].const, actions["debug"].type = "?", [], str
    # Read before the recipe's literals become defaults: whether a flag may be empty does not depend on them.
    optional = {name for name, action in actions.items() if action.default is None}
    may_be_empty = {name for name, action in actions.items() if action.default == ""}
    parser.set_defaults(**_check_values(literals, actions, optional, "the recipe"))
    config = parser.parse_known_args(argv)[0].config
    if config:
        parser.set_defaults(**_check_values(_read_yaml(Path(config)), actions, optional, config))
    namespace, unknown = parser.parse_known_args(argv)
    if unknown:
        flags = [*own_flags, *(option for action in parser._actions for option in action.option_strings)]
        raise UserError(
            unknown[0],
            "no such flag (abbreviations are not accepted)",
            f"Did you mean {nearest_word(unknown[0], flags)}?",
        )
    values = vars(namespace)
    refuse_empty(values, may_be_empty)
    refuse_tokens(values)
    try:
        return tuple(kind(**{f.name: values[f.name] for f in fields(kind) if f.init}) for kind in types)
    except UserError:
        raise
    except ValueError as error:
        raise UserError("flags", one_line(error), "Change one of them") from error


def refuse_empty(values: dict[str, Any], allowed: Iterable[str]) -> None:
    """Refuse text that is empty: a variable of a script that was not set, and would mean the working folder, or all.

    Raises:
        UserError: naming the first flag.
    """
    for name in values.keys() - set(allowed):
        for one in values[name] if isinstance(values[name], list) else (values[name],):
            if isinstance(one, str) and not one.strip():
                raise UserError(f"{name}={one!r}", "it is empty", "Give a value, or leave it out")
            if isinstance(one, str) and "\0" in one:  # from YAML: no path may hold it
                raise UserError(f"{name}={one!r:.60}", "it holds the character NUL", "Mend the value")


def refuse_tokens(values: dict[str, Any]) -> None:
    """Refuse a token in the name of a place: it would stand in logs, checkpoints and the cells of comparisons. Nor may
    the name of a place of models be anything but UTF-8.

    An address with a password is let through: those of databases have no other form. Other flags are withheld where
    they are kept.

    Raises:
        UserError: naming the flag, not the token.
    """
    for name in (name for name in values if name.endswith(("_dir", "checkpoint")) or name in PLACES):
        for one in values[name] if isinstance(values[name], list) else (values[name],):
            if any("\udc80" <= character <= "\udcff" for character in str(one)) and name not in PLACES:
                rule = "its name is no UTF-8, and what writes models and reads tokenizers takes no other"
                raise UserError(f"{name}={str(one)!r}", rule, "Give the place another name")
            found = (kind for kind in SECRETS if kind != WITH_PASSWORD and re.search(SECRETS[kind], str(one)))
            if kind := next(found, None):
                article = "an" if kind[0] in "AO" else "a"
                rule = f"it holds what looks like {article} {kind}, and the names of places are kept with a run"
                raise UserError(name, rule, "Give the place another name")


def nearest_word(word: str, known: Iterable[str]) -> str:
    """The known word that is most similar to `word`."""
    return max(known, key=lambda k: difflib.SequenceMatcher(None, word.partition("=")[0], k).ratio())


def require_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """The value, if it is among the choices; otherwise it is refused, and the nearest one proposed."""
    if value not in choices:
        rule = f"one of {', '.join(choices)}"
        raise UserError(f"{name}='{value}'", rule, f"Did you mean '{nearest_word(str(value), choices)}'?")
    return value


class FlagParser(HfArgumentParser):
    """A parser whose errors are `UserError`s, which a recipe reports like any other."""

    def error(self, message: str) -> None:
        raise UserError("command line", message, "See --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None:
            require_choice(action.dest, value, action.choices)


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys, of which only the last would count."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                again = f"line {key.start_mark.line + 1}"
                raise UserError(f"{self.name}: {key.value}", f"it is set twice, again in {again}", "Keep one of them")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(file: Path) -> dict[str, Any]:
    require_file(file, f"config={file}", "Give a file of flags")
    if file.stat().st_size > MOST_YAML_BYTES:
        raise UserError(f"config={file}", "a config is below 1 MB", "Give a file of flags")
    try:
        with file.open(encoding="utf-8") as stream:
            values = yaml.load(stream, _Loader)
    except UserError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that does not exist
        raise UserError(f"config={file}", f"it is not YAML ({error})", "Mend the file") from error
    except RecursionError as error:
        raise UserError(f"config={file}", "it is nested too deep", "Write lines like 'learning_rate: 1e-4'") from error
    if not isinstance(values, dict):
        raise UserError(f"config={file}", "a config maps flags to values", "Write lines like 'learning_rate: 1e-4'")
    return values


def _check_values(
    values: dict[str, Any], actions: dict[str, argparse.Action], optional: set[str], source: str
) -> dict[str, Any]:
    """`values` as the command line would read them: in YAML 1e-5 is a string, on the command line a number."""
    known = {name for name in actions if name not in ("help", "config")}
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise UserError(f"{source}: {name}", "no such flag", f"Did you mean {nearest_word(str(name), known)}?")
        action = actions[name]
        several = action.nargs in ("+", "*")
        if value is None and name in optional:
            checked[name] = None
            continue
        try:
            if several:
                checked[name] = [_read_as(action, v) for v in (value if isinstance(value, list) else [value])]
            else:
                checked[name] = _read_as(action, value)
        except UserError:
            raise
        except (ValueError, TypeError, OverflowError, argparse.ArgumentTypeError) as error:
            kind = KINDS.get(action.type, "text") + (" or a list of it" if several else "")
            fix = "Write a mapping as JSON in quotes" if isinstance(value, dict) else "Mend the value"
            raise UserError(f"{source}: {name}={value!r:.200}", f"it must be {kind}", fix) from error
    return checked


def _read_as(action: argparse.Action, value: Any) -> Any:
    """One value as the action's type reads it.

    Raises:
        UserError: it is not one of the action's choices.
        ValueError, TypeError, OverflowError, argparse.ArgumentTypeError: it is of another type.
    """
    read = action.type
    if isinstance(value, bool) and read is not string_to_bool:
        # YAML reads a bare no as false.
        if value is False and "no" in (action.choices or ()):
            value = "no"
        elif action.dest == "resume_from_checkpoint":
            value = str(value).lower()
    if read in (int, float) and not isinstance(value, str):
        if isinstance(value, bool) or read(value) != value:
            raise ValueError
        return read(value)
    if not isinstance(value, (str, bool) if read is string_to_bool else str):
        raise TypeError
    value = read(value)
    if action.choices is not None:
        require_choice(action.dest, value, action.choices)
    return value
