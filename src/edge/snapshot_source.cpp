#include "snapshot_source.hpp"

#include "sluice/base/log.hpp"

namespace sluice::edge {
namespace {

std::string path_of(const state::Environment& environment,
                    const std::array<char, state::kFileNameBytes>& name) {
  const std::string_view text(name.data(), name.size());
  return environment.epoch_directory() + "/" + std::string(text.substr(0, text.find('\0')));
}

void find_health(relay::Snapshot& snapshot, std::span<state::HealthEntry> board) {
  using state::HealthKind;
  snapshot.channel_health.clear();
  snapshot.key_health.clear();
  for (const state::ChannelEntry& channel : snapshot.catalog->channels()) {
    snapshot.channel_health.push_back(health_of(board, HealthKind::channel, channel.id));
    for (const state::ChannelKeyEntry& key : snapshot.catalog->keys(channel)) {
      const std::size_t place =
          channel.first_key +
          static_cast<std::size_t>(&key - snapshot.catalog->keys(channel).data());
      if (place >= snapshot.key_health.size()) snapshot.key_health.resize(place + 1);
      snapshot.key_health[place] = health_of(board, HealthKind::provider_key, key.id);
    }
  }
}

}  // namespace

void SnapshotSource::complain(const char* what, std::uint64_t generation, const Error& error) {
  if (complained_about_ == generation) return;
  complained_about_ = generation;
  log_line(LogLevel::error, "edge",
           std::string(what) + " generation " + std::to_string(generation) +
               " cannot be used: " + std::string(to_string(error.code)));
}

void SnapshotSource::set_sealing_keys(const KeyRing& sealing_keys) {
  if (*sealing_keys_ == sealing_keys) return;
  sealing_keys_ = LockedRing(sealing_keys);
  catalog_generation_ = 0;
}

std::shared_ptr<const relay::Snapshot> SnapshotSource::poll() {
  const Result<state::CatalogPointer> pointer = environment_.catalog_pointer();
  if (!pointer || pointer->catalog_generation == 0 || pointer->addresses_generation == 0) {
    return nullptr;
  }
  const bool new_catalog = pointer->catalog_generation != catalog_generation_;
  const bool new_addresses = pointer->addresses_generation != addresses_generation_;
  if (!new_catalog && !new_addresses) return nullptr;
  auto next =
      last_ ? std::make_shared<relay::Snapshot>(*last_) : std::make_shared<relay::Snapshot>();
  if (new_catalog) {
    auto catalog =
        state::Catalog::open(path_of(environment_, pointer->catalog_file), pointer->catalog_hash);
    if (!catalog) {
      complain("catalog", pointer->catalog_generation, catalog.error());
      return nullptr;
    }
    next->catalog = std::move(*catalog);
    const auto keys = OpenedKeys::open(*next->catalog, *sealing_keys_);
    if (keys->failures() > 0) {
      log_line(LogLevel::warning, "edge",
               std::to_string(keys->failures()) +
                   " keys of providers or proxies were not sealed to this edge's keys");
    }
    next->provider_keys = keys->keys();
    next->proxy_credentials = keys->proxy_credentials();
    next->secrets = keys;
    find_health(*next, environment_.boards().health());
  }
  if (new_addresses) {
    auto addresses = state::AddressBook::open(path_of(environment_, pointer->addresses_file),
                                              pointer->addresses_hash);
    if (!addresses) {
      complain("addresses", pointer->addresses_generation, addresses.error());
      return nullptr;
    }
    next->addresses = std::move(*addresses);
  }
  next->tls = tls_;
  next->pool_generation = ++pool_generation_;
  catalog_generation_ = pointer->catalog_generation;
  addresses_generation_ = pointer->addresses_generation;
  last_ = next;
  return next;
}

}  // namespace sluice::edge
