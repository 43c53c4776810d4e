// The edge's secrets: the pepper of client keys, the private key that opens provider keys, and the
// opened keys.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/error.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::edge {

using Key256 = std::array<std::uint8_t, 32>;

/// Reads a file of exactly 32 bytes that nobody but its owner may read. `message` gets one line on
/// failure.
[[nodiscard]] Result<Key256> read_secret_file(const std::string& path, std::string& message);

/// Provider keys in the clear, in memory that is locked, kept out of core dumps and wiped at the
/// end.
class OpenedKeys {
 public:
  OpenedKeys(OpenedKeys&& other) noexcept = default;

  /// Opens every sealed key of the catalog, in its order. Keys that were not sealed to this pair
  /// are empty.
  [[nodiscard]] static std::shared_ptr<const OpenedKeys> open(const state::Catalog& catalog,
                                                              const Key256& private_key);
  [[nodiscard]] const std::vector<std::string_view>& keys() const { return keys_; }
  /// Credentials of the channels' proxies, in the order of the channels; empty where there are
  /// none.
  [[nodiscard]] const std::vector<std::string_view>& proxy_credentials() const {
    return proxy_credentials_;
  }
  /// Keys and credentials that could not be opened.
  [[nodiscard]] std::size_t failures() const { return failures_; }

 private:
  OpenedKeys() = default;
  struct Wipe {
    void operator()(char* memory) const noexcept;
  };
  std::unique_ptr<char, Wipe> memory_;
  std::vector<std::string_view> keys_;
  std::vector<std::string_view> proxy_credentials_;
  std::size_t failures_ = 0;
};

}  // namespace sluice::edge
