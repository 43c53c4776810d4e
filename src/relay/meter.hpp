// One meter for both kinds of answers, streamed and whole, with what the relay asks of either.
#pragma once

#include <variant>

#include "sluice/dialect/stream_meter.hpp"
#include "sluice/policy/breaker.hpp"
#include "sluice/price/cost.hpp"

namespace sluice::relay {

class Meter {
 public:
  struct Kind {
    dialect::Operation operation;
    dialect::Framing framing;
    dialect::Quirks quirks;
    bool withhold_usage;
    dialect::ErrorTable errors = {};  ///< what the provider's own codes mean
  };
  explicit Meter(const Kind& kind);

  /// Takes payload bytes; see StreamMeter::feed. A whole answer passes all.
  dialect::Fed feed(std::string_view payload);

  [[nodiscard]] dialect::Usage usage() const;
  [[nodiscard]] Tokens counted_output() const;
  /// The answer is complete by its own format.
  [[nodiscard]] bool ended() const;
  [[nodiscard]] bool failed() const;
  /// The class of the error that the answer carries (failed()), and what it says of the provider.
  [[nodiscard]] dialect::ErrorClass error_class(dialect::Format format) const;
  [[nodiscard]] policy::Fault fault(dialect::Format format) const;
  [[nodiscard]] std::string_view error_message() const;
  [[nodiscard]] bool at_boundary() const;
  [[nodiscard]] bool streamed() const {
    return std::holds_alternative<dialect::StreamMeter>(meter_);
  }

 private:
  std::variant<dialect::StreamMeter, dialect::BodyMeter> meter_;
  dialect::ErrorTable errors_;
};

/// Usage as the price module counts it.
[[nodiscard]] price::TokenCounts to_counts(const dialect::Usage& usage);

}  // namespace sluice::relay
