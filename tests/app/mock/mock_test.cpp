#include <gtest/gtest.h>
#include <simdjson.h>

#include <set>
#include <string>
#include <vector>

#include "behaviour.hpp"
#include "http_request.hpp"
#include "request_facts.hpp"
#include "script.hpp"
#include "timer_wheel.hpp"

namespace sluice::mock {
namespace {

TEST(Behaviour, ReadsOptionsAfterTheWordMock) {
  const Behaviour b =
      behaviour_of("claude-mock-l5-c100-g20-s200-cut7-in123-out45-nousage", Behaviour{});
  EXPECT_EQ(b.latency_ns, 5'000'000);
  EXPECT_EQ(b.chunks, 100);
  EXPECT_EQ(b.gap_ns, 20'000'000);
  EXPECT_EQ(b.chunk_bytes, 200);
  EXPECT_EQ(b.cut_after, 7);
  EXPECT_EQ(b.input, 123);
  EXPECT_EQ(b.output, 45);
  EXPECT_EQ(b.usage, UsageMode::none);
}

TEST(Behaviour, IgnoresWordsBeforeMockAndUnknownOnes) {
  const Behaviour b = behaviour_of("c3-e500-mock-fast-x9-e42-c", Behaviour{});
  EXPECT_EQ(b.chunks, Behaviour{}.chunks);
  EXPECT_EQ(b.status, 200);
}

TEST(HttpRequest, IsTheSameCutAtAnyByte) {
  const std::string text =
      "POST /v1/messages?beta=true HTTP/1.1\r\nHost: a\r\nX-Api-Key: k1\r\ncontent-length: "
      "4\r\n\r\nbody";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    HttpRequest request;
    std::string store;
    EXPECT_EQ(read_request(std::string_view(text).substr(0, cut), request, store).kind,
              ReadProgress::Kind::need_more)
        << cut;
  }
  const std::string more = text + "GET";
  HttpRequest request;
  std::string store;
  const ReadProgress progress = read_request(more, request, store);
  ASSERT_EQ(progress.kind, ReadProgress::Kind::complete);
  EXPECT_EQ(progress.consumed, text.size());
  EXPECT_EQ(request.target, "/v1/messages?beta=true");
  EXPECT_EQ(request.api_key, "k1");
  EXPECT_EQ(request.body, "body");
}

TEST(HttpRequest, DecodesChunkedBodies) {
  const std::string text =
      "POST / HTTP/1.1\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\n\r\n";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    HttpRequest request;
    std::string store;
    EXPECT_EQ(read_request(std::string_view(text).substr(0, cut), request, store).kind,
              ReadProgress::Kind::need_more);
  }
  HttpRequest request;
  std::string store;
  ASSERT_EQ(read_request(text, request, store).kind, ReadProgress::Kind::complete);
  EXPECT_EQ(request.body, "abc0123456789");
}

TEST(HttpRequest, RefusesWhatItDoesNotUnderstand) {
  for (const char* text :
       {"POST / HTTP/2\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "nonsense\r\n\r\n"}) {
    HttpRequest request;
    std::string store;
    EXPECT_EQ(read_request(text, request, store).kind, ReadProgress::Kind::bad) << text;
  }
}

RequestFacts facts(std::string_view target, std::string_view body) {
  HttpRequest request;
  request.method = "POST";
  request.target = target;
  request.body = body;
  return facts_of(request);
}

TEST(RequestFacts, CountsStringsButNotTheModel) {
  const auto one = facts("/v1/chat/completions",
                         R"({"model":"mock","messages":[{"role":"user","content":"12345678"}]})");
  EXPECT_EQ(one.input_tokens, 3);  // "user" and eight bytes
  const auto renamed =
      facts("/v1/chat/completions",
            R"({ "model" : "mock-long-name", "messages":[{"role":"user","content":"12345678"}],)"
            R"("stream_options":{"include_usage":true},"stream":true})");
  EXPECT_EQ(renamed.input_tokens, 3);
  EXPECT_TRUE(renamed.stream);
  EXPECT_TRUE(renamed.include_usage);
  EXPECT_EQ(renamed.model, "mock-long-name");
}

TEST(RequestFacts, TakesTheTopLevelModelOnly) {
  const auto found =
      facts("/v1/chat/completions", R"({"metadata":{"model":"no","stream":true},"model":"yes"})");
  EXPECT_EQ(found.model, "yes");
  EXPECT_FALSE(found.stream);
}

TEST(RequestFacts, RefusesBrokenJson) {
  for (const char* body : {"", "{", R"({"model":"m")", R"({"model":"m"}x)", R"({"model" "m"})",
                           R"({"model":"m\"})", R"({"a":tru})", R"({"a":[1,]})", R"(["m"])"}) {
    EXPECT_FALSE(facts("/v1/chat/completions", body).valid_json) << body;
  }
}

TEST(RequestFacts, ReadsGeminiPaths) {
  const auto plain = facts("/v1beta/models/mock-c2:generateContent", "{}");
  EXPECT_EQ(plain.call, Call::gemini_generate);
  EXPECT_EQ(plain.model, "mock-c2");
  const auto sse = facts("/v1/models/mock%3AstreamGenerateContent?alt=sse", "{}");
  EXPECT_EQ(sse.call, Call::gemini_stream_sse);
  EXPECT_EQ(sse.model, "mock");
  EXPECT_TRUE(sse.stream);
  EXPECT_EQ(facts("/v1/models/mock:streamGenerateContent", "{}").call, Call::gemini_stream_array);
}

TEST(Script, EventsHaveTheWantedSize) {
  for (const Call call : {Call::chat, Call::messages, Call::responses, Call::gemini_stream_sse}) {
    Behaviour behaviour;
    behaviour.chunk_bytes = 400;
    const Script script = make_script(call, true, "mock", behaviour);
    // 190 is 400 in hexadecimal: the size line of the HTTP chunk states the event's bytes.
    EXPECT_EQ(script.chunk.bytes.substr(0, 5), "190\r\n") << to_string(call);
    EXPECT_EQ(script.chunk.bytes.size(), 5 + 400 + 2u);
  }
}

TEST(Script, StampsAndNumbersChunks) {
  Behaviour behaviour;
  behaviour.stamps = true;
  const Script script = make_script(Call::chat, false, "mock", behaviour);
  Answer answer{.id = 0xabc, .usage = {}, .chunks_sent = 12};
  std::string out;
  append_chunk(out, script, answer, 987654321);
  EXPECT_NE(out.find("@00000000000987654321#00000012"), std::string::npos) << out;
  EXPECT_NE(out.find("chatcmpl-0000000000000abc"), std::string::npos);
}

TEST(Script, FalseUsageIsFalseAsAsked) {
  const auto usage = [](std::string_view model) {
    return claimed_usage(make_script(Call::chat, false, model, behaviour_of(model, Behaviour{})),
                         10, 8);
  };
  EXPECT_EQ(usage("mock").input, 10);
  EXPECT_EQ(usage("mock").output, 8);
  EXPECT_EQ(usage("mock-t3-tool-think5").output, 8 * 3 + 10 + 5);
  EXPECT_EQ(usage("mock-cache4-cwrite3").input, 3);
  EXPECT_EQ(usage("mock-negusage").output, -9);
  EXPECT_EQ(usage("mock-in123-out45").input, 123);
  EXPECT_EQ(usage("mock-in123-out45").output, 45);
}

TEST(TimerWheel, FiresEachTimerOnceAndNotBeforeItsTime) {
  constexpr std::int64_t kStart = 5'000'000'123;
  TimerWheel wheel(kStart);
  std::vector<Timer> timers(300);
  for (std::size_t i = 0; i < timers.size(); ++i) {
    wheel.set(timers[i],
              kStart + static_cast<std::int64_t>(i) * 17'000'003);  // up to 5 s: several turns
  }
  wheel.cancel(timers[7]);
  std::set<const Timer*> fired;
  for (std::int64_t now = kStart; now < kStart + 6'000'000'000; now += 1'000'003) {
    wheel.advance(now, [&](Timer& timer) {
      EXPECT_LE(timer.due_ns, now);
      EXPECT_GT(timer.due_ns, now - 2 * 1'000'003);
      EXPECT_TRUE(fired.insert(&timer).second);
    });
  }
  EXPECT_EQ(fired.size(), timers.size() - 1);
  EXPECT_EQ(wheel.wait_ns(0), -1);
}

TEST(TimerWheel, SurvivesAPauseAndTimersSetInCallbacks) {
  TimerWheel wheel(0);
  Timer first;
  Timer second;
  wheel.set(first, 1'000'000);
  int fired = 0;
  const auto fire = [&](Timer& timer) {
    ++fired;
    if (&timer == &first) wheel.set(second, 2'000'000);
  };
  wheel.advance(20'000'000'000, fire);  // the pause is longer than a turn of the wheel
  wheel.advance(20'000'000'000, fire);
  EXPECT_EQ(fired, 2);
  EXPECT_EQ(wheel.wait_ns(20'000'000'000), -1);
}

TEST(Personality, OfTenProvidersHasWordsForEachTrouble) {
  simdjson::dom::parser parser;
  for (const std::string_view name : {"openai", "anthropic", "gemini", "xai", "mistral", "qwen",
                                      "deepseek", "kimi", "glm", "minimax"}) {
    const Personality* const own = find_personality(name);
    ASSERT_NE(own, nullptr) << name;
    const Family family = name == "anthropic" ? Family::claude
                          : name == "gemini"  ? Family::gemini
                                              : Family::openai;
    for (const Trouble trouble :
         {Trouble::key, Trouble::money, Trouble::rate, Trouble::busy, Trouble::caller}) {
      for (const bool streamed : {false, true}) {
        const Refusal* const refusal = find_refusal(own, trouble, family, streamed);
        ASSERT_NE(refusal, nullptr) << name << static_cast<int>(trouble);
        EXPECT_EQ(parser.parse(simdjson::padded_string(refusal->body)).error(), simdjson::SUCCESS)
            << refusal->body;
      }
    }
  }
  EXPECT_EQ(find_personality("nobody"), nullptr);
}

}  // namespace
}  // namespace sluice::mock
