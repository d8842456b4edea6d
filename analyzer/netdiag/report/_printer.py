"""The child process behind `netdiag.report.pdf`: HTML on stdin becomes a PDF on stdout, and nothing is fetched.

It ends with `LIBRARIES_MISSING` or `NOT_INSTALLED` when WeasyPrint cannot be imported, and says why on stderr.
"""

import importlib
import logging
import os
import sys
from typing import Any, NoReturn

LIBRARIES_MISSING, NOT_INSTALLED = 70, 71
_VARIANT = "pdf/ua-1"


def main() -> None:
    weasyprint = _import_weasyprint()
    # It warns of each CSS feature of the browsers that paper has no use for.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=("data",))
    source = weasyprint.HTML(string=sys.stdin.buffer.read().decode(), url_fetcher=fetcher)
    # PDF/UA is tagged, for those who have it read to them.
    document = source.render(pdf_variant=_VARIANT)
    for page in document.pages:
        page.links = [link for link in page.links if _of_a_link(link[3])]
    # A fixed identifier: the same document gives the same bytes.
    sys.stdout.buffer.write(document.write_pdf(pdf_identifier=b"netdiag", pdf_variant=_VARIANT))
    sys.stdout.buffer.flush()
    # An orderly end unloads the libraries first, and crashes when Pango starts its thread that sorts fonts only then.
    os._exit(0)


def _of_a_link(box: Any) -> bool:
    """Whether a box is an `a` itself. WeasyPrint makes a link of each box within as well, which PDF/UA forbids."""
    return bool(box.element_tag.partition(":")[0] == "a")


def _import_weasyprint() -> Any:
    try:
        return importlib.import_module("weasyprint")
    except OSError as error:
        _give_up(error, LIBRARIES_MISSING)
    except ImportError as error:
        _give_up(error, NOT_INSTALLED)


def _give_up(error: Exception, code: int) -> NoReturn:
    sys.stderr.write(f"{error}\n".splitlines()[0])
    sys.exit(code)


if __name__ == "__main__":
    main()
