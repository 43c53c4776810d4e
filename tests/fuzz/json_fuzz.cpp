// The JSON reader against simdjson's DOM: the same documents are valid and say the same, however
// they are cut. And a request that is scanned asks for what the DOM says, before and after the
// gateway's edits.
#include <simdjson.h>

#include "fuzz.hpp"
#include "json_reader.hpp"
#include "sluice/dialect/request_scan.hpp"

namespace sluice::dialect {
namespace {

namespace dom = simdjson::dom;

/// Writes down all that the reader says. What a value is for follows from its key: 's' is skipped,
/// 't' counted, 'c' captured, everything else collected.
struct Recorder {
  std::string log;
  TokenClasses text;
  std::string collected;

  static std::uint8_t role_of(std::string_view key) {
    if (key.empty()) return 'x';
    return key[0] == 's'                    ? std::uint8_t{0}
           : key[0] == 't' || key[0] == 'c' ? static_cast<std::uint8_t>(key[0])
                                            : std::uint8_t{'x'};
  }
  std::uint8_t role_of_key(std::uint8_t, Key, const JsonString& name) {
    log.append("k:").append(name.text.substr(0, 64)).append(" ");
    return role_of(name.text);
  }
  std::uint8_t role_of_element(std::uint8_t container) { return container; }
  StringMode string_mode(std::uint8_t role) const {
    return role == 'c'   ? StringMode::capture
           : role == 't' ? StringMode::count
                         : StringMode::collect;
  }
  TokenClasses& classes(std::uint8_t) { return text; }
  void on_text_start(const char*) {}
  void collect(std::uint8_t, std::string_view piece) { collected += piece; }
  void on_string(std::uint8_t role, const JsonString& s) {
    log += "s";
    if (role == 'c') log.append(":").append(s.text.substr(0, 64));
    if (role == 'x') log += collected;
    collected.clear();
    log += s.empty ? "0 " : " ";
  }
  void on_number(std::uint8_t, const JsonNumber& n) {
    if (n.fraction) {
      log += "f ";
    } else {
      log += "n:" + std::string(n.negative && n.magnitude != 0 ? "-" : "") +
             std::to_string(n.magnitude) + " ";
    }
  }
  void on_literal(std::uint8_t, JsonLiteral which, std::string_view) {
    log += "l" + std::to_string(static_cast<int>(which)) + ' ';
  }
  void on_open(std::uint8_t, bool object, const char*) { log += object ? "{ " : "[ "; }
  void on_close(std::uint8_t, bool object, const char*) { log += object ? "} " : "] "; }
};

/// The same, as the DOM has it.
struct Walk {
  std::string log;
  unsigned deepest = 0;

  void value(std::uint8_t role, dom::element element, unsigned depth) {
    deepest = std::max(deepest, depth);
    switch (element.type()) {
      case dom::element_type::OBJECT:
        if (role != 0) log += "{ ";
        for (const auto field : dom::object(element)) {
          if (role != 0) log.append("k:").append(field.key.substr(0, 64)).append(" ");
          value(role == 0 ? std::uint8_t{0} : Recorder::role_of(field.key), field.value, depth + 1);
        }
        if (role != 0) log += "} ";
        return;
      case dom::element_type::ARRAY:
        if (role != 0) log += "[ ";
        for (const auto item : dom::array(element)) value(role, item, depth + 1);
        if (role != 0) log += "] ";
        return;
      default:
        if (role != 0) scalar(role, element);
    }
  }

  void scalar(std::uint8_t role, dom::element element) {
    switch (element.type()) {
      case dom::element_type::STRING: {
        const std::string_view text = element.get_string().value_unsafe();
        log += "s";
        if (role == 'c') log.append(":").append(text.substr(0, 64));
        if (role == 'x') log += text;
        log += text.empty() ? "0 " : " ";
        return;
      }
      case dom::element_type::INT64:
        log += "n:" + std::to_string(element.get_int64().value_unsafe()) + " ";
        return;
      case dom::element_type::UINT64:
        log += "n:" + std::to_string(element.get_uint64().value_unsafe()) + " ";
        return;
      case dom::element_type::DOUBLE:
        log += "f ";
        return;
      case dom::element_type::BOOL:
        log += element.get_bool().value_unsafe() ? "l0 " : "l1 ";
        return;
      default:
        log += "l2 ";
    }
  }
};

struct Read {
  bool valid = false;
  std::string log;
};

Read read(std::string_view text, const std::vector<std::size_t>& cuts) {
  JsonState state;
  state.role = 'x';
  Recorder recorder;
  const auto feed = [&](std::string_view piece) {
    JsonReader<Recorder>(state, recorder, piece.data()).feed(piece);
  };
  fuzz::for_pieces(text, cuts, feed);
  feed("\n");  // a number at the end of the text is whole then
  if (state.step != JsonStep::done) return {};
  const TokenClasses& t = recorder.text;
  return {true, recorder.log + "\n" + std::to_string(t.words) + " " + std::to_string(t.letters) +
                    " " + std::to_string(t.digits) + " " + std::to_string(t.symbols) + " " +
                    std::to_string(t.cjk) + " " + std::to_string(t.emoji) + " " +
                    std::to_string(t.other)};
}

/// simdjson refuses half a surrogate pair and numbers that no double or 64-bit integer holds;
/// JSON's grammar does not.
bool may_differ(simdjson::error_code error, std::string_view text) {
  if (error == simdjson::STRING_ERROR) return text.find("\\u") != std::string_view::npos;
  if (error != simdjson::NUMBER_ERROR) return false;
  std::size_t digits = 0;
  for (const char c : text) {
    if ((c | 0x20) == 'e') return true;
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits >= 19) return true;
  }
  return false;
}

/// The body with its edits made.
std::string edited(std::string_view body, const EditList& edits) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    fuzz::check(edits[i].offset >= at && edits[i].offset + edits[i].remove <= body.size(),
                "edits are in order", body);
    out += body.substr(at, edits[i].offset - at);
    out += edits.text(edits[i]);
    at = edits[i].offset + edits[i].remove;
  }
  out += body.substr(at);
  fuzz::check(out.size() == edits.edited_bytes(body.size()), "the length that is announced", body,
              out);
  return out;
}

std::string_view string_at(dom::object root, std::string_view key) {
  std::string_view text;
  if (root.at_key(key).get(text) != simdjson::SUCCESS) return {};
  return text;
}

bool true_at(dom::object root, std::string_view key) {
  bool value = false;
  return root.at_key(key).get(value) == simdjson::SUCCESS && value;
}

/// Members that no edit may touch, as text.
std::string rest_of(dom::object root) {
  std::string out;
  for (const auto field : root) {
    const bool edited_here = field.key == "model" || field.key == "stream_options" ||
                             field.key == "max_tokens" || field.key == "max_completion_tokens" ||
                             field.key == "max_output_tokens";
    if (!edited_here)
      out.append(field.key).append("=").append(simdjson::minify(field.value)).append("\n");
  }
  return out;
}

constexpr Tokens kCap = 77;
constexpr std::string_view kUpstream = "up/\"stream\"";

void look_at_edits(const RequestScan& scan, std::string_view body, dom::object before) {
  const std::string rest = rest_of(before);
  const auto edits =
      plan_edits(scan, {.upstream_model = kUpstream, .include_usage = true, .output_cap = kCap});
  fuzz::check(edits.has_value(), "edits are made", body);
  const std::string after_text = edited(body, *edits);
  dom::parser parser;
  dom::object after;
  const auto parsed = parser.parse(simdjson::padded_string(after_text)).get(after);
  fuzz::check(parsed == simdjson::SUCCESS, "an edited body is JSON", body, after_text);
  fuzz::check(string_at(after, "model") == kUpstream, "it names the upstream's model", body,
              after_text);
  fuzz::check_same(rest, rest_of(after), "nothing else has changed");
  const bool chat =
      scan.operation == Operation::openai_chat || scan.operation == Operation::openai_completions;
  if (chat && scan.stream) {
    dom::object options;
    const auto there = after.at_key("stream_options").get(options);
    fuzz::check(there == simdjson::SUCCESS && true_at(options, "include_usage"),
                "it asks for usage", body, after_text);
  }
  bool capped = scan.operation == Operation::openai_embeddings;
  const std::string_view names[] = {"max_tokens", "max_completion_tokens", "max_output_tokens"};
  for (const std::string_view name : names) {
    const bool responses = scan.operation == Operation::openai_responses;
    if (responses != (name == "max_output_tokens")) continue;
    if (name == "max_completion_tokens" && scan.operation != Operation::openai_chat) continue;
    std::uint64_t cap = 0;
    const auto found = after.at_key(name).get(cap);
    if (found == simdjson::NO_SUCH_FIELD) continue;
    fuzz::check(capped || found != simdjson::SUCCESS || cap <= kCap, "no cap above the wish", body,
                after_text);
    capped |= found == simdjson::SUCCESS;
  }
  fuzz::check(capped, "there is a cap", body, after_text);
}

void look_at_request(std::string_view body) {
  constexpr Operation kOperations[] = {Operation::openai_chat,       Operation::openai_completions,
                                       Operation::openai_responses,  Operation::claude_messages,
                                       Operation::openai_embeddings, Operation::claude_count_tokens,
                                       Operation::gemini_generate,   Operation::gemini_embed};
  for (const Operation operation : kOperations) {
    const std::unique_ptr<char[]> exact(new char[body.size()]);
    body.copy(exact.get(), body.size());
    const auto scan = scan_request(operation, {exact.get(), body.size()});
    if (!scan) {
      fuzz::check(scan.error().source == Source::client, "the client is to blame");
      continue;
    }
    fuzz::check(estimate_input_tokens(*scan) >= 0, "an estimate is a number", body);
    dom::parser parser;
    dom::object root;
    const auto error = parser.parse(simdjson::padded_string(body)).get(root);
    fuzz::check(error == simdjson::SUCCESS || may_differ(error, body),
                "what is scanned is a JSON object", body, simdjson::error_message(error));
    if (error != simdjson::SUCCESS || !model_in_body(operation)) continue;
    std::size_t models = 0;
    for (const auto field : root) models += field.key == "model" ? 1U : 0U;
    fuzz::check(models == 1, "one model", body);
    fuzz::check_same(scan->model.view(), string_at(root, "model"), "the model that others read");
    if (operation == Operation::openai_embeddings || operation == Operation::claude_count_tokens)
      continue;
    fuzz::check(scan->stream == true_at(root, "stream"), "streamed where others stream", body);
    look_at_edits(*scan, body, root);
  }
}

}  // namespace
}  // namespace sluice::dialect

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::dialect;
  const std::string_view text = fuzz::text_of(data, size);
  const Read whole = read(text, {});
  for (const auto& cuts : fuzz::ways_to_cut(text)) {
    const Read cut = read(text, cuts);
    fuzz::check(cut.valid == whole.valid, "no cut makes JSON", text);
    fuzz::check_same(cut.log, whole.log, "no cut changes what is read");
  }
  look_at_request(text);
  if (!simdjson::validate_utf8(text.data(), text.size())) return 0;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const auto error = parser.parse(simdjson::padded_string(text)).get(root);
  if (error != simdjson::SUCCESS) {
    fuzz::check(!whole.valid || may_differ(error, text), "what is valid is valid to simdjson", text,
                simdjson::error_message(error));
    return 0;
  }
  Walk walk;
  walk.value('x', root, 0);
  fuzz::check(whole.valid || walk.deepest > kMaxJsonDepth || text.starts_with("\xef\xbb\xbf"),
              "what simdjson takes is valid", text);
  if (whole.valid)
    fuzz::check_same(whole.log.substr(0, whole.log.rfind('\n')), walk.log, "the same is read");
  return 0;
}
