"""The healthy library: states of a real host that are right, and look unlike the host that a check has in mind.

A `Healthy` state is made on a fresh host with the commands that make it in the field, and shown to work. Nothing may be
found on it that somebody would act on. Each module here holds the states of one kind, in `STATES`.
"""

from importlib import import_module
from pkgutil import iter_modules

from healthy._kit import Healthy

__all__ = ["STATES", "Healthy"]

_MODULES = [import_module(f"healthy.{found.name}") for found in iter_modules(__path__) if found.name[0] != "_"]

STATES: tuple[Healthy, ...] = tuple(state for module in _MODULES for state in module.STATES)
