"""The outside world's servers: HTTP on port 80 answers every GET with the address of its client and a newline, and the
name server answers at its own address only.

Run as a script in the network namespace that stands for the internet; prints ``ready`` once it listens. It keeps that
namespace alive: when this process ends, the namespace and every interface in it are gone.
"""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread

import name_server

PORT = 80
NAME_SERVER = "198.51.100.53"


class ClientAddressHandler(BaseHTTPRequestHandler):
    """Answers with the client's address, so that a missing address translation is seen and not only felt."""

    def do_GET(self) -> None:
        body = f"{self.client_address[0]}\n".encode("ascii")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the overridden method
        """Requests are counted by the probes that make them."""


class Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gives up before its answer came is what probes of broken paths do."""


def main() -> None:
    # A socket that is bound before its address is there answers from another one.
    subprocess.run(["ip", "address", "add", f"{NAME_SERVER}/32", "dev", "lo"], check=True)
    names = name_server.NameServer((NAME_SERVER, name_server.PORT), name_server.LookUp)
    Thread(target=names.serve_forever, daemon=True).start()
    with Server(("0.0.0.0", PORT), ClientAddressHandler) as server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
