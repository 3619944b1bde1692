"""Arbitrary requests, drawn from the emulator's own OpenAPI description: every answer is one that it describes, none a
500."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from d1ops.emulator import Emulator, Settings
from d1ops.emulator.openapi import description
from tests.emulator.conftest import TOKEN, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

described = schemathesis.openapi.from_dict(description("http://127.0.0.1/client/v4", Settings()))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Emulator, str]]:
    with Emulator(settings()) as server:
        id_ = server.create_database("fuzzed")
        server.database(id_).query("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        yield server, id_


@described.parametrize()
@hypothesis.settings(max_examples=40, suppress_health_check=list(hypothesis.HealthCheck))
def test_every_answer_is_described(case: schemathesis.Case[Any], served: tuple[Emulator, str]) -> None:
    server, id_ = served
    if "database" in case.path_parameters and case.method != "DELETE":
        case.path_parameters["database"] = id_
    case.call_and_validate(
        base_url=server.base_url,
        headers={"authorization": f"Bearer {TOKEN}"},
        checks=[not_a_server_error, content_type_conformance, response_schema_conformance],
    )
