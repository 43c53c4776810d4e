// sluice-reconciler: keeps ledger and shared state in step. One a node.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "sluice/app/config.hpp"
#include "sluice/base/log.hpp"
#include "sluice/reconcile/reconciler.hpp"

namespace {

sluice::reconcile::Reconciler* running = nullptr;  // for the signal handler alone

void on_signal(int) { running->stop(); }

sluice::reconcile::Options to_options(const sluice::app::Config& config) {
  sluice::reconcile::Options options;
  options.node = config.node;
  options.state_directory = config.state.directory;
  options.map_bytes = config.state.map_bytes;
  options.shards = config.edge.shards;
  options.database = config.ledger.database;
  options.records_directory = config.ledger.records_directory;
  options.drain_interval_ns = config.ledger.drain_interval_ns;
  options.max_undrained_nanos = config.ledger.max_undrained_nanos;
  options.max_undrained_age_ns = config.ledger.max_undrained_age_ns;
  options.usage_days = config.ledger.usage_days;
  options.allow_private = config.allow_private;
  return options;
}

int usage() {
  std::fprintf(stderr, "usage: sluice-reconciler --config FILE\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const char* file = std::getenv("SLUICE_CONFIG");
  if (argc == 3 && std::strcmp(argv[1], "--config") == 0) {
    file = argv[2];
  } else if (argc != 1) {
    return usage();
  }
  if (file == nullptr) return usage();
  std::string message;
  const auto config = sluice::app::load_config(file, message);
  if (!config) {
    std::fprintf(stderr, "sluice-reconciler: %s\n", message.c_str());
    return 2;
  }
  auto reconciler = sluice::reconcile::Reconciler::start(to_options(*config), sluice::system_clock(), message);
  if (!reconciler) {
    std::fprintf(stderr, "sluice-reconciler: %s\n", message.c_str());
    return 1;
  }
  running = reconciler->get();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  sluice::log_line(sluice::LogLevel::info, "reconcile", "started: " + (*reconciler)->started());
  (*reconciler)->run();
  sluice::log_line(sluice::LogLevel::info, "reconcile", "stopped");
  return 0;
}
