// From a directory and a database to a node that may serve, and back.
#include <linux/magic.h>
#include <poll.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "reconciler_impl.hpp"
#include "sluice/base/log.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kFirstLookupsNs = 2 * kSecond;
constexpr TimeNs kLastDrainNs = 5 * kSecond;

Result<> prepare_directory(const std::string& path, std::string_view what, std::string& message) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error && access(path.c_str(), W_OK | X_OK) == 0) return {};
  message = std::string(what) + " " + path +
            " cannot be written: " + (error ? error.message() : std::string(std::strerror(errno)));
  return fail(Errc::io);
}

void warn_unless_tmpfs(const std::string& path) {
  struct statfs info{};
  if (statfs(path.c_str(), &info) != 0) return;
  const auto type = static_cast<unsigned long>(info.f_type);
  if (type == TMPFS_MAGIC || type == RAMFS_MAGIC) return;
  log_line(LogLevel::warning, "reconcile",
           "state directory " + path + " is not on a tmpfs: every write goes to a disk");
}

}  // namespace

Result<> Reconciler::Impl::start(std::string& message) {
  if (auto made = prepare_directory(options.state_directory, "state directory", message); !made)
    return made;
  warn_unless_tmpfs(options.state_directory);
  auto locked = state::EnvironmentLock::acquire(options.state_directory);
  if (!locked) {
    message = locked.error().code == Errc::conflict
                  ? "another sluice-reconciler is at work in " + options.state_directory
                  : "cannot lock " + options.state_directory +
                        "/env.lock: " + std::strerror(locked.error().sys_errno);
    return std::unexpected(locked.error());
  }
  lock.emplace(std::move(*locked));
  const std::string parent = std::filesystem::path(options.database).parent_path().string();
  if (!parent.empty()) {
    if (auto made = prepare_directory(parent, "ledger directory", message); !made) return made;
  }
  auto opened = ledger::Ledger::open(options.database, ledger::Access::read_write, clock, message);
  if (!opened) return std::unexpected(opened.error());
  ledger = std::move(*opened);
  auto files =
      RecordFiles::open(options.records_directory, options.records_file_bytes, clock, message);
  if (!files) return std::unexpected(files.error());
  records = std::move(*files);
  names.emplace(*ledger);
  EpochStart epoch_start(options, clock, *ledger, *lock);
  auto served = epoch_start.run(message);
  if (!served) return std::unexpected(served.error());
  started = std::move(*served);
  if (auto opened_parts = open_parts(message); !opened_parts) return opened_parts;
  if (auto marked = mark_epoch(false); !marked) {
    message = "the ledger cannot be written" + ledger_words();
    return marked;
  }
  begin_serving();
  return {};
}

Result<> Reconciler::Impl::open_parts(std::string& message) {
  state::Environment& environment = *started.environment;
  drain.emplace(environment, *ledger, clock,
                [this](std::span<const state::OutboxRow> rows) { hand_on(rows); });
  if (!options.traces.endpoint.empty()) {
    spans = std::make_unique<SpanExporter>(options.traces.endpoint, options.traces.headers,
                                           options.node);
  }
  if (options.notices.on()) {
    notice_watch.emplace(*ledger, clock, options.notices.low_balance);
    channel_watch.emplace(*notice_watch, *ledger, clock, environment.boards().health());
    notices = std::make_unique<NoticeSender>(options.notices, options.node, clock);
  }
  if (auto loaded = drain->load_cursors(); !loaded) {
    message = "the ledger's cursors do not fit the shared state" + ledger_words();
    return loaded;
  }
  set_limits();
  slots.emplace(environment, clock, options.state_directory);
  idem.emplace(environment, clock);
  offers.emplace(environment, *ledger);
  publisher.emplace(environment, *ledger, clock, options);
  auto socket = QuestionSocket::open(
      options.state_directory + "/reconciler.sock",
      [this](const Question& question) { return answer(question); }, message);
  if (!socket) return std::unexpected(socket.error());
  questions = std::move(*socket);
  const auto pointer = environment.catalog_pointer();
  const bool serving_already =
      pointer && pointer->catalog_generation != 0 && pointer->addresses_generation != 0;
  if (serving_already) return {};
  // Nobody can serve without these two files. One that cannot be built was logged: the operator
  // mends it with the command line, for which this process must run.
  if (auto published = publisher->publish_catalog();
      !published && published.error().code != Errc::bad_value) {
    message = "the catalog cannot be published" + ledger_words();
    return published;
  }
  wait_for_addresses();
  return {};
}

void Reconciler::Impl::wait_for_addresses() {
  const TimeNs until_ns = system_clock().monotonic_ns() + kFirstLookupsNs;
  while (publisher->addresses().waiting() && system_clock().monotonic_ns() < until_ns) {
    pollfd answered{publisher->addresses().fd(), POLLIN, 0};
    poll(&answered, 1, 100);
    if (auto stepped = publisher->addresses().step(); !stepped) return;
  }
}

/// An epoch that was left in order is no gap when its environment is gone, as after a planned
/// reboot.
Result<> Reconciler::Impl::mark_epoch(bool clean) {
  return ledger->epochs().set_clean(options.node, started.environment->epoch(), clean);
}

void Reconciler::Impl::leave() {
  if (drain_all(kLastDrainNs)) {
    leave_in_order();
  } else {
    log_line(LogLevel::warning, "reconcile",
             std::to_string(drain->lag().rows) +
                 " rows are left in the outbox: the next start drains them");
  }
}

/// When no shard is at work nothing is left behind, and nothing comes in until the next start:
/// what a shard did alone would be lost with the power, and no gap would say so. That goes for the
/// holds of dead shards too, which the next owner of their slot would close.
void Reconciler::Impl::leave_in_order() {
  const auto held = state::AllSlots::acquire(options.state_directory);
  if (!held || !slots->reap_all(*held) || !drain_all(kLastDrainNs)) return;
  started.environment->boards().admission().stop.store(state::kStopUndrained,
                                                       std::memory_order_relaxed);
  if (!mark_epoch(true)) {
    log_line(LogLevel::warning, "reconcile",
             "the ledger cannot be told that all is drained" + ledger_words());
  }
}

/// Before the catalog, with which shards can begin: the limits hold whenever this process dies.
void Reconciler::Impl::set_limits() {
  state::AdmissionBlock& block = started.environment->boards().admission();
  block.max_undrained_nanos.store(options.max_undrained_nanos, std::memory_order_relaxed);
  block.max_undrained_age_ns.store(options.max_undrained_age_ns, std::memory_order_relaxed);
  block.stop.store(0, std::memory_order_relaxed);
  tell_admission();
}

void Reconciler::Impl::begin_serving() {
  state::AdmissionBlock& block = started.environment->boards().admission();
  tell_admission();
  block.ready.store(1, std::memory_order_release);
  log_line(LogLevel::info, "reconcile",
           std::string(to_string(started.origin)) + ": epoch " +
               std::to_string(started.environment->epoch()) + " in " + options.state_directory);
}

}  // namespace sluice::reconcile
