#include "sluice/reconcile/reconciler.hpp"

#include <linux/magic.h>
#include <poll.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "channel_watch.hpp"
#include "drain.hpp"
#include "episode.hpp"
#include "epoch_start.hpp"
#include "idem_keeper.hpp"
#include "json_line.hpp"
#include "notice_sender.hpp"
#include "notice_watch.hpp"
#include "offer_keeper.hpp"
#include "publisher.hpp"
#include "question_socket.hpp"
#include "record_files.hpp"
#include "record_line.hpp"
#include "slot_keeper.hpp"
#include "span_exporter.hpp"
#include "sluice/base/log.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kLookNs = 50 * kMillisecond;            // at the ledger, for changes
constexpr TimeNs kBetweenChunksNs = 200 * kMicrosecond;  // shards get the gate in between
constexpr TimeNs kAskedDrainNs = 5 * kMillisecond;
constexpr TimeNs kSlotsNs = kSecond;
constexpr TimeNs kExpireNs = 10 * kSecond;
constexpr TimeNs kHouseNs = 60 * kSecond;
constexpr TimeNs kRetryNs = kSecond;
constexpr TimeNs kLastDrainNs = 5 * kSecond;
constexpr TimeNs kFirstLookupsNs = 2 * kSecond;
constexpr std::size_t kBatchesAStep = 8;
constexpr std::int64_t kRemoveBatches = 4;  // of usage rows that are old enough, in one transaction
constexpr std::size_t kRefusedAtOnce = 256;
// Admission stops at 70 % of the map and begins again a little lower, so that it does not flutter.
constexpr std::uint64_t kFullPercent = 70;
constexpr std::uint64_t kRoomPercent = 65;

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

const char* to_string(Origin origin) {
  switch (origin) {
    case Origin::attached:
      return "attached to shards at work";
    case Origin::warm:
      return "warm start";
    case Origin::rebuilt:
      return "new epoch";
    case Origin::salvaged:
      return "new epoch after a salvage";
  }
  return "unknown";
}

struct Reconciler::Impl {
  Impl(const Options& options_in, const Clock& clock_in) : options(options_in), clock(clock_in) {}

  Result<> start(std::string& message);
  Result<> open_parts(std::string& message);
  void wait_for_addresses();
  Result<> mark_epoch(bool clean);
  void leave_in_order();
  void set_limits();
  void begin_serving();

  Result<> step();
  Result<> drain_step();
  Result<> publish_step();
  Result<> every_second();
  void every_minute();
  void hand_on(std::span<const state::OutboxRow> rows);
  Result<> notice_step();
  void take_refused();
  void tell_admission();
  Result<> check_broken();
  Result<> judge(Episode& episode, const Error& error, std::string_view what, TimeNs& next_ns);
  Result<> judge(Episode& episode, const Result<>& done, std::string_view what,
                 std::string_view again);
  bool drain_all(TimeNs limit_ns);
  std::string answer(const Question& question);
  bool answer_request(const Question& question, JsonLine& line);
  [[nodiscard]] TimeNs next_due_ns() const;
  [[nodiscard]] std::string ledger_words() const {
    return ledger->last_error().empty() ? std::string() : ": " + ledger->last_error();
  }

  const Options options;
  const Clock& clock;
  std::optional<state::EnvironmentLock> lock;
  std::unique_ptr<ledger::Ledger> ledger;
  std::unique_ptr<RecordFiles> records;
  std::optional<RecordNames> names;
  Started started;
  std::optional<Drain> drain;
  std::optional<SlotKeeper> slots;
  std::optional<IdemKeeper> idem;
  std::optional<Publisher> publisher;
  std::unique_ptr<QuestionSocket> questions;
  std::unique_ptr<SpanExporter> spans;
  std::optional<NoticeWatch> notice_watch;
  std::optional<ChannelWatch> channel_watch;
  std::unique_ptr<NoticeSender> notices;
  std::optional<OfferKeeper> offers;

  Episode drain_trouble, publish_trouble, slot_trouble, notice_trouble, offer_trouble;
  bool notices_known = false;  ///< the sender has all that wait in the ledger
  TimeNs next_drain_ns = 0, next_look_ns = 0, next_slots_ns = 0, next_expire_ns = 0,
         next_house_ns = 0;
  std::uint64_t named_catalog = 0;
  bool map_full = false;
};

// ---- start

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

// ---- the turn

/// What a failed step means: trouble of the ledger or a full map passes, and is said once; an
/// environment that was replaced ends the process.
Result<> Reconciler::Impl::judge(Episode& episode, const Error& error, std::string_view what,
                                 TimeNs& next_ns) {
  if (error.code == Errc::stale_epoch) return std::unexpected(error);
  episode.begin(std::string(what) + ": " + std::string(to_string(error.code)) + ledger_words());
  next_ns = clock.monotonic_ns() + kRetryNs;
  return {};
}

/// The same for a part of the turn of a second, which comes again by itself.
Result<> Reconciler::Impl::judge(Episode& episode, const Result<>& done, std::string_view what,
                                 std::string_view again) {
  if (!done) return judge(episode, done.error(), what, next_slots_ns);
  episode.end(again);
  return {};
}

Result<> Reconciler::Impl::drain_step() {
  const TimeNs now_ns = clock.monotonic_ns();
  next_drain_ns = now_ns + options.drain_interval_ns;
  if (auto polled = drain->poll(); !polled)
    return judge(drain_trouble, polled.error(), "cannot read the outbox", next_drain_ns);
  std::size_t stored_rows = 0;
  for (std::size_t i = 0; i < kBatchesAStep; ++i) {
    const auto stored = drain->commit_batch();
    if (!stored)
      return judge(drain_trouble, stored.error(), "usage cannot be stored, it waits",
                   next_drain_ns);
    if (*stored == 0) break;
    stored_rows += *stored;
    if (auto trimmed = drain->trim(); !trimmed) {
      return judge(drain_trouble, trimmed.error(), "stored usage cannot be deleted from the outbox",
                   next_drain_ns);
    }
  }
  if (auto trimmed = drain->trim(); !trimmed) {
    return judge(drain_trouble, trimmed.error(), "stored usage cannot be deleted from the outbox",
                 next_drain_ns);
  }
  drain_trouble.end("usage is stored again");
  if (stored_rows >= ledger::kDrainRowsMax)
    next_drain_ns = now_ns;  // more than fits into one interval
  take_refused();
  records->flush();
  return {};
}

/// What the ledger has: to the access records, the spans and those who watch budgets.
void Reconciler::Impl::hand_on(std::span<const state::OutboxRow> rows) {
  if (records->enabled()) {
    for (const state::OutboxRow& row : rows) append_record(records->buffer(), row, *names);
  }
  if (notice_watch) notice_watch->note(rows);
  if (!spans) return;
  for (const state::OutboxRow& row : rows) {
    const RecordNames::Key& key = names->key(row.record.key_id);
    spans->add({row.record, std::string(names->model(row.record.model_id)),
                std::string(names->channel(row.record.channel_id)),
                std::string(names->provider(row.record.channel_id)), key.key, key.customer});
  }
}

Result<> Reconciler::Impl::notice_step() {
  if (!notices) return {};
  for (const NoticeSender::Outcome& outcome : notices->take_outcomes()) {
    if (auto kept = ledger->notices().set_delivery(outcome.id, outcome.delivery); !kept)
      return kept;
    state::AdmissionBlock& block = started.environment->boards().admission();
    auto& counter = outcome.delivery == ledger::NoticeDelivery::done ? block.notices_sent
                                                                     : block.notices_given_up;
    counter.fetch_add(1, std::memory_order_relaxed);
  }
  // Until both looks went well: what the first has raised is not forgotten when the second fails.
  const bool known = std::exchange(notices_known, false);
  const auto raised = notice_watch->step();
  if (!raised) return std::unexpected(raised.error());
  const state::Catalog* catalog = publisher->catalog().present();
  const auto told = catalog != nullptr ? channel_watch->step(*catalog) : Result<bool>(false);
  if (!told) return std::unexpected(told.error());
  if (known && !*raised && !*told) {
    notices_known = true;
    return {};
  }
  const auto waiting = ledger->notices().waiting(NoticeSender::kMostWaiting);
  if (!waiting) return std::unexpected(waiting.error());
  notices->add(*waiting);
  notices_known = waiting->size() < NoticeSender::kMostWaiting;
  return {};
}

void Reconciler::Impl::take_refused() {
  std::array<state::RefusedRecord, kRefusedAtOnce> out;
  state::Boards& boards = started.environment->boards();
  for (state::SlotId slot = 0; slot < started.environment->meta().slots; ++slot) {
    for (std::size_t got = 0; (got = boards.refused(slot).pop(out)) > 0;) {
      for (std::size_t i = 0; i < got; ++i) {
        if (notice_watch) notice_watch->note(out[i]);
        if (records->enabled()) append_record(records->buffer(), out[i], *names);
      }
    }
  }
}

Result<> Reconciler::Impl::publish_step() {
  const TimeNs now_ns = clock.monotonic_ns();
  next_look_ns = now_ns + kLookNs;
  const auto more = publisher->step();
  if (!more)
    return judge(publish_trouble, more.error(), "cannot publish, will try again", next_look_ns);
  publish_trouble.end("publishing works again");
  if (*more) next_look_ns = now_ns + kBetweenChunksNs;
  if (named_catalog != publisher->catalog().generation()) {
    named_catalog = publisher->catalog().generation();
    names->set_catalog(publisher->model_names(), publisher->channel_names(),
                       publisher->channel_providers());
  }
  return {};
}

Result<> Reconciler::Impl::every_second() {
  next_slots_ns = clock.monotonic_ns() + kSlotsNs;
  if (auto judged = judge(notice_trouble, notice_step(), "cannot look for notices",
                          "notices are looked for again");
      !judged) {
    return judged;
  }
  if (auto judged = judge(offer_trouble, offers->step(named_catalog), "cannot keep lists of models",
                          "lists of models are kept again");
      !judged) {
    return judged;
  }
  if (auto stepped = slots->step(); !stepped) {
    return judge(slot_trouble, stepped.error(), "cannot close the holds of a dead shard",
                 next_slots_ns);
  }
  slot_trouble.end("the holds of dead shards are closed again");
  if (const auto forgotten = idem->step(); !forgotten) {
    return judge(slot_trouble, forgotten.error(), "cannot forget old Idempotency-Keys",
                 next_slots_ns);
  } else if (*forgotten) {
    next_slots_ns = clock.monotonic_ns() + kBetweenChunksNs;
  }
  if (const auto use = started.environment->map_use()) {
    const std::uint64_t percent =
        (use->map_pages - use->free_pages()) * 100 / std::max<std::uint64_t>(1, use->map_pages);
    const bool full = percent >= (map_full ? kRoomPercent : kFullPercent);
    if (full != map_full) {
      log_line(full ? LogLevel::error : LogLevel::info, "reconcile",
               full ? "ALARM the map is " + std::to_string(percent) + " % used: no new requests"
                    : "the map has room again");
    }
    map_full = full;
  }
  return {};
}

void Reconciler::Impl::every_minute() {
  next_house_ns = clock.monotonic_ns() + kHouseNs;
  publisher->catalog().remove_old_files();
  if (!started.environment->check_readers())
    log_line(LogLevel::warning, "reconcile", "cannot check LMDB's readers");
  const auto more_former = publisher->forget_former_secrets();
  if (!more_former)
    log_line(LogLevel::warning, "reconcile",
             "secrets of rotated keys cannot be taken away" + ledger_words());
  if (more_former.value_or(false)) next_house_ns = clock.monotonic_ns() + kLookNs;
  const TimeNs before_ns =
      clock.realtime_ns() - static_cast<TimeNs>(options.usage_days) * 86'400 * kSecond;
  const auto removed = ledger->usage().remove_before(before_ns, kRemoveBatches);
  if (removed && *removed > 0) next_house_ns = clock.monotonic_ns() + kLookNs;
}

void Reconciler::Impl::tell_admission() {
  const Lag lag = drain->lag();
  state::AdmissionBlock& block = started.environment->boards().admission();
  block.undrained_rows.store(lag.rows, std::memory_order_relaxed);
  block.undrained_nanos.store(lag.nanos, std::memory_order_relaxed);
  block.undrained_oldest_ns.store(lag.oldest_ns, std::memory_order_relaxed);
  const std::uint32_t stop =
      (drain->broken() ? static_cast<std::uint32_t>(state::kStopUndrained) : 0U) |
      (map_full ? static_cast<std::uint32_t>(state::kStopMapFull) : 0U);
  block.stop.store(stop, std::memory_order_relaxed);
  if (spans) {
    block.spans_sent.store(spans->sent(), std::memory_order_relaxed);
    block.spans_dropped.store(spans->dropped(), std::memory_order_relaxed);
  }
  block.routes_unlisted.store(offers ? offers->unlisted() : 0, std::memory_order_relaxed);
  if (notices) block.notices_waiting.store(notices->waiting(), std::memory_order_relaxed);
  block.reconciler_heartbeat_ns.store(clock.monotonic_ns(), std::memory_order_relaxed);
}

/// A broken outbox is salvaged by starting again, once no shard is at work in it.
Result<> Reconciler::Impl::check_broken() {
  if (!drain->broken()) return {};
  const auto locked = state::any_slot_locked(options.state_directory);
  if (locked && !*locked) return fail(Errc::corrupt);
  return {};
}

Result<> Reconciler::Impl::step() {
  const auto due = [&](TimeNs next_ns) { return clock.monotonic_ns() >= next_ns; };
  if (due(next_drain_ns)) {
    if (auto done = drain_step(); !done) return done;
    tell_admission();
  }
  if (due(next_look_ns)) {
    if (auto done = publish_step(); !done) return done;
  }
  if (due(next_slots_ns)) {
    if (auto done = every_second(); !done) return done;
    if (auto done = check_broken(); !done) return done;
  }
  if (due(next_expire_ns)) {
    next_expire_ns = clock.monotonic_ns() + kExpireNs;
    if (auto done = slots->expire_leaked(); !done) {
      return judge(slot_trouble, done.error(), "cannot expire leaked holds", next_expire_ns);
    }
  }
  if (due(next_house_ns)) every_minute();
  return {};
}

TimeNs Reconciler::Impl::next_due_ns() const {
  return std::min({next_drain_ns, next_look_ns, next_slots_ns, next_expire_ns, next_house_ns});
}

bool Reconciler::Impl::drain_all(TimeNs limit_ns) {
  const TimeNs until_ns = system_clock().monotonic_ns() + limit_ns;
  do {
    if (auto drained = drain->drain_good_rows(); !drained) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    if (!drain->trim()) continue;
    take_refused();
    records->flush();
    tell_admission();
    if (drain->empty()) {
      records->flush_and_wait();
      return true;
    }
    if (drain->broken()) break;
  } while (system_clock().monotonic_ns() < until_ns);
  records->flush_and_wait();
  return false;
}

// ---- questions

/// From the ledger; what has ended a moment ago is stored first, unless that was just done: who
/// asks for what is not there shall not make batches small.
bool Reconciler::Impl::answer_request(const Question& question, JsonLine& line) {
  ledger::UsageFilter filter;
  filter.key_id = static_cast<ledger::Id>(question.id);
  filter.request_id = question.request;
  filter.limit = 1;
  if (question.id == 0 || question.request.empty()) return false;
  auto rows = ledger->usage().list(filter);
  const TimeNs drained_ns = next_drain_ns - options.drain_interval_ns;
  const bool lately = clock.monotonic_ns() - drained_ns < kAskedDrainNs;
  if (rows && rows->empty() && !lately && drain_step()) rows = ledger->usage().list(filter);
  if (!rows || rows->empty()) return false;
  append_request(line, rows->front().row, *names);
  return true;
}

std::string Reconciler::Impl::answer(const Question& question) {
  std::string out;
  JsonLine line(out);
  const auto finish = [&] {
    line.end();
    out.pop_back();
    return out;
  };
  if (question.kind == Question::Kind::lag) {
    const Lag lag = drain->lag();
    const TimeNs age_ns = lag.oldest_ns == 0 ? 0 : clock.monotonic_ns() - lag.oldest_ns;
    line.number("rows", static_cast<std::int64_t>(lag.rows));
    line.number("nanos", lag.nanos);
    line.number("age_ms", std::max<TimeNs>(0, age_ns) / kMillisecond);
    line.number("epoch", static_cast<std::int64_t>(started.environment->epoch()));
    line.number("published", publisher->published());
    return finish();
  }
  if (question.kind == Question::Kind::request) {
    if (!answer_request(question, line)) line.plain("error", "no such request");
    return finish();
  }
  if (question.kind == Question::Kind::wallet) {
    const auto wallet = started.environment->find_wallet(question.id);
    if (wallet && *wallet) {
      line.number("wallet", static_cast<std::int64_t>((*wallet)->wallet_id));
      line.number("available", (*wallet)->available);
      line.number("held", (*wallet)->held);
      line.number("charged", (*wallet)->charged);
      line.number("excess", (*wallet)->excess);
      line.number("applied_no", static_cast<std::int64_t>((*wallet)->applied_no));
      return finish();
    }
    line.plain("error", wallet ? "no such wallet" : to_string(wallet.error().code));
    return finish();
  }
  line.plain("error", "unknown question");
  return finish();
}

// ---- the public face

Reconciler::Reconciler(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reconciler::~Reconciler() = default;

Result<std::unique_ptr<Reconciler>> Reconciler::start(const Options& options, const Clock& clock,
                                                      std::string& message) {
  auto impl = std::make_unique<Impl>(options, clock);
  if (auto started = impl->start(message); !started) return std::unexpected(started.error());
  return std::unique_ptr<Reconciler>(new Reconciler(std::move(impl)));
}

Result<> Reconciler::step() { return impl_->step(); }

Result<> Reconciler::run(int stop_fd) {
  std::vector<pollfd> fds;
  for (;;) {
    if (auto stepped = impl_->step(); !stepped) return stepped;
    const TimeNs wait_ns = std::max<TimeNs>(0, impl_->next_due_ns() - impl_->clock.monotonic_ns());
    fds = {{stop_fd, POLLIN, 0}, {impl_->publisher->addresses().fd(), POLLIN, 0}};
    impl_->questions->add_to(fds);
    const timespec timeout{wait_ns / kSecond, wait_ns % kSecond};
    const int ready = ppoll(fds.data(), fds.size(), &timeout, nullptr);
    if (ready <= 0) continue;
    if (fds[0].revents != 0) break;
    if (fds[1].revents != 0) impl_->next_look_ns = 0;
    impl_->questions->serve();
  }
  if (impl_->drain_all(kLastDrainNs)) {
    impl_->leave_in_order();
  } else {
    log_line(LogLevel::warning, "reconcile",
             std::to_string(impl_->drain->lag().rows) +
                 " rows are left in the outbox: the next start drains them");
  }
  return {};
}

bool Reconciler::drain_all(TimeNs limit_ns) { return impl_->drain_all(limit_ns); }
Origin Reconciler::origin() const { return impl_->started.origin; }
state::Environment& Reconciler::environment() { return *impl_->started.environment; }
ledger::Ledger& Reconciler::ledger() { return *impl_->ledger; }

}  // namespace sluice::reconcile
