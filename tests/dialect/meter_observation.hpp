// What a meter says about a stream, so that two ways of feeding it can be compared.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "sluice/dialect/stream_meter.hpp"

namespace sluice::dialect {

struct Observation {
  Usage usage;
  Tokens counted = 0;
  std::uint32_t events = 0, semantic = 0, malformed = 0;
  StreamEnd end = StreamEnd::truncated;
  bool finish_reason = false;
  std::string error_type, error_code, error_message;
  std::string sent;  ///< what the client would get

  [[nodiscard]] std::string text() const {
    return std::to_string(usage.reported) + ' ' + std::to_string(usage.has_output) + ' ' +
           std::to_string(usage.doubts) + " in " + std::to_string(usage.input) + " read " +
           std::to_string(usage.cache_read) + " write " + std::to_string(usage.cache_write_short) +
           '/' + std::to_string(usage.cache_write_long) + " out " + std::to_string(usage.output) +
           " reasoning " + std::to_string(usage.reasoning) + " tools " +
           std::to_string(usage.web_searches) + '/' + std::to_string(usage.web_fetches) +
           " counted " + std::to_string(counted) + " events " + std::to_string(events) + ' ' +
           std::to_string(semantic) + ' ' + std::to_string(malformed) + " end " +
           std::to_string(static_cast<int>(end)) + ' ' + std::to_string(finish_reason) + " error " +
           error_type + '|' + error_code + '|' + error_message + "\n" + sent;
  }
};

/// Feeds `stream` cut at `cuts` (ascending) as the relay would, with the bytes it is told to hold,
/// pass and drop.
inline Observation observe(Operation operation, const StreamOptions& options,
                           std::string_view stream, const std::vector<std::size_t>& cuts = {}) {
  StreamMeter meter(operation, options);
  Observation seen;
  std::string held;
  std::uint32_t reported = 0;
  const auto feed = [&](std::string_view piece) {
    const std::string copy(piece);  // its own allocation: reading past it is found
    std::string_view rest = copy;
    do {
      const Fed fed = meter.feed(rest);
      ASSERT_EQ(fed.pass + fed.drop + fed.hold, fed.consumed);
      if (fed.held == Held::release) seen.sent += held;
      if (fed.held != Held::keep) held.clear();
      seen.sent += rest.substr(0, fed.pass);
      held += rest.substr(fed.pass + fed.drop, fed.hold);
      ASSERT_LE(held.size(), StreamMeter::kMaxHeld);
      ASSERT_EQ(fed.at_boundary, meter.at_boundary());
      reported += fed.semantic;
      ASSERT_TRUE(fed.consumed > 0 || rest.empty());
      rest.remove_prefix(fed.consumed);
    } while (!rest.empty());
  };
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    feed(stream.substr(from, cut - from));
    from = cut;
  }
  feed(stream.substr(from));
  seen.end = meter.finish();
  seen.sent += held;
  seen.usage = meter.usage();
  seen.counted = meter.counted_output();
  seen.events = meter.events();
  seen.semantic = meter.semantic_events();
  seen.malformed = meter.malformed_events();
  seen.finish_reason = meter.finish_reason_seen();
  seen.error_type = meter.error().type.view();
  seen.error_code = meter.error().code.view();
  seen.error_message = meter.error().message.view();
  if (reported == 0) EXPECT_LE(seen.semantic, 1U);  // one that only the end of the body completed
  return seen;
}

/// The observation of the whole stream, after checking that no cut changes it: at every byte, one
/// byte at a time, and at random.
inline Observation observe_all_cuts(Operation operation, const StreamOptions& options,
                                    std::string_view stream) {
  const Observation whole = observe(operation, options, stream);
  for (std::size_t i = 1; i < stream.size(); ++i) {
    const Observation cut = observe(operation, options, stream, {i});
    EXPECT_EQ(cut.text(), whole.text()) << "cut at " << i;
    if (::testing::Test::HasFailure()) return whole;
  }
  std::vector<std::size_t> each;
  for (std::size_t i = 1; i < stream.size(); ++i) each.push_back(i);
  EXPECT_EQ(observe(operation, options, stream, each).text(), whole.text()) << "one byte at a time";
  std::mt19937 random(20261122);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::size_t> cuts;
    for (std::size_t at = 1 + random() % 60; at < stream.size(); at += 1 + random() % 90)
      cuts.push_back(at);
    EXPECT_EQ(observe(operation, options, stream, cuts).text(), whole.text()) << "round " << round;
  }
  return whole;
}

inline std::string with_crlf(std::string_view stream) {
  std::string out;
  for (const char c : stream) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

inline std::string with_cr(std::string stream) {
  for (char& c : stream) {
    if (c == '\n') c = '\r';
  }
  return stream;
}

}  // namespace sluice::dialect
