#include "audit_books.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <utility>

#include "sluice/base/text_units.hpp"

namespace sluice::cli {
namespace {

// I7, I8: what is posted is what the entries say, and every entry has both sides.
Result<> accounts(ledger::Ledger& ledger, Findings& findings) {
  const auto accounts = ledger.sums().accounts();
  const auto orphans = ledger.sums().entries_without_account();
  if (!accounts) return std::unexpected(accounts.error());
  if (!orphans) return std::unexpected(orphans.error());
  Finding& sides = findings.add("I7", "every entry has both its accounts");
  sides.checked = orphans->empty() ? 1 : 0;
  for (const ledger::Id id : *orphans) {
    sides.expect(false, [&] { return fmt::format("ledger entry {} lacks an account", id); });
  }
  Finding& replay = findings.add("I8", "replaying the entries gives every account's totals");
  Nanos debits = 0, credits = 0;
  for (const ledger::AccountSums& account : *accounts) {
    debits += account.posted_debits;
    credits += account.posted_credits;
    replay.expect(
        account.debits == account.posted_debits && account.credits == account.posted_credits, [&] {
          return fmt::format(
              "ledger account {}: posted debits {} credits {}, of its entries {} and {}",
              account.name, account.posted_debits, account.posted_credits, account.debits,
              account.credits);
        });
  }
  Finding& totals = findings.add("I7", "debits equal credits");
  totals.expect(debits == credits, [&] {
    return fmt::format("ledger accounts: debits {} are not credits {}", debits, credits);
  });
  totals.sums = fmt::format("debits {} credits {}", format_usd(debits), format_usd(credits));
  return {};
}

Result<> batches(ledger::Ledger& ledger, Findings& findings) {
  const auto differ = ledger.sums().batches_that_differ();
  if (!differ) return std::unexpected(differ.error());
  Finding& finding = findings.add("I8", "entries of each batch are the sums of its rows");
  finding.checked = differ->empty() ? 1 : 0;
  for (const ledger::BatchDifference& d : *differ) {
    finding.expect(false, [&] {
      return fmt::format(
          "ledger batch {}, wallet {}, price version {}: rows less entries are charged {} excess "
          "{} loss {}",
          d.batch, d.wallet_id, d.price_version, d.charged, d.excess, d.loss);
    });
  }
  return {};
}

// I6: credits and debits are numbered without a gap, and the queue says the same as they.
Result<> numbers(ledger::Ledger& ledger, Findings& findings) {
  const auto wallets = ledger.sums().wallet_numbers();
  const auto entries = ledger.sums().numbered_entries();
  const auto queue = ledger.sums().queue();
  if (!wallets) return std::unexpected(wallets.error());
  if (!entries) return std::unexpected(entries.error());
  if (!queue) return std::unexpected(queue.error());
  Finding& finding = findings.add("I6", "each credit and debit is one entry, numbered in turn");
  for (const ledger::WalletNumbers& wallet : *wallets) {
    const bool in_turn = wallet.entries == wallet.last_no && wallet.different == wallet.last_no &&
                         wallet.highest == wallet.last_no;
    finding.expect(in_turn, [&] {
      return fmt::format(
          "wallet {} in the ledger: {} entries with {} numbers up to {}, but {} were given",
          wallet.wallet_id, wallet.entries, wallet.different, wallet.highest, wallet.last_no);
    });
  }
  std::map<std::pair<ledger::Id, std::int64_t>, Nanos> amounts;
  for (const ledger::NumberedEntry& entry : *entries)
    amounts[{entry.wallet_id, entry.wallet_no}] = entry.amount;
  for (const ledger::NumberedEntry& delta : *queue) {
    const auto entry = amounts.find({delta.wallet_id, delta.wallet_no});
    finding.expect(entry != amounts.end() && entry->second == delta.amount, [&] {
      return fmt::format("publish queue, wallet {} number {}: {} nanos, {}", delta.wallet_id,
                         delta.wallet_no, delta.amount,
                         entry == amounts.end() ? "but there is no such entry"
                                                : fmt::format("its entry has {}", entry->second));
    });
  }
  return {};
}

// I5: of every epoch, not only the one that is in use.
Result<> slots(ledger::Ledger& ledger, Findings& findings) {
  const auto slots = ledger.sums().slot_rows();
  const auto epochs = ledger.sums().epoch_rows();
  if (!slots) return std::unexpected(slots.error());
  if (!epochs) return std::unexpected(epochs.error());
  Finding& finding = findings.add("I5", "stored rows of each slot are contiguous up to its cursor");
  for (const ledger::SlotRows& slot : *slots) {
    if (slot.rows == 0) continue;  // aged out: counted below
    const bool contiguous = slot.last == slot.cursor &&
                            static_cast<std::uint64_t>(slot.rows) == slot.last - slot.first + 1;
    finding.expect(contiguous, [&] {
      return fmt::format("ledger, epoch {} slot {}: {} rows from {} to {}, cursor {}", slot.epoch,
                         slot.slot, slot.rows, slot.first, slot.last, slot.cursor);
    });
  }
  for (const ledger::EpochRows& epoch : *epochs) {
    finding.expect(epoch.cursors == epoch.stored + epoch.removed, [&] {
      return fmt::format("ledger, epoch {}: {} rows are stored and {} aged out, cursors say {}",
                         epoch.epoch, epoch.stored, epoch.removed, epoch.cursors);
    });
  }
  return {};
}

}  // namespace

Result<> audit_books(ledger::Ledger& ledger, Findings& findings, Progress& progress) {
  struct Part {
    const char* name;
    Result<> (*audit)(ledger::Ledger& ledger, Findings& findings);
  };
  constexpr std::array<Part, 4> kParts{{{"numbers of credits and debits", numbers},
                                        {"entries of each account", accounts},
                                        {"rows and entries of each batch", batches},
                                        {"rows of each slot", slots}}};
  for (const Part& part : kParts) {
    progress.begin(part.name, 0);
    if (auto done = part.audit(ledger, findings); !done) return done;
  }
  return {};
}

}  // namespace sluice::cli
