"""The daemon's options, and the commands that take them out of where they stand."""

import json
import re
import shlex

from netdiag.checks._docker import sh
from netdiag.formats.records import DaemonSetting

#: The files that may hold the options of the daemon's command line.
_FILES = "/etc/default/docker /etc/sysconfig/docker /etc/systemd/system /lib/systemd/system/docker.service"
_DAEMON_JSON = "/etc/docker/daemon.json"

#: Changes one key of daemon.json: `d` is what stands in it.
_EDIT = "import json; f={file!r}; d=json.load(open(f)); {change}; json.dump(d,open(f,'w'),indent=2)"


def stands_in_file(setting: DaemonSetting) -> bool:
    """The setting is of daemon.json, not of the command line."""
    return setting.span.source.format != "dockerd_cmdline"


def without(setting: DaemonSetting, value: str = "") -> tuple[str, ...]:
    """The commands that take a setting out, of one with several values only this one."""
    if stands_in_file(setting):
        change = f"d[{setting.name!r}].remove({value!r})" if value else f"d.pop({setting.name!r})"
        return (shlex.join(["python3", "-c", _EDIT.format(file=_DAEMON_JSON, change=change)]),)
    text = value or json.loads(setting.value)
    text = text if isinstance(text, str) else json.dumps(text)
    option = rf"--\?{re.escape(setting.name)}[= ]{_escaped(text)}"
    found = sh("$(grep -rlse {} ", option) + f"{_FILES})"
    return (sh("sed -i {} ", f"s#{option}##") + found, "systemctl daemon-reload")


def _escaped(text: str) -> str:
    """A text as sed and grep take it for itself, between `#`."""
    return re.sub(r"([.\[\]*^$\\#])", r"\\\1", text)
