"""Queries in TypeScript and JavaScript, by tree-sitter's parsers."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

from d1ops.core.source.scopes import FUNCTIONS, SCOPES, bare, constant, every, text_of
from d1ops.core.source.text import HOLE, METHODS, Collector, Extracted, Place, Unknown
from d1ops.errors import ConfigError

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_SCRIPT = re.compile(
    rb"<script\b[^>]*>(?P<body>.*?)</script\s*>|\A---\r?\n(?P<front>.*?)\r?\n---", re.DOTALL | re.IGNORECASE
)
_TYPED_TAG = re.compile(rb"\bsql\s*<[^`;=]*>\s*\Z", re.IGNORECASE)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_MOST_VARIANTS = 8


def extract_ecma(data: bytes, path: str, dialect: str) -> Extracted:
    """Find the queries in a file. `dialect` is typescript, tsx or javascript (with JSX).

    A file with errors is read as far as it can be understood, and the first is listed. Raises ConfigError when
    tree-sitter is not installed.
    """
    collector = Collector(path)
    is_whole = True
    for node in every(_parser(dialect).parse(data).root_node):
        if node.is_error and is_whole:
            is_whole = False
            collector.note(_place(node), "the file is not wholly read: its syntax is broken here")
        if node.type == "call_expression":
            _take(node, collector)
        elif node.type == "template_string":
            _take_typed(node, data, collector)
    return collector.done()


def script_blocks(data: bytes) -> bytes:
    """Return a Vue, Svelte or Astro file with everything but its scripts blanked out, so that places stay right."""
    kept = bytearray(byte if byte in b"\r\n" else 32 for byte in data)
    for found in _SCRIPT.finditer(data):
        start, end = found.span("body") if found["body"] is not None else found.span("front")
        kept[start:end] = data[start:end]
    return bytes(kept)


def _parser(dialect: str) -> Parser:
    try:
        from tree_sitter import Language, Parser

        if dialect == "javascript":
            import tree_sitter_javascript

            return Parser(Language(tree_sitter_javascript.language()))
        import tree_sitter_typescript

        grammar = tree_sitter_typescript
        return Parser(Language(grammar.language_tsx() if dialect == "tsx" else grammar.language_typescript()))
    except ImportError:
        raise ConfigError(
            "TypeScript and JavaScript are read with tree-sitter, which is not installed",
            hint="pip install 'd1ops[source]'",
        ) from None


# -- calls -----------------------------------------------------------------------------------------------------------


def _take(call: Node, collector: Collector) -> None:
    function, arguments = call.child_by_field_name("function"), call.child_by_field_name("arguments")
    if function is None or arguments is None:
        return
    function = bare(function)
    if arguments.type == "template_string":
        _take_tagged(function, arguments, collector)
        return
    method, receiver = _callee(function)
    given = [child for child in arguments.named_children if child.type != "comment"]
    target = function.child_by_field_name("object")
    if method == "call" and target is not None:
        # db.prepare.call(db, sql)
        method, receiver = _callee(bare(target))
        given = given[1:]
    if method not in METHODS or not given or _is_tagged(given[0]):
        return
    first = given[0]
    place = _place(first)
    if not receiver:
        method = ""
    try:
        variants = _resolve(first)
    except Unknown as problem:
        collector.unknown(problem, place, method=method, receiver=receiver, argument=text_of(first)[:200])
    else:
        for text in variants:
            collector.text(text, place, method=method, receiver=receiver)


def _callee(function: Node) -> tuple[str, str]:
    """Return the name of the method that is called and its object, "" for a function of no object."""
    receiver = text_of(function.child_by_field_name("object"))
    index = function.child_by_field_name("index")
    if index is not None:
        return (_string(index) if index.type in ("string", "template_string") else ""), receiver
    return text_of(function.child_by_field_name("property") or function), receiver


def _take_tagged(tag: Node, template: Node, collector: Collector) -> None:
    if _is_sql_tag(tag):
        _take_template(template, collector)


def _take_template(template: Node, collector: Collector) -> None:
    if _inside_tagged(template):
        return
    place = _place(template)
    try:
        variants = _template(template, tagged=True, depth=0)
    except Unknown as problem:
        collector.unknown(problem, place, method="prepare", receiver="", argument="")
    else:
        for text in variants:
            collector.text(text, place, method="sql", receiver="")


def _take_typed(template: Node, data: bytes, collector: Collector) -> None:
    """Take a template whose tag has types, ``sql<Row[]>`...` ``, which the grammar reads as comparisons."""
    if _TYPED_TAG.search(data[max(0, template.start_byte - 500) : template.start_byte]):
        _take_template(template, collector)


def _is_tagged(node: Node) -> bool:
    """Return whether a node is a tagged template of SQL, which is taken by itself."""
    arguments, function = node.child_by_field_name("arguments"), node.child_by_field_name("function")
    return (
        node.type == "call_expression"
        and arguments is not None
        and arguments.type == "template_string"
        and function is not None
        and _is_sql_tag(bare(function))
    )


def _is_sql_tag(tag: Node) -> bool:
    name = tag.child_by_field_name("property") if tag.type == "member_expression" else tag
    return text_of(name).lower() == "sql"


def _inside_tagged(template: Node) -> bool:
    """Return whether a template is a part of another one."""
    node = template.parent
    while node is not None and node.type not in SCOPES:
        if node.type == "template_substitution":
            return True
        node = node.parent
    return False


def _place(node: Node) -> Place:
    row, column = node.start_point
    return Place(row + 1, column + 1, _function_around(node))


def _function_around(node: Node) -> str:
    above = node.parent
    while above is not None:
        if above.type in FUNCTIONS:
            name = above.child_by_field_name("name")
            parent = above.parent
            if (
                name is None
                and parent is not None
                and parent.type in ("variable_declarator", "pair", "assignment_expression")
            ):
                name = parent.child_by_field_name("name") or parent.child_by_field_name("key")
            if name is not None:
                return text_of(name)
        above = above.parent
    return ""


# -- texts -----------------------------------------------------------------------------------------------------------


def _resolve(node: Node, depth: int = 0) -> tuple[str, ...]:
    """Return the texts that an expression may have; holes stand for values. Raises Unknown."""
    node = bare(node)
    if depth > 50:
        raise Unknown("it is put together in too many steps")
    match node.type:
        case "string":
            return (_string(node),)
        case "number":
            return (text_of(node),)
        case "template_string":
            return _template(node, tagged=False, depth=depth)
        case "binary_expression" if text_of(node.child_by_field_name("operator")) == "+":
            return _sum(node, depth)
        case "ternary_expression":
            return (*_field(node, "consequence", depth), *_field(node, "alternative", depth))
        case "identifier":
            return _named(node, depth)
        case "member_expression":
            return _member(node, depth)
        case "call_expression":
            return _call(node, depth)
        case _:
            raise Unknown(f"it is {_KINDS.get(node.type, 'an expression')}, known only at run time")


_KINDS = {"subscript_expression": "an element", "this": "an object", "undefined": "undefined", "object": "an object"}


def _field(node: Node, name: str, depth: int) -> tuple[str, ...]:
    inner = node.child_by_field_name(name)
    if inner is None:
        raise Unknown("it cannot be read")
    return _resolve(inner, depth + 1)


def _sum(node: Node, depth: int) -> tuple[str, ...]:
    """Return what two parts make. What is added at run time to a beginning that is known is a hole."""
    left = _field(node, "left", depth)
    try:
        right = _field(node, "right", depth)
    except Unknown:
        right = (HOLE,)
    return _joined([left, right])


def _joined(parts: list[tuple[str, ...]]) -> tuple[str, ...]:
    texts = tuple(_paired("".join(each)) for each in product(*parts))
    if len(texts) > _MOST_VARIANTS:
        raise Unknown("it has too many variants")
    return texts


def _string(node: Node) -> str:
    return _paired("".join(_piece(child) for child in node.named_children))


def _paired(text: str) -> str:
    r"""Make characters of surrogates: `\ud83d\ude00` is one character in two escapes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _piece(node: Node) -> str:
    text = text_of(node)
    if node.type != "escape_sequence":
        return text
    code = text[1:]
    if code[:1] in ("x", "u"):
        digits = code[1:].strip("{}")
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            return text
    return _ESCAPES.get(code, code)


def _template(node: Node, *, tagged: bool, depth: int) -> tuple[str, ...]:
    """Return the texts of a template: what is constant is put in, everything else is a hole."""
    parts: list[tuple[str, ...]] = []
    for child in node.named_children:
        if child.type != "template_substitution":
            parts.append((_piece(child),))
            continue
        inner = next((each for each in child.named_children if each.type != "comment"), None)
        try:
            if inner is None:
                raise Unknown("it is empty")
            inner = bare(inner)
            if tagged and not _is_tagged(inner):
                # What a tag is given is bound as a value; only a piece of SQL is put in.
                raise Unknown("a value")
            parts.append(_resolve(inner, depth + 1))
        except Unknown:
            parts.append((HOLE,))
    return _joined(parts)


def _call(node: Node, depth: int) -> tuple[str, ...]:
    function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    function = bare(function) if function is not None else None
    if function is None or arguments is None:
        raise Unknown("it cannot be read")
    if arguments.type == "template_string":
        if _is_sql_tag(function) or text_of(function) in ("String.raw", "dedent", "outdent"):
            return _template(arguments, tagged=_is_sql_tag(function), depth=depth)
        raise Unknown(f"it is the result of {text_of(function)}")
    method = text_of(function.child_by_field_name("property"))
    target = function.child_by_field_name("object")
    if target is not None and method in (
        "trim",
        "trimStart",
        "trimEnd",
        "toString",
        "replaceAll",
        "replace",
        "join",
        "concat",
    ):
        given = arguments.named_children
        if method.startswith("trim") or method == "toString":
            return _resolve(target, depth + 1)
        if method == "join" and bare(target).type == "array":
            glue = _resolve(given[0], depth + 1)[0] if given else ","
            parts = [_resolve(part, depth + 1) for part in bare(target).named_children if part.type != "comment"]
            return tuple(glue.join(each) for each in product(*parts))[:_MOST_VARIANTS]
    raise Unknown(f"it is the result of {text_of(function)[:60]}()")


# -- names -----------------------------------------------------------------------------------------------------------


def _named(node: Node, depth: int) -> tuple[str, ...]:
    return _resolve(constant(text_of(node), node), depth + 1)


def _member(node: Node, depth: int) -> tuple[str, ...]:
    """Return the text of `QUERIES.byId`, where QUERIES is a constant object of this file."""
    target = node.child_by_field_name("object")
    name = text_of(node.child_by_field_name("property"))
    if target is None or bare(target).type != "identifier":
        raise Unknown(f"{text_of(node)[:60]} is known only at run time")
    value = bare(constant(text_of(bare(target)), node))
    if value.type == "object":
        for pair in value.named_children:
            key = pair.child_by_field_name("key")
            inner = pair.child_by_field_name("value")
            if pair.type == "pair" and inner is not None and text_of(key).strip("\"'") == name:
                return _resolve(inner, depth + 1)
    raise Unknown(f"{text_of(node)[:60]} is not a constant of this file")
