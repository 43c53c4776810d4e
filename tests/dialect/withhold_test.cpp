// Leaving the usage chunk out that the client did not ask for, and nothing else.
#include <gtest/gtest.h>

#include "meter_observation.hpp"

namespace sluice::dialect {
namespace {

constexpr StreamOptions kWithhold{.withhold_usage = true};
constexpr auto kChat = Operation::openai_chat;

const std::string kDelta =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
const std::string kUsage =
    "data: "
    "{\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_"
    "tokens\":7}}\n\n";
const std::string kDone = "data: [DONE]\n\n";

struct WithholdCase {
  std::string stream;
  std::string sent;
};

TEST(Withhold, LeavesExactlyTheUsageChunkOut) {
  const std::string azure = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
  const std::string usage_with_choice =
      "data: "
      "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3}}"
      "\n\n";
  const std::string null_usage = "data: {\"choices\":[],\"usage\":null}\n\n";
  const std::string usage_first = "data: {\"usage\":{\"prompt_tokens\":3},\"choices\":[]}\n\n";
  const std::string error =
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1},\"error\":{\"message\":\"m\"}}\n\n";
  const WithholdCase cases[] = {
      {kDelta + kUsage + kDone, kDelta + kDone},
      {kUsage, ""},
      {kUsage + kUsage + kDone, kDone},
      {kDelta + usage_first + kDone, kDelta + kDone},
      {"id: 4\nevent: x\n" + kUsage + kDone, kDone},
      {kDelta + ": comment\n\n" + kUsage + ": bye\n\n" + kDone,
       kDelta + ": comment\n\n: bye\n\n" + kDone},
      {azure + null_usage + usage_with_choice + error + kDone,
       azure + null_usage + usage_with_choice + error + kDone},
      {"\n\n\n" + kUsage + "\n\n", "\n\n\n\n\n"},
      // not complete, not JSON: not ours to judge
      {kUsage.substr(0, kUsage.size() - 1), kUsage.substr(0, kUsage.size() - 1)},
      {"data: {\"choices\":[],\"usage\":{\"a\":1}\n\n",
       "data: {\"choices\":[],\"usage\":{\"a\":1}\n\n"},
      {"data: {\"choices\":[],\"usage\":{}}\n\n", "data: {\"choices\":[],\"usage\":{}}\n\n"},
  };
  for (const WithholdCase& c : cases) {
    EXPECT_EQ(observe_all_cuts(kChat, kWithhold, c.stream).sent, c.sent) << c.stream;
    EXPECT_EQ(observe_all_cuts(kChat, kWithhold, with_crlf(c.stream)).sent, with_crlf(c.sent))
        << c.stream;
    EXPECT_EQ(observe_all_cuts(kChat, kWithhold, with_cr(c.stream)).sent, with_cr(c.sent))
        << c.stream;
    EXPECT_EQ(observe(kChat, {}, c.stream).sent, c.stream);
  }
}

TEST(Withhold, StillMetersTheChunk) {
  const Observation seen = observe_all_cuts(kChat, kWithhold, kDelta + kUsage + kUsage + kDone);
  EXPECT_EQ(seen.usage.input, 3);
  EXPECT_EQ(seen.usage.output, 4);
  EXPECT_EQ(seen.usage.doubts, 0);
  EXPECT_EQ(seen.events, 4U);
  EXPECT_EQ(seen.end, StreamEnd::clean);
}

TEST(Withhold, HoldsOnlyWhatCouldBeTheUsageChunk) {
  StreamMeter meter(kChat, kWithhold);
  Fed fed = meter.feed(kDelta + "data: {\"id\":\"c\",\"cho");
  EXPECT_EQ(fed.pass, kDelta.size());
  EXPECT_EQ(fed.hold, 20U);
  EXPECT_EQ(fed.held, Held::keep);
  fed = meter.feed("ices\":[{\"delta\":{\"content\":\"x");
  EXPECT_EQ(fed.held, Held::release);  // it has a choice: the client need not wait for its end
  EXPECT_EQ(fed.hold, 0U);
  fed = meter.feed("y\"}}]}\n\n");
  EXPECT_EQ(fed.held, Held::keep);
  EXPECT_EQ(fed.pass, 8U);
}

TEST(Withhold, ReleasesAnEventThatIsTooLong) {
  const std::string event = "data: {\"choices\":[],\"x\":\"" + std::string(10'000, 'x') +
                            "\",\"usage\":{\"prompt_tokens\":1}}\n\n";
  std::vector<std::size_t> cuts;
  for (std::size_t at = 1000; at < event.size(); at += 1000) cuts.push_back(at);
  EXPECT_EQ(observe(kChat, kWithhold, event, cuts).sent, event);
  StreamMeter meter(kChat, kWithhold);
  EXPECT_EQ(meter.feed(event.substr(0, 4096)).hold, 4096U);
  const Fed fed = meter.feed(event.substr(4096, 1));
  EXPECT_EQ(fed.held, Held::release);
  EXPECT_EQ(fed.pass, 1U);
}

TEST(Withhold, IsForChatAndCompletionsOnly) {
  for (const Operation operation : {Operation::claude_messages, Operation::openai_responses,
                                    Operation::gemini_stream_generate}) {
    EXPECT_EQ(observe(operation, kWithhold, kUsage).sent, kUsage);
  }
  EXPECT_EQ(observe(Operation::openai_completions, kWithhold, kUsage).sent, "");
}

}  // namespace
}  // namespace sluice::dialect
