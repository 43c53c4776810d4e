#include "sluice/state/writer.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "idem.hpp"
#include "lmdb_store.hpp"
#include "rows.hpp"
#include "sluice/base/crash_point.hpp"
#include "sluice/state/gate.hpp"

namespace sluice::state {
namespace {

constexpr TimeNs kGateWaitNs = 5 * kSecond;
// Longer than it takes to wake whoever waits for the gate: who gives it back and takes it again at
// once keeps it, as a waiter is still waking when it is gone.
constexpr auto kBetweenChunks = std::chrono::microseconds(200);
// Rows of a deletion's first transactions, and how many rows go that way: a shard that finds the
// gate taken waits for one of them. Whoever has more to delete would not come to an end so.
constexpr std::size_t kShortChunk = 16;
constexpr std::uint64_t kShortChunksRows = 10 * kShortChunk;

/// One transaction inside the gate: `work(tables)` gives a Result; an error aborts.
template <class Work>
auto transact(Environment& environment, Work work) -> decltype(work(std::declval<Tables&>())) {
  Gate& gate = environment.boards().gate();
  if (gate.enter(Gate::kReconciler, kGateWaitNs) == Gate::Entry::busy)
    return fail(Errc::unavailable);
  struct Leave {
    Gate& gate;
    ~Leave() { gate.leave(); }
  } leave{gate};
  Store& store = environment.store();
  const Result<Tables*> tables = store.begin();
  if (!tables) return std::unexpected(tables.error());
  auto outcome = work(**tables);
  if (!outcome) {
    store.abort();
    return outcome;
  }
  crash_point();
  const Result<> committed = store.commit();
  crash_point();
  if (!committed) return std::unexpected(committed.error());
  return outcome;
}

/// Applies rows in chunks, one transaction each.
template <class T, class Work>
Writer::Published in_chunks(Environment& environment, std::span<const T> rows, Work work) {
  Writer::Published published;
  while (published.committed < rows.size()) {
    const std::span<const T> chunk = rows.subspan(
        published.committed, std::min(rows.size() - published.committed, kMaxRowsPerTxn));
    const Result<> done =
        transact(environment, [&](Tables& tables) -> Result<> { return work(tables, chunk); });
    if (!done) {
      published.error = done.error();
      return published;
    }
    published.committed += chunk.size();
  }
  return published;
}

Result<MetaRecord> load_meta(Tables& tables) {
  const Result<Loaded<MetaRecord>> meta = load<MetaRecord>(tables, Table::meta, meta_key());
  if (!meta) return std::unexpected(meta.error());
  if (!meta->found) return fail(Errc::corrupt);
  return meta->record;
}

Result<> set_name(std::array<char, kFileNameBytes>& out, std::string_view name) {
  // A name beside the environment, never a path.
  if (name.empty() || name.size() >= out.size() || name.find('/') != std::string_view::npos) {
    return fail(Errc::bad_value);
  }
  out = {};
  std::memcpy(out.data(), name.data(), name.size());
  return {};
}

enum class Which : std::uint8_t { catalog, addresses };

Result<> point_at(Tables& tables, Which which, std::uint64_t generation, std::string_view file,
                  std::uint64_t hash) {
  Result<MetaRecord> meta = load_meta(tables);
  if (!meta) return std::unexpected(meta.error());
  Result<Loaded<CatalogPointer>> pointer =
      load<CatalogPointer>(tables, Table::catalog, catalog_key());
  if (!pointer) return std::unexpected(pointer.error());
  CatalogPointer& record = pointer->record;
  const bool catalog = which == Which::catalog;
  std::uint64_t& present = catalog ? record.catalog_generation : record.addresses_generation;
  if (generation <= present) return fail(Errc::conflict);
  if (Result<> named = set_name(catalog ? record.catalog_file : record.addresses_file, file);
      !named) {
    return named;
  }
  present = generation;
  (catalog ? record.catalog_hash : record.addresses_hash) = hash;
  (catalog ? meta->catalog_generation : meta->addresses_generation) = generation;
  if (Result<> put = store(tables, Table::catalog, catalog_key(), record); !put) return put;
  return store(tables, Table::meta, meta_key(), *meta);
}

}  // namespace

Writer::Published Writer::publish_wallets(std::span<const WalletPublish> wallets) {
  return in_chunks(environment_, wallets, apply_wallets);
}

Writer::Published Writer::publish_keys(std::span<const KeyPublish> keys) {
  return in_chunks(environment_, keys, apply_keys);
}

Writer::Published Writer::publish_deltas(std::span<const DeltaVerb> deltas) {
  Published published;
  while (published.committed < deltas.size()) {
    const std::size_t most = std::min(deltas.size() - published.committed, kMaxRowsPerTxn);
    // A delta that cannot be applied ends the chunk before it; the ones before it are kept.
    Error stopped;
    const Result<std::size_t> done =
        transact(environment_, [&](Tables& tables) -> Result<std::size_t> {
          for (std::size_t i = 0; i < most; ++i) {
            const Result<Outcome> outcome = apply(tables, deltas[published.committed + i]);
            if (outcome) continue;
            const Errc code = outcome.error().code;
            if (code == Errc::full || code == Errc::io) return std::unexpected(outcome.error());
            stopped = outcome.error();
            return i;
          }
          return most;
        });
    if (!done) {
      published.error = done.error();
      return published;
    }
    published.committed += *done;
    if (stopped.code != Errc::none) {
      published.error = stopped;
      return published;
    }
  }
  return published;
}

Result<std::uint64_t> Writer::delete_drained(SlotId slot, std::uint64_t up_to_seq) {
  std::uint64_t deleted = 0;
  for (;;) {
    const Result<DeleteOutcome> outcome = transact(environment_, [&](Tables& tables) {
      const std::size_t most = deleted < kShortChunksRows ? kShortChunk : kMaxRowsPerTxn;
      return apply(tables, DeleteDrainedVerb{slot, up_to_seq, most});
    });
    if (!outcome) return std::unexpected(outcome.error());
    deleted += outcome->deleted;
    if (!outcome->more) return deleted;
    std::this_thread::sleep_for(kBetweenChunks);
  }
}

Result<Outcome> Writer::expire(const HoldId& hold, TimeNs now_monotonic_ns) {
  return transact(environment_, [&](Tables& tables) {
    return apply(tables, ExpireVerb{hold, now_monotonic_ns});
  });
}

Result<std::size_t> Writer::forget_idem(std::span<const IdemKey> keys, TimeNs now_ns,
                                        TimeNs age_ns) {
  if (keys.size() > kMaxRowsPerTxn) return fail(Errc::bad_value);
  return transact(environment_,
                  [&](Tables& tables) { return state::forget_idem(tables, keys, now_ns, age_ns); });
}

Result<> Writer::set_catalog(std::uint64_t generation, std::string_view file, std::uint64_t hash) {
  return transact(environment_, [&](Tables& tables) {
    return point_at(tables, Which::catalog, generation, file, hash);
  });
}

Result<> Writer::set_addresses(std::uint64_t generation, std::string_view file,
                               std::uint64_t hash) {
  return transact(environment_, [&](Tables& tables) {
    return point_at(tables, Which::addresses, generation, file, hash);
  });
}

Result<> Writer::set_published(std::uint64_t generation) {
  return transact(environment_, [&](Tables& tables) -> Result<> {
    Result<MetaRecord> meta = load_meta(tables);
    if (!meta) return std::unexpected(meta.error());
    if (generation <= meta->published_generation) return {};
    meta->published_generation = generation;
    return store(tables, Table::meta, meta_key(), *meta);
  });
}

}  // namespace sluice::state
