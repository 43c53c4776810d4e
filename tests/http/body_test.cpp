#include "sluice/http/body.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::http {
namespace {

struct Decoded {
  std::string payload;
  std::string rest;
  std::string error;
  int steps = 0;
  bool done = false;
};

Decoded decode(BodyDecoder decoder, const std::string& text, std::size_t piece = SIZE_MAX) {
  Decoded result;
  std::size_t at = 0;
  while (at < text.size() && !decoder.done()) {
    const auto given = std::span<const char>(text).subspan(at, std::min(piece, text.size() - at));
    const auto step = decoder.next(given);
    ++result.steps;
    if (!step) {
      result.error = to_string(step.error().code);
      const auto again = decoder.next(given);
      EXPECT_TRUE(!again && again.error() == step.error());  // broken stays broken
      return result;
    }
    EXPECT_GT(step->consumed_bytes, 0U);
    EXPECT_LE(step->consumed_bytes, given.size());
    if (!step->payload.empty()) {
      EXPECT_GE(step->payload.data(), given.data());
      EXPECT_LE(step->payload.data() + step->payload.size(), given.data() + step->consumed_bytes);
    }
    result.payload.append(step->payload.data(), step->payload.size());
    at += step->consumed_bytes;
    EXPECT_EQ(step->done, decoder.done());
  }
  result.done = decoder.done();
  result.rest = text.substr(at);
  return result;
}

BodyDecoder chunked(std::uint64_t limit = UINT64_MAX) {
  return {Framing::chunked, 0, limit, Source::client};
}

TEST(BodyDecoder, EndsByLength) {
  const Decoded result = decode({Framing::length, 5, 100, Source::client}, "hello world");
  EXPECT_EQ(result.payload, "hello");
  EXPECT_EQ(result.rest, " world");
  EXPECT_TRUE(result.done);
}

TEST(BodyDecoder, IsDoneAtOnceWithoutABody) {
  EXPECT_TRUE(BodyDecoder().done());
  EXPECT_TRUE(BodyDecoder(Framing::none, 0, 100, Source::client).done());
  EXPECT_TRUE(BodyDecoder(Framing::length, 0, 100, Source::client).done());
}

TEST(BodyDecoder, PointsIntoTheBytesItWasGiven) {
  const std::string text = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nnext";
  BodyDecoder decoder = chunked();
  const auto first = decoder.next(text);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->payload.data(), text.data() + 3);
  EXPECT_EQ(first->payload.size(), 5U);
  EXPECT_EQ(first->consumed_bytes, 13U);  // up to the next payload
  const auto second = decoder.next(std::span<const char>(text).subspan(13));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->payload.data(), text.data() + 13);
  EXPECT_TRUE(second->done);  // in the same step: the last chunk lay behind it
  EXPECT_EQ(13 + second->consumed_bytes, text.size() - 4);
}

TEST(BodyDecoder, DropsExtensionsAndTrailers) {
  const std::string text =
      "5;a;b=c;d=\"e;\\\"\\\\ f\"\r\nhello\r\n0;z\r\nContent-Length: 50\r\nX:\r\nY: \xff\t "
      "z\r\n\r\nGET";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, SIZE_MAX}) {
    const Decoded result = decode(chunked(), text, piece);
    EXPECT_EQ(result.payload, "hello") << result.error;
    EXPECT_EQ(result.rest, "GET");
    EXPECT_TRUE(result.done);
  }
}

TEST(BodyDecoder, RefusesWhatTheGrammarDoesNotHave) {
  const std::string cases[] = {"\r\n",
                               "g\r\n",
                               " 5\r\n",
                               "5 \r\n",
                               "5\t;a\r\n",
                               "5; a\r\n",
                               "5;\r\n",
                               "5;a=\r\n",
                               "5;=a\r\n",
                               "5;a=\"\r\n",
                               "5;a=\"b\"c\r\n",
                               "5;a=\"\\\r\"\r\n",
                               "5;a b\r\n",
                               "5,a\r\n",
                               "-5\r\n",
                               "5\n",
                               "5\r\r",
                               "5;a\n",
                               "1\r\nab\r\n",
                               "1\r\na\n",
                               "1\r\na\r\r",
                               "1\r\na0\r\n",
                               "0\r\n\n",
                               "0\r\n\r\r",
                               "0\r\n a: b\r\n",
                               "0\r\n: b\r\n",
                               "0\r\na\r\n",
                               "0\r\na b: c\r\n",
                               "0\r\na: b\n",
                               "0\r\na: \x01\r\n",
                               "0\r\na: b\r\n c\r\n\r\n",
                               "100000000\r\n",
                               "00000000000000005\r\n"};
  for (const std::string& text : cases) {
    EXPECT_EQ(decode(chunked(), text).error, "bad_framing") << text;
    EXPECT_EQ(decode(chunked(), text, 1).error, "bad_framing") << text;
  }
}

TEST(BodyDecoder, KeepsTheLimitOfTheDecodedBody) {
  EXPECT_TRUE(decode(chunked(10), "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n").done);
  const Decoded over = decode(chunked(9), "5\r\nhello\r\n5\r\n");
  EXPECT_EQ(over.error, "too_large");
  EXPECT_EQ(decode(chunked(9), "FFFFFFFF\r\n").error, "too_large");
  EXPECT_EQ(decode({Framing::length, 11, 10, Source::client}, "x").error, "too_large");
  EXPECT_EQ(decode({Framing::until_close, 0, 4, Source::upstream}, "hello").error, "too_large");
  EXPECT_EQ(decode({Framing::until_close, 0, 5, Source::upstream}, "hello").payload, "hello");
}

TEST(BodyDecoder, BoundsExtensionsOfOneChunkAndOfAll) {
  const auto extended = [](std::size_t bytes, int chunks) {
    std::string text;
    for (int i = 0; i < chunks; ++i) text += "1;" + std::string(bytes, 'a') + "\r\nx\r\n";
    return text + "0\r\n\r\n";
  };
  EXPECT_TRUE(decode(chunked(), extended(1000, 1)).done);
  EXPECT_EQ(decode(chunked(), extended(1100, 1)).error, "bad_framing");
  EXPECT_TRUE(decode(chunked(), extended(1000, 16)).done);
  EXPECT_EQ(decode(chunked(), extended(1000, 18)).error, "bad_framing");
  EXPECT_TRUE(decode(chunked(), extended(8, 100'000)).done);  // what small chunks need is free
}

TEST(BodyDecoder, BoundsTrailers) {
  const auto trailers = [](int lines, std::size_t bytes) {
    std::string text = "0\r\n";
    for (int i = 0; i < lines; ++i) text += "a: " + std::string(bytes, 'b') + "\r\n";
    return text + "\r\n";
  };
  EXPECT_TRUE(decode(chunked(), trailers(64, 8)).done);
  EXPECT_EQ(decode(chunked(), trailers(65, 8)).error, "bad_framing");
  EXPECT_EQ(decode(chunked(), trailers(9, 1000)).error, "bad_framing");
}

TEST(BodyDecoder, TakesOneStepAChunkInAFloodOfTinyOnes) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "1\r\nx\r\n";
  const Decoded result = decode(chunked(), text + "0\r\n\r\n");
  EXPECT_EQ(result.payload.size(), 100'000U);
  EXPECT_TRUE(result.done);
  EXPECT_LE(result.steps, 100'001);
}

TEST(BodyDecoder, RemembersWhoSentIt) {
  BodyDecoder decoder(Framing::chunked, 0, 10, Source::upstream);
  const auto step = decoder.next(std::span<const char>("x", 1));
  ASSERT_FALSE(step.has_value());
  EXPECT_EQ(step.error().source, Source::upstream);
}

}  // namespace
}  // namespace sluice::http
