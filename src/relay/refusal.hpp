// Answers that the gateway gives itself: refusals in the caller's format, model lists.
#pragma once

#include <string_view>

#include "response_head.hpp"
#include "sluice/dialect/error_body.hpp"
#include "sluice/policy/key_policy.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::relay {

/// A client that is refused because there are too many may come back after so many seconds.
inline constexpr std::int64_t kShedRetryS = 1;

struct Refusal {
  dialect::ErrorKind kind = dialect::ErrorKind::internal;
  std::string_view message;
  std::string_view param;
  std::int64_t retry_after_s = -1;
  int status = 0;  ///< 0: the kind's own; else what the HTTP layer says (408, 414, 417, 431, 505)
  state::Limit limit = state::Limit::none;  ///< that refused, for the record
  std::string_view lines = {};              ///< more header lines, each ended by CRLF
};

/// Refusal for what a layer below reported about the client's message.
[[nodiscard]] Refusal refusal_of(const Error& error);

/// Whether the error of a receive says that nobody is there to be refused: the client left, in
/// order or not.
[[nodiscard]] bool has_left(const Error& error);

/// Refusal of a reservation. `text` gets a message that names what would have been affordable.
[[nodiscard]] Refusal refusal_of(const state::Outcome& outcome, std::string& text);

/// Sends the refusal; false when the connection must close then.
[[nodiscard]] ring::Task<bool> send_refusal(Services& services, net::Stream& client,
                                            const RequestHeadFacts& request, Refusal refusal,
                                            bool keep_alive);

/// Sends a whole JSON answer; false when the connection must close then.
[[nodiscard]] ring::Task<bool> send_json(Services& services, net::Stream& client,
                                         const RequestHeadFacts& request, int status,
                                         std::string_view body, std::string_view extra_lines,
                                         bool keep_alive);

}  // namespace sluice::relay
