"""The room of traces: event streams as columns, for any length of trace.

Records of one trace line take some 600 bytes; a column takes a few. Journeys, call trees and exports work on these
tables alone. A table says the same as the records of `netdiag.formats`: a test compares the two, cell by cell.

The room loads pandas: whoever may not need it imports the room inside a function.
"""

from netdiag.traces.table import NOT_TOLD, Phase, Stacks, TraceTable, table_of

__all__ = ["NOT_TOLD", "Phase", "Stacks", "TraceTable", "table_of"]
