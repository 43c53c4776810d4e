// One request from its head to its bill: admit() and serve() read as design §4: authenticate, read,
// plan, reserve; attempt, relay, settle.
#pragma once

#include <memory>
#include <optional>

#include "attempt.hpp"
#include "delivery.hpp"
#include "down_pump.hpp"
#include "error_answer.hpp"
#include "failover.hpp"
#include "plan.hpp"
#include "read_on.hpp"
#include "refusal.hpp"
#include "sluice/relay/connection.hpp"
#include "usage_record.hpp"

namespace sluice::relay {

class Exchange {
 public:
  /// All outlive it.
  Exchange(Services& services, Client& client, RequestHeadFacts& head);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  /// Everything up to the reservation. False: it has been answered (a refusal, a list of models),
  /// or the client has gone.
  [[nodiscard]] ring::Task<bool> admit();
  /// The provider's answer and the bill. Once, after admit() said true.
  [[nodiscard]] ring::Task<> serve();
  /// The gateway ends it now: what was delivered is charged, the client gets an error.
  void end();
  /// What the client is told when no provider delivers.
  struct Failure {
    dialect::ErrorKind kind;
    const char* message;
  };
  /// The client's connection may carry another request.
  [[nodiscard]] bool reusable() const { return reusable_ && !client_left_; }
  /// It was refused because there are too many.
  [[nodiscard]] bool shed() const { return shed_; }

 private:
  /// How one candidate ended.
  enum class Verdict : std::uint8_t { answered, try_next, failed, client_left };
  struct Ending {
    price::End money;
    dialect::ErrorKind kind;
    std::string_view
        message;  ///< for the client's error event; empty = it got a whole answer or is gone
  };

  [[nodiscard]] ring::Task<> refuse_shed();
  [[nodiscard]] std::optional<Refusal> authenticate();
  [[nodiscard]] std::optional<Refusal> refusal_before_body();
  void take_body(Body body);
  [[nodiscard]] std::optional<Refusal> redact_body();
  [[nodiscard]] ring::Task<> refuse(Refusal refusal);
  [[nodiscard]] ring::Task<> answer_models();
  [[nodiscard]] ring::Task<> answer_account();
  [[nodiscard]] ring::Task<std::optional<Refusal>> reserve();
  [[nodiscard]] ring::Task<std::optional<Refusal>> take_request();
  [[nodiscard]] Refusal refusal_of_reserve(const state::Outcome& outcome);
  [[nodiscard]] Timeouts timeouts_to(const state::ChannelEntry& channel) const;
  [[nodiscard]] Result<UpstreamTarget> prepare_attempt(const Way& way);
  [[nodiscard]] ring::Task<Result<ResponseFacts>> open(const Way& way);
  [[nodiscard]] ring::Task<Verdict> relay(ResponseFacts& response);
  [[nodiscard]] ring::Task<Verdict> relay_error(const ResponseFacts& response);
  [[nodiscard]] ring::Task<bool> next_model();
  [[nodiscard]] ring::Task<> answer_failure();
  [[nodiscard]] PumpContext pump_context(ResponseFacts& response, bool may_retry);
  [[nodiscard]] Ending describe(PumpEnd end, const Meter& meter);
  [[nodiscard]] ring::Task<> close_hold(price::End end, const Meter* meter, Tokens counted);
  [[nodiscard]] Verdict after_break(const Error& error);
  [[nodiscard]] ring::Task<Verdict> answer_refused(const Meter& meter);
  [[nodiscard]] dialect::ErrorTable error_table() const;
  [[nodiscard]] Hold* hold() { return hold_ ? &*hold_ : nullptr; }
  static void on_client_end(void* context, const Error& end);
  static void on_read_enough(void* context);
  void release_body();
  void release_sent();
  [[nodiscard]] bool may_retry_sent() const;
  [[nodiscard]] bool may_send_anew(const Error& error) const;
  void note_refused(const Refusal& refusal);

  Services& services_;
  Client& client_;
  Request request_;
  std::shared_ptr<const Snapshot> snapshot_;
  state::KeyRecord key_;
  std::unique_ptr<Plan> plan_;
  std::optional<Hold> hold_;
  Delivery delivery_;
  std::optional<Failover> failover_;
  std::optional<Attempt> attempt_;
  std::unique_ptr<ReadOn> read_on_;  ///< once the client has left: policy drain
  std::optional<Failure> failure_;   ///< what to answer when no candidate delivers
  bool client_left_ = false;
  bool ended_ = false;  ///< by end()
  bool shed_ = false;
  bool reusable_ = false;
  bool upstream_reusable_ = false;
  ExchangeFacts facts_;
};

}  // namespace sluice::relay
