// The operator's pages: /metrics in Prometheus text, /healthz and /readyz. Made from the boards
// alone.
#pragma once

#include <string>
#include <string_view>

#include "sluice/base/units.hpp"
#include "sluice/state/boards.hpp"

namespace sluice::edge {

struct Page {
  int status = 404;
  std::string_view content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// The page for a path. `boards` may be null: the shared state is not there yet, so nothing is
/// ready.
[[nodiscard]] Page render_page(std::string_view path, state::Boards* boards,
                               std::uint32_t shards_running, std::uint32_t shards_wanted,
                               TimeNs monotonic_ns);

}  // namespace sluice::edge
