// The parts of a running shard and how they hang together: reactor, listeners, connections,
// commits, heartbeat.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clients.hpp"
#include "shard_files.hpp"
#include "sluice/base/log_limit.hpp"
#include "sluice/edge/shard.hpp"
#include "sluice/net/listener.hpp"
#include "sluice/relay/connection.hpp"
#include "sluice/relay/probes.hpp"
#include "sluice/relay/services.hpp"
#include "sluice/ring/scope.hpp"
#include "sluice/state/slots.hpp"
#include "sluice/tls/ticket_keys.hpp"
#include "snapshot_source.hpp"

namespace sluice::edge {

/// Lifecycle: prepare() once, then run() until the shard has ended. Thread: its own alone.
class ShardRuntime {
 public:
  ShardRuntime(const ShardOptions& options, state::Environment& environment, state::SlotLock& slot,
               ring::RingPort& port, std::shared_ptr<const tls::ClientContext> authorities);
  ~ShardRuntime();
  ShardRuntime(const ShardRuntime&) = delete;
  ShardRuntime& operator=(const ShardRuntime&) = delete;

  /// Reads secrets and certificates, reaps what a dead holder of the slot left, loads the catalog
  /// if there is one, arms the listeners. `message` gets one line on failure.
  [[nodiscard]] bool prepare(std::string& message);
  void run();

 private:
  struct Door;  ///< one listening socket
  enum class Phase : std::uint8_t { serving, draining, farewell, closing, stopping, ended };

  static void on_accept(void* context, int fd);
  static bool gate_is_open(void* context);
  static TimeNs on_turn(void* context);
  void admit_requests();
  [[nodiscard]] TimeNs time_of_turn(std::uint64_t turn);
  static void on_tick(ring::Timer& timer, void* context);
  static void on_control(void* context, const ring::Completion& completion);
  void watch_control();
  void tick();
  enum class Pace : std::uint8_t { hurried, unhurried };
  void start_drain(const char* why, Pace pace, TimeNs limit_ns);
  void note_crowd(const AddressBytes& address);
  [[nodiscard]] ring::Task<> serve(Door& door, int fd, AddressBytes address);
  [[nodiscard]] ring::Task<Result<>> shake_hands(Door& door, net::Stream& stream);
  [[nodiscard]] bool may_shake_hands();
  void use_keys(const ShardFiles& files);
  void read_files_anew();
  void take_ticket_key();
  [[nodiscard]] ring::Task<> end();
  [[nodiscard]] bool operations_in_flight() const;

  const ShardOptions& options_;
  state::Environment& environment_;
  state::SlotLock& slot_;
  state::ShardBlock& block_;
  ring::Reactor reactor_;
  net::Pool pool_;
  state::VerbQueue verbs_;
  SnapshotSource snapshots_;
  relay::Services services_;
  tls::TicketKeys ticket_keys_;
  std::vector<std::unique_ptr<Door>> doors_;
  Clients clients_;
  LogLimit crowded_addresses_;
  struct {
    std::uint64_t turn = 0;
    std::uint32_t begun = 0;
  } handshakes_;  ///< of TLS, in this turn
  std::uint64_t admitted_turn_ = 0;
  std::uint64_t timed_turn_ = 0;  ///< when the time of the thread was read last
  TimeNs turn_cpu_ns_ = 0;        ///< what it was
  ring::Scope connections_;
  ring::Scope ending_;
  ring::Timer tick_timer_;
  ring::Operation control_;
  relay::Probes probes_;  ///< of providers
  Phase phase_ = Phase::serving;
  TimeNs drain_deadline_ns_ = 0;  ///< of the drain, then of the farewell
};

}  // namespace sluice::edge
