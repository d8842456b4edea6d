"""Journeys: where packets went, as traces show, and where they would go, as the model says. Nothing is built
in this room yet.
"""
