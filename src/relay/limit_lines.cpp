#include "limit_lines.hpp"

#include "sluice/base/assert.hpp"
#include "sluice/dialect/rate_headers.hpp"

namespace sluice::relay {

Body limit_lines(dialect::Format format, const state::RateView& rates, TimeNs realtime_ns) {
  if (rates.requests.limit == 0 && rates.tokens.limit == 0) return {};
  const auto bucket = [](const state::RateWindow& window) {
    return dialect::RateBucket{window.limit, window.remaining, window.reset_ns};
  };
  std::array<char, dialect::kRateHeaderBytes> text;
  const std::size_t bytes = dialect::render_rate_headers(
      format, {bucket(rates.requests), bucket(rates.tokens)}, realtime_ns, text);
  if (bytes == 0) return {};
  Body lines(bytes);
  SLUICE_ASSERT(lines.append({text.data(), bytes}, bytes));
  return lines;
}

}  // namespace sluice::relay
