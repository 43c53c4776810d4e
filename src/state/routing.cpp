#include "sluice/state/routing.hpp"

namespace sluice::state {

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "none";
    case Fault::broke:
      return "broke";
    case Fault::overloaded:
      return "overloaded";
    case Fault::rate:
      return "rate";
    case Fault::key_bad:
      return "key_bad";
    case Fault::no_money:
      return "no_money";
    case Fault::drill:
      return "drill";
  }
  return "unknown";
}

std::string_view to_string(WorkKind kind) {
  switch (kind) {
    case WorkKind::chat:
      return "chat";
    case WorkKind::text_completion:
      return "text_completion";
    case WorkKind::embeddings:
      return "embeddings";
    case WorkKind::generate_content:
      return "generate_content";
    case WorkKind::unknown:
      break;
  }
  return {};
}

std::string_view to_string(RouteReason reason) {
  switch (reason) {
    case RouteReason::unknown:
      return "unknown";
    case RouteReason::only:
      return "only";
    case RouteReason::priority:
      return "priority";
    case RouteReason::weight:
      return "weight";
    case RouteReason::session:
      return "session";
    case RouteReason::pinned:
      return "pinned";
    case RouteReason::failover:
      return "failover";
    case RouteReason::passed_over:
      return "passed_over";
    case RouteReason::last_way:
      return "last_way";
  }
  return "unknown";
}

}  // namespace sluice::state
