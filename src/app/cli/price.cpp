#include "sluice/base/text_units.hpp"
#include "sluice/control/catalog.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

struct Arguments {
  std::string model;
  control::PriceSettings settings;
};

std::vector<Record> rows(const std::vector<ledger::Price>& prices,
                         const std::vector<ledger::Model>& models, const std::string& only) {
  std::vector<Record> records;
  for (const ledger::Price& price : prices) {
    std::string name;
    for (const ledger::Model& model : models) {
      if (model.id == price.model_id) name = model.name;
    }
    if (!only.empty() && name != only) continue;
    std::int64_t bands = 0;
    for (const price::Band& band : price.row.bands) bands += band.above_prompt_tokens != 0 ? 1 : 0;
    records.push_back({{"version", static_cast<std::int64_t>(price.row.version)},
                       {"model", name},
                       {"effective", format_utc(price.row.effective_from_ns)},
                       {"input_usd", format_usd(price.row.base.input)},
                       {"cache_read_usd", format_usd(price.row.base.cache_read)},
                       {"cache_write_short_usd", format_usd(price.row.base.cache_write_short)},
                       {"cache_write_long_usd", format_usd(price.row.base.cache_write_long)},
                       {"output_usd", format_usd(price.row.base.output)},
                       {"bands", bands},
                       {"free", price.row.free()}});
  }
  return records;
}

Outcome<> list(Session& session, const std::string& only) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto snapshot = (*service)->ledger.catalog().snapshot();
  if (!snapshot)
    return std::unexpected(control::from_ledger(**service, snapshot.error(), "prices"));
  print_list(session.json(), rows(snapshot->prices, snapshot->models, only));
  return {};
}

Outcome<> add(Session& session, const Arguments& arguments) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto change = control::put_price(**service, arguments.model, arguments.settings);
  if (!change) return std::unexpected(change.error());
  if (auto visible = session.wait_visible(); !visible) return visible;
  return list(session, arguments.model);
}

}  // namespace

void add_price_verbs(Parser& parser, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  control::RateSettings& rates = arguments->settings.rates;
  // Bands, windows, tiers and fees are tables: `sluice apply` takes them.
  parser.verb("price", "add", "adds a price version: USD per million tokens")
      .argument("model", "model", arguments->model)
      .option("--input", "input that was not cached", rates.input)
      .option("--output", "all output", rates.output)
      .option("--cache-read", "default: as input", rates.cache_read)
      .option("--cache-write-short", "default: as input", rates.cache_write_short)
      .option("--cache-write-long", "default: as input", rates.cache_write_long)
      .option("--effective", "date from which it counts; default: now",
              arguments->settings.effective)
      .flag("--free", "costs nothing, and says so", arguments->settings.free)
      .runs([&session, arguments] { return add(session, *arguments); });

  auto model = std::make_shared<std::string>();
  parser.verb("price", "list", "lists price versions")
      .option("--model", "of this model only", *model)
      .runs([&session, model] { return list(session, *model); });
}

}  // namespace sluice::cli
