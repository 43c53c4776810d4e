#include "open_rows.hpp"

#include <nmmintrin.h>

#include "sluice/base/assert.hpp"

namespace sluice::state {
namespace {

std::uint64_t word_at(ByteSpan key, std::size_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, key.data() + offset, sizeof word);
  return word;
}

}  // namespace

OpenRows::Name::Name(Table table, ByteSpan key) {
  SLUICE_ASSERT(key.size() == sizeof(NumberKey) || key.size() == sizeof(AccountKey));
  first = word_at(key, 0);
  last = word_at(key, key.size() - sizeof last);
  rest = static_cast<std::uint64_t>(key[key.size() / 2]) << 16U | key.size() << 8U |
         static_cast<std::uint64_t>(table);
}

std::size_t OpenRows::Name::first_place() const {
  return _mm_crc32_u64(_mm_crc32_u64(rest, first), last) % kPlaces;
}

void OpenRows::clear() {
  moved_ = false;
  if (count_ == 0) return;
  count_ = 0;
  places_.fill(0);
}

const OpenRows::Entry* OpenRows::find(const Name& name) const {
  for (std::size_t place = name.first_place(); places_[place] != 0; place = (place + 1) % kPlaces) {
    const Entry& entry = entries_[places_[place] - 1U];
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

OpenRows::Entry* OpenRows::add(const Name& name, Table table, ByteSpan key) {
  if (count_ == kMost) return nullptr;
  std::size_t place = name.first_place();
  while (places_[place] != 0) place = (place + 1) % kPlaces;
  Entry& entry = entries_[count_++];
  places_[place] = static_cast<std::uint8_t>(count_);
  entry.name = name;
  entry.table = table;
  entry.changed = false;
  entry.stored = nullptr;
  entry.key_bytes = static_cast<std::uint8_t>(key.size());
  std::memcpy(entry.key.data(), key.data(), key.size());
  return &entry;
}

Result<> OpenRows::flush(Tables& tables) {
  for (std::size_t i = 0; i < count_; ++i) {
    Entry& entry = entries_[i];
    if (!entry.changed) continue;
    entry.changed = false;
    std::byte* const stored = moved_ ? nullptr : entry.stored;
    const Result<> put = entry.put(tables, entry.table, entry.key_span(), entry.row, stored);
    if (!put) return put;
  }
  return {};
}

}  // namespace sluice::state
