"""Reading TOML, JSON and JSON with comments, and naming what is wrong with them: file, line, column, key."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from d1ops.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
Candidate = TypeVar("Candidate")

_TOML_PLACE = re.compile(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", re.DOTALL)
_JSON5_PLACE = re.compile(r"<string>:(?P<line>\d+) (?P<what>.*) at column (?P<column>\d+)", re.DOTALL)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_WORDS = {
    "missing": "is missing",
    "string_pattern_mismatch": "holds a character that it may not hold",
    "string_too_short": "is empty",
    "string_type": "should be a string",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "tuple_type": "should be a list",
    "dict_type": "should be a table",
    "model_type": "should be a table",
}
"""Pydantic's complaints in the words of a configuration file."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file, and its path as a person would type it from the project root."""

    path: Path
    name: str

    def problem(self, what: str, *, key: str | None = None, hint: str | None = None) -> ConfigError:
        """Return the error that says what is wrong with the file."""
        return ConfigError(f"{self.name}: {what}", file=self.path, key=key, hint=hint)

    def read(self, model: type[Model]) -> Model:
        """Read the file (`.toml`, `.json`, `.jsonc`) into a model.

        Raises ConfigError for a file that cannot be opened, is not UTF-8 (a byte order mark is allowed) or does
        not parse, with line and column counted from 1, and for what `fill` refuses.
        """
        try:
            text = self.path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise self.problem(f"cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise self.problem(f"byte {error.start} is not UTF-8", hint="save it as UTF-8") from error
        try:
            table = _toml(text) if self.path.suffix == ".toml" else _json(text)
        except _Unreadable as error:
            raise ConfigError(f"{self.name}:{error.line}:{error.column}: {error.what}", file=self.path) from error
        except RecursionError as error:
            raise self.problem("nested too deeply") from error
        if not isinstance(table, dict):
            raise self.problem("must hold an object")
        return self.fill(model, table)

    def fill(self, model: type[Model], table: Mapping[str, object]) -> Model:
        """Make a model of a parsed table. Raises ConfigError with file and key; values are never repeated.

        An unknown key is reported before anything else, because a misspelt name also looks like a missing one.
        """
        try:
            return model.model_validate(table)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
        unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
        first = (unknown or details)[0]
        key = dotted(first["loc"])
        if unknown:
            hint = _hint_for_key(first["loc"], model)
            raise self.problem(f"{key} is not a key of this file", key=key, hint=hint)
        raise self.problem(f"{key} {_in_words(first)}", key=key)


class _Unreadable(Exception):
    """The text does not parse at `line` and `column`, both from 1."""

    def __init__(self, error: ValueError, pattern: re.Pattern[str], text: str) -> None:
        super().__init__(str(error))
        place = pattern.fullmatch(str(error))
        if place:
            self.what, self.line, self.column = place["what"], int(place["line"]), int(place["column"])
        else:
            self.what = str(error).removesuffix(" (at end of document)")
            self.line = text.count("\n") + 1
            self.column = len(text) - text.rfind("\n")


def _toml(text: str) -> object:
    import tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise _Unreadable(error, _TOML_PLACE, text) from error


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        # json5 is slow, so it reads only what has comments, trailing commas or mistakes.
        import json5

    try:
        return json5.loads(text)
    except ValueError as error:
        raise _Unreadable(error, _JSON5_PLACE, text) from error


def dotted(path: Iterable[str | int]) -> str:
    """Write a path of keys and positions as `env.staging.d1_databases[0].binding`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else json.dumps(part)
            text += f".{name}" if text else name
    return text


def nearest(word: str, candidates: Mapping[str, Candidate]) -> Candidate | None:
    """Return the candidate whose name a word begins, or is most like, if there is one."""
    import difflib

    word = word.lower()
    by_name = {name.lower(): candidate for name, candidate in candidates.items()}
    begun = [name for name in by_name if word and name.startswith(word)]
    matches = begun if len(begun) == 1 else difflib.get_close_matches(word, by_name, n=1, cutoff=0.7)
    return by_name[matches[0]] if matches else None


def _in_words(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    return _WORDS.get(detail["type"], message[max(message.find("should"), 0) :])


def _hint_for_key(path: Sequence[str | int], model: type[BaseModel]) -> str:
    """Name the valid key that an unknown one may stand for, or all that its table has."""
    *table, leaf = [str(part) for part in path if not isinstance(part, int)]
    if "token" in leaf.lower():
        return "CLOUDFLARE_API_TOKEN in the environment, or token_command; a token is never in a file"
    keys = _keys(model)
    beside = [key for key in keys if key[:-1] == tuple(table)]
    for candidates in (beside, keys):
        likely = nearest(leaf, {key[-1]: key for key in candidates})
        if likely is not None:
            return ".".join(likely)
    return f"one of {', '.join('.'.join(key) for key in beside)}"


def _keys(model: type[BaseModel]) -> list[tuple[str, ...]]:
    """Return every key that a model knows, tables included, as paths."""
    found: list[tuple[str, ...]] = []
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        found.append((name,))
        # An array of tables is annotated as tuple[Table, ...]; its keys are those of one of them.
        inner = next(iter(get_args(field.annotation)), field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += [(name, *rest) for rest in _keys(inner)]
    return found
