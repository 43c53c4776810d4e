#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>

#include "sluice/dialect/request_scan.hpp"

namespace sluice::dialect {
namespace {

using enum Operation;

/// The body with its edits applied, as the relay would send it.
std::string edited(Operation operation, std::string_view body, const EditWish& wish) {
  const auto scan = scan_request(operation, body);
  EXPECT_TRUE(scan.has_value()) << body;
  const auto edits = plan_edits(*scan, wish);
  EXPECT_TRUE(edits.has_value());
  std::string out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < edits->size(); ++i) {
    const Edit& edit = (*edits)[i];
    EXPECT_GE(edit.offset, at);
    out += body.substr(at, edit.offset - at);
    out += edits->text(edit);
    at = edit.offset + edit.remove;
  }
  out += body.substr(at);
  EXPECT_EQ(edits->edited_bytes(body.size()), out.size());
  simdjson::dom::parser parser;
  EXPECT_EQ(parser.parse(out).error(), simdjson::SUCCESS) << out;
  return out;
}

struct EditCase {
  Operation operation;
  std::string_view body;
  EditWish wish;
  std::string_view expected;
};

TEST(RequestEdits, TakeStreamOptionsOutWhereverTheyStand) {
  const struct {
    std::string_view body;
    std::string_view expected;
  } cases[] = {
      {R"({"stream_options":{"include_usage":true},"model":"a"})", R"({"model":"a"})"},
      {R"({"model":"a","stream_options":{"include_usage":true}})", R"({"model":"a"})"},
      {R"({"model":"a" , "stream_options" : {"a":{"b":"}"}} , "n":1})",
       R"({"model":"a" ,  "n":1})"},
      {R"({ "stream\u005foptions" :
 null,"model":"a"})",
       R"({ "model":"a"})"},
      {R"({"model":"a","n":1})", R"({"model":"a","n":1})"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(edited(openai_chat, c.body, {.without_stream_options = c.body}), c.expected)
        << c.body;
  }
  const std::string_view all = R"({"stream_options":{"include_usage":true},"model":"a"})";
  EXPECT_EQ(edited(openai_chat, all,
                   {.upstream_model = "b",
                    .include_usage = true,
                    .without_stream_options = all,
                    .output_cap = 5,
                    .cap_field = "max_tokens"}),
            R"({"max_tokens":5,"model":"b"})");
}

TEST(RequestEdits, TouchOnlyWhatTheyName) {
  const EditCase cases[] = {
      {openai_chat, R"({ "model" : "a", "x":1.50})", {}, R"({ "model" : "a", "x":1.50})"},
      {openai_chat,
       R"({ "model" : "a", "x":1.50})",
       {.upstream_model = "a"},
       R"({ "model" : "a", "x":1.50})"},
      {openai_chat,
       R"({ "model" : "a", "x":1.50})",
       {.upstream_model = "b\"c"},
       R"({ "model" : "b\"c", "x":1.50})"},
      {openai_chat, R"({"model":"a"})", {.include_usage = true}, R"({"model":"a"})"},
      {openai_chat,
       R"({"model":"a","stream":true})",
       {.include_usage = true},
       R"({"stream_options":{"include_usage":true},"model":"a","stream":true})"},
      {openai_chat,
       R"({"model":"a","stream":true,"stream_options":null})",
       {.include_usage = true},
       R"({"model":"a","stream":true,"stream_options":{"include_usage":true}})"},
      {openai_chat,
       R"({"model":"a","stream":true,"stream_options":{ }})",
       {.include_usage = true},
       R"({"model":"a","stream":true,"stream_options":{"include_usage":true }})"},
      {openai_chat,
       R"({"model":"a","stream":true,"stream_options":{"include_obfuscation":false}})",
       {.include_usage = true},
       R"({"model":"a","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}})"},
      {openai_completions,
       R"({"stream_options":{"include_usage":false},"model":"a","stream":true})",
       {.include_usage = true},
       R"({"stream_options":{"include_usage":true},"model":"a","stream":true})"},
      {openai_chat,
       R"({"model":"a","stream":true,"stream_options":{"include_usage":true}})",
       {.include_usage = true},
       R"({"model":"a","stream":true,"stream_options":{"include_usage":true}})"},
      {openai_responses,
       R"({"model":"a","stream":true})",
       {.include_usage = true},
       R"({"model":"a","stream":true})"},
      {openai_chat,
       R"({"model":"a","max_tokens":500})",
       {.output_cap = 100},
       R"({"model":"a","max_tokens":100})"},
      {openai_chat,
       R"({"model":"a","max_tokens":50})",
       {.output_cap = 100},
       R"({"model":"a","max_tokens":50})"},
      {openai_chat,
       R"({"model":"a","max_tokens":null})",
       {.output_cap = 100},
       R"({"model":"a","max_tokens":100})"},
      {openai_chat,
       R"({"max_completion_tokens":900,"model":"a","max_tokens":500})",
       {.output_cap = 100},
       R"({"max_completion_tokens":100,"model":"a","max_tokens":100})"},
      {openai_chat,
       R"({"model":"a"})",
       {.output_cap = 100},
       R"({"max_completion_tokens":100,"model":"a"})"},
      {openai_chat,
       R"({"model":"a"})",
       {.output_cap = 100, .cap_field = "max_tokens"},
       R"({"max_tokens":100,"model":"a"})"},
      {openai_completions,  // a cap of Chat alone
       R"({"model":"a","prompt":"x","max_completion_tokens":5})",
       {.output_cap = 100},
       R"({"max_tokens":100,"model":"a","prompt":"x","max_completion_tokens":5})"},
      {openai_responses,
       R"({"model":"a"})",
       {.output_cap = 7},
       R"({"max_output_tokens":7,"model":"a"})"},
      {claude_messages,
       R"({"model":"a","max_tokens":32000})",
       {.upstream_model = "b", .output_cap = 64},
       R"({"model":"b","max_tokens":64})"},
      {gemini_generate,
       R"({})",
       {.output_cap = 9},
       R"({"generationConfig":{"maxOutputTokens":9}})"},
      {gemini_generate,
       R"({"contents":[]})",
       {.upstream_model = "g", .output_cap = 9},
       R"({"generationConfig":{"maxOutputTokens":9},"contents":[]})"},
      {gemini_generate,
       R"({"generationConfig":{}})",
       {.output_cap = 9},
       R"({"generationConfig":{"maxOutputTokens":9}})"},
      {gemini_generate,
       R"({"generationConfig":{"topK":1}})",
       {.output_cap = 9},
       R"({"generationConfig":{"maxOutputTokens":9,"topK":1}})"},
      {gemini_generate,
       R"({"generation_config":{"max_output_tokens":99}})",
       {.output_cap = 9},
       R"({"generation_config":{"max_output_tokens":9}})"},
      {gemini_generate,
       R"({"generationConfig":null})",
       {.output_cap = 9},
       R"({"generationConfig":{"maxOutputTokens":9}})"},
      {gemini_embed,
       R"({"model":"models/alias","content":{}})",
       {.upstream_model = "e"},
       R"({"model":"models/e","content":{}})"},
      {openai_embeddings,
       R"({"model":"a","input":"x"})",
       {.upstream_model = "b", .output_cap = 5},
       R"({"model":"b","input":"x"})"},
      {openai_chat,
       R"({"stream":true,"max_tokens":500,"model":"a"})",
       {.upstream_model = "longer", .include_usage = true, .output_cap = 10},
       R"({"stream_options":{"include_usage":true},"stream":true,"max_tokens":10,"model":"longer"})"},
  };
  for (const EditCase& c : cases)
    EXPECT_EQ(edited(c.operation, c.body, c.wish), c.expected) << c.body;
}

TEST(RequestEdits, RefusesNamesThatDoNotFit) {
  const auto scan = scan_request(openai_chat, R"({"model":"a"})");
  const std::string name(2000, 'x');
  EXPECT_EQ(plan_edits(*scan, {.upstream_model = name}).error().code, Errc::too_large);
}

TEST(RequestEdits, MayBeCopied) {
  const auto scan = scan_request(openai_chat, R"({"model":"a"})");
  EditList copy;
  {
    const auto edits = plan_edits(*scan, {.upstream_model = "bcd"});
    copy = *edits;
  }
  ASSERT_EQ(copy.size(), 1U);
  EXPECT_EQ(copy.text(copy[0]), "\"bcd\"");
}

}  // namespace
}  // namespace sluice::dialect
