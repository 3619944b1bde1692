"""What every test shares: hypothesis profiles and a header that names the engines."""

from __future__ import annotations

import os
import platform
import signal

import apsw
import hypothesis

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("long", deadline=None, max_examples=5_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


# A runner started in the background hands SIGINT on as ignored; the tests of interruption need it as it is by default,
# here and in the processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return (
        f"engines: SQLite {apsw.sqlite_lib_version()} (apsw {apsw.apsw_version()}), Python {platform.python_version()}"
    )
