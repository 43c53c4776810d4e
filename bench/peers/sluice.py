"""Sluice as one of the gateways of a comparison: provisions a ledger, starts reconciler and edge, ends them."""
import http.client
import json
import os
import shutil
import sqlite3
import subprocess
import time

from .processes import children, free_port, wait_for_port


def one_request(port, key):
    body = '{"model":"r","max_tokens":64,"messages":[{"role":"user","content":"hello"}]}'
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("POST", "/v1/chat/completions", body,
                           {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        good = connection.getresponse().status == 200
        connection.close()
        return good
    except OSError:
        return False


class Sluice:
    """One edge with one shard, and its reconciler on another core. `spin` and `keys` make variants; `in_memory` keeps
    the ledger off the disk."""

    def __init__(self, processes, directory, mock, core, side_core, programs, certificate, name="sluice", keys=64,
                 spin="0", models=(), in_memory=False, shards=1):
        self.name = name
        self.processes = processes
        self.state = f"/dev/shm/sluice-bench-{os.getpid()}-{name}"
        self.directory = f"{self.state}-ledger" if in_memory else os.path.join(directory, name)
        os.makedirs(self.directory, exist_ok=True)
        self.mock = mock
        self.core = core
        self.side_core = side_core
        self.programs = programs  # directory of the built programs
        self.keys = keys
        self.shards = shards
        self.spin = spin
        self.models = models
        self.ports = {"plain": free_port(), "tls": free_port()}
        self.ports["both"] = self.ports["tls"]  # the model decides where it goes
        self.certificate = certificate
        self.metrics_port = free_port()
        self.keys_file = os.path.join(self.directory, "keys")
        self.config_file = os.path.join(self.directory, "sluice.toml")
        self.edge = self.reconciler = None

    # ---- what the measurements use

    def edge_pids(self):
        return children(self.edge.pid)

    def side_pids(self):
        return children(self.reconciler.pid)

    def start(self):
        self.write_config()
        self.start_reconciler()
        self.provision()
        self.start_edge()
        self.wait_for_keys()
        return self

    def stop(self):
        for process in (self.edge, self.reconciler):
            if process is not None:
                self.processes.stop(process)
        self.remove()

    def remove(self):
        for directory in (self.state, self.directory):
            shutil.rmtree(directory, ignore_errors=True)

    def delays(self, name):
        """A histogram of /metrics over all shards: {upper bound in seconds: count up to it}."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
        counts = {}
        for line in page.splitlines():
            if line.startswith(f"{name}_bucket"):
                bound = float(line.split('le="')[1].split('"')[0].replace("+Inf", "inf"))
                counts[bound] = counts.get(bound, 0) + int(line.rsplit(" ", 1)[1])
        return counts

    def add_keys(self, count):
        """As many more keys of the same customer; returns when the last one is published."""
        apply_file = os.path.join(self.directory, "more-keys.toml")
        with open(apply_file, "w") as file:
            file.write('[[customer]]\nname = "bench"\n')
            file.writelines(f'[[customer.key]]\nname = "more-{i}"\n' for i in range(count))
        report = self.cli("apply", apply_file)
        newest = [change["key"] for change in report["changes"] if change.get("key")][-1]
        self.until_good(lambda: one_request(self.ports["plain"], newest), time.monotonic())

    def usage_rows(self):
        """Rows of usage that are in the ledger."""
        ledger = sqlite3.connect(f"file:{self.directory}/ledger.db?mode=ro", uri=True, timeout=30)
        try:
            return ledger.execute("SELECT COALESCE(SUM(row_count), 0) FROM drain_batch").fetchone()[0]
        finally:
            ledger.close()

    # ---- how it is done

    def program(self, name):
        return os.path.join(self.programs, name)

    def cli(self, *arguments):
        done = subprocess.run([self.program("sluice"), "--config", self.config_file, *arguments, "--json"],
                              capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise RuntimeError(f"sluice {' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def write_config(self):
        here = self.directory
        with open(self.config_file, "w") as file:
            file.write(f"""
node = 1
allow_private = ["127.0.0.0/8"]
[edge]
shards = {self.shards}
spin = "{self.spin}"
ca_file = "{self.certificate}"
metrics_address = "127.0.0.1:{self.metrics_port}"
[[edge.listener]]
address = "127.0.0.1:{self.ports["plain"]}"
[[edge.listener]]
address = "127.0.0.1:{self.ports["tls"]}"
certificate_file = "{self.certificate}"
key_file = "{self.certificate}"
[state]
directory = "{self.state}"
[ledger]
database = "{here}/ledger.db"
records_directory = "{here}/records"
[secrets]
pepper_file = "{here}/secrets/pepper"
sealing_key_file = "{here}/secrets/sealing.key"
sealing_public_file = "{here}/secrets/sealing.pub"
[limits]
connections_per_address = 0
requests_per_connection = 1000000000
""")

    def start_reconciler(self):
        self.reconciler = self.processes.start(
            [self.program("sluice-reconciler"), "--config", self.config_file], core=self.side_core,
            log=os.path.join(self.directory, "reconciler.log"))

    def spawn_edge(self):
        return self.processes.start([self.program("sluice-edge"), "--config", self.config_file], core=self.core,
                                    log=os.path.join(self.directory, "edge.log"))

    def start_edge(self):
        self.edge = self.spawn_edge()
        wait_for_port(self.ports["plain"], self.edge, os.path.join(self.directory, "edge.log"))

    def wait_for_keys(self):
        """Keys that were made before the reconciler ran are published when it does."""
        with open(self.keys_file) as file:
            newest = file.read().split()[-1]
        self.until_good(lambda: one_request(self.ports["plain"], newest), time.monotonic())

    def provision(self):
        """One customer with credit, the models of the stand-in at list prices, and the keys."""
        models = "\n".join(f"""
[[model]]
name = "{model}"
routes = ["{"mock-tls" if model.endswith("-tls") else "mock"}"]
[[model.price]]
input = "1.00"
output = "2.00"
""" for model in self.models)
        apply_file = os.path.join(self.directory, "apply.toml")
        with open(apply_file, "w") as file:
            file.write(f"""
[[provider]]
name = "mock"
dialect = "openai"
base_url = "http://127.0.0.1:{self.mock.port}/v1"
[[provider.key]]
name = "main"
secret = "sk-upstream"
[[channel]]
name = "mock"
provider = "mock"
[[provider]]
name = "mock-tls"
dialect = "openai"
base_url = "https://localhost:{self.mock.tls_port}/v1"
[[provider.key]]
name = "main"
secret = "sk-upstream"
[[channel]]
name = "mock-tls"
provider = "mock-tls"
{models}
[[customer]]
name = "bench"
""")
            for i in range(self.keys):
                file.write(f'[[customer.key]]\nname = "key-{i}"\n')
        report = self.cli("apply", apply_file)
        self.cli("credit", "add", "--customer", "bench", "--amount", "1000000")
        secrets = [change["key"] for change in report["changes"] if change.get("key")]
        if len(secrets) != self.keys:
            raise RuntimeError(f"sluice apply made {len(secrets)} keys instead of {self.keys}")
        with open(self.keys_file, "w") as file:
            file.write("\n".join(secrets) + "\n")

    def first_request_after_start(self, send):
        """Seconds from the start of the edge to its first good answer; `send()` is one request."""
        self.processes.stop(self.edge)
        begun = time.monotonic()
        self.edge = self.spawn_edge()
        return self.until_good(send, begun)

    def rebuild(self, send):
        """The same from the start of both programs after the shared state was lost."""
        self.processes.stop(self.edge)
        self.processes.stop(self.reconciler)
        shutil.rmtree(self.state, ignore_errors=True)
        begun = time.monotonic()
        self.start_reconciler()
        self.edge = self.spawn_edge()
        return self.until_good(send, begun)

    def until_good(self, send, begun):
        deadline = begun + 30
        while time.monotonic() < deadline:
            if send():
                return time.monotonic() - begun
        raise RuntimeError("no good answer within 30 s of the start")
