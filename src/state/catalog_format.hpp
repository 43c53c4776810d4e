// Sections of a catalog file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mapped_file.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::state {

template <class T>
std::span<const T> Catalog::section(std::size_t which) const {
  return section_of<T>(bytes_, which);
}

inline constexpr std::uint64_t kCatalogMagic = 0x3141'434c'4c53'4355;
inline constexpr std::uint32_t kCatalogLayout = 2;

/// Rows are sorted by id (version, for prices) unless said otherwise: look-ups by id are binary
/// searches.
enum Section : std::size_t {
  kModels,
  kNames,       ///< hash table of NameEntry; size a power of two, at least one place empty
  kCandidates,  ///< by model
  kChannels,
  kChannelKeys,  ///< by channel
  kPrices,
  kGroups,
  kZones,
  kBoundaries,  ///< by zone: days, then months
  kModelSets,
  kModelSetWords,  ///< bitsets over model indexes
  kCidrSets,
  kCidrs,
  kText,
  kPatterns,  ///< of model names, the most exact first
  kRouteGroups,
  kRouteGroupModels,  ///< indexes of models, by group
};

struct NameEntry {
  TextRef name;
  std::uint32_t model = kNone;  ///< kNone = empty place; of a group: its first
  std::uint32_t group = kNone;  ///< kNone = a model or its alias
};

/// An alias with `*` in it.
struct PatternEntry {
  TextRef pattern;
  std::uint32_t model = 0;
  std::uint32_t reserved = 0;
};

inline constexpr std::uint64_t kNameSeed = 0x6d6f'6465'6c73;

/// Row with this id among rows sorted by it, or null.
template <class T, class Id>
const T* find_sorted(std::span<const T> rows, Id id, Id T::* member) {
  std::size_t low = 0;
  std::size_t high = rows.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (rows[middle].*member < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < rows.size() && rows[low].*member == id ? &rows[low] : nullptr;
}

}  // namespace sluice::state
