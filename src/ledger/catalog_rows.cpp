#include "catalog_rows.hpp"

#include "price_columns.hpp"

namespace sluice::ledger {

Group to_group(const Row& row) { return {row.integer(0), row.text(1), row.integer(2)}; }

Provider to_provider(const Row& row) {
  return {row.integer(0), row.text(1), row.text(2), row.text(3),        row.text(4),
          row.text(5),    row.text(6), row.text(7), row.integer(8) != 0};
}

ProviderKey to_provider_key(const Row& row) {
  return {row.integer(0), row.integer(1), row.text(2),        row.text(3),
          row.text(4),    row.text(5),    row.integer(6) != 0};
}

Channel to_channel(const Row& row) {
  Channel out;
  out.id = row.integer(0);
  out.name = row.text(1);
  out.provider_id = row.integer(2);
  out.priority = row.integer(3);
  out.weight = row.integer(4);
  out.multiplier = row.integer(5);
  out.proxy = row.text(6);
  out.connect_timeout_ms = row.integer(7);
  out.first_byte_timeout_ms = row.integer(8);
  out.total_timeout_ms = row.integer(9);
  out.enabled = row.integer(10) != 0;
  out.proxy_credentials = row.text(11);
  out.proxy_fingerprint = row.text(12);
  return out;
}

Model to_model(const Row& row) {
  Model out;
  out.id = row.integer(0);
  out.name = row.text(1);
  out.aliases = row.text(2);
  out.owner = row.text(3);
  out.formats = row.text(4);
  out.context_tokens = row.integer(5);
  out.max_output_tokens = row.integer(6);
  out.first_byte_timeout_ms = row.integer(7);
  out.between_tokens_timeout_ms = row.integer(8);
  out.hidden_output = row.integer(9) != 0;
  out.retry_after_send = row.integer(10) != 0;
  out.listed = row.integer(11) != 0;
  out.enabled = row.integer(12) != 0;
  out.created_ns = row.integer(13);
  out.input_margin = row.integer(14);
  out.hidden_tokens_per_s = row.integer(15);
  out.first_token_timeout_ms = row.integer(16);
  out.total_timeout_ms = row.integer(17);
  return out;
}

RouteGroup to_route_group(const Row& row) {
  return {row.integer(0),      row.text(1),         row.text(2),
          row.integer(3) != 0, row.integer(4) != 0, row.integer(5)};
}

Route to_route(const Row& row) {
  return {row.integer(0), row.integer(1), row.text(2),
          row.integer(3), row.integer(4), row.integer(5)};
}

Price to_price(const Row& row) {
  Price out;
  out.model_id = row.integer(1);
  price::PriceRow& price = out.row;
  price.version = static_cast<std::uint64_t>(row.integer(0));
  price.effective_from_ns = row.integer(2);
  price.base.input = row.integer(3);
  price.base.cache_read = row.integer(4);
  price.base.cache_write_short = row.integer(5);
  price.base.cache_write_long = row.integer(6);
  price.base.output = row.integer(7);
  from_columns({row.text(8), row.text(9), row.text(10), row.text(11), row.text(12)}, price);
  price.flags = row.integer(13) != 0 ? price::kRowFree : 0;
  return out;
}

}  // namespace sluice::ledger
