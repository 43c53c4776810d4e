// sluice-reconciler: joins the ledger and the shared state of one node.
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <sstream>
#include <string>

#include "sluice/app/config.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/log.hpp"
#include "sluice/control/secrets.hpp"
#include "sluice/control/webhook.hpp"
#include "sluice/reconcile/reconciler.hpp"

namespace {

using sluice::reconcile::Options;
using sluice::reconcile::Reconciler;

int complain(const std::string& message) {
  std::fprintf(stderr, "sluice-reconciler: %s\n", message.c_str());
  return 1;
}

/// "Name: value" lines; anything that could begin a second header is refused.
bool read_headers(const std::string& path, std::vector<std::string>& out, std::string& message) {
  const auto text = sluice::control::read_secret_text(path);
  if (!text) {
    message = text.error().text;
    return false;
  }
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const bool sane = line.find(": ") != std::string::npos && line.find(": ") > 0 &&
                      std::ranges::all_of(line, [](char c) { return c >= ' ' && c < 0x7F; });
    if (!sane) {
      message = path + ": must hold \"Name: value\" lines in printable ASCII";
      return false;
    }
    out.push_back(std::move(line));
  }
  return true;
}

bool read_outgoing(const sluice::app::Config& config, Options& options, std::string& message) {
  options.traces.endpoint = config.traces.endpoint;
  if (!config.traces.headers_file.empty() &&
      !read_headers(config.traces.headers_file, options.traces.headers, message)) {
    return false;
  }
  const sluice::app::Notices& notices = config.notices;
  options.notices.webhook_url = notices.webhook_url;
  options.notices.mail.url = notices.smtp_url;
  options.notices.mail.plain = notices.smtp_plain;
  options.notices.mail.user = notices.smtp_user;
  options.notices.mail_from = notices.mail_from;
  options.notices.mail_to = notices.mail_to;
  options.notices.low_balance = notices.low_balance;
  const auto read = [&](const std::string& path, std::string& out) {
    if (path.empty()) return true;
    auto text = sluice::control::read_secret_text(path);
    if (!text) {
      message = text.error().text;
      return false;
    }
    out = std::move(*text);
    return true;
  };
  std::string secret;
  if (!read(notices.webhook_secret_file, secret) ||
      !read(notices.smtp_password_file, options.notices.mail.password)) {
    return false;
  }
  if (notices.webhook_url.empty()) return true;
  auto key = sluice::control::webhook_key(secret);
  if (!key) {
    message = notices.webhook_secret_file + ": " + key.error().text;
    return false;
  }
  options.notices.webhook_key = std::move(*key);
  return true;
}

bool to_options(const sluice::app::Config& config, Options& options, std::string& message) {
  options.node = config.node;
  options.state_directory = config.state.directory;
  options.map_bytes = config.state.map_bytes;
  options.slots = 4 * config.edge.shards + 1;
  options.database = config.ledger.database;
  options.records_directory = config.ledger.records_directory;
  options.drain_interval_ns = config.ledger.drain_interval_ns;
  options.max_undrained_nanos = config.ledger.max_undrained_nanos;
  options.max_undrained_age_ns = config.ledger.max_undrained_age_ns;
  options.usage_days = config.ledger.usage_days;
  options.total_timeout_ns = config.timeouts.total_ns;
  for (const std::string& text : config.allow_private) {
    const auto network = sluice::parse_cidr(text);
    if (!network) {
      message = "allow_private: '" + text + "' is no network such as 10.20.0.0/16";
      return false;
    }
    options.allow_private.push_back(*network);
  }
  return read_outgoing(config, options, message);
}

/// SIGTERM and SIGINT as a descriptor; what a write may raise is an error of that write. Blocked
/// before any thread is made, so that all of them inherit it.
int stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGCHLD,
              SIG_DFL);  // a parent may have ignored it, and then no child tells how it ended
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is a full disk: usage waits
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

int serve(const Options& options, int stop_fd) {
  for (;;) {
    std::string message;
    auto reconciler = Reconciler::start(options, sluice::system_clock(), message);
    if (!reconciler) return complain(message);
    const auto ended = (*reconciler)->run(stop_fd);
    if (ended) return 0;
    if (ended.error().code != sluice::Errc::corrupt) {
      return complain("the shared state was replaced by another process");
    }
    // Row 17: nobody is at work in the damaged environment any more; starting again salvages it.
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Sluice reconciler: drains usage into the ledger; publishes credits, keys, catalog and "
      "addresses.");
  std::string file;
  app.add_option("--config", file, "configuration file (TOML)")
      ->required()
      ->envname("SLUICE_CONFIG");
  CLI11_PARSE(app, argc, argv);
  std::string message;
  const auto config = sluice::app::load_config(file, message);
  if (!config) {
    complain(message);
    return 2;
  }
  Options options;
  if (!to_options(*config, options, message)) {
    complain(message);
    return 2;
  }
  // Files are shared with the edge through the group.
  umask(0007);
  const int stop_fd = stop_signals();
  if (stop_fd < 0) return complain("cannot watch for signals");
  return serve(options, stop_fd);
}
