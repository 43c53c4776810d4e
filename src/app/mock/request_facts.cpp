#include "request_facts.hpp"

#include <array>
#include <cstring>

namespace sluice::mock {
namespace {

constexpr int kMaxDepth = 512;

/// One pass over a JSON text that keeps what RequestFacts wants. Checks nesting and strings, not
/// each number.
class BodyScan {
 public:
  explicit BodyScan(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool run(RequestFacts& facts) {
    skip_space();
    if (at_ == end_ || *at_ != '{' || !value(facts, "", 0)) return false;
    skip_space();
    facts.input_tokens = request_tokens(string_bytes_);
    return at_ == end_;
  }

 private:
  void skip_space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  bool string(std::string_view& out) {
    const char* const begin = ++at_;
    while (at_ != end_) {
      const auto left = static_cast<std::size_t>(end_ - at_);
      const auto* const quote = static_cast<const char*>(std::memchr(at_, '"', left));
      if (quote == nullptr) return false;
      const char* back = quote;
      while (back != begin && back[-1] == '\\') --back;
      at_ = quote + 1;
      if ((quote - back) % 2 == 0) {
        out = {begin, static_cast<std::size_t>(quote - begin)};
        return true;
      }
    }
    return false;
  }

  /// `path` names where the value stands: "" = the whole text, "model",
  /// "stream_options.include_usage", …; only members of the top level and of stream_options are
  /// named, "?" is everything else.
  bool value(RequestFacts& facts, std::string_view path, int depth) {
    skip_space();
    if (at_ == end_ || depth > kMaxDepth) return false;
    if (path == "stream_options") facts.stream_options = true;
    if (*at_ == '"') {
      std::string_view text;
      if (!string(text)) return false;
      if (path == "model") {
        facts.model = text;
      } else {
        string_bytes_ += static_cast<std::int64_t>(text.size());
      }
      return true;
    }
    if (*at_ == '{') return object(facts, path, depth);
    if (*at_ == '[') return array(facts, path, depth);
    return literal(facts, path);
  }

  bool object(RequestFacts& facts, std::string_view path, int depth) {
    ++at_;
    skip_space();
    if (at_ != end_ && *at_ == '}') return ++at_, true;
    while (true) {
      skip_space();
      if (at_ == end_ || *at_ != '"') return false;
      std::string_view key;
      if (!string(key)) return false;
      skip_space();
      if (at_ == end_ || *at_++ != ':') return false;
      std::string_view inner = "?";
      if (depth == 0) inner = key;
      if (path == "stream_options" && key == "include_usage")
        inner = "stream_options.include_usage";
      if (!value(facts, inner, depth + 1)) return false;
      skip_space();
      if (at_ == end_) return false;
      const char separator = *at_++;
      if (separator == '}') return true;
      if (separator != ',') return false;
    }
  }

  bool array(RequestFacts& facts, std::string_view path, int depth) {
    ++at_;
    std::int64_t items = 0;
    skip_space();
    if (at_ != end_ && *at_ == ']') return ++at_, true;
    while (true) {
      if (!value(facts, "?", depth + 1)) return false;
      ++items;
      skip_space();
      if (at_ == end_) return false;
      const char separator = *at_++;
      if (separator == ']') break;
      if (separator != ',') return false;
    }
    if (depth == 1 && (path == "input" || path == "requests")) facts.items = items;
    return true;
  }

  bool literal(RequestFacts& facts, std::string_view path) {
    const char* const begin = at_;
    while (at_ != end_ && std::strchr(",]} \n\r\t", *at_) == nullptr) ++at_;
    const std::string_view text{begin, static_cast<std::size_t>(at_ - begin)};
    if (text.empty()) return false;
    const bool word = text == "true" || text == "false" || text == "null";
    if (!word && text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) return false;
    if (path == "stream") facts.stream = text == "true";
    if (path == "stream_options.include_usage") facts.include_usage = text == "true";
    return true;
  }

  const char* at_;
  const char* end_;
  std::int64_t string_bytes_ = 0;
};

struct Suffix {
  std::string_view text;
  Call call;
};

constexpr std::array kPostPaths = {
    Suffix{"/chat/completions", Call::chat},
    Suffix{"/completions", Call::completions},
    Suffix{"/responses", Call::responses},
    Suffix{"/embeddings", Call::embeddings},
    Suffix{"/messages/count_tokens", Call::count_tokens},
    Suffix{"/messages", Call::messages},
};

constexpr std::array kGeminiMethods = {
    Suffix{"generateContent", Call::gemini_generate},
    Suffix{"streamGenerateContent", Call::gemini_stream_array},
    Suffix{"countTokens", Call::gemini_count},
    Suffix{"embedContent", Call::gemini_embed},
    Suffix{"batchEmbedContents", Call::gemini_embed_batch},
};

/// ".../models/NAME:method", the colon possibly percent-encoded.
bool gemini_path(std::string_view path, std::string_view query, RequestFacts& facts) {
  const std::size_t models = path.rfind("/models/");
  if (models == std::string_view::npos) return false;
  const std::string_view tail = path.substr(models + 8);
  std::size_t colon = tail.rfind(':');
  std::size_t colon_bytes = 1;
  if (colon == std::string_view::npos) {
    colon = tail.rfind("%3A");
    if (colon == std::string_view::npos) colon = tail.rfind("%3a");
    colon_bytes = 3;
  }
  if (colon == std::string_view::npos) return false;
  const std::string_view method = tail.substr(colon + colon_bytes);
  for (const Suffix& known : kGeminiMethods) {
    if (method != known.text) continue;
    facts.call = known.call;
    facts.model = tail.substr(0, colon);
    if (known.call == Call::gemini_stream_array) {
      facts.stream = true;
      if (query.find("alt=sse") != std::string_view::npos) facts.call = Call::gemini_stream_sse;
    }
    return true;
  }
  return false;
}

void models_path(const HttpRequest& request, std::string_view path, RequestFacts& facts) {
  const std::size_t models = path.rfind("/models");
  if (models == std::string_view::npos) return;
  const std::string_view tail = path.substr(models + 7);
  if (!tail.empty() && tail.front() != '/') return;
  facts.model = tail.empty() ? tail : tail.substr(1);
  if (!request.claude_version.empty()) {
    facts.call = Call::claude_models;
  } else if (!request.goog_api_key.empty() || path.find("/v1beta/") != std::string_view::npos) {
    facts.call = Call::gemini_models;
  } else {
    facts.call = Call::openai_models;
  }
}

}  // namespace

Family family_of(Call call) {
  switch (call) {
    case Call::messages:
    case Call::count_tokens:
    case Call::claude_models:
      return Family::claude;
    case Call::gemini_generate:
    case Call::gemini_stream_sse:
    case Call::gemini_stream_array:
    case Call::gemini_count:
    case Call::gemini_embed:
    case Call::gemini_embed_batch:
    case Call::gemini_models:
      return Family::gemini;
    default:
      return Family::openai;
  }
}

bool lists_models(Call call) {
  return call == Call::openai_models || call == Call::claude_models || call == Call::gemini_models;
}

bool generates(Call call) {
  switch (call) {
    case Call::chat:
    case Call::completions:
    case Call::responses:
    case Call::messages:
    case Call::gemini_generate:
    case Call::gemini_stream_sse:
    case Call::gemini_stream_array:
      return true;
    default:
      return false;
  }
}

std::string_view to_string(Call call) {
  constexpr std::array<std::string_view, 16> kNames = {"chat",
                                                       "completions",
                                                       "responses",
                                                       "embeddings",
                                                       "messages",
                                                       "count_tokens",
                                                       "gemini_generate",
                                                       "gemini_stream_sse",
                                                       "gemini_stream_array",
                                                       "gemini_count",
                                                       "gemini_embed",
                                                       "gemini_embed_batch",
                                                       "openai_models",
                                                       "claude_models",
                                                       "gemini_models",
                                                       "unknown"};
  return kNames[static_cast<std::size_t>(call)];
}

RequestFacts facts_of(const HttpRequest& request) {
  RequestFacts facts;
  const std::size_t question = request.target.find('?');
  const std::string_view path = request.target.substr(0, question);
  const std::string_view query =
      question == std::string_view::npos ? std::string_view{} : request.target.substr(question);
  if (request.method == "GET") {
    models_path(request, path, facts);
    return facts;
  }
  if (request.method != "POST") return facts;
  if (!gemini_path(path, query, facts)) {
    for (const Suffix& known : kPostPaths) {
      if (path.ends_with(known.text)) {
        facts.call = known.call;
        break;
      }
    }
  }
  if (facts.call == Call::unknown) return facts;
  const std::string_view path_model = facts.model;
  const bool path_stream = facts.stream;
  facts.valid_json = BodyScan(request.body).run(facts);
  if (!path_model.empty()) {
    facts.model = path_model;
    facts.stream = path_stream;
  }
  return facts;
}

}  // namespace sluice::mock
