// Decisions about a key that need no counter: pure functions over what was read.
#pragma once

#include <array>
#include <cstdint>

#include "sluice/base/units.hpp"
#include "sluice/dialect/error_body.hpp"
#include "sluice/dialect/request_scan.hpp"
#include "sluice/state/catalog.hpp"
#include "sluice/state/records.hpp"

namespace sluice::policy {

/// A refusal before anything was reserved. `message` is static text for the client.
struct Denial {
  dialect::ErrorKind kind = dialect::ErrorKind::internal;
  const char* message = "";
  const char* param = "";  ///< the field at fault, or empty
};

/// Whether the key may be used at all now, from this address (IPv4 as ::ffff:a.b.c.d). Null kind =
/// allowed.
[[nodiscard]] const Denial* check_key(const state::KeyRecord& key, const state::Catalog& catalog,
                                      const std::array<std::uint8_t, 16>& client_v6,
                                      TimeNs realtime_ns);

/// Whether the key may call the model in this client format. `model` may be null (unknown name):
/// the answer for a model outside the key's scope is the same, so that names cannot be probed.
[[nodiscard]] const Denial* check_model(const state::KeyRecord& key, const state::Catalog& catalog,
                                        const state::ModelEntry* model, dialect::Format format);

/// Whether what the body asks for besides text can be billed (design §12).
[[nodiscard]] const Denial* check_specials(const state::KeyRecord& key,
                                           const dialect::RequestScan& scan);

}  // namespace sluice::policy
