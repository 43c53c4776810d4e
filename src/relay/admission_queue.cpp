#include "sluice/relay/admission_queue.hpp"

#include <algorithm>
#include <utility>

namespace sluice::relay {
namespace {

// Where a request takes longer than all may wait, there is still one that waits to be next.
constexpr std::uint32_t kLeastRoom = 8;
// Refusals come together: those of so long are afforded at once.
constexpr TimeNs kRefusalsNs = 5 * kMillisecond;
// What a request takes of the turn in which it comes.
constexpr TimeNs kComingNs = 10'000;

}  // namespace

AdmissionQueue::Verdict AdmissionQueue::enter(Ticket& ticket, TimeNs now_ns) {
  ++came_;
  if (first_ == nullptr && (starts_left_ > 0 || rules_.most_wait_ns <= 0)) {
    return ticket.verdict = begin(now_ns);
  }
  if (stands_ && waiting_ >= room_) return ticket.verdict = Verdict::refused;
  ticket.since_ns = now_ns;
  if (first_ == nullptr) empty_ns_ = now_ns;
  (first_ == nullptr ? first_ : last_->next) = &ticket;
  last_ = &ticket;
  ++waiting_;
  return Verdict::waits;
}

AdmissionQueue::Verdict AdmissionQueue::begin(TimeNs now_ns) {
  if (starts_left_ > 0) --starts_left_;
  ++taken_;
  work_.note_begun();
  begun_ns_ = now_ns;
  return Verdict::taken;
}

AdmissionQueue::Ticket* AdmissionQueue::pop(Verdict verdict) {
  Ticket* const ticket = first_;
  first_ = ticket->next;
  ticket->next = nullptr;
  ticket->verdict = verdict;
  --waiting_;
  return ticket;
}

// What this turn may begin of those who wait.
void AdmissionQueue::grant(TimeNs now_ns, const TurnLoad& load) {
  const TimeNs passed_ns = now_ns - std::exchange(decided_ns_, now_ns);
  const auto came = std::exchange(came_, 0);
  work_.note_turn(std::max<TimeNs>(load.took_ns - static_cast<TimeNs>(came) * kComingNs, 0));
  // New requests alone are no reason to begin none: a crowd of them would stop the shard.
  const bool behind = load.full && came < load.completions / 2;
  const bool limited = stands_ || work_.turns_are_long();
  if (behind) {
    starts_left_ = 0;
  } else if (limited) {
    // One now and then: nothing may end for long.
    const bool none_for_long = !stands_ || now_ns - begun_ns_ >= rules_.most_wait_ns;
    const std::uint32_t least = std::max(work_.lacking(), none_for_long ? 1U : 0U);
    const std::uint32_t starts = std::max(starts_left_ + work_.replace(passed_ns), least);
    starts_left_ = std::min(starts, rules_.starts_a_turn);
  } else {
    if (held_back_) starts_left_ = rules_.starts_a_turn;
    work_.forget_ended();
  }
  held_back_ = behind || limited;
}

AdmissionQueue::Ticket* AdmissionQueue::decide(TimeNs now_ns, const TurnLoad& load) {
  // Where it is the machine that stood still, nobody has been passed over for so long.
  const TimeNs before_ns = decided_ns_;
  grant(now_ns, load);
  Ticket* decided = nullptr;
  Ticket** end = &decided;
  while (first_ != nullptr) {
    const bool late = before_ns - first_->since_ns > rules_.most_wait_ns;
    if (starts_left_ > 0) {
      *end = pop(begin(now_ns));
    } else if (late) {
      *end = pop(Verdict::refused);
    } else {
      break;
    }
    end = &(*end)->next;
  }
  if (!held_back_) starts_left_ = rules_.starts_a_turn;
  note_time(now_ns, before_ns);
  return decided;
}

TimeNs AdmissionQueue::note_refusal(TimeNs now_ns) {
  if (rules_.cheap_refusals_a_second == 0) return kLongestRestNs;
  const TimeNs each_ns = kSecond / rules_.cheap_refusals_a_second;
  const TimeNs from_ns =
      std::clamp(afforded_until_ns_, now_ns - kRefusalsNs, now_ns + kLongestRestNs);
  afforded_until_ns_ = from_ns + each_ns;
  return std::clamp<TimeNs>(afforded_until_ns_ - now_ns, 0, kLongestRestNs);
}

// How many are begun in kWaitNs shows only while there are always some that could be.
void AdmissionQueue::note_time(TimeNs now_ns, TimeNs before_ns) {
  const TimeNs counted_ns = now_ns - counted_from_ns_;
  if (first_ != nullptr && counted_ns >= kWaitNs) {
    const auto in_time = static_cast<std::uint32_t>(taken_ * kWaitNs / counted_ns);
    room_ = std::max(in_time, kLeastRoom);
  }
  if (first_ == nullptr || counted_ns >= kWaitNs) {
    taken_ = 0;
    counted_from_ns_ = now_ns;
  }
  if (first_ != nullptr && before_ns - empty_ns_ > rules_.most_wait_ns) stood_ns_ = now_ns;
  stands_ = now_ns - stood_ns_ <= kCalmNs;
}

}  // namespace sluice::relay
