"""The gateways of a comparison, each behind the same interface:

  name, port          where clients connect (plain HTTP/1.1)
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
        self.port = mock.port

    def edge_pids(self):
        return []

    def side_pids(self):
        return []


class Peer:
    keys_file = None

    def __init__(self, processes, directory, mock, core):
        self.directory = os.path.join(directory, self.name)
        os.makedirs(self.directory, exist_ok=True)
        self.port = free_port()
        self.mock_port = mock.port
        self.core = core
        self.processes = processes
        self.process = None

    def start(self):
        config = os.path.join(self.directory, "config")
        with open(config, "w") as file:
            file.write(self.config())
        log = os.path.join(self.directory, "log")
        self.process = self.processes.start(self.command(config), core=self.core, log=log)
        wait_for_port(self.port, self.process, log)
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
  upstream mock {{
    server 127.0.0.1:{self.mock_port};
    keepalive 4096;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 600s;
      {self.location()}
    }}
  }}
}}
"""


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
frontend in
  bind 127.0.0.1:{self.port} backlog 4096
  default_backend mock
backend mock
  server mock 127.0.0.1:{self.mock_port} pool-max-conn -1
"""
