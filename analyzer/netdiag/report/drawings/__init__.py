"""Drawings: SVG as text, used by the page and by the PDF alike. They know the model and the findings, nothing of pages.

Colours are literal presentation attributes, the only ones that WeasyPrint heeds; each has a class beside it by which
the page's style sheet puts the dark palette over them.
"""
