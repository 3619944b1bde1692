"""Queries in Python, by Python's own parser."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from d1ops.core.source.text import HOLE, METHODS, Collector, Extracted, Place, Unknown
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMAT = re.compile(r"%(?:\(\w+\))?[#0\- +]*\d*(?:\.\d+)?[sdrifga]|%%")
_BRACES = re.compile(r"\{[^{}]*\}|\{\{|\}\}")
_TEXTS = frozenset(("text", "sql", "dedent", "cleandoc"))
"""Functions that return the SQL that they are given."""

_KEYWORDS = frozenset(("sql", "query", "statement", "operation"))
"""What drivers call the argument that is SQL."""

_MOST_STEPS = 50


def extract_python(data: bytes, path: str) -> Extracted:
    """Find the queries in a Python file. Raises ScriptError, with the place, for one that does not parse."""
    try:
        tree = ast.parse(data, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, column = (error.lineno, error.offset) if isinstance(error, SyntaxError) else (None, None)
        raise ScriptError(
            f"it is not Python: {error.msg if isinstance(error, SyntaxError) else error}",
            path=path,
            line=line,
            column=column,
            hint="leave the file out, or mend it",
        ) from None
    collector = Collector(path)
    for call, scopes in _calls(tree, (tree,)):
        _take(call, scopes, collector)
    return collector.done()


def _take(call: ast.Call, scopes: tuple[ast.AST, ...], collector: Collector) -> None:
    argument = call.args[0] if call.args else next((one.value for one in call.keywords if one.arg in _KEYWORDS), None)
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in METHODS or argument is None:
        return
    function = next((scope.name for scope in reversed(scopes) if isinstance(scope, _FUNCTIONS)), "")
    place = Place(argument.lineno, argument.col_offset + 1, function)
    receiver = ast.unparse(call.func.value)
    try:
        text = _resolve(argument, scopes)
    except Unknown as problem:
        collector.unknown(problem, place, method=call.func.attr, receiver=receiver, argument=ast.unparse(argument))
    else:
        collector.text(text, place, method=call.func.attr, receiver=receiver)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)


def _calls(node: ast.AST, scopes: tuple[ast.AST, ...]) -> Iterator[tuple[ast.Call, tuple[ast.AST, ...]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, scopes
        yield from _calls(child, (*scopes, child) if isinstance(child, _SCOPES) else scopes)


def _resolve(node: ast.expr, scopes: tuple[ast.AST, ...], depth: int = 0) -> str:
    if depth > _MOST_STEPS:
        raise Unknown("it is put together in too many steps")
    match node:
        case ast.Constant(value=str() as value):
            return value
        case ast.Constant(value=int() | float() as value):
            return str(value)
        case ast.JoinedStr(values=values):
            return "".join(_resolve(value, scopes, depth + 1) for value in values)
        case ast.FormattedValue(value=value):
            return _or_hole(value, scopes, depth)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            # What is added at run time to a beginning that is known is a hole.
            return _resolve(left, scopes, depth + 1) + _or_hole(right, scopes, depth)
        case ast.BinOp(left=left, op=ast.Mod()):
            return _FORMAT.sub(lambda found: "%" if found[0] == "%%" else HOLE, _resolve(left, scopes, depth + 1))
        case ast.Call():
            return _called(node, scopes, depth)
        case ast.Name(id=name):
            return _named(name, scopes, depth)
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
            return _of_class(name, scopes, depth)
        case _:
            raise Unknown(f"it is {_kind(node)}, known only at run time")


def _called(call: ast.Call, scopes: tuple[ast.AST, ...], depth: int) -> str:
    """Return the text that a call makes of constants."""
    match call:
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            text = _resolve(value, scopes, depth + 1)
            return _BRACES.sub(lambda found: found[0][0] if found[0] in ("{{", "}}") else HOLE, text)
        case ast.Call(func=ast.Attribute(value=value, attr="strip" | "lstrip" | "rstrip"), args=[]):
            return _resolve(value, scopes, depth + 1)
        case ast.Call(func=ast.Attribute(value=glue, attr="join"), args=[ast.List(elts=parts) | ast.Tuple(elts=parts)]):
            texts = [_resolve(part, scopes, depth + 1) for part in parts]
            return _resolve(glue, scopes, depth + 1).join(texts)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[inner]) if name in _TEXTS:
            return _resolve(inner, scopes, depth + 1)
        case _:
            raise Unknown(f"it is the result of {ast.unparse(call.func)}()")


def _or_hole(node: ast.expr, scopes: tuple[ast.AST, ...], depth: int) -> str:
    try:
        return _resolve(node, scopes, depth + 1)
    except Unknown:
        return HOLE


def _named(name: str, scopes: tuple[ast.AST, ...], depth: int) -> str:
    for place in range(len(scopes) - 1, -1, -1):
        scope = scopes[place]
        if isinstance(scope, ast.ClassDef) and place != len(scopes) - 1:
            continue
        if isinstance(scope, (*_FUNCTIONS, ast.Lambda)) and name in _parameters(scope):
            raise Unknown(f"{name} is a parameter")
        values = list(_assigned(scope, name))
        if len(values) > 1:
            raise Unknown(f"{name} is assigned more than once")
        if values and values[0] is None:
            raise Unknown(f"{name} is not a constant")
        if values and values[0] is not None:
            return _resolve(values[0], scopes[: place + 1], depth + 1)
    raise Unknown(f"{name} is not a constant of this file")


def _of_class(name: str, scopes: tuple[ast.AST, ...], depth: int) -> str:
    for place in range(len(scopes) - 1, -1, -1):
        if isinstance(scopes[place], ast.ClassDef):
            values = list(_assigned(scopes[place], name))
            if len(values) == 1 and values[0] is not None:
                return _resolve(values[0], scopes[: place + 1], depth + 1)
    raise Unknown(f"{name} is not a constant of its class")


def _parameters(scope: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    arguments = scope.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {argument.arg for argument in every if argument is not None}


def _assigned(scope: ast.AST, name: str) -> Iterator[ast.expr | None]:
    """Yield what a name is bound to in a scope, without those inside it; None for what is no plain assignment."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Assign(targets=targets, value=value) if any(_is(target, name) for target in targets):
                yield value
            case ast.AnnAssign(target=target, value=ast.expr() as value) if _is(target, name):
                yield value
            case ast.AugAssign(target=target) if _is(target, name):
                yield None
                yield None
            case ast.Global(names=names) | ast.Nonlocal(names=names) if name in names:
                yield None
            case ast.Name(id=found, ctx=ast.Store()) if found == name:
                yield None
            case ast.alias(name=found, asname=other) if (other or found.split(".")[0]) == name:
                yield None
            case _ if not isinstance(node, _SCOPES):
                waiting += ast.iter_child_nodes(node)
            case _:
                pass


def _is(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _kind(node: ast.expr) -> str:
    names = {"Subscript": "an element", "IfExp": "a conditional", "Attribute": "an attribute", "Await": "awaited"}
    return names.get(type(node).__name__, f"an expression ({type(node).__name__})")
