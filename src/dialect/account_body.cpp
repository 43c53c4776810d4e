#include "sluice/dialect/account_body.hpp"

#include <algorithm>
#include <limits>

namespace sluice::dialect {
namespace {

constexpr std::int64_t kFarS = 4'102'444'800;  // 2100-01-01, for clients that want a date

/// `nanos` / 10^places with all its digits behind the point.
std::string decimal(Nanos nanos, int places) {
  const bool negative = nanos < 0;
  std::string text = std::to_string(negative ? 0U - static_cast<std::uint64_t>(nanos)
                                             : static_cast<std::uint64_t>(nanos));
  const auto behind = static_cast<std::size_t>(places);
  if (text.size() <= behind) text.insert(0, behind + 1 - text.size(), '0');
  text.insert(text.size() - behind, 1, '.');
  return negative ? "-" + text : text;
}

std::string usd(Nanos nanos) { return decimal(nanos, 9); }
std::string cents(Nanos nanos) { return decimal(nanos, 7); }

Nanos sum(Nanos a, Nanos b) {
  Nanos out = 0;
  return __builtin_add_overflow(a, b, &out) ? std::numeric_limits<Nanos>::max() : out;
}

/// A flat or nested object, member by member.
class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  Object& raw(const char* name, const std::string& json) {
    if (out_.back() != '{') out_ += ',';
    out_.append("\"").append(name).append("\":").append(json);
    return *this;
  }
  Object& text(const char* name, const std::string& plain) {
    return raw(name, "\"" + plain + "\"");
  }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
};

std::string limit_or_null(std::uint64_t limit) {
  return limit == 0 ? "null" : std::to_string(limit);
}

std::string render(const BudgetView& budget) {
  std::string out;
  Object object(out);
  object.raw("limit_usd", budget.limit ? "\"" + usd(*budget.limit) + "\"" : "null");
  object.text("spent_usd", usd(budget.spent)).text("reserved_usd", usd(budget.reserved)).end();
  return out;
}

std::string render(const PartyView& party) {
  std::string out;
  Object object(out);
  object.raw("total", render(party.total)).raw("day", render(party.day));
  object.raw("month", render(party.month));
  object.raw("requests_per_minute", limit_or_null(party.requests_per_minute));
  object.raw("tokens_per_minute", limit_or_null(party.tokens_per_minute));
  object.raw("max_in_flight", limit_or_null(party.max_in_flight));
  object.raw("in_flight", std::to_string(party.in_flight)).end();
  return out;
}

std::string balance(const AccountView& account) {
  std::string out;
  Object object(out);
  object.text("object", "balance").text("currency", "USD");
  object.text("available_usd", usd(account.available)).text("held_usd", usd(account.held));
  object.text("overdraft_usd", usd(account.overdraft));
  object.text("spendable_usd", usd(account.spendable));
  object.raw("key", render(account.key)).raw("customer", render(account.customer)).end();
  return out;
}

std::string subscription(const AccountView& account) {
  const std::string limit = usd(sum(account.spendable, account.key.total.spent));
  std::string out;
  Object object(out);
  object.text("object", "billing_subscription").raw("has_payment_method", "true");
  object.raw("canceled", "false").raw("soft_limit_usd", limit).raw("hard_limit_usd", limit);
  object.raw("system_hard_limit_usd", limit);
  object.raw("access_until", std::to_string(account.expires_s == 0 ? kFarS : account.expires_s));
  object.end();
  return out;
}

std::string usage(const AccountView& account) {
  std::string out;
  Object object(out);
  object.text("object", "list").raw("daily_costs", "[]");
  object.raw("total_usage", cents(account.key.total.spent)).end();
  return out;
}

std::string grants(const AccountView& account) {
  std::string out;
  Object object(out);
  object.text("object", "credit_summary");
  object.raw("total_granted", usd(sum(account.spendable, account.key.total.spent)));
  object.raw("total_used", usd(account.key.total.spent));
  object.raw("total_available", usd(account.spendable));
  object.raw("grants", R"({"object":"list","data":[]})").end();
  return out;
}

}  // namespace

std::string render_account(Operation operation, const AccountView& account) {
  switch (operation) {
    case Operation::billing_subscription:
      return subscription(account);
    case Operation::billing_usage:
      return usage(account);
    case Operation::billing_grants:
      return grants(account);
    default:
      return balance(account);
  }
}

}  // namespace sluice::dialect
