#include "sluice/ledger/catalog_book.hpp"

#include "catalog_rows.hpp"
#include "price_columns.hpp"
#include "scope.hpp"

namespace sluice::ledger {
namespace {

constexpr std::int64_t kSequence = 0;  // the row of `generation` that numbers are drawn from

std::int64_t number(bool value) { return value ? 1 : 0; }

/// Inserts when `id` is 0 (filling it), else updates; either way the catalog's number moves on.
Result<> store(Db& db, Id& id, std::string_view insert, std::string_view update,
               std::initializer_list<Value> insert_values,
               std::initializer_list<Value> update_values) {
  return in_write(db, [&]() -> Result<> {
    if (id == 0) {
      auto made = db.integer(insert, insert_values);
      if (!made) return std::unexpected(made.error());
      id = *made;
    } else {
      auto changed = db.run(update, update_values);
      if (!changed) return std::unexpected(changed.error());
      if (*changed == 0) return fail(Errc::not_found);
    }
    LEDGER_TRY(next_generation(db, static_cast<std::int64_t>(Topic::catalog)));
    return {};
  });
}

}  // namespace

Result<std::int64_t> next_generation(Db& db, std::int64_t topic) {
  auto next = db.integer("UPDATE generation SET value = value + 1 WHERE topic = :s RETURNING value",
                         {kSequence});
  if (!next) return next;
  LEDGER_TRY(db.run("UPDATE generation SET value = :v WHERE topic = :t", {*next, topic}));
  return next;
}

Result<> CatalogBook::put(Group& group) {
  return store(db_, group.id,
               "INSERT INTO price_group (name, multiplier) VALUES (:n, :m) RETURNING id",
               "UPDATE price_group SET multiplier = :m WHERE id = :i",
               {group.name, group.multiplier}, {group.multiplier, group.id});
}

Result<> CatalogBook::put(Provider& p) {
  return store(db_, p.id,
               "INSERT INTO provider (name, dialect, base_url, auth, extra_headers, quirks, "
               "error_classes, enabled) "
               "VALUES (:n, :d, :b, :a, :h, :q, :c, :e) RETURNING id",
               "UPDATE provider SET dialect = :d, base_url = :b, auth = :a, extra_headers = :h, "
               "quirks = :q, error_classes = :c, enabled = :e WHERE id = :i",
               {p.name, p.dialect, p.base_url, p.auth, p.extra_headers, p.quirks, p.error_classes,
                number(p.enabled)},
               {p.dialect, p.base_url, p.auth, p.extra_headers, p.quirks, p.error_classes,
                number(p.enabled), p.id});
}

Result<> CatalogBook::put(ProviderKey& key) {
  return store(
      db_, key.id,
      "INSERT INTO provider_key (provider_id, name, sealed, fingerprint, last_chars, enabled) "
      "VALUES (:p, :n, :s, :f, :l, :e) RETURNING id",
      "UPDATE provider_key SET sealed = :s, fingerprint = :f, last_chars = :l, enabled = :e WHERE "
      "id = :i",
      {key.provider_id, key.name, key.sealed, key.fingerprint, key.last_chars, number(key.enabled)},
      {key.sealed, key.fingerprint, key.last_chars, number(key.enabled), key.id});
}

Result<> CatalogBook::put(Channel& c) {
  return store(
      db_, c.id,
      "INSERT INTO channel (name, provider_id, priority, weight, multiplier, proxy, "
      "connect_timeout_ms, first_byte_timeout_ms, total_timeout_ms, enabled, proxy_credentials, "
      "proxy_fingerprint) VALUES (:a, :b, :c, :d, :e, :f, :g, :h, :i, :j, :l, :m) RETURNING id",
      "UPDATE channel SET provider_id = :b, priority = :c, weight = :d, multiplier = :e, "
      "proxy = :f, connect_timeout_ms = :g, first_byte_timeout_ms = :h, total_timeout_ms = :i, "
      "enabled = :j, proxy_credentials = :l, proxy_fingerprint = :m WHERE id = :k",
      {c.name, c.provider_id, c.priority, c.weight, c.multiplier, c.proxy, c.connect_timeout_ms,
       c.first_byte_timeout_ms, c.total_timeout_ms, number(c.enabled), c.proxy_credentials,
       c.proxy_fingerprint},
      {c.provider_id, c.priority, c.weight, c.multiplier, c.proxy, c.connect_timeout_ms,
       c.first_byte_timeout_ms, c.total_timeout_ms, number(c.enabled), c.proxy_credentials,
       c.proxy_fingerprint, c.id});
}

Result<> CatalogBook::put(Model& m) {
  return store(
      db_, m.id,
      "INSERT INTO model (name, aliases, owner, formats, context_tokens, max_output_tokens, "
      "first_byte_timeout_ms, between_tokens_timeout_ms, hidden_output, retry_after_send, listed, "
      "enabled, "
      "created_ns, input_margin, hidden_tokens_per_s, first_token_timeout_ms, total_timeout_ms) "
      "VALUES (:a, :b, :c, :d, :e, :f, :g, :h, :i, :j, :k, :l, :m, :n, :o, :p, :q) RETURNING id",
      "UPDATE model SET aliases = :b, owner = :c, formats = :d, context_tokens = :e, "
      "max_output_tokens = :f, first_byte_timeout_ms = :g, between_tokens_timeout_ms = :h, "
      "hidden_output = :i, retry_after_send = :j, listed = :k, enabled = :l, input_margin = :m, "
      "hidden_tokens_per_s = :n, first_token_timeout_ms = :o, total_timeout_ms = :p WHERE id = :q",
      {m.name, m.aliases, m.owner, m.formats, m.context_tokens, m.max_output_tokens,
       m.first_byte_timeout_ms, m.between_tokens_timeout_ms, number(m.hidden_output),
       number(m.retry_after_send), number(m.listed), number(m.enabled), m.created_ns,
       m.input_margin, m.hidden_tokens_per_s, m.first_token_timeout_ms, m.total_timeout_ms},
      {m.aliases, m.owner, m.formats, m.context_tokens, m.max_output_tokens,
       m.first_byte_timeout_ms, m.between_tokens_timeout_ms, number(m.hidden_output),
       number(m.retry_after_send), number(m.listed), number(m.enabled), m.input_margin,
       m.hidden_tokens_per_s, m.first_token_timeout_ms, m.total_timeout_ms, m.id});
}

Result<> CatalogBook::put(RouteGroup& g) {
  return store(db_, g.id,
               "INSERT INTO route_group (name, models, listed, enabled, created_ns) "
               "VALUES (:n, :m, :l, :e, :c) RETURNING id",
               "UPDATE route_group SET models = :m, listed = :l, enabled = :e WHERE id = :i",
               {g.name, g.models, number(g.listed), number(g.enabled), g.created_ns},
               {g.models, number(g.listed), number(g.enabled), g.id});
}

Result<> CatalogBook::put_routes(Id model_id, const std::vector<Route>& routes) {
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(db_.run("DELETE FROM route WHERE model_id = :m", {model_id}));
    std::int64_t position = 0;
    for (const Route& route : routes) {
      LEDGER_TRY(db_.run(
          "INSERT INTO route (model_id, channel_id, position, upstream_model, priority, weight, "
          "max_output_tokens) VALUES (:m, :c, :p, :u, :r, :w, :t)",
          {model_id, route.channel_id, position++, route.upstream_model, route.priority,
           route.weight, route.max_output_tokens}));
    }
    LEDGER_TRY(next_generation(db_, static_cast<std::int64_t>(Topic::catalog)));
    return {};
  });
}

Result<> CatalogBook::add(Price& price) {
  const price::PriceRow& row = price.row;
  const PriceColumns lists = to_columns(row);
  Id version = 0;
  LEDGER_TRY(
      store(db_, version,
            "INSERT INTO price (model_id, effective_ns, input, cache_read, cache_write_short, "
            "cache_write_long, output, "
            "fees, bands, windows, holidays, tiers, free) VALUES (:a, :b, :c, :d, :e, :f, :g, :h, "
            ":i, :j, :k, :l, :m) "
            "RETURNING version",
            {},
            {price.model_id, row.effective_from_ns, row.base.input, row.base.cache_read,
             row.base.cache_write_short, row.base.cache_write_long, row.base.output, lists.fees,
             lists.bands, lists.windows, lists.holidays, lists.tiers, number(row.free())},
            {}));
  price.row.version = static_cast<std::uint64_t>(version);
  return {};
}

Result<Group> CatalogBook::group(std::string_view name) {
  return only<Group>(db_, GROUP_COLUMNS "WHERE name = :n", kGroupTypes, {name}, to_group);
}
Result<std::vector<Group>> CatalogBook::groups() {
  return collect<Group>(db_, GROUP_COLUMNS "ORDER BY id", kGroupTypes, {}, to_group);
}
Result<Provider> CatalogBook::provider(std::string_view name) {
  return only<Provider>(db_, PROVIDER_COLUMNS "WHERE name = :n", kProviderTypes, {name},
                        to_provider);
}
Result<Channel> CatalogBook::channel(std::string_view name) {
  return only<Channel>(db_, CHANNEL_COLUMNS "WHERE name = :n", kChannelTypes, {name}, to_channel);
}
Result<Model> CatalogBook::model(std::string_view name) {
  return only<Model>(db_, MODEL_COLUMNS "WHERE name = :n", kModelTypes, {name}, to_model);
}
Result<RouteGroup> CatalogBook::route_group(std::string_view name) {
  return only<RouteGroup>(db_, ROUTE_GROUP_COLUMNS "WHERE name = :n", kRouteGroupTypes, {name},
                          to_route_group);
}
Result<std::vector<RouteGroup>> CatalogBook::route_groups() {
  return collect<RouteGroup>(db_, ROUTE_GROUP_COLUMNS "ORDER BY name", kRouteGroupTypes, {},
                             to_route_group);
}
Result<std::vector<Provider>> CatalogBook::providers() {
  return collect<Provider>(db_, PROVIDER_COLUMNS "ORDER BY name", kProviderTypes, {}, to_provider);
}
Result<std::vector<ProviderKey>> CatalogBook::provider_keys(Id provider_id) {
  return collect<ProviderKey>(
      db_, PROVIDER_KEY_COLUMNS "WHERE :p IN (0, provider_id) ORDER BY provider_id, id",
      kProviderKeyTypes, {provider_id}, to_provider_key);
}
Result<std::vector<Channel>> CatalogBook::channels() {
  return collect<Channel>(db_, CHANNEL_COLUMNS "ORDER BY name", kChannelTypes, {}, to_channel);
}
Result<std::vector<Model>> CatalogBook::models() {
  return collect<Model>(db_, MODEL_COLUMNS "ORDER BY name", kModelTypes, {}, to_model);
}
Result<std::vector<Route>> CatalogBook::routes(Id model_id) {
  return collect<Route>(db_, ROUTE_COLUMNS "WHERE :m IN (0, model_id) ORDER BY model_id, position",
                        kRouteTypes, {model_id}, to_route);
}
Result<std::vector<Price>> CatalogBook::prices(Id model_id) {
  return collect<Price>(
      db_, PRICE_COLUMNS "WHERE :m IN (0, model_id) ORDER BY model_id, effective_ns, version",
      kPriceTypes, {model_id}, to_price);
}

Result<std::vector<NumberedText>> CatalogBook::texts() {
  return collect<NumberedText>(
      db_, "SELECT id, kind, text FROM numbered_text ORDER BY id", "iit", {}, [](const Row& row) {
        return NumberedText{row.integer(0), static_cast<TextKind>(row.integer(1)), row.text(2)};
      });
}

Result<CatalogSnapshot> CatalogBook::snapshot() {
  CatalogSnapshot out;
  const auto fill = [&](auto& member, auto result) -> Result<> {
    if (!result) return std::unexpected(result.error());
    member = std::move(*result);
    return {};
  };
  const bool own = !db_.in_transaction();
  if (own) LEDGER_TRY(db_.begin(false));
  const auto all = [&]() -> Result<> {
    LEDGER_TRY(fill(out.generation, generation(Topic::catalog)));
    LEDGER_TRY(fill(out.groups, groups()));
    LEDGER_TRY(fill(out.providers, providers()));
    LEDGER_TRY(fill(out.provider_keys, provider_keys(0)));
    LEDGER_TRY(fill(out.channels, channels()));
    LEDGER_TRY(fill(out.models, models()));
    LEDGER_TRY(fill(out.routes, routes(0)));
    LEDGER_TRY(fill(out.route_groups, route_groups()));
    LEDGER_TRY(fill(out.prices, prices(0)));
    return fill(out.texts, texts());
  };
  auto done = all();
  if (own) {
    if (done) {
      done = db_.commit();
    } else {
      db_.rollback();
    }
  }
  if (!done) return std::unexpected(done.error());
  return out;
}

Result<Id> CatalogBook::number_of(TextKind kind, std::string_view text) {
  if (text.empty() || (kind == TextKind::zone && text == "UTC")) return 0;
  if (kind == TextKind::model_set && text == "*") return 0;
  const auto kind_number = static_cast<std::int64_t>(kind);
  auto known = db_.integer("SELECT id FROM numbered_text WHERE kind = :k AND text = :t",
                           {kind_number, text});
  if (known || known.error().code != Errc::not_found) return known;
  Id id = 0;
  LEDGER_TRY(store(db_, id, "INSERT INTO numbered_text (kind, text) VALUES (:k, :t) RETURNING id",
                   {}, {kind_number, text}, {}));
  return id;
}

Result<std::int64_t> CatalogBook::touch(Topic topic) {
  std::int64_t next = 0;
  LEDGER_TRY(in_write(db_, [&]() -> Result<> {
    auto number = next_generation(db_, static_cast<std::int64_t>(topic));
    if (!number) return std::unexpected(number.error());
    next = *number;
    return {};
  }));
  return next;
}

Result<std::int64_t> CatalogBook::generation(Topic topic) {
  return db_.integer("SELECT value FROM generation WHERE topic = :t",
                     {static_cast<std::int64_t>(topic)});
}

Result<std::int64_t> CatalogBook::newest() {
  return db_.integer("SELECT value FROM generation WHERE topic = :t", {kSequence});
}

Result<std::int64_t> CatalogBook::published(std::uint32_t node) {
  auto number =
      db_.integer("SELECT generation FROM publication WHERE node = :n", {std::int64_t{node}});
  if (!number && number.error().code == Errc::not_found) return 0;
  return number;
}

Result<> CatalogBook::set_published(std::uint32_t node, std::int64_t generation) {
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(
        db_.run("INSERT INTO publication (node, generation) VALUES (:n, :g) "
                "ON CONFLICT (node) DO UPDATE SET generation = excluded.generation",
                {std::int64_t{node}, generation}));
    return {};
  });
}

}  // namespace sluice::ledger
