// Answers of providers through the meter: no cut changes what is counted, withheld or sent on. The
// first byte says which operation and framing; an answer that is one JSON value goes through the
// classes of errors too.
#include "../dialect/meter_observation.hpp"
#include "fuzz.hpp"
#include "sluice/dialect/error_body.hpp"

namespace sluice::dialect {
namespace {

constexpr Operation kOperations[] = {
    Operation::openai_chat,       Operation::openai_completions, Operation::openai_responses,
    Operation::claude_messages,   Operation::gemini_generate,    Operation::gemini_stream_generate,
    Operation::openai_embeddings, Operation::claude_count_tokens};

bool is_count(Tokens tokens) { return tokens >= 0; }

void check_usage(const Usage& usage, Tokens counted, std::string_view body) {
  fuzz::check(is_count(usage.input) && is_count(usage.output) && is_count(usage.cache_read) &&
                  is_count(usage.cache_write_short) && is_count(usage.cache_write_long) &&
                  is_count(usage.reasoning) && is_count(counted),
              "no count is negative", body);
}

std::string meter_body(Operation operation, std::string_view body,
                       const std::vector<std::size_t>& cuts) {
  BodyMeter meter(operation);
  fuzz::for_pieces(body, cuts, [&](std::string_view piece) { meter.feed(piece); });
  check_usage(meter.usage(), meter.counted_output(), body);
  Observation seen;
  seen.usage = meter.usage();
  seen.counted = meter.counted_output();
  seen.error_type = meter.error().type.view();
  seen.error_code = meter.error().code.view();
  seen.error_message = meter.error().message.view();
  return seen.text() + (meter.complete() ? " complete" : "") +
         (meter.malformed() ? " malformed" : "") + (meter.failed() ? " failed" : "") +
         (meter.started() ? " started" : "");
}

}  // namespace
}  // namespace sluice::dialect

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::dialect;
  if (size == 0) return 0;
  const Operation operation = kOperations[data[0] % 8];
  const std::string_view text = fuzz::text_of(data + 1, size - 1);
  const auto ways = fuzz::ways_to_cut(text);
  if (data[0] / 8 % 4 == 3) {
    const std::string whole = meter_body(operation, text, {});
    for (const auto& cuts : ways)
      fuzz::check_same(meter_body(operation, text, cuts), whole, "no cut changes a count");
    for (const int status : {200, 400, 401, 429, 500, 529}) {
      static_cast<void>(classify_upstream_error(format_of(operation), status, text));
    }
    return 0;
  }
  StreamOptions options;
  options.framing = data[0] / 8 % 4 == 2 ? Framing::json_array : Framing::sse;
  options.withhold_usage = data[0] / 8 % 4 == 1 && operation <= Operation::openai_completions;
  const Observation whole = observe(operation, options, text);
  check_usage(whole.usage, whole.counted, text);
  if (!options.withhold_usage) fuzz::check_same(whole.sent, text, "every byte is sent on");
  for (const auto& cuts : ways) {
    fuzz::check_same(observe(operation, options, text, cuts).text(), whole.text(),
                     "no cut changes a count");
  }
  fuzz::check(!testing::Test::HasFailure(), "the contract of the meter", text);
  return 0;
}
