#include "sluice/control/apply.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "apply_readers.hpp"
#include "fields.hpp"
#include "sluice/control/catalog.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/keys.hpp"
#include "transaction.hpp"

namespace sluice::control {
namespace {

/// Goes through the file and gathers what changed. The first problem ends it, with its place.
class Applier {
 public:
  explicit Applier(Service& service) : service_(service) {}

  void groups(TomlTable& root) {
    for (TomlTable& item : root.tables("group")) {
      std::string name, multiplier;
      item.text("name", name);
      item.decimal_text("multiplier", multiplier);
      item.finish();
      if (item.ok()) count(item, "group", name, put_group(service_, name, multiplier));
    }
  }

  void providers(TomlTable& root) {
    for (TomlTable& item : root.tables("provider")) {
      std::string name;
      item.text("name", name);
      const ProviderSettings settings = read_provider(item);
      std::vector<TomlTable> keys = item.tables("key");
      item.finish();
      if (item.ok()) count(item, "provider", name, put_provider(service_, name, settings));
      for (TomlTable& key : keys) provider_key(key, name);
    }
    // Each of several optional keys may be missing, but not all of them.
    if (!left_out_.empty() && !has_key_) {
      root.fail("provider", fmt::format("no provider of this file has a key: set {}",
                                        fmt::join(left_out_, " or ")));
    }
  }

  void channels(TomlTable& root) {
    for (TomlTable& item : root.tables("channel")) {
      std::string name;
      item.text("name", name);
      const ChannelSettings settings = read_channel(item);
      item.finish();
      if (item.ok()) count(item, "channel", name, put_channel(service_, name, settings));
    }
  }

  void models(TomlTable& root) {
    for (TomlTable& item : root.tables("model")) {
      std::string name;
      item.text("name", name);
      const ModelSettings settings = read_model(item);
      std::vector<TomlTable> prices = item.tables("price");
      item.finish();
      if (item.ok()) count(item, "model", name, put_model(service_, name, settings));
      for (TomlTable& table : prices) {
        const PriceSettings price = read_price(table);
        table.finish();
        if (table.ok()) count(table, "price", name, put_price(service_, name, price));
      }
    }
  }

  void route_groups(TomlTable& root) {
    for (TomlTable& item : root.tables("route_group")) {
      std::string name;
      item.text("name", name);
      const RouteGroupSettings settings = read_route_group(item);
      item.finish();
      if (item.ok()) count(item, "route group", name, put_route_group(service_, name, settings));
    }
  }

  void customers(TomlTable& root) {
    for (TomlTable& item : root.tables("customer")) {
      std::string name, credit;
      item.text("name", name);
      const CustomerSettings settings = read_customer(item);
      item.decimal_text("credit", credit);
      std::vector<TomlTable> keys = item.tables("key");
      item.finish();
      if (item.ok()) customer(item, name, settings, credit);
      for (TomlTable& key : keys) client_key(key, name);
    }
  }

  ApplyReport report;

 private:
  /// Files a change, or notes the problem where it is.
  void count(TomlTable& table, std::string_view noun, std::string_view name,
             const Outcome<Change>& change) {
    if (!change) return table.fail("name", change.error().text);
    if (*change == Change::none) {
      ++report.unchanged;
    } else {
      report.changes.push_back({std::string(noun),
                                std::string(name),
                                *change == Change::created ? "created" : "updated",
                                {}});
    }
  }

  void provider_key(TomlTable& table, const std::string& provider) {
    std::string name = "default";
    bool enabled = true;
    table.text("name", name);
    const SecretSource source = read_secret(table, "secret");
    table.boolean("enabled", enabled);
    bool optional = false;  // the way that needs it is not used where it is missing
    table.boolean("optional", optional);
    table.finish();
    if (!table.ok()) return;
    // A file may be applied again without its variables: the keys that are stored stay.
    if (source.secret.empty() && !is_stored(provider, name)) {
      if (optional) {
        left_out_.insert(source.variable);
        return;
      }
      if (!source.variable.empty()) {
        return table.fail("secret_env", fmt::format("the variable {} is not set, and no key is "
                                                    "stored yet",
                                                    source.variable));
      }
    }
    count(table, "provider key", fmt::format("{}/{}", provider, name),
          put_provider_key(service_, provider, name, source.secret, enabled));
    has_key_ = true;
  }

  bool is_stored(const std::string& provider, const std::string& name) {
    const auto owner = service_.ledger.catalog().provider(provider);
    if (!owner) return false;
    const auto keys = service_.ledger.catalog().provider_keys(owner->id);
    return keys && std::ranges::any_of(*keys, [&](const auto& key) { return key.name == name; });
  }

  void customer(TomlTable& table, const std::string& name, const CustomerSettings& settings,
                const std::string& credit) {
    const auto found = find_customer(service_, name);
    if (found) {
      bool changed = false;
      const auto done = set_customer(service_, name, settings, changed);
      count(table, "customer", name,
            done ? Outcome<Change>(changed ? Change::updated : Change::none)
                 : std::unexpected(done.error()));
      return;
    }
    const auto added = add_customer(service_, name, settings);
    count(table, "customer", name,
          added ? Outcome<Change>(Change::created) : std::unexpected(added.error()));
    if (!table.ok() || credit.empty()) return;
    // The first credit is part of creating the customer; applying again gives none.
    const auto given = add_credit(service_, name, credit, "first credit");
    if (!given) return table.fail("credit", given.error().text);
    report.changes.push_back({"credit", name, "credited", {}});
  }

  void client_key(TomlTable& table, const std::string& customer_name) {
    std::string name;
    table.text("name", name);
    KeySettings settings = read_key(table);
    table.finish();
    if (!table.ok()) return;
    const std::string label = fmt::format("{}/{}", customer_name, name);
    const auto found = find_key(service_, customer_name, name);
    if (!found && found.error().code == Errc::not_found) {
      const auto added = add_key(service_, customer_name, name, settings);
      if (!added) return table.fail("name", added.error().text);
      report.changes.push_back({"key", label, "created", added->secret});
      return;
    }
    // "30d" counts from the day the key was made, not from each day the file is applied.
    if (settings.expires && *settings.expires != "never" &&
        settings.expires->find('-') == std::string::npos) {
      settings.expires.reset();
    }
    bool changed = false;
    const auto done = set_key(service_, customer_name, name, settings, changed);
    count(table, "key", label,
          done ? Outcome<Change>(changed ? Change::updated : Change::none)
               : std::unexpected(done.error()));
  }

  Service& service_;
  bool has_key_ = false;            ///< a provider key of the file is stored
  std::set<std::string> left_out_;  ///< variables of optional keys that are not set
};

}  // namespace

Outcome<ApplyReport> apply_toml(Service& service, std::string_view toml,
                                std::string_view file_name) {
  Applier applier(service);
  TomlTable root = TomlTable::parse(toml, file_name);
  CONTROL_TRY(in_transaction(service, file_name, [&]() -> Outcome<> {
    // In the order in which they name each other.
    applier.groups(root);
    applier.providers(root);
    applier.channels(root);
    applier.models(root);
    applier.route_groups(root);
    applier.customers(root);
    root.finish();
    if (!root.ok()) return problem(Errc::bad_value, root.problem());
    return {};
  }));
  return std::move(applier.report);
}

}  // namespace sluice::control
