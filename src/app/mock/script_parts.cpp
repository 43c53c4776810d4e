// The pieces of a script: which format's shape goes where.
#include <fmt/format.h>

#include <algorithm>

#include "formats.hpp"
#include "text.hpp"

namespace sluice::mock {

std::string content_event(const Script& script, std::string_view text) {
  switch (script.call) {
    case Call::completions:
      return "data: " + completions_chunk(script, text, "null") + "\n\n";
    case Call::responses:
      return responses_delta(text);
    case Call::messages:
      return fmt::format(
          "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,"
          "\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n",
          text);
    case Call::gemini_stream_sse:
      return "data: " + gemini_delta(script, text) + "\r\n\r\n";
    case Call::gemini_stream_array:
      return ",\r\n" + gemini_delta(script, text);
    default:
      return "data: " +
             chat_chunk(script, R"({"content":)" + chat_content(script, text) + "}", "null") +
             "\n\n";
  }
}

std::string whole_body(const Script& script) {
  std::string body;
  switch (script.call) {
    case Call::chat:
      body = chat_whole(script);
      break;
    case Call::completions:
      body = completions_chunk(script, whole_text(script), R"("stop")");
      body.pop_back();
      break;
    case Call::responses:
      body = responses_whole(script);
      body.pop_back();
      break;
    case Call::messages:
      body = claude_whole(script);
      break;
    case Call::gemini_generate:
      body = gemini_whole(script);
      body.pop_back();
      break;
    default:
      return {};  // embeddings, counts: short, rendered each time
  }
  if (script.behaviour.bulk_bytes > 0) {
    body += R"(,"bulk":")";
    body.append(static_cast<std::size_t>(script.behaviour.bulk_bytes), 'b');
    body += '"';
  }
  return body;
}

void append_whole_usage(std::string& body, const Script& script, const Answer& answer) {
  const Usage& usage = answer.usage;
  const bool shown = shows_usage(script);
  switch (script.call) {
    case Call::embeddings:
      body += embeddings_whole(script, answer);
      break;
    case Call::count_tokens:
      body += fmt::format(R"({{"input_tokens":{})", prompt_tokens(usage));
      break;
    case Call::gemini_count:
      body += fmt::format(R"({{"totalTokens":{})", prompt_tokens(usage));
      break;
    case Call::gemini_embed:
    case Call::gemini_embed_batch:
      body += gemini_embeddings(script, answer);
      break;
    case Call::messages:
      if (shown) body += R"(,"usage":)" + claude_usage(usage);
      break;
    case Call::gemini_generate:
      if (shown) body += R"(,"usageMetadata":)" + gemini_usage(usage);
      break;
    case Call::responses:
      if (shown) body += R"(,"usage":)" + responses_usage(usage);
      break;
    default:
      if (shown) body += R"(,"usage":)" + openai_usage(script, usage);
      break;
  }
  body += '}';
}

void append_opening_events(std::string& out, const Script& script, const Answer& answer) {
  switch (script.call) {
    case Call::chat:
      chat_opening(out, script, answer);
      break;
    case Call::responses:
      responses_opening(out, script, answer);
      break;
    case Call::messages:
      claude_opening(out, script, answer);
      break;
    default:
      break;
  }
  if (script.call == Call::gemini_stream_array) return;
  const std::int32_t own = script.personality != nullptr ? script.personality->pings : 0;
  for (std::int32_t i = 0; i < std::max(script.behaviour.pings, own); ++i) {
    if (script.call == Call::messages) {
      append_event(out, "ping", R"({"type":"ping"})");
    } else {
      append_framed(out, ": keep-alive\n\n");
    }
  }
}

void append_closing_events(std::string& out, const Script& script, const Answer& answer) {
  switch (script.call) {
    case Call::completions:
      completions_closing(out, script, answer);
      break;
    case Call::responses:
      responses_closing(out, script, answer);
      break;
    case Call::messages:
      claude_closing(out, script, answer);
      break;
    case Call::gemini_stream_sse:
    case Call::gemini_stream_array:
      gemini_closing(out, script, answer);
      break;
    default:
      chat_closing(out, script, answer);
      break;
  }
}

}  // namespace sluice::mock
