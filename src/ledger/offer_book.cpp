#include "sluice/ledger/offer_book.hpp"

#include "scope.hpp"

namespace sluice::ledger {
namespace {

Result<std::vector<OfferedModel>> models_of(Db& db, Id provider_id) {
  return collect<OfferedModel>(
      db, "SELECT name, since_ns FROM offered_model WHERE provider_id = :p ORDER BY name", "ti",
      {provider_id}, [](const Row& row) { return OfferedModel{row.text(0), row.integer(1)}; });
}

}  // namespace

Result<> OfferBook::put(Id provider_id, bool complete, const std::vector<std::string>& names) {
  const TimeNs now_ns = clock_.realtime_ns();
  GivenRows rows{.integers_a_row = 2, .texts_a_row = 1};
  for (const std::string& name : names) {
    rows.add({provider_id, now_ns});
    rows.texts.push_back(name);
  }
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(
        db_.run("INSERT INTO provider_offer (provider_id, at_ns, complete) VALUES (:p, :a, :c) "
                "ON CONFLICT (provider_id) DO UPDATE SET at_ns = excluded.at_ns, "
                "complete = excluded.complete",
                {provider_id, now_ns, std::int64_t{complete}}));
    if (names.empty()) {
      LEDGER_TRY(db_.run("DELETE FROM offered_model WHERE provider_id = :p", {provider_id}));
      return {};
    }
    LEDGER_TRY(db_.run_given(
        "DELETE FROM offered_model WHERE provider_id = (SELECT i0 FROM given LIMIT 1) "
        "AND name NOT IN (SELECT t0 FROM given)",
        rows));
    return db_.run_given(
        "INSERT OR IGNORE INTO offered_model (provider_id, name, since_ns) "
        "SELECT i0, t0, i1 FROM given",
        rows);
  });
}

Result<ProviderOffer> OfferBook::of(Id provider_id) {
  ProviderOffer offer{.provider_id = provider_id};
  LEDGER_TRY(db_.query("SELECT at_ns, complete FROM provider_offer WHERE provider_id = :p", "ii",
                       {provider_id}, [&](const Row& row) {
                         offer.at_ns = row.integer(0);
                         offer.complete = row.integer(1) != 0;
                       }));
  auto models = models_of(db_, provider_id);
  if (!models) return std::unexpected(models.error());
  offer.models = std::move(*models);
  return offer;
}

Result<std::vector<ProviderOffer>> OfferBook::all() {
  auto ids = collect<Id>(db_, "SELECT provider_id FROM provider_offer ORDER BY provider_id", "i",
                         {}, [](const Row& row) { return row.integer(0); });
  if (!ids) return std::unexpected(ids.error());
  std::vector<ProviderOffer> offers;
  for (const Id id : *ids) {
    auto offer = of(id);
    if (!offer) return std::unexpected(offer.error());
    offers.push_back(std::move(*offer));
  }
  return offers;
}

}  // namespace sluice::ledger
