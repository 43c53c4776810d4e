// The usage record of a request, as far as the exchange knows it; the hold adds the money.
#pragma once

#include "failover.hpp"
#include "request.hpp"
#include "sluice/state/records.hpp"

namespace sluice::relay {

/// What an exchange notes on its way. Times are monotonic, 0 = not reached.
struct ExchangeFacts {
  std::uint16_t status = 0;  ///< that the client got
  Errc error = Errc::none;
  TimeNs reserved_ns = 0;
  TimeNs connected_ns = 0;
  TimeNs first_byte_ns = 0;
  TimeNs first_token_ns = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

[[nodiscard]] state::OutboxRecord usage_record(const RequestHeadFacts& head, const Plan& plan,
                                               const Failover& failover, const ExchangeFacts& facts,
                                               const std::array<std::uint8_t, 16>& client_v6,
                                               TimeNs now_ns);

}  // namespace sluice::relay
