#include "sluice/dialect/route.hpp"

#include <algorithm>

#include "json_text.hpp"

namespace sluice::dialect {
namespace {

/// Percent-decodes `text`; false on a broken escape, a control character, or if it does not fit.
template <class Text>
bool percent_decode(std::string_view text, Text& out) {
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return false;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || !out.push_back(c)) return false;
  }
  return true;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

Route verdict_of(RouteVerdict verdict, Format format) {
  Route out;
  out.verdict = verdict;
  out.format = format;
  return out;
}

/// A path that is served for one method only.
Route served(Operation operation, Format format, std::string_view method, std::string_view wanted) {
  Route out =
      verdict_of(method == wanted ? RouteVerdict::ok : RouteVerdict::method_not_allowed, format);
  out.operation = operation;
  return out;
}

Route call(Operation operation, std::string_view method) {
  return served(operation, format_of(operation), method, "POST");
}

/// /models and /models/{id}; `rest` follows "models".
Route models(std::string_view rest, Format format, std::string_view method) {
  const std::string_view wanted = method == "HEAD" ? "HEAD" : "GET";
  if (rest.empty() || rest == "/") return served(Operation::list_models, format, method, wanted);
  Route out = served(Operation::get_model, format, method, wanted);
  ModelName name;
  if (!percent_decode(rest.substr(1), name) || name.empty()) out.verdict = RouteVerdict::bad_target;
  out.model = name.view();
  return out;
}

struct GeminiMethod {
  std::string_view name;
  Operation operation;
};
constexpr GeminiMethod kGeminiMethods[] = {
    {"generateContent", Operation::gemini_generate},
    {"streamGenerateContent", Operation::gemini_stream_generate},
    {"countTokens", Operation::gemini_count_tokens},
    {"embedContent", Operation::gemini_embed},
};

/// {model}:{method} below models/ or tunedModels/, decoded.
Route gemini_call(std::string_view model, std::string_view method_name, std::string_view method,
                  std::string_view query) {
  const auto* const found = std::ranges::find(kGeminiMethods, method_name, &GeminiMethod::name);
  if (found == std::end(kGeminiMethods))
    return verdict_of(RouteVerdict::not_offered, Format::gemini);
  Route out = call(found->operation, method);
  out.model = model;
  if (model.empty() || model.size() > kMaxModelName) out.verdict = RouteVerdict::bad_target;
  out.stream = found->operation == Operation::gemini_stream_generate;
  out.json_array = out.stream && query_value(query, "alt") != "sse";
  return out;
}

/// What follows the version: models, models/{m}, models/{m}:method, tunedModels/…; the colon may be
/// %3A.
Route gemini(std::string_view rest, std::string_view method, std::string_view query) {
  const bool tuned = rest.starts_with("tunedModels/");
  if (!tuned && rest != "models" && !rest.starts_with("models/")) {
    for (const std::string_view known :
         {"files", "cachedContents", "batches", "interactions", "operations", "corpora"}) {
      if (rest == known || (rest.starts_with(known) && rest[known.size()] == '/')) {
        return verdict_of(RouteVerdict::not_offered, Format::gemini);
      }
    }
    return verdict_of(RouteVerdict::not_found, Format::gemini);
  }
  if (!tuned) rest.remove_prefix(std::string_view("models").size());
  InlineText<512> decoded;
  if (!percent_decode(rest, decoded)) return verdict_of(RouteVerdict::bad_target, Format::gemini);
  std::string_view text = decoded.view();
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return tuned ? verdict_of(RouteVerdict::not_offered, Format::gemini)
                 : models(rest, Format::gemini, method);
  }
  const std::string_view model = text.substr(tuned ? 0 : 1, colon - (tuned ? 0 : 1));
  return gemini_call(model, text.substr(colon + 1), method, query);
}

/// What follows /dashboard/billing/; `format` is the one of refusals.
Route billing(std::string_view rest, std::string_view method, Format format) {
  if (rest == "subscription") return served(Operation::billing_subscription, format, method, "GET");
  if (rest == "usage") return served(Operation::billing_usage, format, method, "GET");
  if (rest == "credit_grants") return served(Operation::billing_grants, format, method, "GET");
  return verdict_of(RouteVerdict::not_offered, format);
}

/// What follows /v1/sluice/.
Route account(std::string_view rest, std::string_view method, Format format) {
  if (rest == "balance") return served(Operation::account_balance, format, method, "GET");
  if (!take_prefix(rest, "requests/")) return verdict_of(RouteVerdict::not_found, format);
  Route out = served(Operation::account_request, format, method, "GET");
  const bool is_id =
      rest.size() == 32 && std::ranges::all_of(rest, [](char c) { return hex_value(c) >= 0; });
  if (!is_id) out.verdict = RouteVerdict::bad_target;
  out.model = rest;
  return out;
}

/// Claude's paths below /v1 (or /claude/v1).
Route claude(std::string_view rest, std::string_view method) {
  if (rest == "messages") return call(Operation::claude_messages, method);
  if (rest == "messages/count_tokens") return call(Operation::claude_count_tokens, method);
  if (rest == "models" || rest.starts_with("models/"))
    return models(rest.substr(6), Format::claude, method);
  const bool known = rest.starts_with("messages/batches") || rest.starts_with("files") ||
                     rest.starts_with("complete");
  return verdict_of(known ? RouteVerdict::not_offered : RouteVerdict::not_found, Format::claude);
}

constexpr std::string_view kOpenaiNotOffered[] = {
    "images",        "audio",         "files",        "uploads",    "batches",
    "moderations",   "fine_tuning",   "realtime",     "assistants", "threads",
    "vector_stores", "conversations", "responses",    "chat",       "videos",
    "containers",    "evals",         "organization", "rerank"};

Route openai(std::string_view rest, std::string_view method) {
  if (rest == "chat/completions") return call(Operation::openai_chat, method);
  if (rest == "completions") return call(Operation::openai_completions, method);
  if (rest == "embeddings") return call(Operation::openai_embeddings, method);
  if (rest == "responses") return call(Operation::openai_responses, method);
  if (rest == "models" || rest.starts_with("models/"))
    return models(rest.substr(6), Format::openai, method);
  const std::string_view head = rest.substr(0, rest.find('/'));
  const bool known = std::ranges::find(kOpenaiNotOffered, head) != std::end(kOpenaiNotOffered);
  return verdict_of(known ? RouteVerdict::not_offered : RouteVerdict::not_found,
                    head == "responses" ? Format::responses : Format::openai);
}

/// /v1 is shared by three protocols. Its models belong to whoever the headers speak for (facts/wire
/// §5.8).
Route shared_v1(std::string_view rest, std::string_view method, std::string_view query,
                const AuthHeaders& headers) {
  if (rest.starts_with("messages")) return claude(rest, method);
  const Format spoken = headers.anthropic_version.empty() ? Format::openai : Format::claude;
  if (take_prefix(rest, "sluice/")) return account(rest, method, spoken);
  if (take_prefix(rest, "dashboard/billing/")) return billing(rest, method, spoken);
  const bool is_models = rest == "models" || rest.starts_with("models/");
  if (rest.starts_with("tunedModels/")) return gemini(rest, method, query);
  if (!is_models) return openai(rest, method);
  const bool has_method = std::ranges::any_of(kGeminiMethods, [&](const GeminiMethod& m) {
    return rest.ends_with(m.name) && rest.size() > m.name.size();
  });
  if (has_method && method == "POST") return gemini(rest, method, query);
  if (!headers.x_goog_api_key.empty() || !query_value(query, "key").empty())
    return gemini(rest, method, query);
  if (!headers.anthropic_version.empty() || !headers.x_api_key.empty()) return claude(rest, method);
  return openai(rest, method);
}

std::string_view bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    if ((authorization[i] | 0x20) != kScheme[i]) return {};
  }
  authorization.remove_prefix(kScheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  while (authorization.ends_with(' ')) authorization.remove_suffix(1);
  return authorization;
}

}  // namespace

Route route(std::string_view method, std::string_view path, std::string_view query,
            const AuthHeaders& headers) {
  std::string_view rest = path;
  if (take_prefix(rest, "/v1beta/openai/") || take_prefix(rest, "/openai/v1/"))
    return openai(rest, method);
  if (take_prefix(rest, "/claude/v1/")) return claude(rest, method);
  if (take_prefix(rest, "/claude/")) return verdict_of(RouteVerdict::not_found, Format::claude);
  if (take_prefix(rest, "/gemini/")) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos || slash == 0)
      return verdict_of(RouteVerdict::not_found, Format::gemini);
    return gemini(rest.substr(slash + 1), method, query);
  }
  if (take_prefix(rest, "/v1beta/") || take_prefix(rest, "/v1alpha/"))
    return gemini(rest, method, query);
  if (take_prefix(rest, "/v1/")) return shared_v1(rest, method, query, headers);
  const Format spoken = headers.anthropic_version.empty() ? Format::openai : Format::claude;
  if (take_prefix(rest, "/dashboard/billing/")) return billing(rest, method, spoken);
  return verdict_of(RouteVerdict::not_found, spoken);
}

std::string_view query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return pair.substr(name.size() + 1);
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return {};
}

std::string_view find_api_key(const AuthHeaders& headers, std::string_view query) {
  if (!headers.x_api_key.empty()) return headers.x_api_key;
  if (const std::string_view token = bearer(headers.authorization); !token.empty()) return token;
  if (!headers.x_goog_api_key.empty()) return headers.x_goog_api_key;
  if (const std::string_view key = query_value(query, "key"); !key.empty()) return key;
  return headers.api_key;
}

}  // namespace sluice::dialect
