// Labels that a client gives its request: its own request id, x-sluice-tags, `metadata` of the
// body.
#pragma once

#include "request.hpp"
#include "sluice/relay/services.hpp"

namespace sluice::relay {

/// The client's own request id and its Idempotency-Key.
[[nodiscard]] ClientLabels read_labels(const Services& services, const http::RequestHead& head);

/// Adds one of the gateway's own.
void add_label(ClientLabels& labels, std::string_view name, std::string_view value);

/// Adds those of a list, "team=core, ticket=ABC-1".
void add_labels(ClientLabels& labels, std::string_view list);

/// Adds the text members of `metadata`, an object as it stands in the body. A label that does not
/// fit any more is left out as a whole.
void add_metadata(ClientLabels& labels, std::string_view metadata);

}  // namespace sluice::relay
