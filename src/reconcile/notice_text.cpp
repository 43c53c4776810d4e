#include "notice_text.hpp"

#include <ctime>

#include "json_line.hpp"
#include "sluice/base/text_units.hpp"

namespace sluice::reconcile {
namespace {

using ledger::NoticeKind;

std::string_view window_of(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::key_budget_day:
    case NoticeKind::wallet_budget_day:
      return "day";
    case NoticeKind::key_budget_month:
    case NoticeKind::wallet_budget_month:
      return "month";
    default:
      return "total";
  }
}

std::string finish(JsonLine& line, std::string& out) {
  line.end();
  out.pop_back();
  return std::move(out);
}

/// RFC 5322 §3.3, in UTC.
std::string date_text(TimeNs realtime_ns) {
  const std::time_t seconds = realtime_ns / kSecond;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[48];
  const std::size_t bytes = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &utc);
  return {text, bytes};
}

/// A flat JSON object of ours, a line a member: the quotes and braces go.
std::string lines_of(std::string_view json) {
  std::string out;
  bool in_text = false;
  for (std::size_t i = 1; i + 1 < json.size(); ++i) {
    const char c = json[i];
    if (in_text && c == '\\' && i + 2 < json.size()) {
      out += json[++i];
    } else if (c == '"') {
      in_text = !in_text;
    } else if (!in_text && c == ',') {
      out += "\r\n";
    } else if (!in_text && c == ':') {
      out += ": ";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string_view notice_type(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::low_balance:
      return "wallet.low_balance";
    case NoticeKind::key_budget_total:
    case NoticeKind::key_budget_day:
    case NoticeKind::key_budget_month:
      return "key.budget_reached";
    case NoticeKind::wallet_budget_day:
    case NoticeKind::wallet_budget_month:
      return "wallet.budget_reached";
    case NoticeKind::channel_down:
      return "channel.down";
    case NoticeKind::channel_up:
      return "channel.up";
  }
  return "unknown";
}

std::string low_balance_body(TimeNs realtime_ns, const BalanceFacts& facts) {
  std::string out;
  JsonLine line(out);
  line.plain("type", notice_type(NoticeKind::low_balance));
  line.plain("at", format_utc(realtime_ns));
  line.text("customer", facts.customer);
  line.plain("balance_usd", format_usd(facts.balance));
  line.plain("threshold_usd", format_usd(facts.threshold));
  return finish(line, out);
}

std::string budget_body(NoticeKind kind, TimeNs realtime_ns, const BudgetFacts& facts) {
  std::string out;
  JsonLine line(out);
  line.plain("type", notice_type(kind));
  line.plain("at", format_utc(realtime_ns));
  line.text("customer", facts.customer);
  if (!facts.key.empty()) line.text("key", facts.key);
  line.plain("window", window_of(kind));
  line.plain("budget_usd", format_usd(facts.budget));
  line.plain("spent_usd", format_usd(facts.spent));
  return finish(line, out);
}

std::string message_id(std::uint32_t node, ledger::Id id) {
  return "sluice-" + std::to_string(node) + "-" + std::to_string(id);
}

std::string mail_text(const ledger::Notice& notice, std::string_view id, std::string_view from,
                      const std::vector<std::string>& to) {
  std::string out = "Date: " + date_text(notice.at_ns) + "\r\nFrom: ";
  out.append(from).append("\r\nTo: ");
  for (std::size_t i = 0; i < to.size(); ++i) out.append(i == 0 ? "" : ", ").append(to[i]);
  out.append("\r\nMessage-ID: <").append(id).append(from.substr(from.rfind('@'))).append(">");
  out.append("\r\nSubject: Sluice: ").append(notice_type(notice.kind));
  out += "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n";
  out += "Content-Transfer-Encoding: 8bit\r\n\r\n" + lines_of(notice.body) + "\r\n";
  return out;
}

}  // namespace sluice::reconcile
