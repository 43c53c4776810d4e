#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "answer_reader.hpp"
#include "histogram.hpp"

namespace sluice::load {
namespace {

const std::string kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    "28\r\ndata: @00000000000000001234#00000000 a\n\n\r\n"
    "28\r\ndata: @00000000000000005678#00000001 b\n\n\r\n"
    "6\r\n@ 1#2\n\r\n"
    "0\r\n\r\n";

TEST(AnswerReader, FindsStampsAndTheEndCutAtAnyByte) {
  for (std::size_t cut = 0; cut <= kAnswer.size(); ++cut) {
    AnswerReader reader;
    std::vector<std::pair<std::int64_t, std::uint64_t>> stamps;
    const auto on_stamp = [&](std::int64_t sent_ns, std::uint64_t number) {
      stamps.emplace_back(sent_ns, number);
    };
    reader.feed(std::string_view(kAnswer).substr(0, cut), on_stamp);
    EXPECT_EQ(reader.state() == AnswerReader::State::done, cut == kAnswer.size());
    if (cut < kAnswer.size()) reader.feed(std::string_view(kAnswer).substr(cut), on_stamp);
    EXPECT_EQ(reader.state(), AnswerReader::State::done) << cut;
    EXPECT_EQ(reader.status(), 200);
    const std::vector<std::pair<std::int64_t, std::uint64_t>> expected = {{1234, 0}, {5678, 1}};
    EXPECT_EQ(stamps, expected) << cut;
  }
}

// A gateway may end a chunk anywhere.
TEST(AnswerReader, FindsAStampThatChunksCut) {
  const std::string stamp = "@00000000000000001234#00000007";
  for (std::size_t cut = 1; cut < stamp.size(); ++cut) {
    std::array<char, 4> first{}, second{};
    std::snprintf(first.data(), first.size(), "%zx", cut);
    std::snprintf(second.data(), second.size(), "%zx", stamp.size() - cut);
    AnswerReader reader;
    std::uint64_t found = 0;
    const auto on_stamp = [&](std::int64_t sent_ns, std::uint64_t number) {
      EXPECT_EQ(sent_ns, 1234);
      found += number;
    };
    reader.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", on_stamp);
    reader.feed(std::string(first.data()) + "\r\n" + stamp.substr(0, cut) + "\r\n", on_stamp);
    reader.feed(std::string(second.data()) + "\r\n" + stamp.substr(cut) + "\r\n0\r\n\r\n",
                on_stamp);
    EXPECT_EQ(found, 7U) << cut;
    EXPECT_EQ(reader.state(), AnswerReader::State::done);
  }
}

TEST(AnswerReader, EndsByLengthOrByClosing) {
  AnswerReader reader;
  const auto ignore = [](std::int64_t, std::uint64_t) {};
  reader.feed("HTTP/1.1 429 Too Many\r\ncontent-length: 3\r\nConnection: close\r\n\r\nab", ignore);
  EXPECT_EQ(reader.state(), AnswerReader::State::body);
  EXPECT_TRUE(reader.closes());
  EXPECT_EQ(reader.feed("c", ignore), AnswerReader::State::done);
  EXPECT_EQ(reader.status(), 429);
  reader.reset();
  reader.feed("HTTP/1.1 200 OK\r\n\r\nab", ignore);
  EXPECT_TRUE(reader.until_close());
  EXPECT_EQ(reader.state(), AnswerReader::State::body);
}

TEST(AnswerReader, RefusesWhatIsNotHttp) {
  for (const char* text :
       {"SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    AnswerReader reader;
    EXPECT_EQ(reader.feed(text, [](std::int64_t, std::uint64_t) {}), AnswerReader::State::bad)
        << text;
  }
}

TEST(Histogram, PercentilesAreRightToTwoPercent) {
  Histogram histogram;
  EXPECT_EQ(histogram.percentile_us(0.5), 0);
  for (std::int64_t us = 1; us <= 10'000; ++us) histogram.add(us * 1000);
  EXPECT_NEAR(histogram.percentile_us(0.5), 5000, 100);
  EXPECT_NEAR(histogram.percentile_us(0.99), 9900, 198);
  EXPECT_EQ(histogram.percentile_us(1.0), 10'000);
  EXPECT_EQ(histogram.max_us(), 10'000);
}

}  // namespace
}  // namespace sluice::load
