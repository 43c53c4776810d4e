// Immutable files of sections: header, then arrays of flat rows. Shared by catalog and addresses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sluice/base/error.hpp"

namespace sluice::state {

/// A file mapped read-only for as long as the object lives.
class MappedFile {
 public:
  /// Errors: not_found, io, corrupt (empty).
  [[nodiscard]] static Result<std::unique_ptr<const MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

inline constexpr std::size_t kSections = 24;

struct SectionPlace {
  std::uint64_t offset = 0;  ///< multiple of 8
  std::uint64_t rows = 0;
};

struct SectionedHeader {
  std::uint64_t magic = 0;
  std::uint32_t layout = 0;
  std::uint32_t reserved = 0;
  std::uint64_t bytes = 0;  ///< of the whole file
  std::uint64_t hash = 0;   ///< of everything with this field 0
  std::uint64_t generation = 0;
  std::array<SectionPlace, kSections> sections{};
};
static_assert(std::has_unique_object_representations_v<SectionedHeader>);

/// 64-bit mix of bytes: against damage and for look-ups, not against people.
[[nodiscard]] std::uint64_t mix_bytes(std::span<const std::byte> bytes, std::uint64_t seed = 0);
[[nodiscard]] inline std::uint64_t mix_text(std::string_view text, std::uint64_t seed = 0) {
  return mix_bytes(std::as_bytes(std::span(text.data(), text.size())), seed);
}

/// Magic, layout, size and hash of a file. The bytes must be aligned to 8.
[[nodiscard]] Result<> check_header(std::span<const std::byte> bytes, std::uint64_t magic,
                                    std::uint32_t layout, std::uint64_t expected_hash);

[[nodiscard]] inline const SectionedHeader& header_of(std::span<const std::byte> bytes) {
  return *reinterpret_cast<const SectionedHeader*>(bytes.data());
}

/// Whether section `which` lies inside the file as an array of `row_bytes` rows.
[[nodiscard]] bool section_fits(std::span<const std::byte> bytes, std::size_t which,
                                std::size_t row_bytes);

/// Rows of a section that section_fits() has accepted.
template <class T>
[[nodiscard]] std::span<const T> section_of(std::span<const std::byte> bytes, std::size_t which) {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 8);
  const SectionPlace& place = header_of(bytes).sections[which];
  return {reinterpret_cast<const T*>(bytes.data() + place.offset),
          static_cast<std::size_t>(place.rows)};
}

/// Puts a file together.
class SectionWriter {
 public:
  SectionWriter(std::uint64_t magic, std::uint32_t layout, std::uint64_t generation);
  template <class T>
  void add(std::size_t which, std::span<const T> rows) {
    static_assert(std::has_unique_object_representations_v<T>, "padding would be stored undefined");
    add_bytes(which, std::as_bytes(rows), rows.size());
  }
  [[nodiscard]] std::vector<std::byte> finish();

 private:
  void add_bytes(std::size_t which, std::span<const std::byte> bytes, std::size_t rows);
  SectionedHeader header_;
  std::vector<std::byte> bytes_;
};

}  // namespace sluice::state
