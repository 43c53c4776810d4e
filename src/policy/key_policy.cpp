#include "sluice/policy/key_policy.hpp"

namespace sluice::policy {
namespace {

using dialect::ErrorKind;
using dialect::Special;

constexpr Denial kUnknownKey{ErrorKind::unauthenticated, "Incorrect API key provided.", ""};
constexpr Denial kDisabledKey{ErrorKind::unauthenticated, "This API key is disabled.", ""};
constexpr Denial kExpiredKey{ErrorKind::unauthenticated, "This API key has expired.", ""};
constexpr Denial kAddress{ErrorKind::forbidden, "This API key may not be used from this address.",
                          ""};
constexpr Denial kNoModel{ErrorKind::model_not_found,
                          "The model does not exist or this API key has no access to it.", "model"};
constexpr Denial kWrongFormat{ErrorKind::model_not_found,
                              "The model is not served in this API format.", "model"};

constexpr Denial kBackground{ErrorKind::bad_request, "background responses are not offered.",
                             "background"};
constexpr Denial kServiceTier{ErrorKind::bad_request,
                              "Only the default service tier is offered for this model.",
                              "service_tier"};
constexpr Denial kSpeed{ErrorKind::bad_request,
                        "Only the standard speed is offered for this model.", "speed"};
constexpr Denial kFallback{ErrorKind::bad_request,
                           "Fallback models in the request are not offered.", "fallbacks"};
constexpr Denial kOutsideInput{ErrorKind::bad_request,
                               "Input that is not in the request (stored responses, files, remote "
                               "URLs, cached content) is not "
                               "allowed for this API key.",
                               ""};

}  // namespace

const Denial* check_key(const state::KeyRecord& key, const state::Catalog& catalog,
                        const std::array<std::uint8_t, 16>& client_v6, TimeNs realtime_ns) {
  if (key.state == state::KeyState::revoked) return &kUnknownKey;
  if (key.state != state::KeyState::active) return &kDisabledKey;
  if (key.expires_at_ns != 0 && key.expires_at_ns <= realtime_ns) return &kExpiredKey;
  if (!catalog.address_allowed(key.cidr_set, client_v6)) return &kAddress;
  return nullptr;
}

const Denial* check_model(const state::KeyRecord& key, const state::Catalog& catalog,
                          const state::ModelEntry* model, dialect::Format format) {
  if (model == nullptr || (model->flags & state::kModelEnabled) == 0 ||
      !catalog.model_in_set(key.model_set, *model)) {
    return &kNoModel;
  }
  if ((model->formats & (1U << static_cast<unsigned>(format))) == 0) return &kWrongFormat;
  return nullptr;
}

const Denial* check_specials(const state::KeyRecord& key, const dialect::RequestScan& scan) {
  if (scan.special == 0) return nullptr;
  if (scan.has(Special::background)) return &kBackground;
  if (scan.has(Special::service_tier)) return &kServiceTier;
  if (scan.has(Special::speed)) return &kSpeed;
  if (scan.has(Special::model_fallback)) return &kFallback;
  const bool outside = scan.has(Special::previous_response) || scan.has(Special::stored_file) ||
                       scan.has(Special::remote_url) || scan.has(Special::cached_content);
  if (outside && (key.flags & state::kKeyReserveContext) == 0) return &kOutsideInput;
  return nullptr;
}

}  // namespace sluice::policy
