// One meter for both kinds of answers, streamed and whole, with what the relay asks of either.
#pragma once

#include <variant>

#include "sluice/dialect/stream_meter.hpp"
#include "sluice/price/cost.hpp"

namespace sluice::relay {

class Meter {
 public:
  struct Kind {
    dialect::Operation operation;
    dialect::Framing framing;
    dialect::Quirks quirks;
    bool withhold_usage;
  };
  explicit Meter(const Kind& kind);

  /// Takes payload bytes; see StreamMeter::feed. A whole answer passes all.
  dialect::Fed feed(std::string_view payload);

  [[nodiscard]] dialect::Usage usage() const;
  [[nodiscard]] Tokens counted_output() const;
  /// The answer is complete by its own format.
  [[nodiscard]] bool ended() const;
  [[nodiscard]] bool failed() const;
  [[nodiscard]] const dialect::UpstreamError& error() const;
  [[nodiscard]] bool at_boundary() const;
  [[nodiscard]] bool streamed() const {
    return std::holds_alternative<dialect::StreamMeter>(meter_);
  }

 private:
  std::variant<dialect::StreamMeter, dialect::BodyMeter> meter_;
};

/// Usage as the price module counts it.
[[nodiscard]] price::TokenCounts to_counts(const dialect::Usage& usage);

}  // namespace sluice::relay
