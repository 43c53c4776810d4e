#include "shard_runtime.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>

#include "client_hello.hpp"
#include "control_pipe.hpp"
#include "sluice/base/log.hpp"
#include "sluice/base/random.hpp"
#include "sluice/tls/context.hpp"
#include "sluice/tls/engine.hpp"
#include "sluice/tls/key_hasher.hpp"

namespace sluice::edge {
namespace {

constexpr TimeNs kTickNs = 20 * kMillisecond;
// A server's part of a TLS handshake takes 0.1 to 0.3 ms: as many as this, and then the others have
// their turn.
constexpr std::uint32_t kHandshakesATurn = 4;
// Completions; fewer hardly make a turn long.
constexpr std::size_t kBusyTurn = 32;
constexpr TimeNs kLongestSleepNs = 100 * kMillisecond;
constexpr TimeNs kBusyGateNs = 50 * kMicrosecond;
constexpr std::size_t kIdleUpstreams = 4096;
constexpr TimeNs kIdleUpstreamNs = 30 * kSecond;
// How far a shard may be ahead of the emptiest one and still accept (design §2).
constexpr std::uint32_t kAcceptAhead = 4;
// A dead supervisor leaves its shards this long to finish (design §12).
constexpr TimeNs kOrphanDrainNs = 5 * kSecond;
// Time for the error that open requests end with at a drain's limit.
constexpr TimeNs kFarewellNs = 500 * kMillisecond;
// A client may be sending on an idle connection just when it is closed. Without hurry it gets this
// long to send, and is told with the answer that the connection ends.
constexpr TimeNs kIdleGraceNs = 5 * kSecond;

TimeNs thread_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

AddressBytes peer_v6(int fd) {
  AddressBytes bytes{};
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return bytes;
  if (peer.ss_family == AF_INET6) {
    std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in6*>(&peer)->sin6_addr, 16);
  } else {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes.data() + 12, &reinterpret_cast<sockaddr_in*>(&peer)->sin_addr, 4);
  }
  return bytes;
}

ring::ReactorOptions reactor_options(const ShardOptions& options) {
  // Two operations a connection on each side, and room for listeners, control and cancels in
  // flight.
  return {.spin_ns = options.spin_ns, .operation_slots = options.connections_most * 4 + 1024};
}

}  // namespace

struct ShardRuntime::Door {
  ShardRuntime& shard;
  std::optional<tls::ServerContext> tls;  ///< absent on plain listeners
  net::Listener listener;
  Door(ShardRuntime& runtime, int fd, std::optional<tls::ServerContext> context)
      : shard(runtime),
        tls(std::move(context)),
        listener(runtime.reactor_, fd, &ShardRuntime::on_accept, &ShardRuntime::gate_is_open,
                 this) {}
};

ShardRuntime::ShardRuntime(const ShardOptions& options, state::Environment& environment,
                           state::SlotLock& slot, ring::RingPort& port,
                           std::shared_ptr<const tls::ClientContext> authorities)
    : options_(options),
      environment_(environment),
      slot_(slot),
      block_(environment.boards().shard(slot.slot())),
      reactor_(port, *options.clock, reactor_options(options)),
      pool_(reactor_, kIdleUpstreams, kIdleUpstreamNs),
      verbs_(environment, slot),
      snapshots_(environment, std::move(authorities)),
      services_{.reactor = reactor_,
                .pool = pool_,
                .environment = environment,
                .verbs = verbs_,
                .slot = slot.slot(),
                .board = environment.boards().meter(slot.slot()),
                .metrics = block_,
                .refused = environment.boards().refused(slot.slot()),
                .settings = options.settings,
                .providers = {.health = relay::Health(environment.boards().health())},
                .places = relay::BoardPlaces(environment.boards().meter(slot.slot()).capacity()),
                .scratch = relay::make_scratch(),
                .snapshot = nullptr,
                .id_high = system_rng().next_u64(),
                .id_low = system_rng().next_u64(),
                .admission = relay::AdmissionQueue(options.settings.admission),
                .client_keys = {.hashers = {},
                                .unknown = relay::UnknownKeys(options.unknown_keys_a_minute,
                                                              system_rng().next_u64())}},
      clients_(options.connections_most, options.connections_per_address),
      tick_timer_(&ShardRuntime::on_tick, this),
      control_(&ShardRuntime::on_control, this),
      probes_(services_) {}

ShardRuntime::~ShardRuntime() = default;

bool ShardRuntime::prepare(std::string& message) {
  auto files = ShardFiles::read(options_, &ticket_keys_, message);
  if (!files) return false;
  use_keys(*files);
  services_.snapshot = snapshots_.poll();
  const auto prices = state::PricesInForce::load(environment_);
  if (!prices) {
    message = "cannot read the catalog, to charge what the slot's last owner left: " +
              std::string(to_string(prices.error().code));
    return false;
  }
  const Result<state::ReapTotals> reaped = state::reap_slot(environment_, slot_, prices->lookup());
  if (!reaped) {
    message = "cannot close the holds of the slot's last owner: " +
              std::string(to_string(reaped.error().code));
    return false;
  }
  if (reaped->settled + reaped->voided > 0) {
    log_line(LogLevel::warning, "edge",
             "slot " + std::to_string(slot_.slot()) + ": closed " +
                 std::to_string(reaped->settled + reaped->voided) +
                 " holds of a dead shard, charged " + std::to_string(reaped->charged) + " nanos");
  }
  block_.generation.store(options_.generation, std::memory_order_relaxed);
  block_.pid.store(static_cast<std::uint32_t>(getpid()), std::memory_order_relaxed);
  block_.client_connections.store(0, std::memory_order_relaxed);
  reactor_.set_turn_hook(&ShardRuntime::on_turn, this);
  for (std::size_t i = 0; i < options_.listeners.size(); ++i) {
    doors_.push_back(
        std::make_unique<Door>(*this, options_.listeners[i].fd, std::move(files->certificates[i])));
  }
  return true;
}

void ShardRuntime::use_keys(const ShardFiles& files) {
  services_.client_keys.hashers.clear();
  for (const KeyRing::Entry& pepper : files.peppers.entries()) {
    services_.client_keys.hashers.push_back(std::make_unique<tls::HmacKeyHasher>(pepper.key));
  }
  snapshots_.set_sealing_keys(files.sealing_keys);
  block_.pepper_version.store(files.peppers.newest().version, std::memory_order_release);
  block_.files_read.fetch_add(1, std::memory_order_release);
}

void ShardRuntime::run() {
  watch_control();
  tick();
  while (phase_ != Phase::ended) reactor_.run_turn(kLongestSleepNs);
  block_.state.store(static_cast<std::uint32_t>(state::ShardState::absent),
                     std::memory_order_release);
}

// ---- the turn

TimeNs ShardRuntime::on_turn(void* context) {
  ShardRuntime& self = *static_cast<ShardRuntime*>(context);
  self.admit_requests();
  const TimeNs sleep_ns = self.services_.admission.waiting() == 0 ? kLongestSleepNs : 0;
  if (self.verbs_.empty()) return sleep_ns;
  const state::VerbQueue::Turn turn = self.verbs_.commit_turn(self.reactor_.now_ns());
  if (turn == state::VerbQueue::Turn::busy) return std::min(kBusyGateNs, sleep_ns);
  return self.verbs_.empty() ? sleep_ns : 0;
}

// Requests that wait for their turn, once in it: the hook is called again when it made some ready.
void ShardRuntime::admit_requests() {
  const std::uint64_t turn = reactor_.stats().turns;
  if (admitted_turn_ == turn) return;
  admitted_turn_ = turn;
  auto* ticket = services_.admission.decide(
      reactor_.now_ns(), {.completions = reactor_.turn_completions(),
                          .full = reactor_.turn_is_full(),
                          .took_ns = time_of_turn(turn)});
  while (ticket != nullptr) reactor_.ready(std::exchange(ticket, ticket->next)->waiter);
}

// By the time of the thread, kernel included: who shares the core is not what makes a turn long.
// The clock is a system call, and is not asked in turns that have little to do.
TimeNs ShardRuntime::time_of_turn(std::uint64_t turn) {
  const bool busy = reactor_.turn_completions() >= kBusyTurn;
  if (!busy && services_.admission.waiting() == 0) return 0;
  const TimeNs cpu_ns = thread_cpu_ns();
  const bool known = std::exchange(timed_turn_, turn) + 1 == turn;
  const TimeNs took_ns = cpu_ns - std::exchange(turn_cpu_ns_, cpu_ns);
  return known ? took_ns : 0;
}

void ShardRuntime::on_tick(ring::Timer&, void* context) {
  static_cast<ShardRuntime*>(context)->tick();
}

// Heartbeat, health, new catalog, listeners that may accept again, the drain's deadline.
void ShardRuntime::tick() {
  const TimeNs now_ns = reactor_.now_ns();
  block_.heartbeat_ns.store(now_ns, std::memory_order_release);
  const auto& delays = reactor_.stats().turn_delays;
  for (std::size_t i = 0; i < delays.size(); ++i) block_.set(state::kTurnDelays + i, delays[i]);
  if (auto snapshot = snapshots_.poll()) services_.snapshot = std::move(snapshot);
  services_.providers.health.flush(now_ns);
  if (phase_ == Phase::serving) {
    probes_.tick(now_ns);
    const auto now_is =
        services_.snapshot ? state::ShardState::serving : state::ShardState::starting;
    block_.state.store(static_cast<std::uint32_t>(now_is), std::memory_order_release);
    clients_.make_room(now_ns);
    for (const auto& door : doors_) door->listener.arm();
  } else if (phase_ == Phase::draining && (clients_.empty() || now_ns >= drain_deadline_ns_)) {
    phase_ = Phase::farewell;
    drain_deadline_ns_ = now_ns + kFarewellNs;
    services_.hurried = true;
    clients_.end_requests();
  } else if (phase_ == Phase::farewell && (clients_.empty() || now_ns >= drain_deadline_ns_)) {
    phase_ = Phase::closing;
    clients_.abort_all();
    ending_.spawn(end());
  } else if (phase_ == Phase::draining && !services_.hurried) {
    clients_.end_idle(now_ns - kIdleGraceNs);
  } else if (phase_ == Phase::stopping && !operations_in_flight()) {
    phase_ = Phase::ended;
    return;
  }
  reactor_.timers().arm(tick_timer_, now_ns + kTickNs);
}

// ---- connections

bool ShardRuntime::gate_is_open(void* context) {
  const Door& door = *static_cast<Door*>(context);
  ShardRuntime& self = door.shard;
  // Before the first catalog is there, connections wait in the socket's queue.
  if (self.phase_ != Phase::serving || !self.services_.snapshot) return false;
  if (self.clients_.full()) return false;
  const auto least =
      state::min_client_connections(self.environment_.boards().shards(), self.reactor_.now_ns());
  return !least || self.clients_.count() <= *least + kAcceptAhead;
}

void ShardRuntime::on_accept(void* context, int fd) {
  Door& door = *static_cast<Door*>(context);
  const AddressBytes address = peer_v6(fd);
  if (!door.shard.clients_.admits(address)) {
    door.shard.note_crowd(address);
    close(fd);
    return;
  }
  door.shard.connections_.spawn(door.shard.serve(door, fd, address));
}

ring::Task<> ShardRuntime::serve(Door& door, int fd, AddressBytes address) {
  relay::Client client;
  client.stream = std::make_unique<net::Stream>(reactor_, fd, Source::client);
  client.address_v6 = address;
  client.idle_since_ns = reactor_.now_ns();
  const Clients::Place place = clients_.add(client);
  block_.client_connections.store(clients_.count(), std::memory_order_relaxed);
  Result<> ready;
  if (door.tls) ready = co_await shake_hands(door, *client.stream);
  if (ready) {
    co_await relay::serve_connection(services_, client);
  } else {
    co_await client.stream->close();
  }
  clients_.remove(place);
  block_.client_connections.store(clients_.count(), std::memory_order_relaxed);
  for (const auto& each : doors_) each->listener.arm();
}

void ShardRuntime::note_crowd(const AddressBytes& address) {
  services_.count(relay::Counter::crowded);
  std::uint64_t subject = 0;
  std::memcpy(&subject, address.data() + 8, 8);
  if (!crowded_addresses_.take(subject, reactor_.now_ns())) return;
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(AF_INET6, address.data(), text, sizeof text);
  log_line(LogLevel::warning, "edge",
           std::string(text) + ": no more connections (limits.connections_per_address)");
}

// A client that says nothing takes its connection and no more; only work is rationed, waiting is
// not: nobody waits for a handshake but those whose hello has come.
ring::Task<Result<>> ShardRuntime::shake_hands(Door& door, net::Stream& stream) {
  const TimeNs deadline_ns = reactor_.now_ns() + options_.tls_handshake_ns;
  const Result<> greeted = co_await await_client_hello(stream, deadline_ns);
  if (!greeted) co_return greeted;
  while (!may_shake_hands()) co_await reactor_.yield();
  Result<tls::Engine> engine = tls::Engine::server(*door.tls);
  if (!engine) co_return std::unexpected(engine.error());
  co_return co_await stream.start_tls(std::move(*engine), deadline_ns);
}

bool ShardRuntime::may_shake_hands() {
  const std::uint64_t turn = reactor_.stats().turns;
  if (handshakes_.turn != turn) handshakes_ = {.turn = turn, .begun = 0};
  return handshakes_.begun++ < kHandshakesATurn;
}

// ---- ending

void ShardRuntime::watch_control() {
  reactor_.start(control_,
                 {.code = ring::OpCode::poll, .fd = options_.control, .msg_flags = POLLIN});
}

void ShardRuntime::on_control(void* context, const ring::Completion& completion) {
  ShardRuntime& self = *static_cast<ShardRuntime*>(context);
  if (completion.result < 0) return;  // cancelled at the end
  ShardCommand command{};
  const ssize_t got = read(self.options_.control, &command, 1);
  if (got == 1) {
    switch (command) {
      case ShardCommand::drain:
        self.start_drain("asked to drain", Pace::hurried, self.options_.drain_ns);
        break;
      case ShardCommand::finish:
        self.start_drain("others have taken over", Pace::unhurried, self.options_.upgrade_drain_ns);
        break;
      case ShardCommand::files:
        self.read_files_anew();
        break;
      case ShardCommand::ticket_key:
        self.take_ticket_key();
        break;
    }
    self.watch_control();
  } else if (got == 0) {
    self.start_drain("the supervisor is gone", Pace::hurried,
                     std::min(kOrphanDrainNs, self.options_.drain_ns));
  }
}

/// Connections go on with the context that they began with, requests with the keys. One file that
/// is not sound, and nothing changes.
void ShardRuntime::read_files_anew() {
  std::string message;
  const std::string name = "shard " + std::to_string(options_.number) + ": ";
  auto files = ShardFiles::read(options_, &ticket_keys_, message);
  if (!files) {
    log_line(LogLevel::error, "edge", name + "goes on with what it has: " + message);
    return;
  }
  use_keys(*files);
  for (std::size_t i = 0; i < doors_.size(); ++i) {
    doors_[i]->tls = std::move(files->certificates[i]);
  }
  log_line(LogLevel::info, "edge", name + "has read certificates and secrets anew");
}

void ShardRuntime::take_ticket_key() {
  tls::TicketKeys::Key key{};
  if (read(options_.control, key.data(), key.size()) == static_cast<ssize_t>(key.size())) {
    ticket_keys_.rotate(key);
  }
  explicit_bzero(key.data(), key.size());
}

void ShardRuntime::start_drain(const char* why, Pace pace, TimeNs limit_ns) {
  // One that drains without hurry may be asked to make haste.
  const bool again = phase_ == Phase::draining && !services_.hurried && pace == Pace::hurried;
  if (phase_ != Phase::serving && !again) return;
  const TimeNs deadline_ns = reactor_.now_ns() + limit_ns;
  drain_deadline_ns_ = again ? std::min(drain_deadline_ns_, deadline_ns) : deadline_ns;
  phase_ = Phase::draining;
  services_.draining = true;
  services_.hurried = pace == Pace::hurried;
  block_.state.store(static_cast<std::uint32_t>(state::ShardState::draining),
                     std::memory_order_release);
  log_line(LogLevel::info, "edge", "shard " + std::to_string(options_.number) + ": " + why);
  for (const auto& door : doors_) door->listener.stop();
  if (services_.hurried) clients_.end_idle(reactor_.now_ns());
}

ring::Task<> ShardRuntime::end() {
  co_await connections_.join();
  probes_.stop();
  co_await probes_.join();
  co_await pool_.close();
  verbs_.drain(kSecond);
  reactor_.cancel(control_);
  phase_ = Phase::stopping;
}

bool ShardRuntime::operations_in_flight() const {
  return control_.in_flight() || std::any_of(doors_.begin(), doors_.end(), [](const auto& door) {
           return door->listener.in_flight();
         });
}

}  // namespace sluice::edge
