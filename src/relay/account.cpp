#include "account.hpp"

#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "scratch.hpp"

namespace sluice::relay {
namespace {

constexpr TimeNs kAnswerNs = 2 * kSecond;
constexpr std::size_t kAnswerBytes = 4 * kKiB;
// The reconciler has other things to do than to answer.
constexpr std::uint32_t kQuestionsAtOnce = 2;

dialect::BudgetView budget(Nanos limit, const state::Window& window, bool current) {
  dialect::BudgetView view;
  if (limit != state::kNoBudget) view.limit = limit;
  if (current) {
    view.spent = window.spent;
    view.reserved = window.reserved;
  }
  return view;
}

// A window that is over was not rolled yet, if no request came since.
dialect::PartyView party(const state::CounterRecord& counters, const state::WindowIds& now) {
  const state::Limits& limits = counters.limits;
  dialect::PartyView view;
  view.total = budget(limits.budget_total, counters.total, true);
  view.day = budget(limits.budget_day, counters.day, counters.windows.day >= now.day);
  view.month = budget(limits.budget_month, counters.month, counters.windows.month >= now.month);
  view.requests_per_minute = limits.requests_per_minute;
  view.tokens_per_minute = limits.tokens_per_minute;
  view.max_in_flight = limits.in_flight;
  view.in_flight = counters.in_flight;
  return view;
}

Nanos left(const dialect::PartyView& party) {
  Nanos least = INT64_MAX;
  for (const dialect::BudgetView* budget : {&party.total, &party.day, &party.month}) {
    if (budget->limit) least = std::min(least, *budget->limit - budget->spent - budget->reserved);
  }
  return least;
}

/// Counts those that ask at this moment.
class Asking {
 public:
  explicit Asking(std::uint32_t& count) : count_(count) { ++count_; }
  ~Asking() { --count_; }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

 private:
  std::uint32_t& count_;
};

ring::Task<Result<std::string>> exchange_line(Services& services, net::Stream& stream,
                                              const net::Address& address, std::string question) {
  const TimeNs deadline_ns = services.reactor.now_ns() + kAnswerNs;
  const Result<> connected = co_await stream.connect(address, deadline_ns);
  if (!connected) co_return std::unexpected(connected.error());
  const iovec text{question.data(), question.size()};
  const Result<> sent = co_await stream.send({&text, 1}, kAnswerNs);
  if (!sent) co_return std::unexpected(sent.error());
  std::string answer;
  while (!answer.ends_with('\n') && answer.size() < kAnswerBytes) {
    const Result<ring::Piece> piece = co_await stream.receive(deadline_ns);
    if (!piece) co_return std::unexpected(piece.error());
    answer.append(piece->view().data(), piece->size());
  }
  answer.pop_back();
  co_return answer;
}

ring::Task<Result<std::string>> ask_reconciler(Services& services, std::string question) {
  const std::string& epoch = services.environment.epoch_directory();
  const std::string path = epoch.substr(0, epoch.rfind('/')) + "/reconciler.sock";
  net::Address address;
  auto* local = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.size() >= sizeof local->sun_path) co_return fail(Errc::unavailable);
  local->sun_family = AF_UNIX;
  std::memcpy(local->sun_path, path.c_str(), path.size() + 1);
  address.bytes = sizeof *local;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return fail(Errc::unavailable);
  auto stream = std::make_unique<net::Stream>(services.reactor, fd, Source::self);
  Result<std::string> answer =
      co_await exchange_line(services, *stream, address, std::move(question));
  services.pool.discard(std::move(stream));
  if (!answer) co_return fail(Errc::unavailable);
  co_return answer;
}

}  // namespace

Result<dialect::AccountView> view_account(const Services& services, const Snapshot& snapshot,
                                          const state::KeyRecord& key, TimeNs realtime_ns) {
  state::Environment& environment = services.environment;
  const auto wallet = environment.find_wallet(key.wallet_id);
  const auto of_key = environment.find_counters(state::CounterKind::key, key.wallet_id, key.key_id);
  const auto of_wallet =
      environment.find_counters(state::CounterKind::wallet, key.wallet_id, key.wallet_id);
  if (!wallet || !of_key || !of_wallet) return fail(Errc::unavailable);
  if (!*wallet || !*of_key || !*of_wallet) return fail(Errc::not_found);
  const state::Catalog& catalog = *snapshot.catalog;
  dialect::AccountView view;
  view.available = (*wallet)->available;
  view.held = (*wallet)->held;
  view.overdraft = (*wallet)->overdraft_limit;
  view.key = party(**of_key, catalog.windows_at(key.zone, realtime_ns));
  view.customer = party(**of_wallet, catalog.windows_at(key.wallet_zone, realtime_ns));
  view.spendable = std::max<Nanos>(
      std::min({view.available + view.overdraft, left(view.key), left(view.customer)}), 0);
  view.expires_s = key.expires_at_ns / kSecond;
  return view;
}

ring::Task<Result<std::string>> find_request(Services& services, const state::KeyRecord& key,
                                             std::string_view request_id) {
  if (services.scratch->questions >= kQuestionsAtOnce) co_return fail(Errc::full);
  const Asking asking(services.scratch->questions);
  std::string question = R"({"ask":"request","id":)" + std::to_string(key.key_id);
  question.append(R"(,"request":")").append(request_id).append("\"}\n");
  Result<std::string> answer = co_await ask_reconciler(services, std::move(question));
  if (answer && answer->starts_with(R"({"error":)")) co_return fail(Errc::not_found);
  co_return answer;
}

}  // namespace sluice::relay
