"""The child process behind `netdiag.report.pdf`: HTML on stdin becomes a PDF on stdout, and nothing is fetched.

It ends with `LIBRARIES_MISSING` or `NOT_INSTALLED` when WeasyPrint cannot be imported, and says why on stderr.
"""

import importlib
import logging
import os
import sys
from typing import Any, NoReturn

LIBRARIES_MISSING, NOT_INSTALLED = 70, 71


def main() -> None:
    weasyprint = _import_weasyprint()
    # It warns of each CSS feature of the browsers that paper has no use for.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=("data",))
    document = weasyprint.HTML(string=sys.stdin.buffer.read().decode(), url_fetcher=fetcher)
    # A fixed identifier: the same document gives the same bytes. PDF/UA is tagged, for those who have it read to them.
    sys.stdout.buffer.write(document.write_pdf(pdf_identifier=b"netdiag", pdf_variant="pdf/ua-1"))
    sys.stdout.buffer.flush()
    # An orderly end unloads the libraries first, and crashes when Pango starts its thread that sorts fonts only then.
    os._exit(0)


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
