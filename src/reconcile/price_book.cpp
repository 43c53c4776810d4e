#include "price_book.hpp"

namespace sluice::reconcile {

price::PriceRow with_model(price::PriceRow row, const ledger::Model& model) {
  row.input_margin = static_cast<std::uint32_t>(model.input_margin);
  row.hidden_tokens_per_s = static_cast<std::uint32_t>(model.hidden_tokens_per_s);
  row.max_output_tokens = model.max_output_tokens;
  row.context_tokens = model.context_tokens;
  if (model.hidden_output) row.flags |= price::kRowHiddenOutput;
  return row;
}

PriceBook::PriceBook(const std::vector<ledger::Price>& prices, const std::vector<ledger::Model>& models) {
  std::unordered_map<ledger::Id, const ledger::Model*> by_id;
  for (const ledger::Model& model : models) by_id[model.id] = &model;
  for (const ledger::Price& price : prices) {
    const auto model = by_id.find(price.model_id);
    if (model != by_id.end()) rows_[price.row.version] = with_model(price.row, *model->second);
  }
}

const price::PriceRow* PriceBook::find(std::uint64_t version) const {
  const auto row = rows_.find(version);
  return row == rows_.end() ? nullptr : &row->second;
}

state::PriceLookup PriceBook::lookup() const {
  state::PriceLookup out;
  out.find = [](void* context, std::uint64_t version) { return static_cast<const PriceBook*>(context)->find(version); };
  out.context = const_cast<PriceBook*>(this);
  return out;
}

}  // namespace sluice::reconcile
