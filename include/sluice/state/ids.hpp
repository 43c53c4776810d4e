// Names of things in the shared state, and their byte forms as LMDB keys.
#pragma once

#include <array>
#include <cstdint>

#include "sluice/base/crypto.hpp"
#include "sluice/base/units.hpp"

namespace sluice::state {

using KeyId = std::uint64_t;     ///< 1 … 2^62 - 1
using WalletId = std::uint64_t;  ///< 1 … 2^62 - 1
using SlotId = std::uint32_t;    ///< 0 … kMaxSlots - 1
using RequestId = std::array<std::uint8_t, 16>;
using Uuid = std::array<std::uint8_t, 16>;

inline constexpr SlotId kMaxSlots = 1024;

/// Names one hold for ever: (epoch, slot, sequence), never reused.
struct HoldId {
  std::uint64_t epoch = 0;
  SlotId slot = 0;
  std::uint32_t padding = 0;  ///< the id is part of stored records: no byte is left undefined
  std::uint64_t seq = 0;      ///< 1 …; 0 = no hold

  constexpr HoldId() = default;
  constexpr HoldId(std::uint64_t epoch_of, SlotId slot_of, std::uint64_t seq_of)
      : epoch(epoch_of), slot(slot_of), seq(seq_of) {}
  friend bool operator==(const HoldId&, const HoldId&) = default;
};

/// Budget windows as the caller's catalog numbers them (Catalog::windows_at). Larger = later.
struct WindowIds {
  std::uint32_t day = 0;
  std::uint32_t month = 0;
  friend bool operator==(const WindowIds&, const WindowIds&) = default;
};

}  // namespace sluice::state
