// The scripted twin of the kernel's ring. A small model of sockets by default (bytes given to a
// descriptor arrive when a receive is armed and a buffer is there, sends are taken as far as there
// is room), and any completion by hand where a test wants another order. Misuse by the code under
// test is collected in problems().
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/ring/port.hpp"

namespace sluice::ring::testing {

/// What a cancel does when it is submitted and its target is in flight.
enum class CancelOrder : std::uint8_t {
  cancel_first,  ///< the cancel's completion, then the target's with -ECANCELED
  target_first,
  by_hand,  ///< only the cancel's completion; the test ends the target when it likes
};

struct ScriptOptions {
  std::size_t buffer_count = 8;
  std::size_t buffer_bytes = 4096;
  bool incremental = true;
  CancelOrder cancel_order = CancelOrder::cancel_first;
  bool sends_by_hand = false;           ///< sends end only by complete_send()
  bool shutdown_by_hand = false;        ///< a shut descriptor does not end what is in flight on it
  std::size_t receive_most = SIZE_MAX;  ///< bytes of one receive completion at most
  bool receive_limit = true;  ///< a multishot receive ends after its length, as since Linux 6.17
  std::size_t send_most = SIZE_MAX;  ///< bytes of one send at most
};

/// One operation that was prepared. `number` counts from 1 in the order of prepare().
struct ScriptedOp {
  std::uint64_t number = 0;
  Submission submission;
  bool submitted = false;
  struct Range {
    const char* data;
    std::string bytes;  ///< as they were when the operation was submitted
  };
  std::vector<Range> ranges;  ///< what a send refers to
  std::size_t received = 0;   ///< bytes of a receive so far
  bool looked = false;        ///< a receive has had its first attempt
};

class ScriptedRing final : public RingPort {
 public:
  explicit ScriptedRing(ScriptOptions options = {});
  ScriptedRing(const ScriptedRing&) = delete;
  ScriptedRing& operator=(const ScriptedRing&) = delete;
  ~ScriptedRing() override;

  // RingPort
  void prepare(const Submission& submission) override;
  void keep(int fd) override { kept_.insert(fd); }
  void forget(int fd) override { kept_.erase(fd); }
  std::size_t enter(std::span<Completion> out, TimeNs wait_ns) override;
  [[nodiscard]] bool has_events() const override { return !completions_.empty(); }
  [[nodiscard]] std::size_t buffer_count() const override { return options_.buffer_count; }
  [[nodiscard]] std::size_t buffer_bytes() const override { return options_.buffer_bytes; }
  [[nodiscard]] char* buffer_data(std::uint16_t buffer) override;
  void provide(std::uint16_t buffer) override;

  /// A descriptor that may be shut down and closed like a connection; nothing travels over it.
  [[nodiscard]] int make_fd();
  /// The options may be changed at any time, except those of the buffers.
  [[nodiscard]] ScriptOptions& options() { return options_; }
  /// A sleep moves this clock on.
  void sleep_on(ManualClock& clock) { clock_ = &clock; }

  // The peer of a descriptor.
  [[nodiscard]] bool keeps(int fd) const { return kept_.contains(fd); }
  /// Bytes arrive, now or when a receive is armed.
  void deliver(int fd, std::string_view bytes);
  /// The peer's end, or an error, after the bytes that were given before.
  void end_of_stream(int fd) { peers_[fd].ended = true; }
  void break_off(int fd, int error_number) { peers_[fd].error_number = error_number; }
  /// The next receive completion of this descriptor is its last: the kernel may end a multishot at
  /// any time.
  void end_multishot_after_next(int fd) { peers_[fd].last_receive = true; }
  /// How many more bytes sends may put out; then they wait, or give -EAGAIN if they must not.
  /// Default: no limit.
  void set_send_room(int fd, std::size_t bytes) { peers_[fd].send_room = bytes; }
  /// What was sent, in order.
  [[nodiscard]] const std::string& sent(int fd) { return peers_[fd].sent; }
  void clear_sent(int fd) { peers_[fd].sent.clear(); }
  /// Bytes that wait for a receive.
  [[nodiscard]] std::size_t undelivered(int fd) { return peers_[fd].inbox.size(); }

  // Operations in flight.
  [[nodiscard]] std::size_t in_flight() const { return ops_.size(); }
  [[nodiscard]] std::size_t in_flight(OpCode code, int fd) const;
  [[nodiscard]] std::size_t in_flight_on(int fd) const;
  /// Operations of this kind that were prepared so far.
  [[nodiscard]] std::size_t prepared(OpCode code) const;
  /// The oldest of this kind on `fd` (any descriptor: -1), or nullptr.
  [[nodiscard]] const ScriptedOp* find(OpCode code, int fd = -1) const;

  /// Completes the oldest of this kind on `fd`. False, and a problem, when there is none.
  bool complete(OpCode code, int fd, std::int32_t result);
  /// Ends the send in flight on `fd` (send or sendmsg); a result > 0 is added to sent().
  bool complete_send(int fd, std::int32_t result);
  /// A completion as it is: stale user data, odd flags.
  void complete_raw(const Completion& completion) { completions_.push_back(completion); }

  [[nodiscard]] std::size_t enters() const { return enters_; }
  [[nodiscard]] std::size_t buffers_provided() const { return provided_.size(); }

  /// What the code under test did wrong so far.
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
  /// problems() in one text, and what should not be left at the end: operations, buffers. Empty =
  /// all is well.
  [[nodiscard]] std::string check() const;

 private:
  struct Peer {
    int other_fd = -1;
    std::string inbox;
    std::string sent;
    std::size_t send_room = SIZE_MAX;
    bool ended = false;
    bool last_receive = false;
    int error_number = 0;
  };
  using Ops = std::deque<ScriptedOp>;

  void problem(std::string text) { problems_.push_back(std::move(text)); }
  void submit();
  void submit_cancel(const ScriptedOp& cancel);
  void snapshot(ScriptedOp& op);
  void check_unchanged(const ScriptedOp& op);
  void move_bytes();
  bool receive_once(ScriptedOp& op, Peer& peer);
  void send_what_fits(const ScriptedOp& op, Peer& peer);
  void take_sent(const ScriptedOp& op, Peer& peer, std::size_t bytes);
  void finish(std::uint64_t number, std::int32_t result);
  [[nodiscard]] const ScriptedOp* find_send(int fd) const;

  ScriptOptions options_;
  std::vector<char> memory_;
  std::deque<std::uint16_t> provided_;  ///< the ring's buffers, the next to be used first
  std::vector<bool> held_by_ring_;
  std::size_t front_filled_ = 0;  ///< bytes of the first that are used (incremental)
  Ops ops_;
  std::deque<Completion> completions_;
  std::map<int, Peer> peers_;
  std::set<int> kept_;
  std::map<OpCode, std::size_t> prepared_;
  std::uint64_t next_number_ = 1;
  std::size_t enters_ = 0;
  ManualClock* clock_ = nullptr;
  std::vector<std::string> problems_;
};

}  // namespace sluice::ring::testing
