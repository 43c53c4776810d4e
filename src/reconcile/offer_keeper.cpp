#include "offer_keeper.hpp"

#include <algorithm>
#include <utility>

#include "sluice/base/log.hpp"
#include "sluice/control/offers.hpp"
#include "sluice/state/offers.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::size_t kAtOnce = 16;

}  // namespace

Result<> OfferKeeper::take(std::uint32_t channel_id) {
  const std::string& directory = environment_.epoch_directory();
  const auto offer = state::read_offer(directory, channel_id);
  const auto channels = ledger_.catalog().channels();
  if (!channels) return std::unexpected(channels.error());
  const auto channel = std::ranges::find(*channels, ledger::Id{channel_id}, &ledger::Channel::id);
  if (!offer || channel == channels->end()) {
    log_line(
        LogLevel::warning, "reconcile",
        "the list of models of channel " + std::to_string(channel_id) + " cannot be used: dropped");
  } else if (auto kept = ledger_.offers().put(channel->provider_id, offer->complete, offer->models);
             !kept) {
    return kept;
  }
  state::remove_offer(directory, channel_id);
  return {};
}

Result<> OfferKeeper::compare() {
  const auto catalog = ledger_.catalog().snapshot();
  if (!catalog) return std::unexpected(catalog.error());
  const auto offers = ledger_.offers().all();
  if (!offers) return std::unexpected(offers.error());
  std::set<std::string> now;
  for (const control::UnlistedRoute& route : control::unlisted_routes(*catalog, *offers)) {
    std::string line = "channel " + route.channel + ", model " + route.model +
                       ": its provider does not list " + route.upstream_model;
    if (!unlisted_.contains(line)) log_line(LogLevel::warning, "reconcile", line);
    now.insert(std::move(line));
  }
  unlisted_ = std::move(now);
  return {};
}

Result<> OfferKeeper::step(std::uint64_t catalog_generation) {
  const auto waiting = state::offers_waiting(environment_.epoch_directory(), kAtOnce);
  if (!waiting) return std::unexpected(waiting.error());
  for (const std::uint32_t channel_id : *waiting) {
    if (auto taken = take(channel_id); !taken) return taken;
    compared_generation_ = 0;
  }
  if (compared_generation_ == catalog_generation) return {};
  if (auto compared = compare(); !compared) return compared;
  compared_generation_ = catalog_generation;
  return {};
}

}  // namespace sluice::reconcile
