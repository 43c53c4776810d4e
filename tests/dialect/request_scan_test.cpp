#include "sluice/dialect/request_scan.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>
#include <string>

namespace sluice::dialect {
namespace {

using enum Operation;

std::string_view text_of(std::string_view body, const ValueSpan& value) {
  return body.substr(value.offset, value.size);
}

TEST(RequestScan, ReadsAChatRequest) {
  const std::string_view body =
      R"( {"model": "gpt-6-luna", "messages":[{"role":"system","content":"Be brief."},)"
      R"({"role":"user","content":[{"type":"text","text":"Hello world 42"},)"
      R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},)"
      R"({"type":"input_audio","input_audio":{"data":"BBBB","format":"wav"}}]}],)"
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],)"
      R"("stream":true,"stream_options":{"include_usage":false},"max_completion_tokens":100,"n":2,)"
      R"("user":"u1","prompt_cache_key":"s1","temperature":0.5} )";
  const auto scan = scan_request(openai_chat, body);
  ASSERT_TRUE(scan.has_value());
  EXPECT_EQ(scan->model.view(), "gpt-6-luna");
  EXPECT_EQ(text_of(body, scan->model_value), "\"gpt-6-luna\"");
  EXPECT_TRUE(scan->stream);
  EXPECT_FALSE(scan->include_usage);
  EXPECT_EQ(text_of(body, scan->include_usage_value), "false");
  EXPECT_EQ(text_of(body, scan->stream_options), R"({"include_usage":false})");
  EXPECT_EQ(scan->cap.tokens, 100);
  EXPECT_EQ(text_of(body, scan->cap.first), "100");
  EXPECT_EQ(scan->choices, 2U);
  EXPECT_EQ(scan->messages, 2U);
  EXPECT_EQ(scan->tools, 1U);
  EXPECT_EQ(scan->images, 1U);
  EXPECT_EQ(scan->audios, 1U);
  EXPECT_EQ(scan->audio_bytes, 6U);
  EXPECT_EQ(text_of(body, scan->session_hint), "\"s1\"");
  EXPECT_EQ(scan->special, 0);
  EXPECT_GE(scan->text.words, 4U);
}

TEST(RequestScan, CountsOnlyWhatTheModelReads) {
  const auto scan = scan_request(
      openai_chat,
      R"({"model":"mmm mmm","messages":[{"role":"user","content":"one two, 3\n\u4f60好 \ud83d\ude00"}],)"
      R"("metadata":{"a":"b c d"},"temperature":0.123})");
  ASSERT_TRUE(scan.has_value());
  EXPECT_EQ(scan->text.words, 2U);
  EXPECT_EQ(scan->text.letters, 6U);
  EXPECT_EQ(scan->text.digits, 1U);
  EXPECT_EQ(scan->text.symbols, 1U);
  EXPECT_EQ(scan->text.newlines, 1U);
  EXPECT_EQ(scan->text.cjk, 2U);
  EXPECT_EQ(scan->text.emoji, 1U);
}

struct ErrorCase {
  Operation operation;
  std::string_view body;
  Errc code;
};

TEST(RequestScan, RefusesWhatIsNotJson) {
  const std::string_view bodies[] = {"",
                                     " ",
                                     "{",
                                     "[]",
                                     "null",
                                     "\"model\"",
                                     "{\"model\":\"m\"",
                                     "{\"model\":\"m\"}}",
                                     "{\"model\":\"m\"} x",
                                     "{\"model\":\"m\",}",
                                     "{\"model\" \"m\"}",
                                     "{model:\"m\"}",
                                     "{'model':'m'}",
                                     "{\"model\":\"m\"}{}",
                                     "{\"model\":\"m\",\"a\":01}",
                                     "{\"model\":\"m\",\"a\":1.}",
                                     "{\"model\":\"m\",\"a\":.5}",
                                     "{\"model\":\"m\",\"a\":+1}",
                                     "{\"model\":\"m\",\"a\":1e}",
                                     "{\"model\":\"m\",\"a\":-}",
                                     "{\"model\":\"m\",\"a\":nul}",
                                     "{\"model\":\"m\",\"a\":True}",
                                     "{\"model\":\"m\",\"a\":\"\\x\"}",
                                     "{\"model\":\"m\",\"a\":\"\\u12g4\"}",
                                     "{\"model\":\"m\",\"a\":\"line\nbreak\"}",
                                     "{\"model\":\"m\",\"a\":\"\\\"}",
                                     "{\"model\":\"m\" \"a\":1}",
                                     "{\"model\":\"m\",\"a\":[1,]}",
                                     "{\"model\":\"m\",\"a\":[1 2]}",
                                     "{\"model\":\"m\",\"a\":[}",
                                     "{\"model\":\"m\",\"a\":{]}",
                                     "{\"model\":\"m\"/*c*/}",
                                     "{\"model\":\"m\",\"a\":NaN}",
                                     "\xef\xbb\xbf{\"model\":\"m\"}",
                                     "{\"model\":\"m\",\"a\":\"\xff\"}",
                                     "{\"model\":\"m\",\"\xc1\xad\":1}",
                                     "{\"model\":\"m\",\"a\":\"\xed\xa0\x80\"}"};
  for (const std::string_view body : bodies) {
    const auto scan = scan_request(openai_chat, body);
    ASSERT_FALSE(scan.has_value()) << body;
    EXPECT_EQ(scan.error().code, Errc::bad_syntax) << body;
    EXPECT_EQ(scan.error().source, Source::client);
  }
}

TEST(RequestScan, BoundsDepthAndSize) {
  const auto nested = [](std::size_t depth) {
    return "{\"model\":\"m\",\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(scan_request(openai_chat, nested(63)).has_value());
  EXPECT_EQ(scan_request(openai_chat, nested(64)).error().code, Errc::unsupported);
  EXPECT_EQ(scan_request(openai_chat, nested(100'000)).error().code, Errc::unsupported);
  EXPECT_TRUE(scan_request(openai_chat, nested(7), {.json_depth = 8}).has_value());
  const auto deeper = scan_request(openai_chat, nested(8), {.json_depth = 8});
  EXPECT_EQ(deeper.error(), (Error{Errc::unsupported, Source::client, Retry::no, 0}));
  EXPECT_EQ(scan_request(openai_chat, nested(7) + "]", {.json_depth = 8}).error().code,
            Errc::bad_syntax);
  EXPECT_EQ(scan_request(openai_chat, nested(10), {.body_bytes = 20}).error().code,
            Errc::too_large);
}

TEST(RequestScan, RefusesWhatParsersCouldReadDifferently) {
  const ErrorCase cases[] = {
      {openai_chat, R"({"messages":[]})", Errc::bad_value},
      {openai_chat, R"({"model":""})", Errc::bad_value},
      {openai_chat, R"({"model":7})", Errc::bad_value},
      {openai_chat, R"({"model":null})", Errc::bad_value},
      {openai_chat, R"({"model":["m"]})", Errc::bad_value},
      {openai_chat, R"({"model":"a\nb"})", Errc::bad_value},
      {openai_chat, R"({"model":"\ud800"})", Errc::bad_value},
      {openai_chat, R"({"model":"cheap","model":"dear"})", Errc::bad_value},
      {openai_chat, R"({"model":"cheap","mod\u0065l":"dear"})", Errc::bad_value},
      {openai_chat, R"({"model":"cheap","Model":"dear"})", Errc::bad_value},
      {openai_chat, "{\"model\":\"m\",\"\xc5\xbftream\":true}", Errc::bad_value},
      {openai_chat, R"({"model":"m","\u017ftream":true})", Errc::bad_value},
      {openai_chat, R"({"model":"m","MAX_TOKENS":5})", Errc::bad_value},
      {openai_chat, R"({"model":"m","stream":true,"stream":false})", Errc::bad_value},
      {openai_chat, R"({"model":"m","stream":"true"})", Errc::bad_value},
      {openai_chat, R"({"model":"m","stream":1})", Errc::bad_value},
      {openai_chat, R"({"model":"m","messages":[],"messages":[]})", Errc::bad_value},
      {openai_chat, R"({"model":"m","stream_options":[]})", Errc::bad_value},
      {openai_chat,
       R"({"model":"m","stream_options":{"include_usage":true,"include_usage":false}})",
       Errc::bad_value},
      {openai_chat, R"({"model":"m","stream_options":{"Include_Usage":false}})", Errc::bad_value},
      {openai_chat, R"({"model":"m","max_tokens":-1})", Errc::bad_value},
      {openai_chat, R"({"model":"m","max_tokens":1.5})", Errc::bad_value},
      {openai_chat, R"({"model":"m","max_tokens":"5"})", Errc::bad_value},
      {openai_chat, R"({"model":"m","max_tokens":99999999999999999999})", Errc::bad_value},
      {openai_chat, R"({"model":"m","n":0})", Errc::bad_value},
      {openai_chat, R"({"model":"m","n":-3})", Errc::bad_value},
      {openai_chat, R"({"model":"m","n":100000})", Errc::bad_value},
      {openai_responses, R"({"model":"m","background":"yes"})", Errc::bad_value},
      {gemini_generate, R"({"generationConfig":{},"generation_config":{}})", Errc::bad_value},
      {gemini_generate, R"({"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}})",
       Errc::bad_value},
      {claude_messages, R"({"max_tokens":5})", Errc::bad_value},
  };
  for (const ErrorCase& c : cases) {
    const auto scan = scan_request(c.operation, c.body);
    ASSERT_FALSE(scan.has_value()) << c.body;
    EXPECT_EQ(scan.error().code, c.code) << c.body;
  }
  EXPECT_TRUE(
      scan_request(openai_chat, R"({"model":"m","Temperature":1,"temperature":1,"x":1,"x":2})")
          .has_value());
}

TEST(RequestScan, DecodesAnEscapedModelName) {
  const auto scan = scan_request(openai_chat, R"({"mod\u0065l":"org\/m\u00e9-\"x\""})");
  ASSERT_TRUE(scan.has_value());
  EXPECT_EQ(scan->model.view(), "org/m\xc3\xa9-\"x\"");
}

TEST(RequestScan, FlagsWhatNeedsADecision) {
  struct Case {
    Operation operation;
    std::string_view body;
    Special bit;
  };
  const Case cases[] = {
      {openai_responses, R"({"model":"m","background":true})", Special::background},
      {openai_responses, R"({"model":"m","previous_response_id":"resp_1"})",
       Special::previous_response},
      {openai_responses, R"({"model":"m","conversation":{"id":"c"}})", Special::previous_response},
      {openai_responses, R"({"model":"m","input":[{"type":"item_reference","id":"x"}]})",
       Special::previous_response},
      {openai_responses,
       R"({"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]})",
       Special::stored_file},
      {openai_responses,
       R"({"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"https://a/b"}]}]})",
       Special::remote_url},
      {openai_responses, R"({"model":"m","tools":[{"type":"web_search"}]})", Special::server_tools},
      {openai_chat,
       R"({"model":"m","messages":[{"content":[{"type":"image_url","image_url":{"url":"http://a/b"}}]}]})",
       Special::remote_url},
      {openai_chat,
       R"({"model":"m","messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]}]})",
       Special::stored_file},
      {openai_chat, R"({"model":"m","service_tier":"priority"})", Special::service_tier},
      {openai_chat, R"({"model":"m","web_search_options":{}})", Special::server_tools},
      {openai_chat, R"({"model":"m","modalities":["text","audio"]})", Special::output_modality},
      {openai_chat, R"({"model":"m","models":["a","b"]})", Special::model_fallback},
      {claude_messages, R"({"model":"m","speed":"fast"})", Special::speed},
      {claude_messages,
       R"({"model":"m","tools":[{"type":"web_search_20260318","name":"web_search"}]})",
       Special::server_tools},
      {claude_messages,
       R"({"model":"m","messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]})",
       Special::stored_file},
      {claude_messages,
       R"({"model":"m","messages":[{"content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}]})",
       Special::remote_url},
      {gemini_generate, R"({"cachedContent":"cachedContents/x"})", Special::cached_content},
      {gemini_generate, R"({"tools":[{"googleSearch":{}}]})", Special::server_tools},
      {gemini_generate,
       R"({"contents":[{"parts":[{"fileData":{"fileUri":"https://youtu.be/x"}}]}]})",
       Special::remote_url},
      {gemini_generate,
       R"({"contents":[{"parts":[{"file_data":{"file_uri":"https://generativelanguage.googleapis.com/v1beta/files/x"}}]}]})",
       Special::stored_file},
  };
  for (const Case& c : cases) {
    const auto scan = scan_request(c.operation, c.body);
    ASSERT_TRUE(scan.has_value()) << c.body;
    EXPECT_EQ(scan->special, static_cast<std::uint16_t>(c.bit)) << c.body;
  }
}

TEST(RequestScan, DoesNotFlagWhatIsHarmless) {
  const Operation chat = openai_chat;
  const std::pair<Operation, std::string_view> cases[] = {
      {chat,
       R"({"model":"m","service_tier":"auto","background":false,"modalities":["text"],"enable_search":false})"},
      {chat, R"({"model":"m","service_tier":null,"previous_response_id":null})"},
      {chat,
       R"({"model":"m","messages":[{"content":"see https://a.b/c"}],"tools":[{"type":"function","function":{"name":"f",)"
       R"("parameters":{"properties":{"url":{"type":"string"},"file_id":{"type":"string"},"type":{"type":"string"}}}}}]})"},
      {claude_messages,
       R"({"model":"m","service_tier":"standard_only","speed":"standard","tools":[{"name":"f","input_schema":{}},)"
       R"({"type":"custom","name":"g"},{"type":"bash_20250124","name":"bash"}]})"},
      {claude_messages,
       R"({"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f",)"
       R"("input":{"url":"https://x","file_id":"y","source":{"type":"url","url":"http://z"}}}]}]})"},
  };
  for (const auto& [operation, body] : cases) {
    const auto scan = scan_request(operation, body);
    ASSERT_TRUE(scan.has_value()) << body;
    EXPECT_EQ(scan->special, 0) << body;
    EXPECT_EQ(scan->images + scan->documents, 0U) << body;
  }
}

TEST(RequestScan, ReadsClaudeAndGemini) {
  const std::string_view claude =
      R"({"model":"claude-opus-5-5","max_tokens":0,"system":[{"type":"text","text":"abc def","cache_control":{"type":"ephemeral"}}],)"
      R"("messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},)"
      R"({"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"BBBBBBBB"}},)"
      R"({"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"ghi"}]}]},)"
      R"({"role":"assistant","content":[{"type":"thinking","thinking":"hmm","signature":"EEEE"},)"
      R"({"type":"tool_use","id":"x","name":"run","input":{"cmd":"ls"}}]}],"metadata":{"user_id":"me"},"stream":true})";
  const auto scan = scan_request(claude_messages, claude);
  ASSERT_TRUE(scan.has_value());
  EXPECT_EQ(scan->cap.tokens, 0);
  EXPECT_TRUE(scan->stream);
  EXPECT_EQ(scan->messages, 2U);
  EXPECT_EQ(scan->images, 1U);
  EXPECT_EQ(scan->documents, 1U);
  EXPECT_EQ(scan->document_bytes, 10U);
  EXPECT_EQ(scan->opaque_bytes, 6U);
  EXPECT_EQ(scan->text.words, 7U);  // abc def ghi hmm run cmd ls
  EXPECT_EQ(text_of(claude, scan->session_hint), "\"me\"");

  const std::string_view gemini =
      R"({"systemInstruction":{"parts":[{"text":"aa"}]},"contents":[{"role":"user","parts":[{"text":"bb cc"},)"
      R"({"inlineData":{"mimeType":"audio/wav","data":"AAAA"}},{"inline_data":{"data":"BBBB","mime_type":"image/png"}}]},)"
      R"({"role":"model","parts":[{"functionCall":{"name":"f","args":{"q":"dd"}},"thoughtSignature":"SS"}]}],)"
      R"("tools":[{"functionDeclarations":[{"name":"f"},{"name":"g"}]}],)"
      R"("generationConfig":{"maxOutputTokens":50,"candidateCount":3,"temperature":1}})";
  const auto scanned = scan_request(gemini_stream_generate, gemini);
  ASSERT_TRUE(scanned.has_value());
  EXPECT_EQ(scanned->cap.tokens, 50);
  EXPECT_EQ(scanned->choices, 3U);
  EXPECT_EQ(scanned->messages, 2U);
  EXPECT_EQ(scanned->images, 1U);
  EXPECT_EQ(scanned->audios, 1U);
  EXPECT_EQ(scanned->audio_bytes, 6U);
  EXPECT_EQ(scanned->tools, 3U);
}

TEST(RequestScan, CountsPlainTextDocumentsAsTextWhateverTheOrder) {
  const auto words = [](std::string_view source) {
    const std::string body =
        R"({"model":"m","messages":[{"content":[{"type":"document","source":)" +
        std::string(source) + "}]}]}";
    return scan_request(claude_messages, body)->text.words;
  };
  EXPECT_EQ(words(R"({"type":"text","media_type":"text/plain","data":"a b c d"})"), 4U);
  EXPECT_EQ(words(R"({"data":"a b c d","media_type":"text/plain","type":"text"})"), 4U);
  EXPECT_EQ(words(R"({"data":"a b c d","media_type":"application/pdf","type":"base64"})"), 0U);
}

TEST(RequestScan, MultipliesChoicesByPrompts) {
  EXPECT_EQ(
      scan_request(openai_completions, R"({"model":"m","prompt":["a","b","c"],"n":2})")->choices,
      6U);
  EXPECT_EQ(
      scan_request(openai_completions, R"({"model":"m","prompt":"a","best_of":4,"n":2})")->choices,
      4U);
  EXPECT_EQ(scan_request(openai_completions, R"({"model":"m","prompt":[[1,2],[3]]})")->choices, 2U);
  const auto embeddings = scan_request(openai_embeddings, R"({"model":"m","input":[1,2,3]})");
  EXPECT_EQ(embeddings->input_token_ids, 3U);
}

TEST(RequestScan, AgreesWithAnIndependentParserOnMutatedBodies) {
  const std::string seed_body =
      R"({"model":"gpt","stream":true,"n":1,"messages":[{"role":"user","content":"h\u00e9llo \"w\" \\ é"},null,-1.5e+3],"x":{"y":[true,false,{}]}})";
  std::mt19937 random(20261122);
  simdjson::dom::parser parser;
  int valid = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string body = seed_body;
    const int edits = static_cast<int>(random() % 3) + 1;
    for (int i = 0; i < edits; ++i) {
      const std::size_t at = random() % body.size();
      constexpr std::string_view kBytes = "{}[]\",:\\ut0e-.1 \n\x01\xc3\xa9n";
      const char byte = kBytes[random() % kBytes.size()];
      switch (random() % 3) {
        case 0:
          body[at] = byte;
          break;
        case 1:
          body.insert(at, 1, byte);
          break;
        default:
          body.erase(at, 1);
      }
    }
    simdjson::dom::element root;
    const auto error = parser.parse(body).get(root);
    const auto scan = scan_request(openai_chat, body);
    // simdjson also refuses numbers out of range and lone surrogates when it makes values of them.
    if (error == simdjson::SUCCESS) {
      ++valid;
      if (!scan.has_value())
        EXPECT_NE(scan.error().code, root.is_object() ? Errc::bad_syntax : Errc::none) << body;
    } else if (scan.has_value()) {
      EXPECT_TRUE(error == simdjson::NUMBER_ERROR || error == simdjson::STRING_ERROR)
          << body << " " << error;
    }
    if (error == simdjson::SUCCESS && scan.has_value()) {
      std::string_view model;
      ASSERT_EQ(root["model"].get(model), simdjson::SUCCESS) << body;
      EXPECT_EQ(scan->model.view(), model) << body;
    }
  }
  EXPECT_GT(valid, 1000);
}

TEST(InputEstimate, GrowsWithEachPart) {
  const auto tokens = [](std::string_view body) {
    return estimate_input_tokens(*scan_request(claude_messages, body));
  };
  const Tokens base = tokens(R"({"model":"m","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_GT(base, 5);
  EXPECT_LT(base, 40);
  EXPECT_GT(tokens(R"({"model":"m","messages":[{"content":"hi"},{"content":"hi"}]})"), base);
  EXPECT_GT(tokens(R"({"model":"m","messages":[{"content":"hi"}],"tools":[{"name":"f"}]})"),
            base + 300);
  EXPECT_GE(
      tokens(
          R"({"model":"m","messages":[{"content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}]})"),
      4784);
}

}  // namespace
}  // namespace sluice::dialect
