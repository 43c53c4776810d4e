#include "sluice/dialect/rate_headers.hpp"

#include "json_writer.hpp"
#include "timestamp.hpp"

namespace sluice::dialect {
namespace {

// As Go prints a duration, which is what OpenAI sends: "20ms", "1.25s", "6m0s".
void duration(JsonWriter& out, TimeNs ns) {
  const std::int64_t ms = (ns + kMillisecond - 1) / kMillisecond;
  if (ms < 1000) {
    out.number(ms).raw("ms");
    return;
  }
  if (ms >= 60'000) out.number(ms / 60'000).raw("m");
  out.number(ms / 1000 % 60);
  if (std::int64_t part = ms % 1000; part != 0) {
    out.raw(part < 10 ? ".00" : part < 100 ? ".0" : ".");
    while (part % 10 == 0) part /= 10;
    out.number(part);
  }
  out.raw("s");
}

void openai(JsonWriter& out, std::string_view what, const RateBucket& bucket) {
  if (bucket.limit == 0) return;
  const auto name = [&](std::string_view which) {
    out.raw("x-ratelimit-").raw(which).raw("-").raw(what).raw(": ");
  };
  name("limit");
  out.number(static_cast<long long>(bucket.limit)).raw("\r\n");
  name("remaining");
  out.number(static_cast<long long>(bucket.remaining)).raw("\r\n");
  name("reset");
  duration(out, bucket.reset_ns);
  out.raw("\r\n");
}

void claude(JsonWriter& out, std::string_view what, const RateBucket& bucket, TimeNs realtime_ns) {
  if (bucket.limit == 0) return;
  const auto name = [&](std::string_view which) {
    out.raw("anthropic-ratelimit-").raw(what).raw("-").raw(which).raw(": ");
  };
  name("limit");
  out.number(static_cast<long long>(bucket.limit)).raw("\r\n");
  name("remaining");
  out.number(static_cast<long long>(bucket.remaining)).raw("\r\n");
  name("reset");
  out.raw(Timestamp((realtime_ns + bucket.reset_ns + kSecond - 1) / kSecond).view()).raw("\r\n");
}

}  // namespace

std::size_t render_rate_headers(Format format, const RateLimits& limits, TimeNs realtime_ns,
                                std::span<char> out) {
  JsonWriter writer(out);
  switch (format) {
    case Format::openai:
    case Format::responses:
      openai(writer, "requests", limits.requests);
      openai(writer, "tokens", limits.tokens);
      break;
    case Format::claude:
      claude(writer, "requests", limits.requests, realtime_ns);
      claude(writer, "tokens", limits.tokens, realtime_ns);
      break;
    case Format::gemini:
      break;
  }
  return writer.overflow() ? 0 : writer.size();
}

}  // namespace sluice::dialect
