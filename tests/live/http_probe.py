"""HTTP requests from inside network namespaces, each by a thread that enters its namespace.

A program of its own for each request, as ``nsenter`` and ``curl`` are, takes ten times as much of the processor.
"""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

PROBE_TIMEOUT_S = 2.0

_CLONE_NEWNET = 0x40000000  # sched.h of Linux; ``os.setns`` is there from Python 3.12 on
_libc = ctypes.CDLL(None, use_errno=True)


class ProbeError(RuntimeError):
    """It could not be asked, or what came is not the answer of a web server that has the page."""


@dataclass(frozen=True)
class Request:
    """A GET of `url`, whose host is an address. `namespace` is a file such as ``/proc/1234/ns/net``.

    The request comes from the address `source`, if there is one.
    """

    namespace: Path
    url: str
    source: str = ""


def answers(requests: Sequence[Request]) -> list[str | None]:
    """The answers to requests that are made all at once: bodies less their last newline, None where no answer came.

    Raises ProbeError for every outcome that is neither, such as a status other than 200.
    """
    with ThreadPoolExecutor(max_workers=len(requests)) as threads:
        return list(threads.map(_answer, requests))


def _answer(request: Request) -> str | None:
    _enter(request.namespace)
    url = urlsplit(request.url)
    assert url.hostname
    deadline = time.monotonic() + PROBE_TIMEOUT_S
    source = (request.source, 0) if request.source else None
    connection = HTTPConnection(url.hostname, url.port, PROBE_TIMEOUT_S, source)
    try:
        connection.connect()
        connection.sock.settimeout(max(deadline - time.monotonic(), 0.001))
        connection.request("GET", url.path)
        answer = connection.getresponse()
        body = answer.read().decode()
    except socket.gaierror as error:
        message = f"{request.url}: {error}"
        raise ProbeError(message) from None
    except OSError:  # refused, unreachable, reset, closed without an answer, or not in time
        return None
    except (HTTPException, UnicodeDecodeError) as error:
        message = f"{request.url}: {error!r}"
        raise ProbeError(message) from error
    finally:
        connection.close()
    if answer.status != 200:
        message = f"{request.url}: {answer.status} {answer.reason}"
        raise ProbeError(message)
    return body.removesuffix("\n")


def _enter(namespace: Path) -> None:
    """Let this thread, and no other one, be in a network namespace from now on."""
    try:
        file = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ProbeError(str(error)) from error
    try:
        if _libc.setns(file, _CLONE_NEWNET):
            message = f"{namespace}: {os.strerror(ctypes.get_errno())}"
            raise ProbeError(message)
    finally:
        os.close(file)
