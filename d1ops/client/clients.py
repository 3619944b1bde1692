"""`D1Client` and `AsyncD1Client`: the same operations, run by one driver or the other.

Importing this module loads neither httpx nor tenacity nor pydantic; making a client loads the first two, and an answer
that needs a model the third.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, overload

from d1ops.client import protocols
from d1ops.client.address import DEFAULT_BASE_URL, check_base_url
from d1ops.client.operations import Operations
from d1ops.client.results import typed
from d1ops.client.secret import Secret
from d1ops.client.session import Session, Settings
from d1ops.core.values import Statement
from d1ops.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from d1ops.client.call import Steps
    from d1ops.client.drivers import AsyncDriver, SyncDriver
    from d1ops.client.results import TypedResult
    from d1ops.core.values import Param, Result

T = TypeVar("T")


class _Client(Operations, ABC):
    """A client of one account.

    `token` is an API token with D1 Read or D1 Edit. `settings` holds timeouts, bounds, the process-wide budget and an
    observer of requests. Raises ConfigError for a token that cannot be sent, and for a base URL of plain http to
    another machine.
    """

    def __init__(
        self,
        account_id: str,
        token: str | Secret,
        *,
        base_url: str = DEFAULT_BASE_URL,
        settings: Settings | None = None,
    ) -> None:
        # The bare token leaves this frame before anything can raise: tracebacks may show local variables.
        secret = token if isinstance(token, Secret) else Secret(token)
        del token
        super().__init__(account_id)
        self.base_url = base_url
        secret.check()
        self.base_url = check_base_url(base_url)
        self._session = Session(secret, settings or Settings())
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Make the driver."""

    @classmethod
    def from_environment(
        cls,
        *,
        account_id: str | None = None,
        token: str | Secret | None = None,
        base_url: str | None = None,
        settings: Settings | None = None,
    ) -> Self:
        """Make a client; what is not given comes from the environment.

        The variables are wrangler's: `CLOUDFLARE_ACCOUNT_ID`, `CLOUDFLARE_API_TOKEN` and `CLOUDFLARE_API_BASE_URL`.
        Raises ConfigError when one of the first two is missing.
        """
        secret = token if token is None or isinstance(token, Secret) else Secret(token)
        del token
        account_id = account_id or os.environ.get("CLOUDFLARE_ACCOUNT_ID")
        if not account_id:
            raise ConfigError(
                "no account is given",
                key="CLOUDFLARE_ACCOUNT_ID",
                hint="set CLOUDFLARE_ACCOUNT_ID to the account's id",
            )
        return cls(
            account_id,
            secret or _token_of_environment(),
            base_url=base_url or os.environ.get("CLOUDFLARE_API_BASE_URL") or DEFAULT_BASE_URL,
            settings=settings,
        )

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent, repeated ones and presigned URLs included."""
        return self._session.requests

    def __repr__(self) -> str:
        return f"{type(self).__name__}(account_id={self.account_id!r}, base_url={self.base_url!r})"

    def _query(self, database_id: str, statement: Statement, row_type: type[Any] | None, *, lossy: bool) -> Steps[Any]:
        decoded = yield from protocols.raw(self.account_id, database_id, statement, count=1, lossy=lossy)
        (result,) = decoded.results
        return result if row_type is None else typed(result, row_type)


class D1Client(_Client):
    """Cloudflare D1's REST API. A context manager; several threads may share one.

    `token` is an API token with D1 Read or D1 Edit. `settings` holds timeouts, bounds, the process-wide budget and an
    observer of requests. Raises ConfigError for a token that cannot be sent, and for a base URL of plain http to
    another machine.
    """

    _driver: SyncDriver

    def _open(self) -> None:
        from d1ops.client.drivers import SyncDriver

        self._driver = SyncDriver(self.base_url, self._session)

    def run(self, steps: Steps[T]) -> T:
        """Run a protocol of `d1ops.client.protocols`, or one of your own."""
        return self._driver.run(steps)

    @overload
    def query(self, database_id: str, sql: str, params: Sequence[Param] = (), *, lossy: bool = False) -> Result: ...

    @overload
    def query(
        self, database_id: str, sql: str, params: Sequence[Param] = (), *, row_type: type[T], lossy: bool = False
    ) -> TypedResult[T]: ...

    def query(
        self,
        database_id: str,
        sql: str,
        params: Sequence[Param] = (),
        *,
        row_type: type[Any] | None = None,
        lossy: bool = False,
    ) -> Result | TypedResult[Any]:
        """Run one statement. A read is sent again after a transient failure, anything else never.

        `row_type` is a pydantic model or a dataclass whose fields are the columns. Raises StatementRejected when the
        engine says no; PrecisionLost for a number beyond 2^53-1 in the answer, unless `lossy`; UsageError for
        parameters that do not fit the statement and for a row that does not fit `row_type`. What the statement did
        stays done after PrecisionLost or a row that does not fit.
        """
        statement = Statement(sql, tuple(params))
        result: Result | TypedResult[Any] = self.run(self._query(database_id, statement, row_type, lossy=lossy))
        return result

    def close(self) -> None:
        """Close all connections."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.close()


class AsyncD1Client(_Client):
    """`D1Client` for asyncio: every operation is a coroutine. Sinks and files are used in the loop's own thread."""

    _driver: AsyncDriver

    def _open(self) -> None:
        from d1ops.client.drivers import AsyncDriver

        self._driver = AsyncDriver(self.base_url, self._session)

    async def run(self, steps: Steps[T]) -> T:
        """Run a protocol of `d1ops.client.protocols`, or one of your own."""
        return await self._driver.run(steps)

    @overload
    async def query(
        self, database_id: str, sql: str, params: Sequence[Param] = (), *, lossy: bool = False
    ) -> Result: ...

    @overload
    async def query(
        self, database_id: str, sql: str, params: Sequence[Param] = (), *, row_type: type[T], lossy: bool = False
    ) -> TypedResult[T]: ...

    async def query(
        self,
        database_id: str,
        sql: str,
        params: Sequence[Param] = (),
        *,
        row_type: type[Any] | None = None,
        lossy: bool = False,
    ) -> Result | TypedResult[Any]:
        """Run one statement, as `D1Client.query` does."""
        statement = Statement(sql, tuple(params))
        result: Result | TypedResult[Any] = await self.run(self._query(database_id, statement, row_type, lossy=lossy))
        return result

    async def aclose(self) -> None:
        """Close all connections."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        await self.aclose()


def _token_of_environment() -> Secret:
    if not os.environ.get("CLOUDFLARE_API_TOKEN"):
        raise ConfigError(
            "no API token is given",
            key="CLOUDFLARE_API_TOKEN",
            hint="set CLOUDFLARE_API_TOKEN to a token with D1 Read or D1 Edit",
        )
    return Secret(os.environ["CLOUDFLARE_API_TOKEN"])
