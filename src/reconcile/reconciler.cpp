#include "sluice/reconcile/reconciler.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unordered_map>

#include "access_log.hpp"
#include "drainer.hpp"
#include "housekeeping.hpp"
#include "live_answers.hpp"
#include "publisher.hpp"
#include "query_server.hpp"
#include "resolver.hpp"
#include "sluice/base/log.hpp"
#include "sluice/reconcile/query.hpp"
#include "startup.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kPublishEveryNs = 20 * kMillisecond;
constexpr TimeNs kNamesEveryNs = kSecond;

Result<std::vector<Cidr>> parse_networks(const std::vector<std::string>& texts, std::string& message) {
  std::vector<Cidr> out;
  for (const std::string& text : texts) {
    const auto network = parse_cidr(text);
    if (!network) {
      message = "allow_private: '" + text + "' is no network such as 127.0.0.0/8";
      return fail(Errc::bad_value);
    }
    out.push_back(*network);
  }
  return out;
}

/// A pipe that wakes the loop from other threads and from signal handlers.
class WakePipe {
 public:
  WakePipe() {
    if (::pipe2(fds_, O_CLOEXEC | O_NONBLOCK) != 0) fds_[0] = fds_[1] = -1;
  }
  ~WakePipe() {
    for (const int fd : fds_) {
      if (fd >= 0) ::close(fd);
    }
  }
  WakePipe(const WakePipe&) = delete;
  WakePipe& operator=(const WakePipe&) = delete;
  void wake() const {
    const int error = errno;
    // Full means that it will wake anyway.
    [[maybe_unused]] const ssize_t written = ::write(fds_[1], "", 1);
    errno = error;
  }
  void clear() const {
    char bytes[64];
    while (::read(fds_[0], bytes, sizeof bytes) > 0) {
    }
  }
  [[nodiscard]] int fd() const { return fds_[0]; }

 private:
  int fds_[2] = {-1, -1};
};

/// Names for access records, read again when something changed.
class NameCache {
 public:
  explicit NameCache(ledger::Ledger& ledger) : ledger_(ledger) {}
  void refresh(TimeNs monotonic_ns) {
    if (monotonic_ns < next_ns_) return;
    next_ns_ = monotonic_ns + kNamesEveryNs;
    const auto newest = ledger_.catalog().newest();
    if (!newest || *newest == generation_) return;
    const auto models = ledger_.catalog().models();
    const auto channels = ledger_.catalog().channels();
    const auto keys = ledger_.keys().changed_after(generation_);
    if (!models || !channels || !keys) return;
    generation_ = *newest;
    for (const auto& model : *models) models_[model.id] = model.name;
    for (const auto& channel : *channels) channels_[channel.id] = channel.name;
    for (const auto& key : *keys) keys_[key.id] = key.name;
  }
  [[nodiscard]] RecordNames names() const {
    const auto of = [](const auto& map) {
      return [&map](ledger::Id id) {
        const auto found = map.find(id);
        return found == map.end() ? std::string() : found->second;
      };
    };
    return {of(models_), of(channels_), of(keys_)};
  }

 private:
  ledger::Ledger& ledger_;
  std::int64_t generation_ = -1;
  TimeNs next_ns_ = 0;
  std::unordered_map<ledger::Id, std::string> models_, channels_, keys_;
};

}  // namespace

struct Reconciler::Impl {
  Impl(const Options& options_in, const Clock& clock_in, state::EnvironmentLock lock_in,
       std::unique_ptr<ledger::Ledger> ledger_in, Started started_in, std::vector<Cidr> networks)
      : options(options_in), clock(clock_in), lock(std::move(lock_in)), ledger(std::move(ledger_in)),
        started(std::move(started_in)), names(*ledger), log(options.records_directory),
        resolver(std::move(networks), system_lookup, [this] { wake.wake(); }),
        publisher(*ledger, *started.environment, resolver, clock, options.node),
        drainer(*ledger, *started.environment, clock, options.node,
                [this](const ledger::DrainBatch& batch) { write_records(batch); }),
        housekeeping(*ledger, *started.environment, clock, options.state_directory, options.usage_days),
        server([this](const std::string& question) { return answer(question); }) {}

  void write_records(const ledger::DrainBatch& batch) {
    names.refresh(clock.monotonic_ns());
    const RecordNames names_now = names.names();
    const TimeNs now_ns = clock.realtime_ns();
    for (const ledger::UsageRow& row : batch.rows) {
      log.write(usage_line(row, batch.node, batch.epoch, names_now), now_ns);
    }
    log.flush();
  }

  void write_refused() {
    state::RefusedRecord records[64];
    bool any = false;
    for (state::SlotId slot = 0; slot < started.environment->meta().slots; ++slot) {
      state::RefusedRing& ring = started.environment->boards().refused(slot);
      // Bounded: a flood of refusals must not keep usage from being drained.
      for (int round = 0; round < 16; ++round) {
        const std::size_t count = ring.pop(records);
        if (count == 0) break;
        names.refresh(clock.monotonic_ns());
        const RecordNames names_now = names.names();
        for (std::size_t i = 0; i < count; ++i) log.write(refused_line(records[i], names_now), clock.realtime_ns());
        any = true;
      }
    }
    if (any) log.flush();
  }

  std::string answer(const std::string& question) {
    if (question.starts_with("wallet ")) {
      return wallet_answer(*started.environment, std::strtoull(question.c_str() + 7, nullptr, 10));
    }
    if (question == "metrics") return metrics_answer(*started.environment, drainer, housekeeping, log.lost());
    return "\n";  // ping, and whatever a later version asks
  }

  /// Complains once about a kind of trouble until it is over.
  Result<> told(Result<> outcome, const char* what, Errc& last) {
    const Errc now = outcome ? Errc::none : outcome.error().code;
    if (now != last && now != Errc::none) {
      log_line(LogLevel::error, "reconcile",
               std::string(what) + ": " + std::string(to_string(now)) + " " + ledger->last_error());
    }
    if (now != last && now == Errc::none) log_line(LogLevel::info, "reconcile", std::string(what) + ": works again");
    last = now;
    return outcome;
  }

  void set_limits() {
    state::AdmissionBlock& block = started.environment->boards().admission();
    block.max_undrained_nanos.store(options.max_undrained_nanos, std::memory_order_relaxed);
    block.max_undrained_age_ns.store(options.max_undrained_age_ns, std::memory_order_relaxed);
  }

  const Options options;
  const Clock& clock;
  state::EnvironmentLock lock;
  std::unique_ptr<ledger::Ledger> ledger;
  Started started;
  WakePipe wake;
  NameCache names;
  AccessLog log;
  Resolver resolver;
  Publisher publisher;
  Drainer drainer;
  Housekeeping housekeeping;
  QueryServer server;
  std::atomic<bool> stopping{false};
  TimeNs next_publish_ns = 0;
  Errc publish_trouble = Errc::none;
  Errc drain_trouble = Errc::none;
};

Reconciler::Reconciler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reconciler::~Reconciler() = default;

Result<std::unique_ptr<Reconciler>> Reconciler::start(const Options& options, const Clock& clock, std::string& message) {
  auto networks = parse_networks(options.allow_private, message);
  if (!networks) return std::unexpected(networks.error());
  std::error_code error;
  std::filesystem::create_directories(options.state_directory, error);
  if (error) {
    message = options.state_directory + ": " + error.message();
    return fail(Errc::io);
  }
  auto lock = state::EnvironmentLock::acquire(options.state_directory);
  if (!lock) {
    message = lock.error().code == Errc::conflict ? "another reconciler runs on " + options.state_directory
                                                  : options.state_directory + ": cannot be locked";
    return std::unexpected(lock.error());
  }
  const auto database_directory = std::filesystem::path(options.database).parent_path();
  if (!database_directory.empty()) std::filesystem::create_directories(database_directory, error);
  auto ledger = ledger::Ledger::open(options.database, ledger::Access::read_write, clock, message);
  if (!ledger) return std::unexpected(ledger.error());
  StartOptions start;
  start.node = options.node;
  start.state_directory = options.state_directory;
  start.map_bytes = options.map_bytes;
  start.slots = 4 * options.shards + 1;
  if (!options.boot_id_file.empty()) start.boot_id_file = options.boot_id_file;
  auto started = start_environment(start, ledger->get(), *lock, clock, system_rng(), message);
  if (!started) return std::unexpected(started.error());
  auto impl = std::make_unique<Impl>(options, clock, std::move(*lock), std::move(*ledger), std::move(*started),
                                     std::move(*networks));
  if (auto listening = impl->server.listen(socket_path(options.state_directory)); !listening) {
    message = socket_path(options.state_directory) + ": " + std::strerror(listening.error().sys_errno);
    return std::unexpected(listening.error());
  }
  impl->set_limits();
  return std::unique_ptr<Reconciler>(new Reconciler(std::move(impl)));
}

Result<> Reconciler::turn() {
  Impl& me = *impl_;
  state::AdmissionBlock& block = me.started.environment->boards().admission();
  const TimeNs now_ns = me.clock.monotonic_ns();
  block.reconciler_heartbeat_ns.store(now_ns, std::memory_order_relaxed);
  Result<> outcome;
  if (now_ns >= me.next_publish_ns) {
    me.next_publish_ns = now_ns + kPublishEveryNs;
    outcome = me.told(me.publisher.run(), "publishing", me.publish_trouble);
    if (me.publisher.complete() && block.ready.load(std::memory_order_relaxed) == 0) {
      block.ready.store(1, std::memory_order_release);
    }
  }
  const auto drained = me.drainer.run();
  const Result<> drain = me.told(drained ? Result<>() : std::unexpected(drained.error()), "draining", me.drain_trouble);
  if (!drain) outcome = drain;
  me.drainer.publish_lag();
  me.write_refused();
  me.housekeeping.run(me.publisher.prices());
  return outcome;
}

void Reconciler::wait() {
  impl_->server.wait(impl_->options.drain_interval_ns, impl_->wake.fd());
  impl_->wake.clear();
}

void Reconciler::run() {
  Impl& me = *impl_;
  while (!me.stopping.load(std::memory_order_relaxed)) {
    static_cast<void>(turn());
    wait();
  }
  // The edge has stopped by now, or goes on without us: what it has written until here is drained.
  const auto last = me.drainer.run();
  me.write_refused();
  const auto locked = state::any_slot_locked(me.options.state_directory);
  if (last && !me.drainer.has_corrupt_slot() && locked && !*locked) {
    static_cast<void>(me.ledger->epochs().set_clean(me.options.node, me.started.environment->epoch(), true));
  }
}

void Reconciler::stop() {
  impl_->stopping.store(true, std::memory_order_relaxed);
  impl_->wake.wake();
}

std::string Reconciler::started() const {
  switch (impl_->started.kind) {
    case StartKind::warm: return "warm";
    case StartKind::attached: return "attached";
    case StartKind::rebuilt: break;
  }
  return impl_->started.reason.empty() ? "rebuilt" : "rebuilt: " + impl_->started.reason;
}

}  // namespace sluice::reconcile
