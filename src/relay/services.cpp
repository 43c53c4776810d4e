#include "sluice/relay/services.hpp"

#include "scratch.hpp"

namespace sluice::relay {

BoardPlaces::BoardPlaces(std::uint32_t count) {
  free_.reserve(count);
  // The lowest places are taken first: they share cache lines and pages.
  for (std::uint32_t place = count; place-- > 0;) free_.push_back(place);
}

std::uint32_t BoardPlaces::take() {
  if (free_.empty()) return state::kNoBoardEntry;
  const std::uint32_t place = free_.back();
  free_.pop_back();
  return place;
}

void BoardPlaces::give_back(std::uint32_t place) { free_.push_back(place); }

std::shared_ptr<Scratch> make_scratch() { return std::make_shared<Scratch>(); }

const char* to_string(Counter counter) {
  switch (counter) {
    case Counter::connections:
      return "sluice_connections_total";
    case Counter::requests:
      return "sluice_requests_total";
    case Counter::refused:
      return "sluice_refused_total";
    case Counter::streams:
      return "sluice_streams_total";
    case Counter::upstream_connects:
      return "sluice_upstream_connects_total";
    case Counter::upstream_reuses:
      return "sluice_upstream_reuses_total";
    case Counter::upstream_failures:
      return "sluice_upstream_failures_total";
    case Counter::client_left:
      return "sluice_client_left_total";
    case Counter::cut:
      return "sluice_cut_total";
    case Counter::input_tokens:
      return "sluice_input_tokens_total";
    case Counter::output_tokens:
      return "sluice_output_tokens_total";
    case Counter::charged_nanos:
      return "sluice_charged_nanos_total";
    case Counter::bytes_in:
      return "sluice_received_bytes_total";
    case Counter::bytes_out:
      return "sluice_sent_bytes_total";
    case Counter::protocol_errors:
      return "sluice_protocol_errors_total";
    case Counter::crowded:
      return "sluice_crowded_connections_total";
    case Counter::shed:
      return "sluice_shed_total";
    case Counter::unknown_keys:
      return "sluice_unknown_keys_total";
    case Counter::key_checks_refused:
      return "sluice_key_checks_refused_total";
    case Counter::credentials:
      return "sluice_credentials_found_total";
    case Counter::retries:
      return "sluice_retries_total";
    case Counter::ejections:
      return "sluice_ejections_total";
    case Counter::errors_key_bad:
      return "sluice_upstream_errors_key_bad_total";
    case Counter::errors_no_money:
      return "sluice_upstream_errors_no_money_total";
    case Counter::errors_rate:
      return "sluice_upstream_errors_rate_total";
    case Counter::errors_overloaded:
      return "sluice_upstream_errors_overloaded_total";
    case Counter::errors_caller:
      return "sluice_upstream_errors_caller_total";
    case Counter::errors_unknown:
      return "sluice_upstream_errors_unknown_total";
    case Counter::upstream_stale:
      return "sluice_upstream_stale_total";
    case Counter::count_:
      break;
  }
  return "sluice_unknown_total";
}

}  // namespace sluice::relay
