"""What a name means at a place of TypeScript or JavaScript: the scopes around it, and what they bind."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from d1ops.core.source.text import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

FUNCTIONS = frozenset(
    (
        "function_declaration",
        "generator_function_declaration",
        "method_definition",
        "function_expression",
        "arrow_function",
        "generator_function",
    )
)
_OF_VAR = FUNCTIONS | {"program"}
"""What a `var` belongs to, whatever block it stands in."""

SCOPES = _OF_VAR | {
    "statement_block",
    "class_body",
    "for_statement",
    "for_in_statement",
    "switch_body",
    "catch_clause",
}
_WRAPPERS = frozenset(
    ("parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression", "await_expression")
)
_NAMES = frozenset(("identifier", "shorthand_property_identifier_pattern"))
_NAMED = frozenset(("function_declaration", "generator_function_declaration", "class_declaration", "enum_declaration"))
_TARGETS = frozenset(("identifier", "array_pattern", "object_pattern"))
_WRITES = frozenset(
    ("assignment_expression", "augmented_assignment_expression", "update_expression", "for_in_statement")
)


def text_of(node: Node | None) -> str:
    """Return the text of a node, "" for none."""
    return (node.text or b"").decode(errors="replace") if node is not None else ""


def bare(node: Node) -> Node:
    """Return an expression without what does not change its value."""
    while node.type in _WRAPPERS:
        inner = next((child for child in node.named_children if child.type != "comment"), None)
        if inner is None:
            return node
        node = inner
    return node


def every(root: Node, *, but: frozenset[str] = frozenset()) -> Iterator[Node]:
    """Yield a node and all in it, in the order of the text, but nothing in nodes of the types `but`; without recursion,
    for texts may be nested deeply."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if node is root or node.type not in but:
            waiting += reversed(node.children)


def constant(name: str, at: Node) -> Node:
    """Return the value of the constant that a name means at a place. Raises Unknown where it means something else."""
    scope = at.parent
    while scope is not None:
        if scope.type in FUNCTIONS:
            given = scope.child_by_field_name("parameters") or scope.child_by_field_name("parameter")
            if given is not None and _has(given, name):
                raise Unknown(f"{name} is a parameter")
        if scope.type in SCOPES:
            found = list(_bound(scope, name))
            if len(found) > 1 or (found and found[0][0] in ("let", "var") and _is_written(scope, name)):
                raise Unknown(f"{name} is assigned more than once")
            if found:
                value = found[0][1].child_by_field_name("value")
                if value is None or text_of(found[0][1].child_by_field_name("name")) != name:
                    raise Unknown(f"{name} has no constant value")
                return value
            if any(child.type == "import_statement" and _has(child, name) for child in scope.named_children):
                raise Unknown(f"{name} is imported from another file")
        scope = scope.parent
    raise Unknown(f"{name} is not a constant of this file")


def _bound(scope: Node, name: str) -> Iterator[tuple[str, Node]]:
    """Yield what binds a name in a scope: const, let, var or "", and the node."""
    if scope.type in _OF_VAR:
        yield from (("var", node) for node in _vars(scope).get(name, ()))
    if scope.type in ("for_in_statement", "catch_clause"):
        binding = scope.child_by_field_name("left") or scope.child_by_field_name("parameter")
        if binding is not None and _has(binding, name):
            yield "", scope
    inside = scope.named_children
    if scope.type == "switch_body":
        inside = [each for case in inside for each in case.named_children]
    for child in inside:
        statement = child
        if child.type == "export_statement":
            statement = child.child_by_field_name("declaration") or child
        if statement.type == "lexical_declaration":
            for each in statement.named_children:
                target = each.child_by_field_name("name")
                if target is not None and _has(target, name):
                    yield statement.children[0].type, each
        elif statement.type in _NAMED and text_of(statement.child_by_field_name("name")) == name:
            yield "", statement


@lru_cache(maxsize=256)
def _vars(scope: Node) -> dict[str, list[Node]]:
    """Return where a function, or a file, declares each `var`. Most names of a file are looked up in it."""
    found: dict[str, list[Node]] = {}
    for node in every(scope, but=FUNCTIONS):
        if node.type == "variable_declaration":
            targets = [(each, each.child_by_field_name("name")) for each in node.named_children]
        elif node.type == "for_in_statement" and text_of(node.child_by_field_name("kind")) == "var":
            targets = [(node, node.child_by_field_name("left"))]
        else:
            continue
        for declarator, target in targets:
            for each in every(target) if target is not None else ():
                if each.type in _NAMES:
                    found.setdefault(text_of(each), []).append(declarator)
    return found


def _is_written(scope: Node, name: str) -> bool:
    """Return whether a name is given another value somewhere in a scope."""
    for node in every(scope):
        if node.type in _WRITES:
            target = node.child_by_field_name("left") or node.child_by_field_name("argument")
            if target is not None and target.type in _TARGETS and _has(target, name):
                return True
    return False


def _has(node: Node, name: str) -> bool:
    return any(each.type in _NAMES and text_of(each) == name for each in every(node))
