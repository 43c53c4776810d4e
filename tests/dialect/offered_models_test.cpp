// Lists of models as providers send them, whole and cut anywhere, and lists that no provider should
// send.
#include "sluice/dialect/offered_models.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::dialect {
namespace {

using Names = std::vector<std::string>;

struct Read {
  bool is_list = false;
  bool complete = false;
  Names names;
  friend bool operator==(const Read&, const Read&) = default;
};

/// Fed in pieces of so many bytes, each in a block of its own size.
Read read(Format format, std::string_view text, std::size_t piece_bytes) {
  OfferedModels models(format);
  for (std::size_t at = 0; at < text.size(); at += piece_bytes) {
    const std::string_view cut = text.substr(at, piece_bytes);
    const std::vector<char> piece(cut.begin(), cut.end());
    if (!models.feed({piece.data(), piece.size()})) break;
  }
  return {models.is_list(), models.is_complete(), {models.names().begin(), models.names().end()}};
}

Read read(Format format, std::string_view text) { return read(format, text, text.size()); }

struct Case {
  const char* what;
  Format format;
  const char* text;
  Read expected;
};

const Case kCases[] = {
    {"OpenAI",
     Format::openai,
     R"({"object":"list","data":[{"id":"gpt-x","object":"model","owned_by":"a"},{"id":"gpt-y"}]})",
     {true, true, {"gpt-x", "gpt-y"}}},
    {"an array alone",
     Format::openai,
     R"([{"id":"a/b"},{"type":"chat","id":"c"}])",
     {true, true, {"a/b", "c"}}},
    {"Claude",
     Format::claude,
     R"({"data":[{"type":"model","id":"c-1","display_name":"C"}],"has_more":false,"last_id":"c-1"})",
     {true, true, {"c-1"}}},
    {"Claude, more pages",
     Format::claude,
     R"({"data":[{"id":"c-1"}],"has_more": true })",
     {true, false, {"c-1"}}},
    {"Gemini",
     Format::gemini,
     R"({"models":[{"name":"models/g-1","displayName":"x"},{"name":"tunedModels/t"}]})",
     {true, true, {"g-1", "tunedModels/t"}}},
    {"Gemini, more pages",
     Format::gemini,
     R"({"models":[{"name":"models/g-1"}],"nextPageToken":"Ab"})",
     {true, false, {"g-1"}}},
    {"Gemini, no more pages",
     Format::gemini,
     R"({"models":[],"nextPageToken":""})",
     {true, true, {}}},
    {"escapes", Format::openai, R"({"data":[{"id":"\u0061\"\\b\n"}]})", {true, true, {"a\"\\b\n"}}},
    {"other places",
     Format::openai,
     R"({"id":"x","data":[{"permission":[{"id":"y"}],"meta":{"id":"z"},"id":"m"}],"more":[{"id":"n"}]})",
     {true, true, {"m"}}},
    {"other types",
     Format::openai,
     R"({"data":[{"id":7},{"id":null},{"id":["a"]},"b",["c"]]})",
     {true, true, {}}},
    {"an empty name", Format::openai, R"({"data":[{"id":""},{"id":"m"}]})", {true, false, {"m"}}},
    {"no list", Format::openai, R"({"error":{"message":"no","id":"x"}})", {false, true, {}}},
    {"an object for a list", Format::openai, R"({"data":{"id":"x"}})", {false, true, {}}},
    {"cut", Format::openai, R"({"data":[{"id":"m"})", {false, true, {"m"}}},
    {"something behind it", Format::openai, R"({"data":[]} x)", {false, true, {}}},
    {"no JSON", Format::openai, "<html>", {false, true, {}}},
};

TEST(OfferedModels, AreReadWholeAndCutAnywhere) {
  for (const Case& each : kCases) {
    SCOPED_TRACE(each.what);
    EXPECT_EQ(read(each.format, each.text), each.expected);
    for (std::size_t bytes : {1U, 2U, 3U, 7U, 31U}) {
      EXPECT_EQ(read(each.format, each.text, bytes), each.expected) << bytes;
    }
  }
}

TEST(OfferedModels, AreFewAndShort) {
  const auto list = [](const Names& names) {
    std::string text = R"({"data":[)";
    for (const std::string& name : names) {
      text += text.ends_with('[') ? "" : ",";
      text += R"({"id":")" + name + "\"}";
    }
    return text + "]}";
  };
  const Names most(OfferedModels::kMost, "m");
  EXPECT_EQ(read(Format::openai, list(most)), (Read{true, true, most}));
  Names more = most;
  more.emplace_back("n");
  EXPECT_EQ(read(Format::openai, list(more)), (Read{true, false, most}));
  const std::string longest(OfferedModels::kNameBytes, 'x');
  for (const std::size_t bytes : {5U, 1000U}) {
    EXPECT_EQ(read(Format::openai, list({longest, "m"}), bytes),
              (Read{true, true, {longest, "m"}}));
    EXPECT_EQ(read(Format::openai, list({longest + "y", "m"}), bytes), (Read{true, false, {"m"}}));
  }
}

TEST(OfferedModels, OfAnyDepthAndLengthAreBounded) {
  OfferedModels deep(Format::openai);
  bool valid = true;
  for (int i = 0; i < 1000 && valid; ++i) valid = deep.feed("[[[[");
  EXPECT_FALSE(valid);
  OfferedModels endless(Format::openai);
  EXPECT_TRUE(endless.feed(R"({"data":[{"id":")"));
  const std::string piece(64 * 1024, 'x');
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(endless.feed(piece));
  EXPECT_TRUE(endless.feed(R"("}]})"));
  EXPECT_TRUE(endless.is_list());
  EXPECT_FALSE(endless.is_complete());
  EXPECT_TRUE(endless.names().empty());
}

}  // namespace
}  // namespace sluice::dialect
