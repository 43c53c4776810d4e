#include "session.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <filesystem>

#include "running_edge.hpp"
#include "sluice/reconcile/query.hpp"

namespace sluice::cli {
namespace {

constexpr TimeNs kVisibleTimeout = 10 * kSecond;

std::string actor_name() {
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_name : fmt::format("uid {}", ::getuid());
}

}  // namespace

Outcome<const app::Config*> Session::config() {
  if (config_ == nullptr) {
    std::string message;
    auto loaded = app::load_config(globals_.config_file, message);
    if (!loaded) return problem(loaded.error().code, message);
    config_ = std::make_unique<app::Config>(std::move(*loaded));
  }
  return config_.get();
}

Outcome<control::Service*> Session::service() {
  if (service_ != nullptr) return service_.get();
  auto loaded = config();
  if (!loaded) return std::unexpected(loaded.error());
  const std::string& database = (*loaded)->ledger.database;
  std::error_code error;
  const auto directory = std::filesystem::path(database).parent_path();
  if (!directory.empty()) std::filesystem::create_directories(directory, error);
  if (error) return problem(Errc::io, fmt::format("{}: {}", directory.string(), error.message()));
  std::string message;
  auto opened = ledger::Ledger::open(database, ledger::Access::read_write, system_clock(), message);
  if (!opened) return problem(opened.error().code, message);
  ledger_ = std::move(*opened);
  service_ = std::make_unique<control::Service>(
      control::Service{*ledger_, system_clock(), system_rng(), nullptr, nullptr,
                       (*loaded)->allow_private, actor_name()});
  return service_.get();
}

Outcome<control::Service*> Session::service_with_secrets() {
  auto ready = service();
  if (!ready) return ready;
  if (!hashers_.empty()) return ready;
  const app::Secrets& secrets = config_->secrets;
  auto made = control::create_missing_secrets(secrets.pepper_file, secrets.sealing_key_file,
                                              secrets.sealing_public_file);
  if (!made) return std::unexpected(made.error());
  const auto peppers = control::read_ring(secrets.pepper_file);
  if (!peppers) return std::unexpected(peppers.error());
  auto public_key = control::read_public_key(secrets.sealing_public_file);
  if (!public_key) return std::unexpected(public_key.error());
  for (const KeyRing::Entry& pepper : peppers->entries()) {
    hashers_.push_back(std::make_unique<control::SodiumKeyHasher>(pepper.key));
    if (hashers_.size() > 1) service_->older_hashers.push_back(hashers_.back().get());
  }
  sealer_ = std::make_unique<control::Sealer>(*public_key);
  service_->hasher = hashers_.front().get();
  service_->pepper_version = peppers->newest().version;
  service_->sealer = sealer_.get();
  return ready;
}

Outcome<> Session::wait_until(const std::function<Result<bool>()>& visible) {
  if (globals_.no_wait) return {};
  const TimeNs deadline = system_clock().monotonic_ns() + kVisibleTimeout;
  for (;;) {
    // Without a reconciler nobody will publish: it does at its next start.
    if (!reconcile::is_running(config_->state.directory)) return {};
    const auto now = visible();
    if (!now) return problem(now.error().code, "stored, but the ledger cannot be read again");
    if (*now) return {};
    if (system_clock().monotonic_ns() > deadline) {
      return problem(
          Errc::timed_out,
          "stored, but not visible to the edge after 10 s: look at the reconciler's messages");
    }
    ::usleep(5'000);
  }
}

Outcome<> Session::wait_visible() {
  auto& catalog = ledger_->catalog();
  auto newest = catalog.newest();
  if (!newest) return problem(newest.error().code, "stored, but the ledger cannot be read again");
  auto visible = wait_until([&]() -> Result<bool> {
    auto published = catalog.published(config_->node);
    if (!published) return std::unexpected(published.error());
    return *published >= *newest;
  });
  if (!visible || hashers_.empty() || globals_.no_wait ||
      edge_knows_pepper(config_->state.directory, service_->pepper_version)) {
    return visible;
  }
  return problem(Errc::unavailable,
                 fmt::format("stored, but the edge does not know pepper {} yet: systemctl reload "
                             "sluice-edge",
                             service_->pepper_version));
}

Outcome<> Session::wait_delta(ledger::Id wallet_id, std::int64_t wallet_no) {
  return wait_until([&] { return ledger_->money().is_published(wallet_id, wallet_no); });
}

}  // namespace sluice::cli
