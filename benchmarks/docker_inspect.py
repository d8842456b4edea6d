"""What reading a large `docker inspect` costs, as a ratio to decoding it with `json.loads` in the same run.

    python benchmarks/docker_inspect.py [CONTAINERS [ROUNDS]]

The text is a real container's, repeated with other ids, names, addresses and ports (3,000 containers are 20 MB). Both
are done in turn; the fastest round of each counts, because other work on the machine can only make a round slower.
"""

import json
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from netdiag import formats
from netdiag.spans import Source

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "formats" / "docker_inspect" / "sid-docker28.5.txt"
FIRST_ADDRESS = int(IPv4Address("172.18.0.2"))


def container(model: dict[str, Any], number: int) -> dict[str, Any]:
    """The model with the id, name, addresses, MAC addresses and host ports of a container of its own."""
    made = deepcopy(model)
    made["Id"] = f"{number:064x}"
    made["Name"] = f"/{model['Name'].strip('/')}-{number}"
    for endpoint in made["NetworkSettings"]["Networks"].values():
        endpoint["IPAddress"] = str(IPv4Address(FIRST_ADDRESS + number))
        endpoint["MacAddress"] = f"02:42:ac:12:{number >> 8:02x}:{number & 255:02x}"
        endpoint["EndpointID"] = f"{number:064x}"
    for port, bindings in enumerate(made["NetworkSettings"]["Ports"].values()):
        for binding in bindings or ():
            binding["HostPort"] = str(1024 + (number * 7 + port) % 60000)
    return made


def inspect_of(containers: int) -> str:
    models = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return json.dumps([container(models[n % len(models)], n) for n in range(containers)], indent=4) + "\n"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    containers, rounds = (int(word) for word in [*sys.argv[1:], "3000", "5"][:2])
    text = inspect_of(containers)
    read = formats.get("docker_inspect").read
    document = read(Source("inspect.txt", text))
    assert len(document.records) == containers
    assert document.unread == ()
    decoding = reading = float("inf")
    for _ in range(rounds):
        decoding = min(decoding, seconds(lambda: json.loads(text)))
        reading = min(reading, seconds(lambda: read(Source("inspect.txt", text))))
    print(f"{containers} containers, {len(text) / 1e6:.1f} MB")
    print(f"json.loads               {decoding * 1000:7.0f} ms")
    print(f"docker_inspect           {reading * 1000:7.0f} ms, ratio {reading / decoding:.2f}")


if __name__ == "__main__":
    main()
