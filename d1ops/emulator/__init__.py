"""A D1 REST API of our own, on loopback: Cloudflare's clients and d1ops work against it as against the service.

from d1ops.emulator import Emulator, Settings

with Emulator(Settings()) as server:
    os.environ.update(server.environment())
"""

from d1ops.emulator.faults import Fault, Faults, Hold
from d1ops.emulator.server import Emulator
from d1ops.emulator.settings import EngineName, Settings, Splitter

__all__ = ["Emulator", "EngineName", "Fault", "Faults", "Hold", "Settings", "Splitter"]
