"""The GraphQL analytics API: `viewer { accounts { d1QueriesAdaptiveGroups ... } }`, answered from the query log.

Fields, filters and orders are those of Cloudflare's datasets as its documentation and wrangler use them. Unlike the
service's, the data is not sampled and is there at once. A query is answered with HTTP 200 also where it is wrong.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from d1ops.emulator.analytics import Group, Totals
from d1ops.emulator.wire import Refused, Reply, envelope

if TYPE_CHECKING:
    from graphql import FieldNode, SelectionSetNode, ValueNode

    from d1ops.emulator.state import State

MAX_LIMIT = 10_000
MAX_QUERY_CHARACTERS = 20_000

V = TypeVar("V")
Measure: TypeAlias = Callable[[Totals], float]
Dimension: TypeAlias = Callable[[Group], str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset: its dimensions, and its measures by how they are summed up."""

    dimensions: Mapping[str, Dimension]
    sums: Mapping[str, Measure]
    maxima: Mapping[str, Measure]


_PLACE: dict[str, Dimension] = {
    "databaseId": lambda group: group.database,
    "datetimeHour": lambda group: group.hour,
    "date": lambda group: group.hour[:10],
}
DATASETS = {
    "d1QueriesAdaptiveGroups": Dataset(
        {**_PLACE, "query": lambda group: group.query},
        {
            "queryDurationMs": lambda totals: totals.duration_ms,
            "rowsRead": lambda totals: totals.rows_read,
            "rowsWritten": lambda totals: totals.rows_written,
            "rowsReturned": lambda totals: totals.rows_returned,
        },
        {},
    ),
    "d1AnalyticsAdaptiveGroups": Dataset(
        _PLACE,
        {
            "readQueries": lambda totals: totals.reads,
            "writeQueries": lambda totals: totals.writes,
            "rowsRead": lambda totals: totals.rows_read,
            "rowsWritten": lambda totals: totals.rows_written,
        },
        {},
    ),
    "d1StorageAdaptiveGroups": Dataset(_PLACE, {}, {"databaseSizeBytes": lambda totals: totals.size_bytes}),
}


class Wrong(Exception):
    """A query that cannot be answered."""


def answer(state: State, body: Any, *, is_allowed: bool = True) -> Reply:
    """Answer a request's body, `{query, variables?}`. Raises Refused where the body is no such thing.

    A token without the permission (not `is_allowed`) is told so as the service tells it, with HTTP 200.
    """
    from graphql import GraphQLError

    query = body.get("query") if isinstance(body, dict) else None
    if not isinstance(query, str):
        raise Refused(400, 10000, "Could not parse the request: query is missing")
    variables = body.get("variables")
    try:
        if not is_allowed:
            raise Wrong("not authorized for that account")
        data = _data(state, query, variables if isinstance(variables, dict) else {})
    except (Wrong, GraphQLError, RecursionError, ValueError) as error:  # ValueError: a number of 5,000 digits
        text = error.message if isinstance(error, GraphQLError) else str(error) or "the query is nested too deeply"
        moment = state.settings.now().isoformat(timespec="milliseconds")
        problem = {"message": text, "path": None, "extensions": {"timestamp": moment}}
        return envelope(200, {"data": None, "errors": [problem]})
    return envelope(200, {"data": data, "errors": None})


def _data(state: State, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    from graphql import OperationDefinitionNode, parse

    if len(query) > MAX_QUERY_CHARACTERS:
        raise Wrong("the query is too long")
    operations = [each for each in parse(query).definitions if isinstance(each, OperationDefinitionNode)]
    if len(operations) != 1:
        raise Wrong("exactly one operation is expected")
    data: dict[str, Any] = {}
    for viewer in _fields(operations[0].selection_set):
        _expect(viewer, ("viewer",))
        accounts: dict[str, Any] = {}
        for account in _fields(viewer.selection_set):
            _expect(account, ("accounts",))
            wanted = _arguments(account, variables).get("filter")
            if not isinstance(wanted, dict) or wanted.get("accountTag") != state.settings.account_id:
                raise Wrong("not authorized for that account")
            accounts[_key(account)] = [_account(state, account, variables)]
        data[_key(viewer)] = accounts
    return data


def _account(state: State, account: FieldNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for field in _fields(account.selection_set):
        _expect(field, DATASETS)
        rows = _rows(DATASETS[field.name.value], field, _arguments(field, variables), state.queries.snapshot())
        answers[_key(field)] = rows
    return answers


def _rows(
    dataset: Dataset, field: FieldNode, arguments: Mapping[str, Any], log: list[tuple[Group, Totals]]
) -> list[dict[str, Any]]:
    limit = arguments.get("limit")
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise Wrong(f"limit must be a positive number and not greater than {MAX_LIMIT}")
    condition = arguments.get("filter") or {}
    shown = list(_fields(field.selection_set))
    grouped = [each.name.value for part in shown if part.name.value == "dimensions" for each in _fields(_inside(part))]
    for name in grouped:
        _known(name, dataset.dimensions)
    found: dict[tuple[str, ...], tuple[Group, Totals]] = {}
    for group, totals in log:
        if _matches(dataset, group, condition):
            key = tuple(dataset.dimensions[name](group) for name in grouped)
            found.setdefault(key, (group, Totals()))[1].add(totals)
    rows = list(found.values())
    order = arguments.get("orderBy") or []
    for each in reversed(order if isinstance(order, list) else [order]):
        _sort(dataset, rows, str(each))
    return [_project(dataset, shown, group, totals) for group, totals in rows[:limit]]


def _project(dataset: Dataset, shown: list[FieldNode], group: Group, totals: Totals) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for part in shown:
        name = part.name.value
        if name == "count":
            row[_key(part)] = totals.count
        elif name == "dimensions":
            row[_key(part)] = {
                _key(each): dataset.dimensions[each.name.value](group) for each in _fields(_inside(part))
            }
        else:
            row[_key(part)] = {
                _key(each): _measured(dataset, name, each.name.value, totals) for each in _fields(_inside(part))
            }
    return row


def _measured(dataset: Dataset, how: str, name: str, totals: Totals) -> float:
    match how:
        case "sum":
            return _known(name, dataset.sums)(totals)
        case "avg":
            return _known(name, dataset.sums)(totals) / totals.count
        case "max":
            return _known(name, dataset.maxima)(totals)
    raise Wrong(f'unknown field "{how}"')


def _sort(dataset: Dataset, rows: list[tuple[Group, Totals]], order: str) -> None:
    """Sort by `count_DESC`, `sum_rowsRead_ASC` or `datetimeHour_ASC`."""
    what, _, direction = order.rpartition("_")
    if direction not in ("ASC", "DESC"):
        raise Wrong(f'unknown order "{order}"')
    how, _, name = what.rpartition("_")

    def key(row: tuple[Group, Totals]) -> Any:
        if what == "count":
            return row[1].count
        return _measured(dataset, how, name, row[1]) if how else _known(name, dataset.dimensions)(row[0])

    rows.sort(key=key, reverse=direction == "DESC")


# -- filters ---------------------------------------------------------------------------------------------------------

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "geq": operator.ge,
    "lt": operator.lt,
    "leq": operator.le,
}


def _matches(dataset: Dataset, group: Group, condition: Any) -> bool:
    if not isinstance(condition, dict):
        raise Wrong("a filter is an object")
    return all(_meets(dataset, group, name, value) for name, value in condition.items())


def _meets(dataset: Dataset, group: Group, name: str, value: Any) -> bool:
    if name in ("AND", "OR"):
        parts = [_matches(dataset, group, each) for each in (value if isinstance(value, list) else [value])]
        return all(parts) if name == "AND" else any(parts)
    field, _, how = name.partition("_")
    held = _known(field, dataset.dimensions)(group)
    if how in ("in", "notin"):
        return (held in (value if isinstance(value, list) else [value])) is (how == "in")
    if how not in _COMPARISONS or not isinstance(value, str):
        raise Wrong(f'unknown filter "{name}"')
    if field.startswith("date"):
        return _COMPARISONS[how](_moment(held), _moment(value))
    return _COMPARISONS[how](held, value)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong(f'"{text}" is no time') from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# -- the query -------------------------------------------------------------------------------------------------------


def _fields(selections: SelectionSetNode | None) -> Iterator[FieldNode]:
    from graphql import FieldNode

    for selection in selections.selections if selections else ():
        if not isinstance(selection, FieldNode):
            raise Wrong("fragments are not supported")
        yield selection


def _inside(field: FieldNode) -> SelectionSetNode:
    if field.selection_set is None:
        raise Wrong(f'field "{field.name.value}" needs a selection')
    return field.selection_set


def _key(field: FieldNode) -> str:
    return field.alias.value if field.alias else field.name.value


def _expect(field: FieldNode, known: Any) -> None:
    _known(field.name.value, dict.fromkeys(known))


def _known(name: str, known: Mapping[str, V]) -> V:
    if name not in known:
        raise Wrong(f'unknown field "{name}"')
    return known[name]


def _arguments(field: FieldNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    return {argument.name.value: _value(argument.value, variables) for argument in field.arguments or ()}


def _value(node: ValueNode, variables: Mapping[str, Any]) -> Any:
    from graphql import Undefined, value_from_ast_untyped

    value = value_from_ast_untyped(node, dict(variables))
    return None if value is Undefined else value
