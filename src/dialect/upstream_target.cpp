#include <algorithm>
#include <cstring>

#include "sluice/dialect/route.hpp"

namespace sluice::dialect {
namespace {

class TargetWriter {
 public:
  explicit TargetWriter(std::span<char> out) : out_(out) {}

  void put(std::string_view text) {
    if (text.size() > out_.size() - size_) {
      overflow_ = true;
      return;
    }
    std::memcpy(out_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  /// A path segment or several: all but unreserved characters and slashes become %XX (RFC 3986
  /// §2.3).
  void put_encoded(std::string_view text) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    for (const char c : text) {
      const bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
      const bool plain =
          alnum || c == '-' || c == '.' || c == '_' || c == '~' || c == '/' || c == '@';
      const auto byte = static_cast<unsigned char>(c);
      const char escape[3] = {'%', kHex[byte >> 4], kHex[byte & 15]};
      plain ? put({&c, 1}) : put({escape, 3});
    }
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool overflow() const { return overflow_; }

 private:
  std::span<char> out_;
  std::size_t size_ = 0;
  bool overflow_ = false;
};

/// What follows the base path; for Gemini what follows the model.
std::string_view suffix(Operation operation) {
  switch (operation) {
    case Operation::openai_chat:
      return "/chat/completions";
    case Operation::openai_completions:
      return "/completions";
    case Operation::openai_embeddings:
      return "/embeddings";
    case Operation::openai_responses:
      return "/responses";
    case Operation::claude_messages:
      return "/v1/messages";
    case Operation::claude_count_tokens:
      return "/v1/messages/count_tokens";
    case Operation::gemini_generate:
      return ":generateContent";
    case Operation::gemini_stream_generate:
      return ":streamGenerateContent";
    case Operation::gemini_count_tokens:
      return ":countTokens";
    case Operation::gemini_embed:
      return ":embedContent";
    case Operation::list_models:
    case Operation::get_model:
    case Operation::account_balance:
    case Operation::account_request:
    case Operation::billing_subscription:
    case Operation::billing_usage:
    case Operation::billing_grants:
      return {};
  }
  return {};
}

/// The name is one of those that carry credentials, also with letters percent-encoded or in other
/// case.
bool is_credential(std::string_view name) {
  constexpr std::string_view kNames[] = {"key",          "api_key", "api-key", "apikey",
                                         "access_token", "token",   "auth"};
  if (name.find('%') != std::string_view::npos)
    return true;  // no parameter of these APIs needs one
  const auto same = [name](std::string_view known) {
    return std::ranges::equal(name, known, {}, [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
  };
  return std::ranges::any_of(kNames, same);
}

void put_query(std::string_view query, TargetWriter& out) {
  char separator = '?';
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    if (!pair.empty() && !is_credential(pair.substr(0, pair.find('=')))) {
      out.put({&separator, 1});
      out.put(pair);
      separator = '&';
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
}

}  // namespace

Result<std::size_t> upstream_target(const UpstreamTarget& target, std::span<char> out) {
  const std::string_view tail = suffix(target.operation);
  if (tail.empty()) return fail(Errc::unsupported);
  std::string_view base = target.base_path;
  while (base.ends_with('/')) base.remove_suffix(1);
  TargetWriter writer(out);
  writer.put(base);
  if (format_of(target.operation) == Format::gemini) {
    const bool resource =
        target.model.starts_with("models/") || target.model.starts_with("tunedModels/");
    writer.put(resource ? "/" : "/models/");
    writer.put_encoded(target.model);
  }
  writer.put(tail);
  put_query(target.query, writer);
  if (writer.overflow()) return fail(Errc::too_large);
  return writer.size();
}

}  // namespace sluice::dialect
