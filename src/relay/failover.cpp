#include "failover.hpp"

#include <algorithm>

namespace sluice::relay {

policy::ChoiceInput Failover::choice_input() const {
  return {.catalog = *snapshot_.catalog,
          .health = {snapshot_.channel_health, snapshot_.key_health},
          .opened_keys = snapshot_.provider_keys,
          .session = plan_.session,
          .random = plan_.random,
          .now_ns = services_.reactor.now_ns()};
}

policy::RouteReason Failover::reason() const {
  return attempts_ > 1 ? policy::RouteReason::failover : plan_.candidates.reason;
}

void Failover::next_candidate() {
  ++at_;
  keys_tried_ = 0;
  on_channel_ = false;
}

bool Failover::take_channel(bool last_way) {
  const state::CandidateEntry& candidate = *plan_.candidates.entries[at_];
  channel_ = &snapshot_.catalog->channel(candidate);
  channel_health_ = choice_input().health.channel(candidate.channel);
  on_channel_ = policy::take(channel_health_, services_.reactor.now_ns(), last_way);
  return on_channel_;
}

std::optional<Way> Failover::try_candidate(bool last_way) {
  if (!on_channel_ && !take_channel(last_way)) return std::nullopt;
  const state::CandidateEntry& candidate = *plan_.candidates.entries[at_];
  Way way{.candidate = candidate, .channel = *channel_, .provider_key = {}};
  key_health_ = nullptr;
  channel_key_id_ = 0;
  if (channel_->auth == state::Auth::none) {
    if (keys_tried_ != 0) return std::nullopt;
    keys_tried_ = 1;
    return way;
  }
  const policy::ChoiceInput input = choice_input();
  while (const auto key = policy::choose_key(input, *channel_, keys_tried_, last_way)) {
    keys_tried_ |= std::uint64_t{1} << *key;
    key_health_ = input.health.key(channel_->first_key + *key);
    if (!policy::take(key_health_, input.now_ns, last_way)) continue;
    channel_key_id_ = snapshot_.catalog->keys(*channel_)[*key].id;
    way.channel_key_id = channel_key_id_;
    way.provider_key = snapshot_.provider_keys[channel_->first_key + *key];
    return way;
  }
  policy::release(channel_health_, input.now_ns);
  return std::nullopt;
}

std::optional<Way> Failover::next() {
  using policy::RouteReason;
  const RouteReason first = plan_.candidates.reason;
  const bool nowhere_else =
      first == RouteReason::last_way || first == RouteReason::pinned || plan_.candidates.count == 1;
  // Others may probe what was free when the plan was made: the second time round it is taken all
  // the same, rather than nothing be tried.
  for (const bool last_way : {nowhere_else, true}) {
    for (; attempts_ < kMaxAttempts && at_ < plan_.candidates.count; next_candidate()) {
      const std::optional<Way> way = try_candidate(last_way);
      if (!way) continue;
      ++attempts_;
      succeeded_ = false;
      began_ns_ = services_.reactor.now_ns();
      return way;
    }
    if (attempts_ > 0) break;
    at_ = 0;
  }
  return std::nullopt;
}

bool Failover::other_key_is_left() const {
  return channel_->auth != state::Auth::none &&
         policy::choose_key(choice_input(), *channel_, keys_tried_, false).has_value();
}

bool Failover::other_channel_is_left() const {
  return attempts_ < kMaxAttempts && at_ + 1 < plan_.candidates.count;
}

bool Failover::more_than_keys() const { return other_channel_is_left() || plan_.more_models(); }

bool Failover::is_last() {
  // A key whose rest ends meanwhile does not change what was said.
  last_ = last_ || !(more_than_keys() || (attempts_ < kMaxAttempts && other_key_is_left()));
  return last_;
}

void Failover::ended(policy::Fault fault, bool whole) {
  if (fault != policy::Fault::none) {
    note_fault(fault, 0);
  } else if (whole && !succeeded_) {
    succeeded(0);
  } else if (!succeeded_) {
    abandoned();
  }
}

void Failover::succeeded(TimeNs first_token_ns) {
  succeeded_ = true;
  const TimeNs now_ns = services_.reactor.now_ns();
  services_.providers.health.note_success(channel_health_, now_ns, first_token_ns);
  services_.providers.health.note_success(key_health_, now_ns, 0);
}

void Failover::abandoned() {
  const TimeNs now_ns = services_.reactor.now_ns();
  policy::release(channel_health_, now_ns);
  policy::release(key_health_, now_ns);
}

void Failover::note_attempt(const AttemptEnd& end) {
  const std::uint32_t place = attempts_ - 1;
  if (place >= state::kFailedAttempts) return;
  const TimeNs lasted_ns = services_.reactor.now_ns() - began_ns_;
  if (!failures_) failures_ = std::make_unique<Failures>();
  failures_->attempts[place] = {.channel_id = channel_->id,
                      .channel_key_id = channel_key_id_,
                      .status = end.status,
                      .fault = static_cast<std::uint8_t>(end.fault),
                      .sent = end.sent ? std::uint8_t{1} : std::uint8_t{0},
                      .lasted_ms = static_cast<std::uint32_t>(lasted_ns / kMillisecond),
                      .cost = end.sent && !end.answered ? plan_.prompt_cost(*channel_) : 0};
}

// Of a fault of the key's the channel is not guilty: it answers.
void Failover::note_fault(policy::Fault fault, TimeNs retry_after_ns) {
  const TimeNs now_ns = services_.reactor.now_ns();
  bool opened = false;
  if (policy::is_of_key(fault) && channel_key_id_ != 0) {
    opened = services_.providers.health.note_fault(key_health_, fault, now_ns, retry_after_ns);
    services_.providers.health.note_success(channel_health_, now_ns, 0);
  } else {
    opened = services_.providers.health.note_fault(channel_health_, fault, now_ns, retry_after_ns);
    policy::release(key_health_, now_ns);
  }
  if (opened) services_.count(Counter::ejections);
}

bool Failover::failed(const AttemptEnd& end) {
  services_.count(Counter::upstream_failures);
  note_attempt(end);
  if (end.fault == policy::Fault::none || end.fault == policy::Fault::drill) {
    abandoned();
  } else {
    note_fault(end.fault, end.retry_after_ns);
  }
  const bool of_key = policy::is_of_key(end.fault) && channel_key_id_ != 0;
  if (last_) return false;
  const bool stays = of_key && end.answered && attempts_ < kMaxAttempts && other_key_is_left();
  if (!stays && !more_than_keys()) return false;
  if (!may_send_again(end)) return false;
  if (!stays && !other_channel_is_left()) {
    may_leave_model_ = true;
    return false;
  }
  if (!stays) next_candidate();
  return true;
}

// Never what may have been served already where the model forbids it, and no more in all than the
// budget allows.
bool Failover::may_send_again(const AttemptEnd& end) {
  if (!end.sent) return true;
  const bool safe = end.answered || (plan_.model->flags & state::kModelRetryAfterSend) != 0;
  // A key that is cooled down by its first fault cannot cause a storm.
  const bool free = end.fault == policy::Fault::key_bad || end.fault == policy::Fault::no_money;
  if (!safe || (!free && !services_.providers.retries.take(services_.reactor.now_ns())))
    return false;
  services_.count(Counter::retries);
  return true;
}

}  // namespace sluice::relay
