// One request from its head to its bill: admit() and serve() read as design §4: authenticate, read,
// plan, reserve; attempt, relay, settle.
#pragma once

#include <memory>
#include <optional>

#include "attempt.hpp"
#include "down_pump.hpp"
#include "plan.hpp"
#include "read_on.hpp"
#include "refusal.hpp"
#include "sluice/relay/connection.hpp"

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
  /// The client's connection may carry another request.
  [[nodiscard]] bool reusable() const { return reusable_ && !client_left_; }

 private:
  /// How one candidate ended.
  enum class Verdict : std::uint8_t { answered, try_next, failed, client_left };
  struct Ending {
    price::End money;
    dialect::ErrorKind kind;
    std::string_view
        message;  ///< for the client's error event; empty = it got a whole answer or is gone
  };

  [[nodiscard]] ring::Task<> shed();
  [[nodiscard]] std::optional<Refusal> authenticate();
  [[nodiscard]] std::optional<Refusal> refusal_before_body();
  void take_body(Body body);
  [[nodiscard]] ring::Task<> refuse(Refusal refusal);
  [[nodiscard]] ring::Task<> answer_models();
  [[nodiscard]] ring::Task<std::optional<Refusal>> reserve();
  [[nodiscard]] Result<UpstreamTarget> prepare_attempt(const state::CandidateEntry& candidate,
                                                       bool last);
  [[nodiscard]] ring::Task<Result<ResponseFacts>> open(const state::CandidateEntry& candidate,
                                                       bool last);
  [[nodiscard]] ring::Task<Verdict> relay(const ResponseFacts& response, bool last);
  [[nodiscard]] ring::Task<Verdict> relay_error(const ResponseFacts& response, bool last);
  [[nodiscard]] Ending describe(PumpEnd end, const Meter& meter);
  [[nodiscard]] ring::Task<> close_hold(price::End end, const Meter* meter, Tokens counted);
  [[nodiscard]] Verdict after_break(bool last, const Error& error);
  void fill_record(state::OutboxRecord& record) const;
  [[nodiscard]] Hold* hold() { return hold_ ? &*hold_ : nullptr; }
  static void on_client_end(void* context, const Error& end);
  static void on_read_enough(void* context);
  void release_body();
  void release_sent();
  void note_refused(const Refusal& refusal);

  Services& services_;
  Client& client_;
  Request request_;
  std::shared_ptr<const Snapshot> snapshot_;
  state::KeyRecord key_;
  std::unique_ptr<Plan> plan_;
  std::optional<Hold> hold_;
  std::optional<Attempt> attempt_;
  std::unique_ptr<ReadOn> read_on_;  ///< once the client has left: policy drain
  struct Failure {
    dialect::ErrorKind kind;
    const char* message;
  };
  std::optional<Failure> failure_;  ///< what to answer when no candidate delivers
  bool client_left_ = false;
  bool ended_ = false;  ///< by end()
  bool reusable_ = false;
  bool upstream_reusable_ = false;
  struct Facts {
    std::uint32_t channel_id = 0;
    std::uint16_t attempts = 0;
    std::uint16_t status = 0;
    TimeNs reserved_ns = 0;
    TimeNs connected_ns = 0;
    TimeNs first_byte_ns = 0;
    TimeNs first_token_ns = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    Errc error = Errc::none;
  } facts_;
};

}  // namespace sluice::relay
