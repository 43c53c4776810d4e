// The class of a provider's error, facts/wire §1.10: from what the body says first, from the status
// last.
#include <algorithm>
#include <array>

#include "meter_run.hpp"
#include "sluice/dialect/error_body.hpp"

namespace sluice::dialect {
namespace {

struct Signal {
  std::string_view text;
  ErrorClass error_class;
};

/// Exact values of error.type, error.code, error.status and details.reason.
constexpr Signal kNames[] = {
    // no money
    {"insufficient_quota", ErrorClass::no_money},
    {"credit_balance_exhausted", ErrorClass::no_money},
    {"organization_spend_limit_exceeded", ErrorClass::no_money},
    {"project_spend_limit_exceeded", ErrorClass::no_money},
    {"organization_usage_limit_exceeded", ErrorClass::no_money},
    {"billing_error", ErrorClass::no_money},
    {"billing_hard_limit_reached", ErrorClass::no_money},
    {"enforced_spend_limit_reached", ErrorClass::no_money},
    {"contract_spend_limit_reached", ErrorClass::no_money},
    {"exceeded_current_quota_error", ErrorClass::no_money},
    {"insufficient_balance_error", ErrorClass::no_money},
    {"Arrearage", ErrorClass::no_money},
    {"AllocationQuota.FreeTierOnly", ErrorClass::no_money},
    // key
    {"API_KEY_INVALID", ErrorClass::key_bad},
    {"invalid_api_key", ErrorClass::key_bad},
    {"InvalidApiKey", ErrorClass::key_bad},
    {"incorrect_api_key_error", ErrorClass::key_bad},
    {"invalid_authentication_error", ErrorClass::key_bad},
    {"authentication_error", ErrorClass::key_bad},
    {"organization_on_hold", ErrorClass::key_bad},
    {"UNAUTHENTICATED", ErrorClass::key_bad},
    // rate
    {"rate_limit_error", ErrorClass::rate},
    {"rate_limit_exceeded", ErrorClass::rate},
    {"rate_limit_reached_error", ErrorClass::rate},
    {"ramp_limit_exceeded", ErrorClass::rate},
    {"slow_down", ErrorClass::rate},
    {"RESOURCE_EXHAUSTED", ErrorClass::rate},
    {"Throttling.RateQuota", ErrorClass::rate},
    {"Throttling.AllocationQuota", ErrorClass::rate},
    // overloaded
    {"overloaded_error", ErrorClass::overloaded},
    {"engine_overloaded_error", ErrorClass::overloaded},
    {"UNAVAILABLE", ErrorClass::overloaded},
    {"INTERNAL", ErrorClass::overloaded},
    {"DEADLINE_EXCEEDED", ErrorClass::overloaded},
    {"server_error", ErrorClass::overloaded},
    {"api_error", ErrorClass::overloaded},
    {"timeout_error", ErrorClass::overloaded},
    // caller
    {"context_length_exceeded", ErrorClass::caller},
    {"content_filter", ErrorClass::caller},
    {"data_inspection_failed", ErrorClass::caller},
    {"request_too_large", ErrorClass::caller},
    {"invalid_request_error", ErrorClass::caller},
    {"invalid_parameter_error", ErrorClass::caller},
    {"not_found_error", ErrorClass::caller},
    {"resource_not_found_error", ErrorClass::caller},
    {"INVALID_ARGUMENT", ErrorClass::caller},
    {"NOT_FOUND", ErrorClass::caller},
};

/// GLM sends digits as a string, MiniMax as a number or as "(1008)" at the end of the message.
ErrorClass class_of_number(int code) {
  switch (code) {
    case 1000:
    case 1001:
    case 1002:
    case 1003:
    case 1004:  // GLM authentication; MiniMax 1004
    case 2049:
      return ErrorClass::key_bad;
    case 1112:
    case 1121:  // GLM: account locked
    case 1113:
    case 1304:
    case 1308:
    case 1309:
    case 1310:
    case 1311:
    case 1313:  // GLM: arrears and plans
    case 1008:
      return ErrorClass::no_money;  // MiniMax
    case 1302:
    case 1303:
    case 1039:
      return ErrorClass::rate;
    case 1305:
    case 1312:
    case 1024:
    case 1033:
      return ErrorClass::overloaded;
    case 1210:
    case 1211:
    case 1212:
    case 1213:
    case 1214:
    case 1215:
    case 1261:
    case 1301:
    case 1026:
    case 1027:
    case 2013:
      return ErrorClass::caller;
    default:
      return ErrorClass::unknown;
  }
}

/// MiniMax's own numbers where they differ from GLM's.
ErrorClass class_of_minimax(int code) {
  switch (code) {
    case 1000:
    case 1001:
      return ErrorClass::overloaded;
    case 1002:
      return ErrorClass::rate;
    default:
      return class_of_number(code);
  }
}

int number_in(std::string_view digits) {
  if (digits.size() < 4 || digits.size() > 5) return 0;
  int value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return 0;
    value = value * 10 + (c - '0');
  }
  return value;
}

/// The number of "insufficient balance (1008)".
int minimax_suffix(std::string_view message) {
  const std::size_t open = message.rfind('(');
  const std::size_t close = message.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return 0;
  return number_in(message.substr(open + 1, close - open - 1));
}

ErrorClass class_of_name(std::string_view name) {
  const auto* const found = std::ranges::find(kNames, name, &Signal::text);
  return found == std::end(kNames) ? ErrorClass::unknown : found->error_class;
}

bool contains(std::string_view text, std::string_view part) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::search(text, part, {}, lower, lower).begin() != text.end();
}

bool speaks_of_money(std::string_view message) {
  constexpr std::string_view kTexts[] = {
      "credit balance is too low",   "insufficient balance", "spend limit", "usage limits",
      "exceeded your current quota", "plans and billing"};
  return std::ranges::any_of(kTexts, [&](auto text) { return contains(message, text); });
}

bool speaks_of_rate(std::string_view message) {
  return contains(message, "rate limit") || contains(message, "too many requests");
}

ErrorClass class_of_status(int status) {
  switch (status) {
    case 401:
      return ErrorClass::key_bad;
    case 402:
      return ErrorClass::no_money;
    case 429:
      return ErrorClass::rate;
    case 400:
    case 404:
    case 413:
    case 422:
      return ErrorClass::caller;
    case 500:
    case 502:
    case 503:
    case 504:
    case 529:
      return ErrorClass::overloaded;
    default:
      return ErrorClass::unknown;
  }
}

}  // namespace

bool is_context_overflow(std::string_view text) {
  constexpr std::string_view kTexts[] = {
      "prompt is too long",           "exceeds the context window",
      "maximum context length",       "exceeds the maximum",
      "maximum prompt length is",     "exceeded model token limit",
      "context window exceeds limit", "range of input length should be",
      "context_length_exceeded",      "request_too_large"};
  if (speaks_of_rate(text)) return false;
  return std::ranges::any_of(kTexts, [&](auto part) { return contains(text, part); });
}

ErrorClass UpstreamError::classify(Format format, int status) const {
  const std::string_view text = message.view();
  if (is_context_overflow(text)) return ErrorClass::caller;
  const ErrorClass by_code = class_of_name(code.view());
  const ErrorClass by_type = class_of_name(type.view());
  if (by_code == ErrorClass::no_money || by_type == ErrorClass::no_money)
    return ErrorClass::no_money;
  // MiniMax reports an empty account with 429 and with 500: its own number is the truth.
  if (const int number = minimax_suffix(text); number != 0) {
    const ErrorClass by_number = class_of_minimax(number);
    if (by_number != ErrorClass::unknown) return by_number;
  }
  if (const int number = number_in(code.view()); number != 0) {
    const ErrorClass by_number = class_of_number(number);
    if (by_number != ErrorClass::unknown) return by_number;
  }
  if (status < 400 && code_number >= 1000) {
    const ErrorClass by_number = class_of_minimax(code_number);
    if (by_number != ErrorClass::unknown) return by_number;
  }
  if (status == 402) return ErrorClass::no_money;
  if (format == Format::gemini) {
    // Google says "exceeded your current quota" for a minute's quota as well: only the quota's name
    // tells.
    if (contains(code.view(), "perday")) return ErrorClass::no_money;
  } else if (status >= 400 && speaks_of_money(text)) {
    return ErrorClass::no_money;
  }
  if (status == 401) return ErrorClass::key_bad;
  if (by_code != ErrorClass::unknown) return by_code;
  // A broad type does not overrule a status that says more: an overloaded server may call it
  // api_error.
  const ErrorClass by_status = class_of_status(status);
  if (by_type == ErrorClass::caller && by_status != ErrorClass::unknown) return by_status;
  if (by_type != ErrorClass::unknown) return by_type;
  if (by_status != ErrorClass::unknown) return by_status;
  return class_of_status(code_number);
}

ErrorClass classify_upstream_error(Format format, int status, std::string_view body) {
  MeterState state;
  state.json.role = static_cast<std::uint8_t>(MeterRole::root);
  switch (format) {
    case Format::openai:
      kOpenaiMeter.read_json(state, body);
      break;
    case Format::responses:
      kResponsesMeter.read_json(state, body);
      break;
    case Format::claude:
      kClaudeMeter.read_json(state, body);
      break;
    case Format::gemini:
      kGeminiMeter.read_json(state, body);
      break;
  }
  if (state.json.step == JsonStep::value || state.json.step == JsonStep::invalid) {
    state.error.reset();  // not JSON: a proxy's page; only its text can tell
    state.error_texts().message.assign(body.substr(0, 160));
  }
  return state.error_texts().classify(format, status);
}

TimeNs retry_delay_ns(std::string_view body) {
  constexpr std::string_view kName = "\"retryDelay\"";
  const std::size_t at = body.find(kName);
  if (at == std::string_view::npos) return 0;
  body.remove_prefix(at + kName.size());
  body.remove_prefix(std::min(body.find_first_not_of(" \t\r\n:\""), body.size()));
  TimeNs seconds = 0;
  std::size_t digits = 0;
  for (; digits < body.size() && body[digits] >= '0' && body[digits] <= '9'; ++digits) {
    if (digits == 9) return 0;  // 30 years: not meant
    seconds = seconds * 10 + (body[digits] - '0');
  }
  // A fraction is rounded up.
  const bool fraction = digits < body.size() && body[digits] == '.';
  return (seconds + (fraction ? 1 : 0)) * kSecond;
}

std::string_view to_string(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::unknown:
      return "unknown";
    case ErrorClass::key_bad:
      return "key_bad";
    case ErrorClass::no_money:
      return "no_money";
    case ErrorClass::rate:
      return "rate";
    case ErrorClass::overloaded:
      return "overloaded";
    case ErrorClass::caller:
      return "caller";
  }
  return "unknown";
}

}  // namespace sluice::dialect
