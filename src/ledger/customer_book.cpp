#include "sluice/ledger/customer_book.hpp"

#include "sluice/ledger/catalog_book.hpp"
#include "scope.hpp"

namespace sluice::ledger {
namespace {

#define CUSTOMER_COLUMNS "SELECT id, name, group_id, note, enabled, created_ns FROM customer "
constexpr const char* kCustomerTypes = "ititii";

#define WALLET_COLUMNS                                                                             \
  "SELECT w.id, w.customer_id, w.overdraft_limit, w.budget_day, w.budget_month, w.max_in_flight, " \
  "w.requests_per_minute, w.tokens_per_minute, w.zone, w.last_no, w.generation, c.group_id, "      \
  "c.enabled, "                                                                                    \
  "a.credits - a.debits, w.budget_total FROM wallet w JOIN customer c ON c.id = w.customer_id "    \
  "JOIN account a ON "                                                                             \
  "a.id = 1000 + w.id "
constexpr const char* kWalletTypes = "iiiiiiiitiiiiii";

Customer to_customer(const Row& row) {
  Customer out;
  out.id = row.integer(0);
  out.name = row.text(1);
  out.group_id = row.integer(2);
  out.note = row.text(3);
  out.enabled = row.integer(4) != 0;
  out.created_ns = row.integer(5);
  return out;
}

Wallet to_wallet(const Row& row) {
  Wallet out;
  out.id = row.integer(0);
  out.customer_id = row.integer(1);
  out.overdraft_limit = row.integer(2);
  out.budget_day = row.integer(3);
  out.budget_month = row.integer(4);
  out.max_in_flight = row.integer(5);
  out.requests_per_minute = row.integer(6);
  out.tokens_per_minute = row.integer(7);
  out.zone = row.text(8);
  out.last_no = row.integer(9);
  out.generation = row.integer(10);
  out.group_id = row.integer(11);
  out.enabled = row.integer(12) != 0;
  out.balance = row.integer(13);
  out.budget_total = row.integer(14);
  return out;
}

std::int64_t wallets_topic() { return static_cast<std::int64_t>(Topic::wallets); }

}  // namespace

Result<> CustomerBook::add(Customer& customer, Wallet& wallet) {
  return in_write(db_, [&]() -> Result<> {
    customer.created_ns = clock_.realtime_ns();
    auto id = db_.integer(
        "INSERT INTO customer (name, group_id, note, enabled, created_ns) VALUES (:n, :g, :o, :e, "
        ":c) RETURNING id",
        {customer.name, customer.group_id, customer.note, std::int64_t{customer.enabled},
         customer.created_ns});
    if (!id) return std::unexpected(id.error());
    customer.id = wallet.customer_id = *id;
    auto generation = next_generation(db_, wallets_topic());
    if (!generation) return std::unexpected(generation.error());
    wallet.generation = *generation;
    wallet.group_id = customer.group_id;
    wallet.enabled = customer.enabled;
    auto wallet_id = db_.integer(
        "INSERT INTO wallet (customer_id, overdraft_limit, budget_day, budget_month, "
        "max_in_flight, "
        "requests_per_minute, tokens_per_minute, zone, generation, budget_total) VALUES (:c, :o, "
        ":d, "
        ":m, :f, :r, :t, :z, :g, :b) "
        "RETURNING id",
        {wallet.customer_id, wallet.overdraft_limit, wallet.budget_day, wallet.budget_month,
         wallet.max_in_flight, wallet.requests_per_minute, wallet.tokens_per_minute, wallet.zone,
         wallet.generation, wallet.budget_total});
    if (!wallet_id) return std::unexpected(wallet_id.error());
    wallet.id = *wallet_id;
    LEDGER_TRY(db_.run("INSERT INTO account (id, name) VALUES (:i, :n)",
                       {wallet_account(wallet.id), "wallet." + std::to_string(wallet.id)}));
    return {};
  });
}

Result<> CustomerBook::update(const Customer& customer) {
  return in_write(db_, [&]() -> Result<> {
    auto changed =
        db_.run("UPDATE customer SET group_id = :g, note = :o, enabled = :e WHERE id = :i",
                {customer.group_id, customer.note, std::int64_t{customer.enabled}, customer.id});
    if (!changed) return std::unexpected(changed.error());
    if (*changed == 0) return fail(Errc::not_found);
    auto generation = next_generation(db_, wallets_topic());
    if (!generation) return std::unexpected(generation.error());
    LEDGER_TRY(db_.run("UPDATE wallet SET generation = :g WHERE customer_id = :c",
                       {*generation, customer.id}));
    // A key's record names its group: it is published anew with the wallet.
    auto keys = next_generation(db_, static_cast<std::int64_t>(Topic::keys));
    if (!keys) return std::unexpected(keys.error());
    LEDGER_TRY(
        db_.run("UPDATE api_key SET generation = :g WHERE wallet_id IN "
                "(SELECT id FROM wallet WHERE customer_id = :c)",
                {*keys, customer.id}));
    return {};
  });
}

Result<> CustomerBook::update(const Wallet& wallet) {
  return in_write(db_, [&]() -> Result<> {
    auto generation = next_generation(db_, wallets_topic());
    if (!generation) return std::unexpected(generation.error());
    LEDGER_TRY(
        db_.run("INSERT INTO limit_change (at_ns, wallet_id, before) SELECT :t, id, "
                "overdraft_limit FROM wallet WHERE id = :i AND overdraft_limit <> :o",
                {clock_.realtime_ns(), wallet.id, wallet.overdraft_limit}));
    auto changed = db_.run(
        "UPDATE wallet SET overdraft_limit = :o, budget_day = :d, budget_month = :m, max_in_flight "
        "= :f, "
        "requests_per_minute = :r, tokens_per_minute = :t, zone = :z, generation = :g, "
        "budget_total = :b WHERE id = :i",
        {wallet.overdraft_limit, wallet.budget_day, wallet.budget_month, wallet.max_in_flight,
         wallet.requests_per_minute, wallet.tokens_per_minute, wallet.zone, *generation,
         wallet.budget_total, wallet.id});
    if (!changed) return std::unexpected(changed.error());
    if (*changed == 0) return fail(Errc::not_found);
    auto keys = next_generation(db_, static_cast<std::int64_t>(Topic::keys));
    if (!keys) return std::unexpected(keys.error());
    LEDGER_TRY(
        db_.run("UPDATE api_key SET generation = :g WHERE wallet_id = :w", {*keys, wallet.id}));
    return {};
  });
}

Result<Customer> CustomerBook::by_name(std::string_view name) {
  return only<Customer>(db_, CUSTOMER_COLUMNS "WHERE name = :n", kCustomerTypes, {name},
                        to_customer);
}

Result<Customer> CustomerBook::by_id(Id id) {
  return only<Customer>(db_, CUSTOMER_COLUMNS "WHERE id = :i", kCustomerTypes, {id}, to_customer);
}

Result<std::vector<Customer>> CustomerBook::list() {
  return collect<Customer>(db_, CUSTOMER_COLUMNS "ORDER BY name", kCustomerTypes, {}, to_customer);
}

Result<Wallet> CustomerBook::wallet_of(Id customer_id) {
  return only<Wallet>(db_, WALLET_COLUMNS "WHERE w.customer_id = :c", kWalletTypes, {customer_id},
                      to_wallet);
}

Result<Wallet> CustomerBook::wallet(Id wallet_id) {
  return only<Wallet>(db_, WALLET_COLUMNS "WHERE w.id = :i", kWalletTypes, {wallet_id}, to_wallet);
}

Result<std::vector<Wallet>> CustomerBook::wallets() {
  return collect<Wallet>(db_, WALLET_COLUMNS "ORDER BY w.id", kWalletTypes, {}, to_wallet);
}

Result<std::vector<Wallet>> CustomerBook::wallets_changed_after(std::int64_t generation) {
  return collect<Wallet>(db_, WALLET_COLUMNS "WHERE w.generation > :g ORDER BY w.id", kWalletTypes,
                         {generation}, to_wallet);
}

}  // namespace sluice::ledger
