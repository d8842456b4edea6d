"""Secrets stay on the host: realistic leaks leave nothing, and what only looks like one survives."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netdiag_collect as collect

from .fakes import DB, WEB, FakeHost

SECRET = "Tr0ub4dor.and-3"
TOKEN = "ghp_" + "a1B2" * 9
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
ID = "a" * 64


def _container(**config: Any) -> str:
    return json.dumps([{"Id": ID, "Name": "/web", "Config": config}])


def _command(*words: str) -> str:
    return _container(Cmd=list(words))


# What leaks where: the format, and an output in which @@ is the secret.
LEAKS: dict[str, tuple[str, str]] = {
    "environment": ("docker_inspect", _container(Env=["DB_PASSWORD=@@"])),
    "environment in camel case": ("docker_inspect", _container(Env=["DbPassword=@@"])),
    "environment of any name": ("docker_inspect", _container(Env=["GREETING=@@"])),
    "environment with a url": ("docker_inspect", _container(Env=["DATABASE_URL=postgres://u:@@@db/x"])),
    "environment of docker exec": ("docker_inspect", '[{"ProcessConfig": {"Env": ["A=@@"]}}]'),
    "requirepass": ("docker_inspect", _command("redis-server", "--requirepass", "@@")),
    "requirepass with =": ("docker_inspect", _command("redis-server", "--requirepass=@@")),
    "requirepass as in redis.conf": ("docker_inspect", _command("redis-server", "requirepass", "@@")),
    "redis-cli -a": ("docker_inspect", _command("redis-cli", "-a", "@@")),
    "mysql -p": ("docker_inspect", _command("mysql", "-uroot", "-p@@")),
    "mysql -p in a shell": ("docker_inspect", _command("sh", "-c", "mysqldump -u root -p@@ --all")),
    "mysql -p in quotes": ("docker_inspect", _command("sh", "-c", "mysqldump -u root -p'@@' --all")),
    "-p of an unknown program": ("docker_inspect", _command("app", "-p", "@@")),
    "sshpass": ("docker_inspect", _command("sshpass", "-p", "@@", "ssh", "host")),
    "ldapsearch -w": ("docker_inspect", _command("ldapsearch", "-D", "cn=x", "-w", "@@")),
    "--token": ("docker_inspect", _command("app", "--token", "@@")),
    "-token": ("docker_inspect", _command("consul", "-token", "@@")),
    "--api-key=": ("docker_inspect", _command("app", "--api-key=@@")),
    "--secret-id of vault": ("docker_inspect", _command("vault", "--secret-id", "@@")),
    "a password with blanks": ("docker_inspect", _container(Entrypoint=["/run.sh", "--password", "and @@ it"])),
    "java property": ("docker_inspect", _command("java", "-Dspring.datasource.password=@@", "-jar", "a.jar")),
    "java keystore": ("docker_inspect", _command("java", "-Djavax.net.ssl.keyStorePassword=@@")),
    "curl -u": ("docker_inspect", _command("curl", "-u", "admin:@@", "http://host")),
    "curl -u without a blank": ("docker_inspect", _command("curl", "-uadmin:@@", "http://host")),
    "bearer token": ("docker_inspect", _command("curl", "-H", "Authorization: Bearer @@")),
    "basic authorization": ("docker_inspect", _command("curl", "-H", "Authorization: Basic @@")),
    "api key header": ("docker_inspect", _command("curl", "-H", "X-Api-Key: @@")),
    "token in a url": ("docker_inspect", _command("git", "clone", "https://@@@git.example.com/x")),
    "password in a url": ("docker_inspect", _command("app", "amqp://user:@@@mq:5672/v")),
    "password with a slash in a url": ("docker_inspect", _command("app", "amqp://user:a/@@@mq:5672/v")),
    "two hosts in a url": ("docker_inspect", _command("app", "mongodb://u:@@@a,u:@@@b/db")),
    "go's mysql address": ("docker_inspect", _command("app", "user:@@@tcp(db:3306)/x")),
    "jdbc": ("docker_inspect", _command("app", "jdbc:postgresql://h/db?user=a&password=@@&ssl=true")),
    "connection string": ("docker_inspect", _command("app", "Server=db;User Id=sa;Password=@@;Encrypt=yes")),
    "libpq": ("docker_inspect", _command("psql", "host=db user=a password=@@")),
    "variable before a command": ("docker_inspect", _command("sh", "-c", "PGPASSWORD=@@ psql -h db")),
    "exported variable": ("docker_inspect", _command("sh", "-c", "export API_TOKEN='@@'; run")),
    "variable of env(1)": ("docker_inspect", _command("env", "PGPASSWORD=@@", "psql")),
    "json in an argument": ("docker_inspect", _container(Cmd=["app", '{"db": {"password": "@@"}}'])),
    "health check in a shell": (
        "docker_inspect",
        _container(Healthcheck={"Test": ["CMD-SHELL", "mysqladmin ping -p@@ || exit 1"]}),
    ),
    "health check": (
        "docker_inspect",
        _container(Healthcheck={"Test": ["CMD", "curl", "-f", "http://u:@@@localhost/health"]}),
    ),
    "output of a health check": ("docker_inspect", '[{"Health": {"Log": [{"Output": "token=@@ refused"}]}}]'),
    "label by its name": ("docker_inspect", _container(Labels={"com.example.db-password": "@@"})),
    "label with a url": ("docker_inspect", _container(Labels={"com.example.db": "mysql://root:@@@db/x"})),
    "label with a command": ("docker_inspect", _container(Labels={"ofelia.command": "backup --password @@"})),
    "label with basic auth": (
        "docker_inspect",
        _container(Labels={"traefik.http.middlewares.a.basicauth.users": "admin:$apr1$@@"}),
    ),
    "label with bcrypt": ("docker_inspect", _container(Labels={"caddy.basic_auth": "bob:$$2a$$14$$@@"})),
    "label with registry auth": (
        "docker_inspect",
        _container(Labels={"config": '{"auths": {"r": {"auth": "@@"}}}'}),
    ),
    "log driver": ("docker_inspect", '[{"LogConfig": {"Config": {"splunk-token": "@@"}}}]'),
    "cifs volume": ("docker_inspect", '[{"Options": {"o": "username=x,password=@@,vers=3.0"}}]'),
    "private key": ("docker_inspect", _command("-----BEGIN RSA PRIVATE KEY-----\n@@\n-----END RSA PRIVATE KEY-----")),
    "swarm join token": ("docker_inspect", _command("join", "SWMTKN-1-abcdef", "--token", "@@")),
    "proxy of the engine": ("docker_info", '{"HttpProxy": "http://u:@@@proxy:3128"}'),
    "label of the engine": ("docker_info", '{"Labels": ["token=@@"]}'),
    "mirror of the engine": ("docker_info", '{"RegistryConfig": {"Mirrors": ["https://u:@@@m/"]}}'),
    "auth of a registry": ("docker_info", '{"RegistryConfig": {"auths": {"https://r": {"auth": "@@"}}}}'),
    "label of a network": ("docker_network_inspect", '[{"Labels": {"api_token": "@@"}}]'),
    "proxy in daemon.json": ("daemon_json", '{"proxies": {"https-proxy": "https://u:@@@p"}}'),
    "option of dockerd": ("dockerd_cmdline", "dockerd\n--registry-mirror\nhttps://u:@@@m\n"),
    "log option of dockerd": ("dockerd_cmdline", "dockerd\n--log-opt\nsplunk-token=@@\n"),
    "command in docker ps": ("docker_ps", 'CONTAINER ID   COMMAND         NAMES\nabc            "x --pw @@"   w\n'),
    "error message": ("stderr", "error: cannot pull https://u:@@@registry/x\n"),
    "comment in resolv.conf": ("resolv_conf", "# from http://u:@@@config/\n"),
    "cut off: environment": ("docker_inspect", '[{"Config": {"Env": ["A_B=@@",'),
    "cut off: option": ("docker_inspect", '[{"Config": {"Cmd": ["x", "--password",\n  "@@",'),
    "cut off: label": ("docker_inspect", '[{"Config": {"Labels": {"db.password": "@@",'),
    "password file of postgresql": ("docker_inspect", _command("sh", "-c", "echo 'db:5432:app:admin:@@' > ~/.pgpass")),
    "netrc": ("docker_inspect", _command("sh", "-c", "echo 'machine h login u password @@' > ~/.netrc")),
    "azure connection string": (
        "docker_inspect",
        _command("app", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=@@;EndpointSuffix=core.windows.net"),
    ),
    "azure signature": ("docker_inspect", _command("app", "https://a.blob.core.windows.net/c?sv=1&sig=@@&se=2027")),
    "service account of google": (
        "docker_inspect",
        _command("app", '{"private_key": "-----BEGIN PRIVATE KEY-----\\n@@\\n-----END PRIVATE KEY-----\\n"}'),
    ),
    "private key that is cut off": ("stderr", "-----BEGIN OPENSSH PRIVATE KEY-----\n@@\nMIGHAgEA"),
    "json of json": (
        "docker_inspect",
        _container(Labels={"com.docker.x": json.dumps(json.dumps({"db_password": "@@"}))}),
    ),
    "list of secrets": ("docker_info", '{"Credentials": ["@@"]}'),
    "variable in a health check": (
        "docker_inspect",
        _container(Healthcheck={"Test": ["CMD-SHELL", "PGPASSWORD=@@ pg_isready -U app"]}),
    ),
    "curl --user=": ("docker_inspect", _command("curl", "--user=admin:@@", "http://h")),
    "cookie": ("docker_inspect", _command("curl", "-fsS", "-b", "session=@@", "http://h")),
    "cookie header": ("text", "< Set-Cookie: session=x\n> Cookie: @@; a=b\n"),
    "mongodb+srv": ("docker_inspect", _command("app", "mongodb+srv://u:@@@cluster0.x.mongodb.net/db?retryWrites=true")),
    "url without a user": ("docker_inspect", _command("app", "redis://:@@@cache:6379/0")),
    "share with a password": ("docker_inspect", '[{"Mounts": [{"Source": "//u:@@@files/share"}]}]'),
    "token in a query": ("journal", "2026-11-28T04:20:10+0000 web01 dockerd[1]: GET https://h/x?api_key=@@&y=1\n"),
    "webhook of slack": ("docker_inspect", _command("app", "https://hooks.slack.com/services/T00000000/B00000000/@@")),
    "webhook of discord": ("docker_inspect", _command("app", "https://discord.com/api/webhooks/1234567890/@@")),
    "htpasswd": ("docker_inspect", _command("htpasswd", "-bc", "/etc/nginx/users", "admin", "@@")),
    "htpasswd in a shell": ("docker_inspect", _command("sh", "-c", "htpasswd -Bbn admin @@ > /users")),
    "hash of a login": ("docker_inspect", _command("sh", "-c", "useradd -p '$6$@@@@@@@@' bob")),
    "password from a pipe": ("docker_inspect", _command("sh", "-c", "echo @@ | docker login -u a --password-stdin")),
    "chpasswd": ("docker_inspect", _command("sh", "-c", "echo 'root:@@' | chpasswd")),
    "sql": ("docker_inspect", _command("mysql", "-e", "CREATE USER 'a'@'%' IDENTIFIED BY '@@'")),
    "sql of postgresql": ("docker_inspect", _command("psql", "-c", "ALTER USER a WITH PASSWORD '@@'")),
    "mongodb's shell": ("docker_inspect", _command("mongosh", "--eval", "db.auth('a', '@@')")),
    "redis AUTH": ("docker_inspect", _command("redis-cli", "-h", "cache", "AUTH", "@@")),
    "rabbitmqctl": ("docker_inspect", _command("rabbitmqctl", "add_user", "bob", "@@")),
    "minio": ("docker_inspect", _command("mc", "alias", "set", "m", "http://h", "KEYID", "@@")),
    "vault login": ("docker_inspect", _command("vault", "login", "@@")),
    "ngrok": ("docker_inspect", _command("ngrok", "config", "add-authtoken", "@@")),
    "authkey in one word": ("docker_inspect", _command("tailscale", "up", "--authkey=@@")),
    "smbclient": ("docker_inspect", _command("smbclient", "-U", "bob%@@", "//h/share")),
    "lftp": ("docker_inspect", _command("lftp", "-u", "bob,@@", "sftp://h")),
    "shadowsocks": ("docker_inspect", _command("ss-server", "-s", "0.0.0.0", "-p", "8388", "-k", "@@")),
    "snmp": ("docker_inspect", _command("snmpwalk", "-v2c", "-c", "@@", "host")),
    "ipmitool": ("docker_inspect", _command("ipmitool", "-U", "a", "-P", "@@", "power", "status")),
    "settings with blanks around =": ("docker_inspect", _command("app", "password  =  @@\n")),
    "xml": ("docker_inspect", _command("app", "<config><password>@@</password></config>")),
    "wifi in the kernel's log": ("dmesg", '[   12.3] wlan0: wpa_passphrase "@@"\n'),
    "command line of the kernel": ("dmesg", "[    0.0] Kernel command line: root=/dev/sda1 rd.luks.key=@@ quiet\n"),
    "unit with a proxy": ("systemctl_show", "Environment=HTTP_PROXY=http://u:@@@proxy:3128 NO_PROXY=x\n"),
    "unit with an option": (
        "systemctl_show",
        "ExecStart={ path=/usr/bin/dockerd ; argv[]=dockerd --log-opt splunk-token=@@ }\n",
    ),
    "attribute of an event": ("engine_events", "2026-11-28T10:05:04Z container die abc (api_token=@@, name=web)\n"),
    "docker exec among the events": ("engine_events", "2026-11-28T10:05:04Z container exec_start: mysql -p@@ abc\n"),
    "command in lsns": ("lsns", "NS TYPE NPROCS PID USER COMMAND\n1 net 1 1 root mysqld --password=@@\n"),
    "compose x- label": ("docker_inspect", _container(Labels={"com.docker.compose.x-db": "password: @@"})),
    "sysctl": ("sysctl", "net.ipv4.tcp_fastopen_key = @@\n"),
}


def _leak(name: str) -> tuple[str, str]:
    format_name, text = LEAKS[name]
    return format_name, text.replace("@@", SECRET)


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_masked_and_counted(name: str) -> None:
    format_name, text = _leak(name)
    assert SECRET in text
    masker = collect.Masker()
    stored = masker.stored(format_name, text.encode()).decode()
    assert SECRET not in stored
    assert "<masked>" in stored
    assert sum(masker.counts.values()) > 0
    assert SECRET not in str(masker.counts)


@pytest.mark.parametrize("name", LEAKS)
def test_with_no_mask_everything_stays(name: str) -> None:
    format_name, text = _leak(name)
    masker = collect.Masker(enabled=False)
    assert SECRET in masker.stored(format_name, text.encode()).decode()
    assert (dict(masker.counts), masker.needles()) == ({}, [])


@pytest.mark.parametrize(
    "token",
    [TOKEN, JWT, "glpat-" + "x" * 20, "xoxb-1234567890-abcdef", "AKIAIOSFODNN7EXAMPLE", "dckr_pat_" + "k" * 27],
    ids=["github", "jwt", "gitlab", "slack", "aws", "docker-hub"],
)
def test_a_token_of_a_known_shape_is_masked_without_a_name(token: str) -> None:
    assert collect.Masker().arguments(["app", token, f"--x={token}"]) == ["app", "<masked>", "--x=<masked>"]


LOOK_ALIKES = (
    "--keycloak-url=https://kc.example.com/auth",
    "KEYCLOAK_URL=https://kc.example.com",
    "httpd -f -p 80",
    "app -p 8080:80/tcp",
    "iptables -p tcp --dport 80",
    "mkdir -p /data/x",
    "docker run --user 1000:1000",
    "app -u 1000:1000",
    "hook -u https://example.com/hook",
    "registry.example.com:5000/app@sha256:0123456789abcdef",
    "docker://registry:5000/app@sha256:0123456789abcdef",
    "app --password-file=/run/secrets/db",
    "app --password-file /run/secrets/db",
    "app --password /run/secrets/db",
    "nginx --tls-key /etc/ssl/x.key",
    "app --token-ttl 3600",
    "curl http://172.18.0.3:8080/path",
    "git clone ssh://git@github.com/x.git",
    "mysqladmin ping -p$MYSQL_ROOT_PASSWORD",
    "psql --password ${PGPASSWORD}",
    "app --compass north --bypass=all --passthrough please",
    "app --auth=true --no-auth --authorization-mode=RBAC",
    "app --public-key abcdef",
    "app --secret-name mydb",
    "java -Xmx512m -jar app.jar",
    "echo 12:30:45 host:8080,other:9090",
    "nginx -g daemon off;",
    "nginx -c /etc/nginx/nginx.conf -p /srv",
    "curl -b cookies.txt http://host/",
    "htpasswd -c /etc/nginx/users admin",
    "echo web:8080 | nc 10.0.0.1 80",
    "vault login -method=oidc",
    "mac 02:42:ac:11:00:02 address 2001:4860:4860:8888:8844:1:2:3",
    "app --listen :8080:tcp:x --entrypoints.web.address=:80",
    "ss-server -s 0.0.0.0 -p 8388",
    "app --auth-mode=none --token-endpoint=https://idp/token",
    "traefik --providers.docker.endpoint=unix:///var/run/docker.sock",
    "registry.corp:5000/team/app:1.2.3",
)
MESSAGES = (
    "nsenter: invalid option -- 'p' -p PID",
    "usage: netstat [-p program] [-c interval]",
    "option -p foo is unknown",
    "mkdir -p failed: File exists",
    'audit: type=1400 audit(1.2:3): apparmor="DENIED" operation="open" key=(null)',
    "http2: server: error reading preface from client: token=<nil>",
    "could not use proxy http://user:xxxxx@proxy:3128",
    'nft: Error: syntax error, unexpected token "foo"',
    "Bind for 0.0.0.0:80 failed: port is already allocated",
)


@pytest.mark.parametrize("command", LOOK_ALIKES)
def test_what_only_looks_like_a_secret_survives(command: str) -> None:
    masker = collect.Masker()
    assert masker.arguments(command.split()) == command.split()
    assert masker.text(command) == command
    assert dict(masker.counts) == {}


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("format_name", ["stderr", "journal", "dmesg"])
def test_what_programs_complain_of_survives(message: str, format_name: str) -> None:
    masker = collect.Masker()
    assert masker.stored(format_name, message.encode()).decode() == message
    assert dict(masker.counts) == {}


def test_labels_and_keys_that_hold_no_secret_survive() -> None:
    harmless = {
        "com.docker.compose.config-hash": "0123456789abcdef",
        "com.docker.compose.project.config_files": "/srv/app/compose.yaml",
        "com.docker.network.bridge.name": "docker0",
        "traefik.http.routers.x.middlewares": "auth@docker",
        "traefik.http.middlewares.auth.forwardauth.address": "http://authelia:9091/verify",
        "SandboxKey": "/var/run/docker/netns/0123456789ab",
        "Authorization": None,
    }
    assert collect.Masker().json({"Labels": harmless}) == {"Labels": harmless}


def test_names_of_variables_are_kept_and_every_value_is_masked() -> None:
    masker = collect.Masker()
    stored = masker.json({"Env": ["PATH=/usr/bin:/bin", "EMPTY=", "DB_PASSWORD=x", "NO_EQUALS_SIGN"]})
    assert stored == {"Env": ["PATH=<masked>", "EMPTY=", "DB_PASSWORD=<masked>", "NO_EQUALS_SIGN"]}
    assert dict(masker.counts) == {"environment": 2}


def test_a_masked_command_leaves_the_other_columns_of_docker_ps_where_their_header_is() -> None:
    table = (
        "CONTAINER ID   IMAGE   COMMAND                      CREATED       NAMES\n"
        'aaaaaaaaaaaa   redis   "redis --requirepass a"      2 hours ago   cache\n'
        'bbbbbbbbbbbb   mysql   "mysqld --password=abcdef"   3 hours ago   db\n'
    )
    assert collect.Masker().stored("docker_ps", table.encode()).decode() == (
        "CONTAINER ID   IMAGE   COMMAND                          CREATED       NAMES\n"
        'aaaaaaaaaaaa   redis   "redis --requirepass <masked>"   2 hours ago   cache\n'
        'bbbbbbbbbbbb   mysql   "mysqld --password=<masked>"     3 hours ago   db\n'
    )


def test_a_secret_that_announces_another_one_is_masked_once() -> None:
    masker = collect.Masker()
    assert masker.text("password=token=abc rest") == "password=<masked> rest"
    assert dict(masker.counts) == {"assignment": 1}


def test_masking_is_done_when_it_is_done() -> None:
    for name in LEAKS:
        format_name, text = _leak(name)
        once = collect.Masker().stored(format_name, text.encode())
        again = collect.Masker()
        again.stored(format_name, once)
        assert {rule: count for rule, count in again.counts.items() if rule != "environment"} == {}, name


def _leaky(host: FakeHost) -> None:
    web, db = (next(container for container in host.containers if container["Id"] == name) for name in (WEB, DB))
    web["Config"]["Env"] = [f"DB_PASSWORD={SECRET}", 'LICENSE=AB12-"quoted"-XYZ', "IMAGE_PASSWORD=lab/busybox"]
    db["Config"]["Cmd"] = db["Args"] = ["db", SECRET, 'AB12-"quoted"-XYZ']
    host.set_containers()


def test_a_masked_value_is_looked_for_in_every_file(fake_host: FakeHost) -> None:
    _leaky(fake_host)
    fake_host.behave("ip", "rule", f"echo 'from {SECRET}'; echo 'not {SECRET} again' >&2; exit 1")
    table = fake_host.folder / "text" / "host docker ps -a --no-trunc"
    table.write_text(table.read_text().replace('"/bin/serve"   ', f'"/bin/serve {SECRET}"   ', 1))
    bundle = fake_host.collect("--keep-inspect", "--label", SECRET)
    leaking = [path for path, data in bundle.files.items() if SECRET.encode() in data or b"quoted" in data]
    assert leaking == []
    assert (bundle.manifest["argv"][-1], bundle.manifest["options"]["label"]) == ("<masked>", "<masked>")
    assert bundle.text("ip-rule") == "from <masked>\n"
    cmd = json.loads(bundle.files["docker/inspect.json"])[1]["Config"]["Cmd"]
    assert cmd == ["db", "<masked>", "<masked>"]
    assert bundle.manifest["redaction"]["seen-elsewhere"] >= 6


def test_a_masked_value_is_looked_for_in_the_manifest_as_well(fake_host: FakeHost) -> None:
    _leaky(fake_host)
    web = next(container for container in fake_host.containers if container["Id"] == WEB)
    web["ResolvConfPath"] = f"/nowhere/{SECRET}"
    fake_host.set_containers()
    bundle = fake_host.collect()
    assert SECRET.encode() not in bundle.files["manifest.json"]
    assert bundle.artifact("resolv-conf", f"netns:{WEB}")["skipped"] == "/nowhere/<masked>: No such file or directory"


def test_a_value_of_several_lines_is_looked_for_as_well(fake_host: FakeHost) -> None:
    _leaky(fake_host)
    fake_host.containers[0]["Config"]["Env"] = ["TLS_KEY=First4Line\nSecond4Line"]
    fake_host.set_containers()
    fake_host.behave("ip", "rule", "echo First4Line; echo Second4Line")
    assert fake_host.collect().text("ip-rule") == "<masked>\n"


def test_a_password_that_is_also_a_name_does_not_hide_the_name(fake_host: FakeHost) -> None:
    _leaky(fake_host)
    bundle = fake_host.collect("--keep-inspect")
    (web,) = (found for found in json.loads(bundle.files["docker/inspect.json"]) if found["Id"] == WEB)
    assert (web["Name"], web["Config"]["Image"]) == ("/web", "lab/busybox:1")
    assert web["Config"]["Env"][2] == "IMAGE_PASSWORD=<masked>"
    assert bundle.manifest["redaction"]["kept-elsewhere-as-a-name"] == 1


def test_addresses_in_the_environment_do_not_mask_the_network(fake_host: FakeHost) -> None:
    fake_host.containers[0]["Config"]["Env"] = ["GATEWAY=172.17.0.1", "MAC=02:42:ac:11:00:02", "BRIDGE=docker0-bridge"]
    fake_host.set_containers()
    bundle = fake_host.collect()
    assert "172.17.0.1" in bundle.text("ip-addr")
    assert "seen-elsewhere" not in bundle.manifest["redaction"]


def test_with_no_mask_the_bundle_holds_what_was_there(fake_host: FakeHost) -> None:
    _leaky(fake_host)
    bundle = fake_host.collect("--no-mask", "--keep-inspect")
    (web,) = (found for found in json.loads(bundle.files["docker/inspect.json"]) if found["Id"] == WEB)
    assert web["Config"]["Env"][0] == f"DB_PASSWORD={SECRET}"
    assert (bundle.manifest["redaction"], bundle.manifest["options"]["mask"]) == ({}, False)


def test_a_value_that_cannot_be_masked_fails_loudly_without_a_bundle(fake_host: FakeHost) -> None:
    _leaky(fake_host)
    broken = fake_host.folder / "broken.py"
    fake_host.hide_machine_tools()
    source = fake_host.collector.read_text()
    broken.write_text(source.replace("value = value.replace(needle, MASK)", "pass"))
    fake_host.collector = broken
    ended = subprocess.run(
        fake_host.command("-q", "--keep-inspect"),
        env=fake_host.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "netdiag: no bundle: a masked value is still in docker/inspect.json; nothing was kept\n"
    assert list(fake_host.output.iterdir()) == []


HOSTILE = ["htpasswd -b ", "redis-cli ", "curl -b a", "echo a:", "machine a login ", "<a>", "a:1234:", " -U a", "$6$a"]
HOSTILE += ["password=", "password='", "://a:", "-p x ", "a:", "a.", "-u a:", "-----BEGIN PRIVATE KEY-----"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_does_not_hold_the_collector_up(piece: str) -> None:
    script = "import sys, netdiag_collect as c; t = sys.stdin.read(); m = c.Masker(); m.text(t); m.arguments(t.split())"
    folder = Path(collect.__file__).parent
    text = piece * (200_000 // len(piece))
    subprocess.run([sys.executable, "-c", script], input=text, text=True, check=True, cwd=folder, timeout=60)


def test_json_that_is_nested_too_deep_is_masked_as_text() -> None:
    text = "[" * 100_000 + f'"A=b", "TOKEN={SECRET}"'
    assert SECRET not in collect.Masker().stored("docker_inspect", text.encode()).decode()


def test_bytes_that_are_no_utf8_and_lone_surrogates_survive() -> None:
    assert collect.Masker().stored("ip_addr", b"\xff://\xfe") == b"\xff://\xfe"
    assert json.loads(collect.Masker().stored("docker_inspect", b'["\\ud800"]')) == ["\ud800"]


def test_the_address_of_a_proxy_is_kept_and_its_password_is_not() -> None:
    masker = collect.Masker()
    kept = [
        masker.environment(f"{name}={value}")
        for name, value in [
            ("http_proxy", "http://127.0.0.1:3128"),
            ("HTTPS_PROXY", "http://user:Tr0ub4dor@proxy.corp:3128/"),
            ("no_proxy", "localhost,.corp"),
        ]
    ]
    assert kept == [
        "http_proxy=http://127.0.0.1:3128",
        "HTTPS_PROXY=http://user:<masked>@proxy.corp:3128/",
        "no_proxy=localhost,.corp",
    ]
