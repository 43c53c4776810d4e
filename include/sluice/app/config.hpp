// The static configuration: one TOML file, parsed once at start into this struct, never changed
// afterwards. What changes while the system runs (providers, models, prices, customers, keys) is in
// the ledger instead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"

namespace sluice::app {

/// Caps on what one client may make the edge do. Defaults: facts of comparable proxies; 0 =
/// unlimited only where a comment says so.
struct Limits {
  std::uint32_t head_bytes = 16 * kKiB;
  std::uint32_t head_fields = 100;
  std::uint32_t target_bytes = 8 * kKiB;
  std::uint32_t body_bytes = 32 * kMiB;
  std::uint64_t bodies_total_bytes = 1024 * kMiB;  ///< of all requests of one shard together
  TimeNs head_timeout_ns = 10 * kSecond;
  std::uint32_t body_min_bytes_per_s = 1024;
  TimeNs keepalive_idle_ns = 60 * kSecond;
  std::uint32_t requests_per_connection = 1000;
  TimeNs tls_handshake_timeout_ns = 5 * kSecond;
  std::uint32_t connections_per_address = 256;  ///< at one shard; 0 = unlimited
  std::uint32_t connections_per_shard = 9000;
  std::uint32_t unknown_keys_per_minute = 60;  ///< of one address at one shard; 0 = unlimited
  std::uint32_t json_depth = 64;  ///< levels of objects and arrays in a body, at most 64
  TimeNs write_stall_ns = 60 * kSecond;
  TimeNs queue_wait_ns = 50 * kMillisecond;  ///< of a request for its turn; 0 = none is shed
};

struct Timeouts {
  TimeNs connect_ns = 5 * kSecond;
  TimeNs tls_ns = 5 * kSecond;
  TimeNs first_token_ns = 120 * kSecond;
  TimeNs probe_interval_ns = 30 * kSecond;
  TimeNs first_byte_stream_ns = 120 * kSecond;
  TimeNs first_byte_whole_ns = 600 * kSecond;
  TimeNs between_tokens_ns = 600 * kSecond;
  TimeNs total_ns = 3600 * kSecond;
  TimeNs keepalive_ping_ns = 15 * kSecond;
  TimeNs drain_ns = 30 * kSecond;           ///< graceful stop: how long open streams may go on
  TimeNs upgrade_drain_ns = 600 * kSecond;  ///< the same in shards that others have replaced
};

struct Tls {
  std::string certificate_file;  ///< PEM chain; empty = plain HTTP
  std::string key_file;
};

struct Listener {
  std::string address = "127.0.0.1:8080";  ///< "ADDR:PORT" or "[v6]:PORT"
  Tls tls;
};

struct Edge {
  std::vector<Listener> listeners;
  std::string user;  ///< that shards run as when the edge is started by root; empty = unchanged
  std::string metrics_address = "127.0.0.1:9090";  ///< /metrics, /healthz, /readyz
  std::uint32_t shards = 1;
  TimeNs spin_ns = 0;  ///< busy wait before sleeping; 0 = off
  std::string ca_file = "/etc/ssl/certs/ca-certificates.crt";
  std::string ring_profile;  ///< "6.1" masks newer kernel features; empty = probe
  /// strict-transport-security of answers over TLS; 0 = none
  TimeNs hsts_ns = 365 * 86'400 * kSecond;
  std::vector<int> cpus;     ///< shard i is pinned to cpus[i % size]; empty = not pinned
  bool tolerate_half_close =
      false;  ///< a client's FIN behind its request does not mean it has gone
};

struct State {
  std::string directory = "/run/sluice/state";  ///< on a tmpfs
  std::uint64_t map_bytes = 512 * kMiB;
};

struct Ledger {
  std::string database = "/var/lib/sluice/ledger.db";
  std::string records_directory = "/var/lib/sluice/records";  ///< access records, JSON lines
  TimeNs drain_interval_ns = 20 * kMillisecond;
  Nanos max_undrained_nanos = 10 * kNanosPerUsd;
  TimeNs max_undrained_age_ns = 5 * kSecond;
  std::uint32_t usage_days = 90;
};

struct Secrets {
  std::string pepper_file;          ///< a KeyRing, mode 0400; names client keys. Edge and control
  std::string sealing_key_file;     ///< a KeyRing, mode 0400, X25519 private keys. Edge only
  std::string sealing_public_file;  ///< 32 bytes. Control
};

/// Where spans go. Off without an endpoint.
struct Traces {
  std::string endpoint;      ///< base URL of OTLP over HTTP; "/v1/traces" is added
  std::string headers_file;  ///< "Name: value" lines for the collector, such as its key; 0400
};

/// What is told to people, and how. Off without a webhook and a mail server.
struct Notices {
  std::string webhook_url;
  std::string webhook_secret_file;  ///< 24 bytes at least, 0400
  std::string smtp_url;             ///< "smtps://host:465" or "smtp://host:587"
  bool smtp_plain = false;          ///< smtp:// may stay without TLS
  std::string smtp_user;
  std::string smtp_password_file;
  std::string mail_from;
  std::vector<std::string> mail_to;
  Nanos low_balance = 0;  ///< of a wallet; 0 = not told
};

struct Config {
  std::uint32_t node = 1;
  Edge edge;
  State state;
  Ledger ledger;
  Secrets secrets;
  Limits limits;
  Timeouts timeouts;
  Traces traces;
  Notices notices;
  std::vector<std::string>
      allow_private;  ///< CIDRs that a provider may resolve to although private
};

/// Parses TOML text. Unknown keys, wrong types and impossible values are errors: `message` then
/// holds one line with the place ("sluice.toml:12: edge.shards: must be 1 to 64").
[[nodiscard]] Result<Config> parse_config(std::string_view toml, std::string_view file_name,
                                          std::string& message);

/// Reads and parses a file; see parse_config. SLUICE_LISTEN ("ADDR:PORT", first listener) and
/// SLUICE_STATE_DIRECTORY, where set, win over the file: `sluice up --listen … --state …` sets them
/// for what it starts.
[[nodiscard]] Result<Config> load_config(const std::string& path, std::string& message);

}  // namespace sluice::app
