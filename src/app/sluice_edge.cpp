// sluice-edge: the supervisor, or with --shard one of its shards.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sluice/app/config.hpp"
#include "sluice/edge/shard.hpp"
#include "sluice/edge/supervisor.hpp"

namespace {

using sluice::app::Config;

sluice::relay::Settings relay_settings(const Config& config) {
  sluice::relay::Settings settings;
  settings.limits.head_bytes = config.limits.head_bytes;
  settings.limits.fields = config.limits.head_fields;
  settings.limits.target_bytes = config.limits.target_bytes;
  settings.limits.body_bytes = config.limits.body_bytes;
  settings.bodies_total_bytes = config.limits.bodies_total_bytes;
  settings.head_timeout_ns = config.limits.head_timeout_ns;
  settings.body_min_bytes_per_s = config.limits.body_min_bytes_per_s;
  settings.keepalive_idle_ns = config.limits.keepalive_idle_ns;
  settings.requests_per_connection = config.limits.requests_per_connection;
  settings.write_stall_ns = config.limits.write_stall_ns;
  settings.connect_ns = config.timeouts.connect_ns;
  settings.tls_ns = config.timeouts.tls_ns;
  settings.first_token_ns = config.timeouts.first_token_ns;
  settings.probe_interval_ns = config.timeouts.probe_interval_ns;
  settings.first_byte_stream_ns = config.timeouts.first_byte_stream_ns;
  settings.first_byte_whole_ns = config.timeouts.first_byte_whole_ns;
  settings.between_tokens_ns = config.timeouts.between_tokens_ns;
  settings.total_ns = config.timeouts.total_ns;
  settings.keepalive_ping_ns = config.timeouts.keepalive_ping_ns;
  settings.admission.most_wait_ns = config.limits.queue_wait_ns;
  settings.json_depth = static_cast<std::uint8_t>(config.limits.json_depth);
  settings.clients = {config.edge.tolerate_half_close, config.edge.hsts_ns};
  return settings;
}

sluice::edge::ShardOptions shard_options(const Config& config, std::uint32_t number, int control,
                                         const std::vector<int>& listening) {
  sluice::edge::ShardOptions options;
  options.number = number;
  for (std::size_t i = 0; i < std::min(listening.size(), config.edge.listeners.size()); ++i) {
    const auto& tls = config.edge.listeners[i].tls;
    options.listeners.push_back({listening[i], tls.certificate_file, tls.key_file});
  }
  options.control = control;
  options.state_directory = config.state.directory;
  if (!config.edge.cpus.empty()) options.cpu = config.edge.cpus[number % config.edge.cpus.size()];
  options.spin_ns = config.edge.spin_ns;
  options.profile_6_1 = config.edge.ring_profile == "6.1";
  options.connections_most = config.limits.connections_per_shard;
  options.connections_per_address = config.limits.connections_per_address;
  options.unknown_keys_a_minute = config.limits.unknown_keys_per_minute;
  options.drain_ns = config.timeouts.drain_ns;
  options.upgrade_drain_ns = config.timeouts.upgrade_drain_ns;
  options.pepper_file = config.secrets.pepper_file;
  options.sealing_key_file = config.secrets.sealing_key_file;
  options.ca_file = config.edge.ca_file;
  options.tls_handshake_ns = config.limits.tls_handshake_timeout_ns;
  options.settings = relay_settings(config);
  return options;
}

// As it was called, so that a link that leads to a newer program leads there after an upgrade.
std::string own_path(const char* called_as) {
  if (std::strchr(called_as, '/') != nullptr) return std::filesystem::absolute(called_as).string();
  char path[4096];
  const ssize_t bytes = readlink("/proc/self/exe", path, sizeof path);
  return bytes > 0 ? std::string(path, static_cast<std::size_t>(bytes)) : "sluice-edge";
}

sluice::edge::SupervisorOptions supervisor_options(const Config& config, std::string program,
                                                   const std::string& file) {
  sluice::edge::SupervisorOptions options;
  for (const auto& listener : config.edge.listeners) options.listeners.push_back(listener.address);
  options.metrics_address = config.edge.metrics_address;
  options.user = config.edge.user;
  options.shards = config.edge.shards;
  options.state_directory = config.state.directory;
  options.drain_ns = config.timeouts.drain_ns;
  options.command = {std::move(program), "--config", std::filesystem::absolute(file).string()};
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Sluice edge: relays requests of AI clients to providers, under prepaid quota.");
  std::string file;
  int shard = -1;
  int control = -1;
  std::uint64_t generation = 1;
  bool check = false;
  std::string take_over;
  std::vector<int> listening;
  app.add_option("--config", file, "configuration file (TOML)")
      ->required()
      ->envname("SLUICE_CONFIG");
  app.add_flag("--check", check, "check configuration and files, and end");
  app.add_option("--shard", shard)->group("");
  app.add_option("--generation", generation)->group("");
  app.add_option("--take-over", take_over)->group("");
  app.add_option("--control", control)->group("");
  app.add_option("--listening", listening)->delimiter(',')->group("");
  CLI11_PARSE(app, argc, argv);

  std::string message;
  const auto config = sluice::app::load_config(file, message);
  if (!config) {
    std::fprintf(stderr, "sluice-edge: %s\n", message.c_str());
    return 2;
  }
  if (shard >= 0) {
    auto options = shard_options(*config, static_cast<std::uint32_t>(shard), control, listening);
    options.generation = generation;
    return sluice::edge::run_shard(options);
  }
  const std::vector<int> not_open(config->edge.listeners.size(), -1);
  if (!sluice::edge::check_files(shard_options(*config, 0, -1, not_open), message)) {
    std::fprintf(stderr, "sluice-edge: %s\n", message.c_str());
    return 1;
  }
  auto options = supervisor_options(*config, own_path(argv[0]), file);
  options.take_over = take_over;
  if (check) return take_over.empty() || sluice::edge::check_listeners(options) ? 0 : 1;
  return sluice::edge::run_supervisor(options);
}
