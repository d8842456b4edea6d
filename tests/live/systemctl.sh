#!/bin/sh
# systemctl of a laboratory host, so that `systemctl restart docker` can be typed there as on a host that runs systemd.
# It really stops and starts dockerd, with the options of /etc/default/docker as Debian's docker.service has it. It knows
# start, stop and restart of docker, has no units to read anew, and refuses anything else.
set -eu

daemon_log=/var/log/docker.log
pid_file=/run/docker.pid
patience_s=$((90 * ${NETDIAG_PATIENCE:-1}))

is_running() {
    [ -s "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null
}

fail() {
    echo "systemctl: $1" >&2
    exit 1
}

wait_until() {
    deadline=$(($(date +%s) + patience_s))
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || fail "docker: gave up after $patience_s s waiting for: $*"
        sleep 0.05
    done
}

start() {
    ! is_running || return 0
    rm -f "$pid_file"
    DOCKER_OPTS=
    . /etc/default/docker
    # DOCKER_OPTS is a list of words, as in the unit file.
    # shellcheck disable=SC2086
    setsid /usr/sbin/dockerd -H unix:///var/run/docker.sock $DOCKER_OPTS </dev/null >>"$daemon_log" 2>&1 &
    daemon=$!
    wait_until answers_or_died
    kill -0 "$daemon" 2>/dev/null || {
        tail -n 5 "$daemon_log" >&2
        fail "docker: dockerd did not start"
    }
}

answers_or_died() {
    ! kill -0 "$daemon" 2>/dev/null || docker version >/dev/null 2>&1
}

stop() {
    is_running || return 0
    kill -TERM "$(cat "$pid_file")"
    wait_until has_ended
}

has_ended() {
    ! is_running
}

case "$*" in
    "start docker") start ;;
    "stop docker") stop ;;
    "restart docker") stop && start ;;
    "daemon-reload") ;;
    *) fail "this host has no systemd; only start, stop and restart of docker are known, not: $*" ;;
esac
