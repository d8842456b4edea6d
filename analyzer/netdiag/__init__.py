"""netdiag: read what a container host printed, say what is wrong with its network, and point at the lines that prove
it.
"""

__version__ = "0.1.0"
