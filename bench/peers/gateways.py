"""The gateways of a comparison, each behind the same interface:

  name
  ports               where clients connect, by side: "plain", "tls" (TLS 1.3 from the client), "both" (and to the
                      provider)
  keys_file           client keys, one a line, or None when the peer needs none
  edge_pids()         processes whose CPU and memory count as the gateway's
  side_pids()         processes beside it (our reconciler): shown apart
"""
import os

from .processes import children, free_port, wait_for_port


class Direct:
    """No gateway: what the stand-in and the driver cost by themselves."""
    name = "direct"
    keys_file = None

    def __init__(self, mock):
        self.ports = {"plain": mock.port, "tls": mock.tls_port, "both": mock.tls_port}

    def edge_pids(self):
        return []

    def side_pids(self):
        return []


class Peer:
    keys_file = None

    def __init__(self, processes, directory, mock, core, certificate):
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory, exist_ok=True)
        self.ports = {side: free_port() for side in ("plain", "tls", "both")}
        self.mock = mock
        self.certificate = certificate  # PEM: certificate and key
        self.core = core
        self.processes = processes
        self.process = None

    def start(self):
        config = os.path.join(self.directory, "config")
        with open(config, "w") as file:
            file.write(self.config())
        log = os.path.join(self.directory, "log")
        self.process = self.processes.start(self.command(config), core=self.core, log=log)
        wait_for_port(self.ports["plain"], self.process, log)
        return self

    def edge_pids(self):
        return children(self.process.pid)

    def side_pids(self):
        return []

    def stop(self):
        self.processes.stop(self.process)


class Nginx(Peer):
    name = "nginx"

    def command(self, config):
        return ["nginx", "-e", os.path.join(self.directory, "error.log"), "-p", self.directory, "-c", config]

    def location(self):
        # Any other proxy_set_header here would drop an inherited Connection "": keep them together.
        return 'proxy_set_header Connection "";'

    def http(self):
        return "access_log off;"

    def config(self):
        here = self.directory
        temp = "\n  ".join(f"{kind}_temp_path {here}/{kind};"
                           for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {here}/pid;
error_log {here}/error.log error;
events {{ worker_connections 19000; }}
http {{
  {temp}
  {self.http()}
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  tcp_nodelay on;
  ssl_certificate {self.certificate};
  ssl_certificate_key {self.certificate};
  ssl_protocols TLSv1.3;
  ssl_ecdh_curve X25519;
  {self.upstream("mock", self.mock.port)}
  {self.upstream("mock_tls", self.mock.tls_port)}
  {self.server("plain", "", "http://mock")}
  {self.server("tls", "ssl", "http://mock")}
  {self.server("both", "ssl", "https://mock_tls")}
}}
"""

    def upstream(self, name, port):
        return f"""upstream {name} {{
    server 127.0.0.1:{port};
    keepalive 4096;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}"""

    def server(self, side, ssl, upstream):
        return f"""server {{
    listen 127.0.0.1:{self.ports[side]} {ssl} backlog=4096;
    location / {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 600s;
      proxy_ssl_protocols TLSv1.3;
      client_max_body_size 64m;
      {self.location()}
    }}
  }}"""


class NginxLog(Nginx):
    """Comparable work: credentials exchanged, a request id set, one JSON line a request."""
    name = "nginx-log"

    def location(self):
        return ('proxy_set_header Connection "";\n'
                '      proxy_set_header Host api.example;\n'
                '      proxy_set_header Authorization "Bearer sk-upstream";\n'
                '      proxy_set_header X-Request-Id $request_id;\n'
                '      add_header X-Request-Id $request_id;')

    def http(self):
        return (f"""log_format record escape=json '{{"time":"$time_iso8601","id":"$request_id",'
    '"client":"$remote_addr","key":"$http_authorization","path":"$request_uri","status":$status,'
    '"in":$request_length,"out":$bytes_sent,"total":$request_time,"upstream":"$upstream_response_time"}}';
  access_log {self.directory}/access.log record;""")


class Haproxy(Peer):
    name = "haproxy"

    def command(self, config):
        return ["haproxy", "-db", "-f", config]

    def config(self):
        return f"""
global
  maxconn 9500
  nbthread 1
defaults
  mode http
  option http-no-delay
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend plain
  bind 127.0.0.1:{self.ports["plain"]} backlog 4096
  default_backend mock
frontend tls
  bind 127.0.0.1:{self.ports["tls"]} backlog 4096 ssl crt {self.certificate} ssl-min-ver TLSv1.3 curves X25519
  default_backend mock
frontend both
  bind 127.0.0.1:{self.ports["both"]} backlog 4096 ssl crt {self.certificate} ssl-min-ver TLSv1.3 curves X25519
  default_backend mock_tls
backend mock
  server mock 127.0.0.1:{self.mock.port} pool-max-conn -1
backend mock_tls
  server mock 127.0.0.1:{self.mock.tls_port} pool-max-conn -1 ssl verify none ssl-min-ver TLSv1.3
"""
