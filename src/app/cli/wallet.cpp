#include "sluice/base/text_units.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/reconcile/query.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

Outcome<> show(Session& session, const std::string& customer) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto view = control::find_customer(**service, customer);
  if (!view) return std::unexpected(view.error());
  Record record{{"customer", customer},
                {"wallet", view->wallet.id},
                {"ledger_balance_usd", format_usd(view->wallet.balance)},
                {"overdraft_usd", format_usd(view->wallet.overdraft_limit)}};
  auto config = session.config();
  if (!config) return std::unexpected(config.error());
  const auto live = reconcile::query_wallet((*config)->state.directory,
                                            static_cast<std::uint64_t>(view->wallet.id));
  record.push_back({"live", live.has_value()});
  if (live) {
    record.push_back({"available_usd", format_usd(live->available)});
    record.push_back({"held_usd", format_usd(live->held)});
    record.push_back({"charged_usd", format_usd(live->charged)});
    record.push_back({"excess_usd", format_usd(live->excess)});
  }
  print_record(session.json(), record);
  return {};
}

Outcome<> history(Session& session, const std::string& customer, std::int64_t limit) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto entries = control::wallet_history(**service, customer, limit);
  if (!entries) return std::unexpected(entries.error());
  std::vector<Record> records;
  for (const ledger::Entry& entry : *entries) {
    const bool into = entry.kind == ledger::EntryKind::credit;
    const bool loss =
        entry.kind == ledger::EntryKind::loss;  // the operator's: the wallet is not touched
    records.push_back(
        {{"entry", entry.id},
         {"at", format_utc(entry.at_ns)},
         {"kind", std::string(ledger::to_string(entry.kind))},
         {"amount_usd", loss ? "0.00" : format_usd(into ? entry.amount : -entry.amount)},
         {"price_version", entry.price_version},
         {"batch", entry.batch},
         {"note", entry.note}});
  }
  print_list(session.json(), records);
  return {};
}

}  // namespace

void add_wallet_verbs(Parser& parser, Session& session) {
  auto name = std::make_shared<std::string>();
  parser
      .verb("wallet", "show",
            "balance in the ledger, and live balance and holds when the node runs")
      .argument("customer", "customer", *name)
      .runs([&session, name] { return show(session, *name); });

  struct HistoryArguments {
    std::string customer;
    std::int64_t limit = 50;
  };
  auto arguments = std::make_shared<HistoryArguments>();
  parser.verb("wallet", "history", "entries, newest first")
      .argument("customer", "customer", arguments->customer)
      .option("--limit", "how many", arguments->limit)
      .runs([&session, arguments] {
        return history(session, arguments->customer, arguments->limit);
      });
}

}  // namespace sluice::cli
