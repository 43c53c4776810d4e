// The request as it goes to one candidate: our own head, and the client's body with the few edits
// of design §12.
#pragma once

#include <array>
#include <span>
#include <string>
#include <sys/uio.h>

#include "request.hpp"
#include "sluice/dialect/request_scan.hpp"
#include "sluice/relay/services.hpp"

namespace sluice::relay {

/// Which candidate is asked, and for what.
struct UpstreamTarget {
  const Snapshot& snapshot;
  const state::ChannelEntry& channel;
  std::string_view upstream_model;
  std::string_view provider_key;  ///< empty where the channel needs none
  std::string_view path = {};     ///< of a probe; empty = the request's own operation
};

/// Bytes to send as pieces around the client's own body. The body must outlive it.
class UpstreamRequest : public ring::Pooled {
 public:
  UpstreamRequest() = default;
  UpstreamRequest(const UpstreamRequest&) = delete;
  UpstreamRequest& operator=(const UpstreamRequest&) = delete;
  /// The provider's key goes with it.
  ~UpstreamRequest() { head_.wipe_front(head_bytes_); }

  /// Errors: too_large (names that do not fit), bad_value (a configured value that may not be
  /// sent).
  [[nodiscard]] Result<> build(Services& services, const Request& request,
                               const dialect::EditList& edits, const UpstreamTarget& target);
  /// Valid until build() is called again or the body goes.
  [[nodiscard]] std::span<const iovec> pieces() const { return {pieces_.data(), count_}; }

 private:
  void add(std::string_view text);
  void add_edited_body(std::string_view body);

  Body head_;                                 ///< and the body behind it where that is short
  std::size_t head_bytes_ = 0;                ///< of the head alone
  std::unique_ptr<dialect::EditList> edits_;  ///< their text, where the body is sent in pieces
  std::array<iovec, 2 * dialect::EditList::kMaxEdits + 2> pieces_;
  std::size_t count_ = 0;
};

}  // namespace sluice::relay
