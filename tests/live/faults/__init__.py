"""The fault library: what can go wrong on a real host, and the near misses that look like it and are right.

A `Fault` is injected with the commands that cause it in the field, and shown to hurt (a request fails) or to be
inconsistent (the state contradicts itself). A `NearMiss` is a healthy host in a state that a careless check would take
for a fault. Each module here holds those of one layer, in `FAULTS` and `NEAR_MISSES`.
"""

from importlib import import_module
from pkgutil import iter_modules

from faults._kit import Fault, Kind, NearMiss, options_of

__all__ = ["FAULTS", "NEAR_MISSES", "Fault", "Kind", "NearMiss", "options_of"]

_MODULES = [import_module(f"faults.{found.name}") for found in iter_modules(__path__) if found.name[0] != "_"]

FAULTS: tuple[Fault, ...] = tuple(fault for module in _MODULES for fault in module.FAULTS)
NEAR_MISSES: tuple[NearMiss, ...] = tuple(near_miss for module in _MODULES for near_miss in module.NEAR_MISSES)
