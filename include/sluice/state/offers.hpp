// Lists of models on their way from the shard that asked a provider to the ledger: one small file a
// channel in the epoch's directory. What is in one came from a provider, so that whoever reads it
// checks everything again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/error.hpp"

namespace sluice::state {

inline constexpr std::size_t kOfferModels = 2000;
inline constexpr std::size_t kOfferNameBytes = 128;

struct Offer {
  std::uint32_t channel_id = 0;
  bool complete = false;            ///< nothing was left out of `models`
  std::vector<std::string> models;  ///< each is_offered_name()
};

/// Visible ASCII, 1 to kOfferNameBytes of it: what any provider calls a model, and no terminal, log
/// or table minds.
[[nodiscard]] bool is_offered_name(std::string_view name);

/// Replaces the channel's file. Names that are none, and those beyond kOfferModels, are left out,
/// and then the offer is not complete. Blocks for a write to a tmpfs. Errors: io.
[[nodiscard]] Result<> write_offer(const std::string& epoch_directory, Offer offer);

/// The channels that have a file, at most `most`. Errors: io.
[[nodiscard]] Result<std::vector<std::uint32_t>> offers_waiting(const std::string& epoch_directory,
                                                                std::size_t most);
/// Errors: not_found, corrupt (no such file would be written), io.
[[nodiscard]] Result<Offer> read_offer(const std::string& epoch_directory,
                                       std::uint32_t channel_id);
/// Takes the file away, whatever is in it.
void remove_offer(const std::string& epoch_directory, std::uint32_t channel_id);

}  // namespace sluice::state
