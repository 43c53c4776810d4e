#include "sluice/relay/admission_queue.hpp"

#include <algorithm>
#include <utility>

namespace sluice::relay {
namespace {

// Where a request takes longer than all may wait, there is still one that waits to be next.
constexpr std::uint32_t kLeastRoom = 8;
// Refusals come together: those of so long are afforded at once. Who was held off comes back within
// a second: what was too much is remembered as long.
constexpr TimeNs kRefusalsNs = 5 * kMillisecond;
constexpr TimeNs kRememberedNs = kSecond;

// So that what is under way shrinks to what turns of kLongTurnNs can do. One at least: where
// nothing ends, a thousand streams that are cheap may be coming.
std::uint32_t fewer(std::uint32_t ended, TimeNs took_ns) {
  const TimeNs share = ended * AdmissionQueue::kLongTurnNs / took_ns;
  return static_cast<std::uint32_t>(std::max<TimeNs>(share, 1));
}

}  // namespace

AdmissionQueue::Verdict AdmissionQueue::enter(Ticket& ticket, TimeNs now_ns) {
  ++came_;
  if (first_ == nullptr && (starts_left_ > 0 || rules_.most_wait_ns <= 0)) {
    if (starts_left_ > 0) --starts_left_;
    ++taken_;
    return ticket.verdict = Verdict::taken;
  }
  if (stands_ && waiting_ >= room_) return ticket.verdict = Verdict::refused;
  ticket.since_ns = now_ns;
  if (first_ == nullptr) empty_ns_ = now_ns;
  (first_ == nullptr ? first_ : last_->next) = &ticket;
  last_ = &ticket;
  ++waiting_;
  return Verdict::waits;
}

AdmissionQueue::Ticket* AdmissionQueue::pop(Verdict verdict) {
  Ticket* const ticket = first_;
  first_ = ticket->next;
  ticket->next = nullptr;
  ticket->verdict = verdict;
  --waiting_;
  return ticket;
}

AdmissionQueue::Ticket* AdmissionQueue::decide(TimeNs now_ns, const TurnLoad& load) {
  // New requests alone are no reason to begin none: a crowd of them would stop the shard.
  const bool under_way = came_ < load.completions / 2;
  const bool behind = load.full && under_way;
  const bool enough = load.took_ns > kLongTurnNs && under_way;
  const std::uint32_t ended = std::min(std::exchange(ended_, 0), rules_.starts_a_turn);
  came_ = 0;
  const bool holds_back = behind || enough;
  if (held_back_ && !holds_back) starts_left_ = rules_.starts_a_turn;
  std::uint32_t starts = behind ? 0 : enough ? fewer(ended, load.took_ns) : starts_left_;
  held_back_ = holds_back;
  starts_left_ = holds_back ? 0 : rules_.starts_a_turn;

  Ticket* decided = nullptr;
  Ticket** end = &decided;
  while (first_ != nullptr) {
    const bool late = now_ns - first_->since_ns > rules_.most_wait_ns;
    if (late) {
      *end = pop(Verdict::refused);
    } else if (starts > 0) {
      --starts;
      ++taken_;
      *end = pop(Verdict::taken);
    } else {
      break;
    }
    end = &(*end)->next;
  }
  note_time(now_ns);
  return decided;
}

bool AdmissionQueue::affords_refusal(TimeNs now_ns) {
  if (rules_.cheap_refusals_a_second == 0) return false;
  const TimeNs each_ns = kSecond / rules_.cheap_refusals_a_second;
  const TimeNs from_ns =
      std::clamp(afforded_until_ns_, now_ns - kRefusalsNs, now_ns + kRememberedNs);
  afforded_until_ns_ = from_ns + each_ns;
  return afforded_until_ns_ <= now_ns;
}

// How many are begun in kWaitNs shows only while there are always some that could be.
void AdmissionQueue::note_time(TimeNs now_ns) {
  const TimeNs counted_ns = now_ns - counted_from_ns_;
  if (first_ != nullptr && counted_ns >= kWaitNs) {
    const auto in_time = static_cast<std::uint32_t>(taken_ * kWaitNs / counted_ns);
    room_ = std::max(in_time, kLeastRoom);
  }
  if (first_ == nullptr || counted_ns >= kWaitNs) {
    taken_ = 0;
    counted_from_ns_ = now_ns;
  }
  if (first_ != nullptr && now_ns - empty_ns_ > rules_.most_wait_ns) stood_ns_ = now_ns;
  stands_ = now_ns - stood_ns_ <= kCalmNs;
}

}  // namespace sluice::relay
