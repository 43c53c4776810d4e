// The edge's secrets: the peppers of client keys, the private keys that open provider keys, and the
// opened keys.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/key_ring.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::edge {

/// A ring in memory that is locked, kept out of core dumps and wiped at the end.
class LockedRing {
 public:
  explicit LockedRing(const KeyRing& ring = {});
  [[nodiscard]] const KeyRing& operator*() const { return *ring_; }
  [[nodiscard]] const KeyRing* operator->() const { return ring_.get(); }

 private:
  struct Free {
    void operator()(KeyRing* ring) const noexcept;
  };
  std::unique_ptr<KeyRing, Free> ring_;
};

/// Provider keys in the clear, in memory that is locked, kept out of core dumps and wiped at the
/// end.
class OpenedKeys {
 public:
  OpenedKeys(OpenedKeys&& other) noexcept = default;

  /// Opens every sealed key of the catalog, in its order. Keys that were sealed to none of these
  /// pairs are empty.
  [[nodiscard]] static std::shared_ptr<const OpenedKeys> open(const state::Catalog& catalog,
                                                              const KeyRing& private_keys);
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
