"""Starts, pins, measures and ends the processes of a comparison. Only processes started here are ended."""
import atexit
import glob
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time


def free_port():
    """One of 127.0.0.1 below those that the kernel gives to outgoing connections, which could take a probed port first."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        ephemeral = int(file.read().split()[0])
    for _ in range(1000):
        port = random.randrange(10_000, ephemeral)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port on 127.0.0.1")


def wait_for_port(port, process, log, seconds=10):
    """Returns when somebody listens; an error with the end of its log when the process dies first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.01)
    with open(log) as file:
        raise RuntimeError(f"{process.args[0]} does not listen on port {port}: {file.read()[-500:]}")


def children(pid):
    """The process and all that it started, by /proc."""
    found = [pid]
    for task in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(task) as file:
                for child in file.read().split():
                    found += children(int(child))
        except OSError:
            pass
    return found


def cpu_ns(pids):
    """Time on a core since their start: the first figure of schedstat, over all threads."""
    total = 0
    for pid in pids:
        for task in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                with open(task) as file:
                    total += int(file.read().split()[0])
            except OSError:
                pass
    return total


def rss_bytes(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            pass
    return total


def pin(pids, core):
    """To one core, or (None) to none of them in particular."""
    cores = set(range(os.cpu_count() or 1)) if core is None else {core}
    for pid in pids:
        for task in glob.glob(f"/proc/{pid}/task/*"):
            try:
                os.sched_setaffinity(int(task.rsplit("/", 1)[1]), cores)
            except OSError:
                pass


def prefer(pid, preferred):
    """The process goes before others on its core, at once, or no longer. A better nice value does not do: a kernel with
    lazy preemption leaves who computes alone until its next system call."""
    policy = os.SCHED_FIFO if preferred else os.SCHED_OTHER
    os.sched_setscheduler(pid, policy, os.sched_param(1 if preferred else 0))


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Processes:
    """Owns the child processes of one run and ends them when it ends, however it ends."""

    def __init__(self):
        self.started = []
        atexit.register(self.stop_all)

    def start(self, arguments, core=None, log=None, **more):
        setup = (lambda: os.sched_setaffinity(0, {core})) if core is not None else None
        with open(log or os.devnull, "ab") as out:
            process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=more.pop("stdout", out),
                                       stderr=out, preexec_fn=setup, start_new_session=True, **more)
        self.started.append(process)
        return process

    def stop(self, process):
        if process not in self.started:
            return
        self.started.remove(process)
        family = children(process.pid)
        for how, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            for pid in family:
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    pass
            try:
                process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue

    def stop_all(self):
        for process in list(self.started):
            self.stop(process)


class Mock:
    """A sluice-mock with its control port."""

    def __init__(self, processes, program, certificate, core, log, more=()):
        self.process = processes.start(
            [program, "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--control", "127.0.0.1:0",
             "--cert", certificate, "--cert-key", certificate, "--records", "0", *more], core=core, log=log, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"sluice-mock did not start: see {log}")
        where = json.loads(line)
        self.port = int(where["http"][0].rsplit(":", 1)[1])
        self.tls_port = int(where["https"][0].rsplit(":", 1)[1])
        self.control_port = int(where["control"][0].rsplit(":", 1)[1])

    def ask(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=10)
        connection.request(method, path)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer
