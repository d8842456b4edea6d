"""The errors that a user can act on. Only `netdiag.cli` catches them: one line on stderr and the exit code of the
class.
"""


class NetdiagError(Exception):
    """Never raised itself: the superclass of all errors that end a command with one clear line."""

    exit_code = 2


class BundleRefused(NetdiagError):
    """The bundle cannot be read, breaks a limit, or is not safe to read. The message names bundle and member."""


class UsageError(NetdiagError):
    """The command line asks for something that does not exist; the message names what does."""


class ReportUnavailable(NetdiagError):
    """A report cannot be rendered on this machine; the message says what to install."""
