// Where new requests wait for their turn when a shard has more than it can serve, and which of them
// are refused instead.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "sluice/base/units.hpp"
#include "sluice/relay/work_limit.hpp"

namespace sluice::relay {

struct AdmissionRules {
  /// Longest that a request waits; and how long the queue must have stood before requests are
  /// refused at once. 0 = all are taken, whenever they come.
  TimeNs most_wait_ns = 50 * kMillisecond;
  /// Requests that are begun in one turn: what is under way comes first, and turns stay short. As
  /// many as one commit of the shared state holds.
  std::uint32_t starts_a_turn = 32;
  /// Clients that are refused may ask again at once, up to so many a second. A refusal costs 6 µs,
  /// 13 with a thousand connections that are in no cache: a tenth of the shard's time.
  std::uint32_t cheap_refusals_a_second = 10'000;
};

/// First come, first served, in four rules:
///   - a turn begins `starts_a_turn` requests, the others wait; none while completions of what is
///     under way are left over from turn to turn;
///   - while the queue stands (below), or turns are long: as many as WorkLimit replaces;
///   - who has been passed over for `most_wait_ns` is refused;
///   - when the queue has not been empty for as long, it is one that stands and not a burst: then
///     only as many wait as are begun in kWaitNs, and who finds more is refused at once. For
///     kCalmNs after that any queue is taken for one that stands: the refused may all be about to
///     come back.
/// So those who are served wait about kWaitNs, those who are refused hardly at all, and there is
/// always somebody to be served: it refuses what is too much and no more, whatever the refused do
/// then, and no share or rate of the load that could swing. That a queue which stands is no burst
/// is from CoDel (RFC 8289), that it may wait less than one from B. Maurer, "Fail at Scale" (ACM
/// Queue 13(8), 2015).
///
/// Does not allocate: a ticket lies with whoever waits. Thread: its shard's.
class AdmissionQueue {
 public:
  /// What a request waits in a queue that stands.
  static constexpr TimeNs kWaitNs = 5 * kMillisecond;
  static constexpr TimeNs kCalmNs = 2 * kSecond;

  enum class Verdict : std::uint8_t { waits, taken, refused };
  struct Ticket {
    std::coroutine_handle<> waiter;
    Ticket* next = nullptr;
    TimeNs since_ns = 0;
    Verdict verdict = Verdict::waits;
  };

  explicit AdmissionQueue(AdmissionRules rules)
      : rules_(rules), starts_left_(rules.starts_a_turn), work_(rules.starts_a_turn) {}
  AdmissionQueue(const AdmissionQueue&) = delete;
  AdmissionQueue& operator=(const AdmissionQueue&) = delete;

  /// A request has come. When it waits, `ticket` stays where it is until decide() gives it back.
  Verdict enter(Ticket& ticket, TimeNs now_ns);

  /// What a turn has to do.
  struct TurnLoad {
    std::size_t completions = 0;
    bool full = false;   ///< some are left over
    TimeNs took_ns = 0;  ///< of its thread's time; 0 = too little to be measured
  };

  /// Once a turn. Returns the tickets that wait no longer, in order, linked by `next`; nullptr =
  /// none.
  [[nodiscard]] Ticket* decide(TimeNs now_ns, const TurnLoad& load);

  /// A request that was taken is over.
  void note_ended() { work_.note_ended(); }

  /// One has been refused: how long it is left alone. Beyond `cheap_refusals_a_second` those who
  /// ask again at once take turns, or to refuse the same clients over and over would take the time
  /// of those who are served. A little less than the second after which it was told to come back.
  [[nodiscard]] TimeNs note_refusal(TimeNs now_ns);
  static constexpr TimeNs kLongestRestNs = 900 * kMillisecond;

  [[nodiscard]] std::uint32_t waiting() const { return waiting_; }
  /// Requests are being refused at once.
  [[nodiscard]] bool stands() const { return stands_; }

  struct Awaiter {
    AdmissionQueue& queue;
    TimeNs now_ns;
    Ticket ticket = {};
    [[nodiscard]] bool await_ready() { return queue.enter(ticket, now_ns) != Verdict::waits; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { ticket.waiter = waiter; }
    [[nodiscard]] bool await_resume() const noexcept { return ticket.verdict == Verdict::taken; }
  };
  /// Suspends while the request waits. True: it is taken.
  [[nodiscard]] Awaiter admit(TimeNs now_ns) { return {*this, now_ns}; }

 private:
  void grant(TimeNs now_ns, const TurnLoad& load);
  Verdict begin(TimeNs now_ns);
  void note_time(TimeNs now_ns, TimeNs before_ns);
  Ticket* pop(Verdict verdict);

  AdmissionRules rules_;
  Ticket* first_ = nullptr;
  Ticket* last_ = nullptr;
  std::uint32_t waiting_ = 0;
  std::uint32_t starts_left_;  ///< of this turn
  WorkLimit work_;
  TimeNs decided_ns_ = 0;   ///< when, last
  TimeNs begun_ns_ = 0;     ///< when, last
  bool held_back_ = false;  ///< no more starts by the turn, but by those that end
  bool stands_ = false;
  std::size_t came_ = 0;        ///< requests, in this turn
  TimeNs empty_ns_ = 0;         ///< when it was empty last
  TimeNs stood_ns_ = -kCalmNs;  ///< when it was last seen to have stood
  TimeNs counted_from_ns_ = 0;
  std::uint32_t taken_ = 0;  ///< since then
  std::uint32_t room_ = 0;   ///< for so many while it stands
  TimeNs afforded_until_ns_ = 0;  ///< the refusals so far
};

}  // namespace sluice::relay
