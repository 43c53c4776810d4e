// Pinned addresses of providers: host:port → up to eight socket addresses, resolved and checked by
// the reconciler. A shard never resolves a name.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"

namespace sluice::state {

inline constexpr std::size_t kAddressesPerHost = 8;

/// One address. `family` 4 or 6; an IPv4 address is in the first four bytes, network order.
struct PinnedAddress {
  std::array<std::uint8_t, 16> bytes{};
  std::uint8_t family = 0;
  std::uint8_t reserved = 0;
  std::uint16_t port = 0;  ///< host order
  friend bool operator==(const PinnedAddress&, const PinnedAddress&) = default;
};

struct AddressSpec {
  std::string host;  ///< lower case, as in the catalog
  std::uint16_t port = 0;
  std::vector<PinnedAddress>
      addresses;  ///< 0 … kAddressesPerHost; none = the name is known not to resolve
};

/// Errors: bad_value (too many addresses, duplicate host:port, bad family).
[[nodiscard]] Result<std::vector<std::byte>> build_addresses(std::uint64_t generation,
                                                             std::span<const AddressSpec> specs);

class MappedFile;  // src/state only

/// A mapped, checked address file. Look-ups allocate nothing.
class AddressBook {
 public:
  /// Errors: not_found, corrupt, io. `expected_hash` (file_hash()) 0 = not compared.
  [[nodiscard]] static Result<std::shared_ptr<const AddressBook>> open(const std::string& path,
                                                                       std::uint64_t expected_hash);
  [[nodiscard]] static Result<std::shared_ptr<const AddressBook>> view(
      std::span<const std::byte> bytes);
  ~AddressBook();
  AddressBook(const AddressBook&) = delete;
  AddressBook& operator=(const AddressBook&) = delete;

  [[nodiscard]] std::uint64_t generation() const;
  /// Addresses of host:port in the reconciler's order; empty when it is unknown or does not
  /// resolve.
  [[nodiscard]] std::span<const PinnedAddress> find(std::string_view host,
                                                    std::uint16_t port) const;

 private:
  AddressBook() = default;
  [[nodiscard]] static Result<std::shared_ptr<const AddressBook>> make(
      std::unique_ptr<const MappedFile> file, std::span<const std::byte> bytes,
      std::uint64_t expected_hash);
  [[nodiscard]] Result<> check(std::uint64_t expected_hash) const;

  std::unique_ptr<const MappedFile> file_;  ///< null for a view
  std::span<const std::byte> bytes_;
};

}  // namespace sluice::state
