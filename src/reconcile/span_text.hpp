// Usage records as OpenTelemetry spans, in OTLP's JSON. Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "record_line.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::reconcile {

/// A drained row with its names, copied: it outlives the drain.
struct SpanFacts {
  state::OutboxRecord record;
  std::string model;
  std::string channel;
  std::string provider;
  std::string key;
  std::string customer;
};

/// The name that the GenAI conventions have for a provider of the files in conf/providers, whatever
/// its region and format; any other name as it is.
[[nodiscard]] std::string_view provider_name(std::string_view provider);

/// The body of one POST to /v1/traces: a span a row. The trace is the request's id, so that what a
/// client sees in x-request-id finds its span.
[[nodiscard]] std::string spans_json(std::span<const SpanFacts> spans, std::uint32_t node);

}  // namespace sluice::reconcile
