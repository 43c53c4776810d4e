// The class of a provider's error: from what its own table says of the code first, then from what
// the body says, from the status last.
#include <algorithm>
#include <array>
#include <charconv>

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

/// The digits of "insufficient balance (1008)", or nothing.
std::string_view number_at_end(std::string_view message) {
  const std::size_t open = message.rfind('(');
  const std::size_t close = message.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  const std::string_view digits = message.substr(open + 1, close - open - 1);
  return digits.find_first_not_of("0123456789") == std::string_view::npos ? digits
                                                                          : std::string_view{};
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

ErrorClass ErrorTable::find(std::string_view code) const {
  if (code.empty()) return ErrorClass::unknown;
  std::string_view rest = text_;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.size() <= code.size() || line[code.size()] != ' ' || !line.starts_with(code)) continue;
    for (const ErrorClass known : {ErrorClass::key_bad, ErrorClass::no_money, ErrorClass::rate,
                                   ErrorClass::overloaded, ErrorClass::caller}) {
      if (line.substr(code.size() + 1) == to_string(known)) return known;
    }
  }
  return ErrorClass::unknown;
}

ErrorClass UpstreamError::classify(Format format, int status, const ErrorTable& table) const {
  const std::string_view text = message.view();
  std::array<char, 16> digits{};
  const char* const end = std::to_chars(digits.begin(), digits.end(), code_number).ptr;
  const std::string_view number(digits.data(), static_cast<std::size_t>(end - digits.data()));
  for (const std::string_view own : {code.view(), number, number_at_end(text), type.view()}) {
    const ErrorClass by_table = table.find(own);
    if (by_table != ErrorClass::unknown) return by_table;
  }
  if (is_context_overflow(text)) return ErrorClass::caller;
  const ErrorClass by_code = class_of_name(code.view());
  const ErrorClass by_type = class_of_name(type.view());
  if (by_code == ErrorClass::no_money || by_type == ErrorClass::no_money)
    return ErrorClass::no_money;
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

ErrorClass classify_upstream_error(Format format, int status, std::string_view body,
                                   const ErrorTable& table) {
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
  return state.error_texts().classify(format, status, table);
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
