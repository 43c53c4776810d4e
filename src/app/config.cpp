#include "sluice/app/config.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "sluice/base/strict_toml.hpp"

namespace sluice::app {
namespace {

constexpr TimeNs kHour = 3600 * kSecond;
constexpr std::uint32_t kMostJsonDepth = 64;  // the scanner's own bound, dialect::kMaxJsonDepth

void read_u32(TomlTable& table, std::string_view key, std::uint32_t& out, std::uint32_t min,
              std::uint32_t max) {
  std::int64_t value = 0;
  if (table.integer(key, value, min, max)) out = static_cast<std::uint32_t>(value);
}

void read_size32(TomlTable& table, std::string_view key, std::uint32_t& out, std::uint32_t min,
                 std::uint32_t max) {
  std::uint64_t value = 0;
  if (table.size(key, value, min, max)) out = static_cast<std::uint32_t>(value);
}

/// File names are relative to the file that names them, so that it means the same from every
/// directory.
class Paths {
 public:
  explicit Paths(std::string_view config_file)
      : base_(std::filesystem::path(config_file).parent_path()) {}
  void read(TomlTable& table, std::string_view key, std::string& out) const {
    std::string value;
    if (!table.text(key, value)) return;
    if (value.empty()) return table.fail(key, "must not be empty");
    out = (base_ / value).lexically_normal().string();
  }

 private:
  std::filesystem::path base_;
};

/// "ADDR:PORT" or "[v6]:PORT", port 1 to 65535. Whether the address exists is seen at bind.
bool is_listen_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  if (host.find(':') != std::string_view::npos && (!host.starts_with('[') || !host.ends_with(']')))
    return false;
  const std::string_view port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 ||
      port.find_first_not_of("0123456789") != std::string_view::npos)
    return false;
  const int number = std::stoi(std::string(port));
  return number >= 1 && number <= 65'535;
}

void read_address(TomlTable& table, std::string_view key, std::string& out) {
  if (table.text(key, out) && !is_listen_address(out)) {
    table.fail(key, "must be \"ADDRESS:PORT\" or \"[v6 address]:PORT\"");
  }
}

void read_edge(TomlTable table, const Paths& paths, Edge& out) {
  for (TomlTable& item : table.tables("listener")) {
    Listener listener;
    read_address(item, "address", listener.address);
    paths.read(item, "certificate_file", listener.tls.certificate_file);
    paths.read(item, "key_file", listener.tls.key_file);
    if (listener.tls.certificate_file.empty() != listener.tls.key_file.empty()) {
      item.fail("address", "certificate_file and key_file go together");
    }
    item.finish();
    out.listeners.push_back(std::move(listener));
  }
  if (out.listeners.empty()) out.listeners.emplace_back();
  table.text("user", out.user);
  read_address(table, "metrics_address", out.metrics_address);
  read_u32(table, "shards", out.shards, 1, 64);
  table.duration("spin", out.spin_ns, 0, 10 * kMillisecond);
  paths.read(table, "ca_file", out.ca_file);
  if (table.text("ring_profile", out.ring_profile) && !out.ring_profile.empty() &&
      out.ring_profile != "6.1") {
    table.fail("ring_profile", "must be \"6.1\" or empty");
  }
  table.integers("cpus", out.cpus, 0, 4095);
  table.boolean("tolerate_half_close", out.tolerate_half_close);
  table.duration("hsts", out.hsts_ns, 0, 3660 * 24 * kHour);
  table.finish();
}

void read_state(TomlTable table, const Paths& paths, State& out) {
  paths.read(table, "directory", out.directory);
  table.size("map", out.map_bytes, 4 * kMiB, 1024ULL * 1024 * kMiB);
  if (out.map_bytes % (64 * kKiB) != 0) table.fail("map", "must be a multiple of 64KiB");
  table.finish();
}

void read_ledger(TomlTable table, const Paths& paths, Ledger& out) {
  paths.read(table, "database", out.database);
  paths.read(table, "records_directory", out.records_directory);
  table.duration("drain_interval", out.drain_interval_ns, kMillisecond, 10 * kSecond);
  table.usd("max_undrained", out.max_undrained_nanos);
  table.duration("max_undrained_age", out.max_undrained_age_ns, 10 * kMillisecond, kHour);
  read_u32(table, "usage_days", out.usage_days, 1, 3660);
  table.finish();
}

void read_secrets(TomlTable table, const Paths& paths, Secrets& out) {
  paths.read(table, "pepper_file", out.pepper_file);
  paths.read(table, "sealing_key_file", out.sealing_key_file);
  paths.read(table, "sealing_public_file", out.sealing_public_file);
  table.finish();
}

void read_limits(TomlTable table, Limits& out) {
  read_size32(table, "head", out.head_bytes, 1 * kKiB, 256 * kKiB);
  read_u32(table, "head_fields", out.head_fields, 8, 1000);
  read_size32(table, "target", out.target_bytes, 256, 64 * kKiB);
  read_size32(table, "body", out.body_bytes, 1 * kKiB, 1024 * kMiB);
  table.size("bodies_total", out.bodies_total_bytes, 1 * kMiB, 1024ULL * 1024 * kMiB);
  table.duration("head_timeout", out.head_timeout_ns, 10 * kMillisecond, kHour);
  read_size32(table, "body_min_per_s", out.body_min_bytes_per_s, 1, 1024 * kMiB);
  table.duration("keepalive_idle", out.keepalive_idle_ns, 10 * kMillisecond, 24 * kHour);
  read_u32(table, "requests_per_connection", out.requests_per_connection, 1, 1'000'000'000);
  table.duration("tls_handshake_timeout", out.tls_handshake_timeout_ns, 10 * kMillisecond, kHour);
  read_u32(table, "connections_per_address", out.connections_per_address, 0, 1'000'000);
  read_u32(table, "connections_per_shard", out.connections_per_shard, 1, 1'000'000);
  read_u32(table, "unknown_keys_per_minute", out.unknown_keys_per_minute, 0, 1'000'000);
  read_u32(table, "json_depth", out.json_depth, 4, kMostJsonDepth);
  table.duration("write_stall", out.write_stall_ns, 10 * kMillisecond, kHour);
  table.duration("queue_wait", out.queue_wait_ns, 0, kHour);
  table.finish();
}

void read_timeouts(TomlTable table, Timeouts& out) {
  const TimeNs least = 10 * kMillisecond;
  table.duration("connect", out.connect_ns, least, kHour);
  table.duration("tls", out.tls_ns, least, kHour);
  table.duration("first_token", out.first_token_ns, least, 24 * kHour);
  table.duration("probe_interval", out.probe_interval_ns, 0, 24 * kHour);
  table.duration("first_byte_stream", out.first_byte_stream_ns, least, 24 * kHour);
  table.duration("first_byte_whole", out.first_byte_whole_ns, least, 24 * kHour);
  table.duration("between_tokens", out.between_tokens_ns, least, 24 * kHour);
  table.duration("total", out.total_ns, least, 24 * kHour);
  table.duration("keepalive_ping", out.keepalive_ping_ns, least, kHour);
  table.duration("drain", out.drain_ns, 0, 24 * kHour);
  table.duration("upgrade_drain", out.upgrade_drain_ns, 0, 24 * kHour);
  table.finish();
}

bool is_url(std::string_view text, std::initializer_list<std::string_view> schemes) {
  const bool known = std::ranges::any_of(
      schemes, [&](std::string_view scheme) { return text.starts_with(scheme); });
  return known && text.size() < 1000 &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
}

void read_traces(TomlTable table, const Paths& paths, Traces& out) {
  if (table.text("endpoint", out.endpoint) && !is_url(out.endpoint, {"http://", "https://"}))
    table.fail("endpoint", "must be an http:// or https:// URL");
  paths.read(table, "headers_file", out.headers_file);
  table.finish();
}

void read_notices(TomlTable table, const Paths& paths, Notices& out) {
  if (table.text("webhook_url", out.webhook_url) &&
      !is_url(out.webhook_url, {"http://", "https://"}))
    table.fail("webhook_url", "must be an http:// or https:// URL");
  paths.read(table, "webhook_secret_file", out.webhook_secret_file);
  if (!out.webhook_url.empty() && out.webhook_secret_file.empty())
    table.fail("webhook_url",
               "needs webhook_secret_file: a notice without a signature proves nothing");
  if (table.text("smtp_url", out.smtp_url) && !is_url(out.smtp_url, {"smtp://", "smtps://"}))
    table.fail("smtp_url", "must be an smtp:// or smtps:// URL");
  table.boolean("smtp_plain", out.smtp_plain);
  table.text("smtp_user", out.smtp_user);
  paths.read(table, "smtp_password_file", out.smtp_password_file);
  table.text("mail_from", out.mail_from);
  table.texts("mail_to", out.mail_to);
  if (!out.smtp_url.empty() && (out.mail_from.empty() || out.mail_to.empty()))
    table.fail("smtp_url", "needs mail_from and mail_to");
  const auto is_mailbox = [](const std::string& text) {
    const std::size_t at = text.find('@');
    return at != std::string::npos && at > 0 && at + 1 < text.size() && text.size() < 255 &&
           text.find_first_of("<>\"\\,;") == std::string::npos &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
  };
  if (!out.mail_from.empty() && !is_mailbox(out.mail_from))
    table.fail("mail_from", "must be an address such as sluice@example.com");
  if (!std::ranges::all_of(out.mail_to, is_mailbox))
    table.fail("mail_to", "must be addresses such as ops@example.com");
  table.usd("low_balance", out.low_balance);
  table.finish();
}

/// `sluice up --listen … --state …` reaches the programs that it starts through these.
void apply_environment(Config& config, std::string& message) {
  if (const char* listen = std::getenv("SLUICE_LISTEN"); listen != nullptr && *listen != '\0') {
    config.edge.listeners.front().address = listen;
    if (!is_listen_address(listen))
      message = "SLUICE_LISTEN: must be \"ADDRESS:PORT\" or \"[v6 address]:PORT\"";
  }
  if (const char* state = std::getenv("SLUICE_STATE_DIRECTORY");
      state != nullptr && *state != '\0') {
    config.state.directory = state;
  }
}

}  // namespace

Result<Config> parse_config(std::string_view toml, std::string_view file_name,
                            std::string& message) {
  TomlTable root = TomlTable::parse(toml, file_name);
  const Paths paths(file_name);
  Config config;
  read_u32(root, "node", config.node, 1, 65'535);
  root.texts("allow_private", config.allow_private);
  read_edge(root.table("edge"), paths, config.edge);
  read_state(root.table("state"), paths, config.state);
  read_ledger(root.table("ledger"), paths, config.ledger);
  read_secrets(root.table("secrets"), paths, config.secrets);
  read_limits(root.table("limits"), config.limits);
  read_timeouts(root.table("timeouts"), config.timeouts);
  read_traces(root.table("traces"), paths, config.traces);
  read_notices(root.table("notices"), paths, config.notices);
  root.finish();
  if (!root.ok()) {
    message = root.problem();
    return fail(Errc::bad_value);
  }
  return config;
}

Result<Config> load_config(const std::string& path, std::string& message) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) {
    message = path + ": cannot be read";
    return fail(Errc::not_found);
  }
  std::string text;
  char buffer[4096];
  for (std::size_t bytes = 0; (bytes = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;) {
    text.append(buffer, bytes);
    if (text.size() > kMiB) {
      message = path + ": longer than 1 MiB";
      return fail(Errc::too_large);
    }
  }
  if (std::ferror(file.get()) != 0) {
    message = path + ": cannot be read";
    return fail(Errc::io);
  }
  auto config = parse_config(text, path, message);
  if (!config) return config;
  std::string wrong;
  apply_environment(*config, wrong);
  if (wrong.empty()) return config;
  message = wrong;
  return fail(Errc::bad_value);
}

}  // namespace sluice::app
