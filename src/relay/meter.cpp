#include "meter.hpp"

#include <algorithm>

namespace sluice::relay {
namespace {

// Made in place: a meter is too large to be moved for nothing.
std::variant<dialect::StreamMeter, dialect::BodyMeter> make_meter(const Meter::Kind& kind) {
  using Either = std::variant<dialect::StreamMeter, dialect::BodyMeter>;
  if (kind.framing == dialect::Framing::json) {
    return Either(std::in_place_type<dialect::BodyMeter>, kind.operation, kind.quirks);
  }
  return Either(
      std::in_place_type<dialect::StreamMeter>, kind.operation,
      dialect::StreamOptions{
          .quirks = kind.quirks, .framing = kind.framing, .withhold_usage = kind.withhold_usage});
}

std::uint32_t calls(Tokens count) {
  return static_cast<std::uint32_t>(std::clamp<Tokens>(count, 0, price::kMaxCalls));
}

}  // namespace

Meter::Meter(const Kind& kind) : meter_(make_meter(kind)), errors_(kind.errors) {}

dialect::Fed Meter::feed(std::string_view payload) {
  if (auto* stream = std::get_if<dialect::StreamMeter>(&meter_)) return stream->feed(payload);
  auto& body = std::get<dialect::BodyMeter>(meter_);
  body.feed(payload);
  dialect::Fed fed;
  fed.consumed = payload.size();
  fed.pass = payload.size();
  fed.semantic = body.started();
  return fed;
}

dialect::Usage Meter::usage() const {
  return std::visit([](const auto& meter) { return meter.usage(); }, meter_);
}

Tokens Meter::counted_output() const {
  return std::visit([](const auto& meter) { return meter.counted_output(); }, meter_);
}

bool Meter::ended() const {
  if (const auto* stream = std::get_if<dialect::StreamMeter>(&meter_)) return stream->ended();
  return std::get<dialect::BodyMeter>(meter_).complete();
}

bool Meter::failed() const {
  return std::visit([](const auto& meter) { return meter.failed(); }, meter_);
}

dialect::ErrorClass Meter::error_class(dialect::Format format) const {
  constexpr int kOk = 200;
  const dialect::UpstreamError& error =
      std::visit([](const auto& meter) -> const auto& { return meter.error(); }, meter_);
  return error.classify(format, kOk, errors_);
}

std::string_view Meter::error_message() const {
  return std::visit([](const auto& meter) { return meter.error().message.view(); }, meter_);
}

policy::Fault Meter::fault(dialect::Format format) const {
  constexpr int kNoClass = 500;  // an error that nobody knows is the provider's
  return policy::fault_of(error_class(format), kNoClass);
}

bool Meter::at_boundary() const {
  const auto* stream = std::get_if<dialect::StreamMeter>(&meter_);
  return stream != nullptr && stream->at_boundary();
}

price::TokenCounts to_counts(const dialect::Usage& usage) {
  price::TokenCounts counts;
  counts.input = usage.input;
  counts.cache_read = usage.cache_read;
  counts.cache_write_short = usage.cache_write_short;
  counts.cache_write_long = usage.cache_write_long;
  counts.output = usage.output;
  counts.reasoning = usage.reasoning;
  counts.calls[static_cast<std::size_t>(price::Fee::web_search)] = calls(usage.web_searches);
  return counts;
}

}  // namespace sluice::relay
