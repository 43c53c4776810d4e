// Which way a request takes, and which one after that: the candidates of its plan in order, the
// keys of each, what the health board says of them, and how much may be tried again (design §12).
#pragma once

#include <memory>
#include <optional>

#include "plan.hpp"
#include "sluice/policy/breaker.hpp"
#include "sluice/relay/services.hpp"
#include "sluice/ring/frame_pool.hpp"
#include "sluice/state/records.hpp"

namespace sluice::relay {

/// One way to a provider. Views into the snapshot.
struct Way {
  const state::CandidateEntry& candidate;
  const state::ChannelEntry& channel;
  std::uint32_t channel_key_id = 0;  ///< 0 = the channel needs none
  std::string_view provider_key;
};

/// How an attempt failed.
struct AttemptEnd {
  policy::Fault fault = policy::Fault::broke;
  bool sent = false;      ///< a byte of the request may have reached the provider
  bool answered = false;  ///< with an error: nothing was generated
  std::uint16_t status = 0;
  TimeNs retry_after_ns = 0;  ///< that the provider asked for
};

/// Lifecycle: next() and then, before the next one, exactly one of succeeded(), failed() and
/// abandoned(). Owner: one exchange; plan and snapshot outlive it.
class Failover {
 public:
  static constexpr std::uint32_t kMaxAttempts = state::kFailedAttempts;

  Failover(Services& services, const Snapshot& snapshot, const Plan& plan)
      : services_(services), snapshot_(snapshot), plan_(plan) {}

  /// The way to try now. Nothing when all have been.
  [[nodiscard]] std::optional<Way> next();
  /// No other way is left behind the present one, and none will be tried: what only another one
  /// would need can go.
  [[nodiscard]] bool is_last();
  /// … on another channel or by another model of the group: what is left when this one breaks.
  [[nodiscard]] bool more_than_keys() const;
  /// The last failure of all candidates allows that another model of the group is tried.
  [[nodiscard]] bool may_leave_model() const { return may_leave_model_; }

  /// The provider serves it. `first_token_ns`: from the request's last byte, 0 = not measured.
  void succeeded(TimeNs first_token_ns);
  /// True when another way may be tried: there is one, and what was sent allows it.
  [[nodiscard]] bool failed(const AttemptEnd& end);
  /// It ended for a reason that says nothing of the provider.
  void abandoned();
  /// An answer that had begun has ended, by a fault of the provider or without; `whole`: as it
  /// should.
  void ended(policy::Fault fault, bool whole);

  /// Attempts that were made, the present one included.
  [[nodiscard]] std::uint32_t attempts() const { return attempts_; }
  /// Of the present attempt.
  [[nodiscard]] policy::RouteReason reason() const;
  [[nodiscard]] const state::ChannelEntry* channel() const { return channel_; }
  [[nodiscard]] std::uint32_t channel_key_id() const { return channel_key_id_; }
  /// Those that failed, in order.
  [[nodiscard]] state::FailedAttempts failures() const {
    return failures_ ? failures_->attempts : state::FailedAttempts{};
  }

 private:
  [[nodiscard]] policy::ChoiceInput choice_input() const;
  [[nodiscard]] std::optional<Way> try_candidate(bool last_way);
  [[nodiscard]] bool take_channel(bool last_way);
  [[nodiscard]] bool other_key_is_left() const;
  [[nodiscard]] bool other_channel_is_left() const;
  [[nodiscard]] bool may_send_again(const AttemptEnd& end);
  void next_candidate();
  void note_attempt(const AttemptEnd& end);
  void note_fault(policy::Fault fault, TimeNs retry_after_ns);

  Services& services_;
  const Snapshot& snapshot_;
  const Plan& plan_;
  const state::ChannelEntry* channel_ = nullptr;  ///< of the present attempt
  state::HealthEntry* channel_health_ = nullptr;
  state::HealthEntry* key_health_ = nullptr;
  std::uint64_t keys_tried_ = 0;  ///< of the candidate at at_: bit i = key i
  std::uint32_t channel_key_id_ = 0;
  std::uint32_t at_ = 0;  ///< candidate
  std::uint32_t attempts_ = 0;
  bool on_channel_ = false;  ///< the candidate at at_ was taken
  bool succeeded_ = false;   ///< the present attempt was said to be served
  bool may_leave_model_ = false;
  bool last_ = false;  ///< is_last() has said so
  TimeNs began_ns_ = 0;
  struct Failures : ring::Pooled {
    state::FailedAttempts attempts{};
  };
  std::unique_ptr<Failures> failures_;  ///< none while nothing has failed
};

}  // namespace sluice::relay
