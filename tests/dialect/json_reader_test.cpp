#include "json_reader.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace sluice::dialect {
namespace {

/// Writes down all that the reader says; the role of a value is the first byte of its key.
struct Recorder {
  std::string log;
  TokenClasses text;
  std::string collected;

  std::uint8_t role_of_key(std::uint8_t, Key, const JsonString& name) {
    log += "k:" + std::string(name.text) + (name.overflow ? "+" : "") + ' ';
    return name.text.empty() ? 'x' : static_cast<std::uint8_t>(name.text[0]);
  }
  std::uint8_t role_of_element(std::uint8_t) {
    log += "e ";
    return 'e';
  }
  StringMode string_mode(std::uint8_t role) const {
    return role == 'c'   ? StringMode::capture
           : role == 't' ? StringMode::count
           : role == 'l' ? StringMode::collect
                         : StringMode::skip;
  }
  TokenClasses& classes(std::uint8_t) { return text; }
  void on_text_start(const char*) {}
  void collect(std::uint8_t, std::string_view piece) { collected += piece; }
  void on_string(std::uint8_t role, const JsonString& s) {
    log += "s";
    if (role == 'c') log += ":" + std::string(s.text.substr(0, 64));
    log += s.empty ? "0 " : " ";
  }
  void on_number(std::uint8_t, const JsonNumber& n) {
    log += "n:" + std::string(n.negative ? "-" : "") + std::to_string(n.magnitude) +
           (n.fraction ? "f " : " ");
  }
  void on_literal(std::uint8_t, JsonLiteral which, std::string_view) {
    log += "l" + std::to_string(static_cast<int>(which)) + ' ';
  }
  void on_open(std::uint8_t, bool object, const char*) { log += object ? "{ " : "[ "; }
  void on_close(std::uint8_t, bool object, const char*) { log += object ? "} " : "] "; }
};

struct Outcome {
  std::string log;
  bool valid;
  std::string collected;
  std::uint32_t words, letters, cjk, emoji, other;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome(const Recorder& recorder, const JsonState& state) {
  const bool valid = state.step == JsonStep::done;
  return {valid ? recorder.log : "",         valid,
          valid ? recorder.collected : "",   valid ? recorder.text.words : 0,
          valid ? recorder.text.letters : 0, valid ? recorder.text.cjk : 0,
          valid ? recorder.text.emoji : 0,   valid ? recorder.text.other : 0};
}

Outcome read_whole(std::string_view text) {
  JsonState state;
  state.role = 'r';
  Recorder recorder;
  JsonReader<Recorder>(state, recorder, text.data()).feed(text);
  return outcome(recorder, state);
}

Outcome read_cut(std::string_view text, const std::vector<std::size_t>& cuts) {
  JsonState state;
  state.role = 'r';
  Recorder recorder;
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    const std::string piece(text.substr(from, cut - from));
    JsonReader<Recorder>(state, recorder, piece.data()).feed(piece);
    from = cut;
  }
  const std::string piece(text.substr(from));
  JsonReader<Recorder>(state, recorder, piece.data()).feed(piece);
  return outcome(recorder, state);
}

const std::string kDocument =
    R"( {"a":{"b":[1,-20,0.5,1e9,-0,18446744073709551616,[],{}]},"c":"cap\u00e9\n\"x\"","t":"text 你好 \ud83d\ude42 \ud83dxyz end",)"
    R"("l":"col\tlect","k\u0065y":true,"n":null,"f":false,"":"","c":"","cc":"0123456789012345678901234567890123456789"} )"
    "\n";

TEST(JsonReader, SaysWhatItReads) {
  const Outcome got = read_whole(R"({"a":[1,-2.5,"x",true],"c":"\u0041b","l":"q\n"})");
  EXPECT_TRUE(got.valid);
  EXPECT_EQ(got.log, "{ k:a [ e n:1 e n:-2f e s e l0 ] k:c s:Ab k:l s } ");
  EXPECT_EQ(got.collected, "q\n");
}

TEST(JsonReader, ReadsTheSameCutAtEveryByte) {
  const Outcome whole = read_whole(kDocument);
  ASSERT_TRUE(whole.valid);
  EXPECT_EQ(whole.emoji, 1U);
  for (std::size_t i = 0; i <= kDocument.size(); ++i) {
    ASSERT_EQ(read_cut(kDocument, {i}), whole) << "cut at " << i;
    for (std::size_t j = i; j <= std::min(i + 6, kDocument.size()); ++j)
      ASSERT_EQ(read_cut(kDocument, {i, j}), whole);
  }
  std::vector<std::size_t> all;
  for (std::size_t i = 1; i < kDocument.size(); ++i) all.push_back(i);
  EXPECT_EQ(read_cut(kDocument, all), whole);
}

TEST(JsonReader, JudgesMutationsTheSameHoweverTheyAreCut) {
  std::mt19937 random(7);
  for (int round = 0; round < 5'000; ++round) {
    std::string text = kDocument;
    text[random() % text.size()] = "{}[]\",:\\ut0e-.1 \n\x01\xc3"[random() % 20];
    const Outcome whole = read_whole(text);
    std::vector<std::size_t> cuts;
    for (std::size_t at = random() % 9; at < text.size(); at += 1 + random() % 40)
      cuts.push_back(at);
    ASSERT_EQ(read_cut(text, cuts), whole) << text;
  }
}

TEST(JsonReader, NumbersAreExactUpToTheLastAndSaturateBehindIt) {
  for (const char* number :
       {"18446744073709551609", "18446744073709551611", "18446744073709551615"}) {
    EXPECT_EQ(read_whole("[" + std::string(number) + "]").log,
              "[ e n:" + std::string(number) + " ] ");
  }
  for (const char* number : {"18446744073709551616", "18446744073709551625", "99999999999999999999",
                             "184467440737095516160"}) {
    EXPECT_EQ(read_whole("[" + std::string(number) + "]").log, "[ e n:18446744073709551615 ] ");
  }
}

TEST(JsonReader, BoundsKeysAndDepth) {
  const std::string long_key(1000, 'k');
  EXPECT_TRUE(read_whole("{\"" + long_key + "\":1}").valid);
  EXPECT_TRUE(read_cut("{\"" + long_key + "\":1}", {500}).valid);
  EXPECT_TRUE(read_whole(std::string(64, '[') + std::string(64, ']')).valid);
  EXPECT_FALSE(read_whole(std::string(65, '[') + std::string(65, ']')).valid);
}

TEST(JsonKeys, FindsEachSpellingAndNothingElse) {
  for (std::size_t i = 1; i < kKeyCount; ++i) {
    EXPECT_EQ(static_cast<std::uint8_t>(find_key(kKeySpellings[i].text)), kKeySpellings[i].id)
        << kKeySpellings[i].text;
  }
  EXPECT_EQ(find_key(""), Key::unknown);
  EXPECT_EQ(find_key("Model"), Key::unknown);
  EXPECT_EQ(find_key("modem"), Key::unknown);
  EXPECT_EQ(find_key(std::string(33, 'm')), Key::unknown);
}

}  // namespace
}  // namespace sluice::dialect
