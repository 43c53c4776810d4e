// The operator's commands: credits, debits, keys, budgets, prices.
#include <unistd.h>

#include <memory>
#include <string>

#include "actor.hpp"
#include "sluice/ledger/ledger.hpp"

namespace sluice::sim {
namespace {

template <class T>
Error error_of(const Result<T>& result) {
  return result ? Error{} : result.error();
}

Error set_key(ledger::Ledger& books, const Command& command) {
  auto key = books.keys().by_id(static_cast<ledger::Id>(command.key));
  if (!key) return key.error();
  key->enabled = command.enabled;
  key->policy.budget_day = command.budget_day;
  key->policy.budget_total = command.budget_total;
  key->policy.max_in_flight = command.in_flight;
  return error_of(books.keys().update(*key));
}

Error set_wallet(ledger::Ledger& books, const Command& command) {
  auto wallet = books.customers().wallet(static_cast<ledger::Id>(command.wallet));
  if (!wallet) return wallet.error();
  wallet->overdraft_limit = command.overdraft;
  wallet->budget_month = command.budget_day;
  wallet->max_in_flight = command.in_flight;
  return error_of(books.customers().update(*wallet));
}

Error add_price(ledger::Ledger& books, const Command& command, Reply& reply) {
  ledger::Price price;
  price.model_id = 1;
  price.row.effective_from_ns = command.realtime_ns;
  price::Rates& rates = price.row.base;
  rates.input = rates.cache_read = rates.cache_write_short = rates.cache_write_long =
      command.amount;
  rates.output = 5 * command.amount;
  const auto added = books.catalog().add(price);
  reply.price_version = price.row.version;
  return error_of(added);
}

Error carry_out(ledger::Ledger& books, const Command& command, Reply& reply) {
  const auto wallet = static_cast<ledger::Id>(command.wallet);
  switch (command.what) {
    case Do::credit:
      return error_of(
          books.money().credit(wallet, command.amount, ledger::House::funding_credit, "sim"));
    case Do::debit:
      return error_of(
          books.money().debit(wallet, command.amount, ledger::House::funding_credit, "sim"));
    case Do::set_key:
      return set_key(books, command);
    case Do::set_wallet:
      return set_wallet(books, command);
    case Do::add_price:
      return add_price(books, command, reply);
    default:
      return {};
  }
}

void live(Stage& stage, Seat& seat) {
  const StageClock clock(seat);
  std::unique_ptr<ledger::Ledger> books;
  for (;;) {
    const Command& command = next_command(seat);
    if (command.what == Do::leave) return;
    if (!books) {
      std::string message;
      auto opened =
          ledger::Ledger::open(stage.database.data(), ledger::Access::read_write, clock, message);
      if (opened)
        books = std::move(*opened);
      else
        seat.reply.error = opened.error().code;
    }
    if (books) {
      seat.reply.error = carry_out(*books, command, seat.reply).code;
      if (seat.reply.error != Errc::none) say(seat, books->last_error());
    }
    answer(seat);
  }
}

}  // namespace

void act_clerk(Stage& stage, Seat& seat) {
  live(stage, seat);
  _exit(0);
}

}  // namespace sluice::sim
