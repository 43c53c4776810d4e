// Access records: one request, one line of JSON.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "json_line.hpp"
#include "sluice/ledger/ledger.hpp"
#include "sluice/state/boards.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::reconcile {

/// Names of what records have as numbers. Keys and customers are asked from the ledger at first use
/// and kept (they never change); models and channels come with each catalog.
class RecordNames {
 public:
  struct Key {
    std::string key;
    std::string customer;
  };
  explicit RecordNames(ledger::Ledger& ledger) : ledger_(ledger) {}
  [[nodiscard]] const Key& key(std::uint64_t id);
  [[nodiscard]] std::string_view model(std::uint32_t id) const { return look_up(models_, id); }
  [[nodiscard]] std::string_view channel(std::uint32_t id) const { return look_up(channels_, id); }
  /// Name of the provider that a channel leads to.
  [[nodiscard]] std::string_view provider(std::uint32_t channel) const {
    return look_up(providers_, channel);
  }
  void set_catalog(const std::map<ledger::Id, std::string>& models,
                   const std::map<ledger::Id, std::string>& channels,
                   const std::map<ledger::Id, std::string>& providers) {
    models_ = models;
    channels_ = channels;
    providers_ = providers;
  }

 private:
  static std::string_view look_up(const std::map<ledger::Id, std::string>& names,
                                  std::uint32_t id) {
    const auto found = names.find(id);
    return found == names.end() ? std::string_view() : std::string_view(found->second);
  }
  static constexpr std::size_t kMostKeys = 500'000;
  ledger::Ledger& ledger_;
  std::unordered_map<std::uint64_t, Key> keys_;
  std::map<ledger::Id, std::string> models_;
  std::map<ledger::Id, std::string> channels_;
  std::map<ledger::Id, std::string> providers_;  ///< by channel
};

/// Appends the line of a drained outbox row, with its newline.
void append_record(std::string& out, const state::OutboxRow& row, RecordNames& names);
/// Appends the line of a request that was refused before it had a hold.
void append_record(std::string& out, const state::RefusedRecord& record, RecordNames& names);
/// What a customer may know of a request of his: nothing about the operator's channels.
void append_request(JsonLine& line, const ledger::UsageRow& row, const RecordNames& names);

}  // namespace sluice::reconcile
