#include "script.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "formats.hpp"
#include "text.hpp"

namespace sluice::mock {
namespace {

constexpr std::string_view kWord = " word";
constexpr std::string_view kStamp = "@00000000000000000000#00000000";

void put_decimal(char* end, int width, std::uint64_t value, char padding) {
  for (int i = 0; i < width; ++i) {
    *--end = value == 0 && i > 0 ? padding : static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

void put_hex(char* at, std::uint64_t value) {
  for (int shift = 60; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[(value >> shift) & 15];
}

std::string text_of(int words, std::size_t padding, bool stamps) {
  std::string text;
  if (stamps) text += kStamp;
  for (int i = 0; i < words; ++i) text += kWord;
  text.append(padding, '.');
  return text;
}

/// Fills in the words of a chunk so that its event has the wanted size, and the claimed tokens if
/// not given.
std::string chunk_text(const Script& script, Behaviour& behaviour) {
  const bool stamps = behaviour.stamps;
  const std::size_t empty = content_event(script, text_of(0, 0, stamps)).size();
  const auto wanted = static_cast<std::size_t>(behaviour.chunk_bytes);
  const std::size_t room = wanted > empty ? wanted - empty : 0;
  if (behaviour.words_per_chunk == 0) {
    behaviour.words_per_chunk = std::max(1, static_cast<int>(room / kWord.size()));
  }
  const std::size_t used = static_cast<std::size_t>(behaviour.words_per_chunk) * kWord.size();
  if (behaviour.tokens_per_chunk == 0) behaviour.tokens_per_chunk = behaviour.words_per_chunk;
  return text_of(behaviour.words_per_chunk, room > used ? room - used : 0, stamps);
}

void find_places(Template& into) {
  for (std::size_t at = into.bytes.find(kIdMark); at != std::string::npos;
       at = into.bytes.find(kIdMark, at + 1)) {
    into.id_at.push_back(at);
  }
  const auto place = [&into](std::string_view mark, std::size_t offset) {
    const std::size_t at = into.bytes.find(mark);
    return at == std::string::npos ? Template::kNone : at + offset;
  };
  into.stamp_at = place(kStamp, 1);
  into.sequence_at = place(kSequenceMark, 0);
}

void append_filled(std::string& out, const Template& from, std::uint64_t id) {
  const std::size_t base = out.size();
  out += from.bytes;
  for (const std::size_t at : from.id_at) put_hex(out.data() + base + at, id);
}

}  // namespace

Script make_script(Call call, bool include_usage, std::string_view model,
                   const Behaviour& behaviour, const Personality* personality) {
  Script script;
  script.call = call;
  script.include_usage = include_usage;
  script.personality = personality;
  append_escaped(script.model, model);
  script.behaviour = behaviour;
  script.chunk_text = chunk_text(script, script.behaviour);
  append_framed(script.chunk.bytes, content_event(script, script.chunk_text));
  find_places(script.chunk);
  if (call == Call::gemini_stream_array) script.chunk.comma_at = script.chunk.bytes.find(",\r\n{");
  return script;
}

bool streams_usage(const Script& script) {
  if (script.behaviour.usage == UsageMode::none) return false;
  const bool asked =
      script.include_usage || (script.personality != nullptr && script.personality->usage_unasked);
  return asked || (script.call != Call::chat && script.call != Call::completions);
}

Usage claimed_usage(const Script& script, std::int64_t counted_input, std::int64_t chunks) {
  const Behaviour& behaviour = script.behaviour;
  Usage usage;
  const std::int64_t prompt = behaviour.input >= 0 ? behaviour.input : counted_input;
  usage.cache_read = behaviour.cache_read;
  usage.cache_write = behaviour.cache_write;
  usage.input = std::max<std::int64_t>(0, prompt - usage.cache_read - usage.cache_write);
  if (family_of(script.call) == Family::gemini) {  // it has no such class: writes are plain input
    usage.input += usage.cache_write;
    usage.cache_write = 0;
  }
  if (!generates(script.call)) return usage;
  usage.reasoning = behaviour.reasoning;
  usage.output = behaviour.output >= 0 ? behaviour.output : behaviour.output_tokens(chunks);
  switch (behaviour.usage) {
    case UsageMode::wrong:
      usage.output *= 3;
      break;
    case UsageMode::negative:
      usage.input = -usage.input - 1;
      usage.output = -usage.output - 1;
      break;
    case UsageMode::huge:
      usage.output = std::numeric_limits<std::int64_t>::max();
      break;
    default:
      break;
  }
  return usage;
}

void append_stream_start(std::string& out, const Script& script, const Answer& answer) {
  const bool array = script.call == Call::gemini_stream_array;
  out += "HTTP/1.1 200 OK\r\nContent-Type: ";
  out += array ? "application/json" : "text/event-stream; charset=utf-8";
  out += "\r\nCache-Control: no-cache\r\n";
  out += request_id_field(family_of(script.call));
  out += ": req_";
  out.append(16, '0');
  put_hex(out.data() + out.size() - 16, answer.id);
  out += "\r\nTransfer-Encoding: chunked\r\n\r\n";
  append_opening_events(out, script, answer);
}

void append_chunk(std::string& out, const Script& script, const Answer& answer,
                  std::int64_t now_ns) {
  const std::size_t base = out.size();
  const Template& from = script.chunk;
  append_filled(out, from, answer.id);
  char* const bytes = out.data() + base;
  const auto number = static_cast<std::uint64_t>(answer.chunks_sent);
  if (from.stamp_at != Template::kNone) {
    put_decimal(bytes + from.stamp_at + 20, 20, static_cast<std::uint64_t>(now_ns), '0');
    put_decimal(bytes + from.stamp_at + 29, 8, number, '0');
  }
  if (from.sequence_at != Template::kNone) {
    put_decimal(bytes + from.sequence_at + kSequenceMark.size(),
                static_cast<int>(kSequenceMark.size()), number + kResponsesOpeningEvents, ' ');
  }
  if (from.comma_at != Template::kNone && answer.chunks_sent == 0) bytes[from.comma_at] = '[';
}

void append_stream_end(std::string& out, const Script& script, const Answer& answer) {
  append_closing_events(out, script, answer);
  out += "0\r\n\r\n";
}

void append_stream_error(std::string& out, const Script& script, const Answer& answer) {
  const Family family = family_of(script.call);
  const std::string error = error_object(529, family, answer.id, "the model is overloaded");
  if (script.call == Call::gemini_stream_array) {
    append_framed(out, (answer.chunks_sent == 0 ? "[\r\n" : ",\r\n") + error + "]");
  } else {
    append_event(out, family == Family::claude || script.call == Call::responses ? "error" : "",
                 error);
  }
  out += "0\r\n\r\n";
}

void append_whole(std::string& out, Script& script, const Answer& answer) {
  if (script.whole.bytes.empty()) {
    script.whole.bytes = whole_body(script);
    find_places(script.whole);
  }
  std::string body;
  body.reserve(script.whole.bytes.size() + 512);
  if (script.personality != nullptr)
    body.append(static_cast<std::size_t>(script.personality->blank_lines), '\n');
  append_filled(body, script.whole, answer.id);
  append_whole_usage(body, script, answer);
  const Behaviour& behaviour = script.behaviour;
  const Family family = family_of(script.call);
  if (behaviour.until_eof || behaviour.chunked) {
    out += "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    out += behaviour.until_eof ? "Connection: close\r\n\r\n" : "Transfer-Encoding: chunked\r\n\r\n";
    if (behaviour.until_eof) {
      out += body;
    } else {
      const std::size_t half = body.size() / 2;
      append_framed(out, std::string_view(body).substr(0, half));
      append_framed(out, std::string_view(body).substr(half));
      out += "0\r\n\r\n";
    }
    return;
  }
  append_json(out, 200, family, answer.id, body, behaviour.close ? "Connection: close\r\n" : "");
}

}  // namespace sluice::mock
