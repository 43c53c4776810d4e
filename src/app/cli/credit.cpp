#include "sluice/base/text_units.hpp"
#include "sluice/control/customers.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

struct Arguments {
  std::string customer;
  std::string amount;
  std::string note;
};

Outcome<> move(Session& session, const Arguments& arguments, bool give) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto entry =
      give ? control::add_credit(**service, arguments.customer, arguments.amount, arguments.note)
           : control::take_credit(**service, arguments.customer, arguments.amount, arguments.note);
  if (!entry) return std::unexpected(entry.error());
  if (auto visible = session.wait_delta(entry->wallet_id, entry->wallet_no); !visible)
    return visible;
  auto view = control::find_customer(**service, arguments.customer);
  if (!view) return std::unexpected(view.error());
  print_record(session.json(), {{"entry", entry->id},
                                {"customer", arguments.customer},
                                {"kind", std::string(ledger::to_string(entry->kind))},
                                {"amount_usd", format_usd(entry->amount)},
                                {"wallet_no", entry->wallet_no},
                                {"balance_usd", format_usd(view->wallet.balance)}});
  return {};
}

void add_options(Verb& verb, Arguments& arguments) {
  verb.option("--customer", "whose wallet", arguments.customer, true)
      .option("--amount", "USD above 0", arguments.amount, true)
      .option("--note", "for people", arguments.note);
}

}  // namespace

void add_credit_verbs(Parser& parser, Session& session) {
  for (const bool give : {true, false}) {
    auto arguments = std::make_shared<Arguments>();
    Verb& verb = parser.verb("credit", give ? "add" : "take",
                             give ? "puts money into a wallet"
                                  : "takes money back by force; the balance may go below zero");
    add_options(verb, *arguments);
    verb.runs([&session, arguments, give] { return move(session, *arguments, give); });
  }
}

}  // namespace sluice::cli
