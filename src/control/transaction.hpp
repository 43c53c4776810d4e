// A ledger transaction whose body gives Problems, and the audit row that goes with a change.
#pragma once

#include <functional>

#include "sluice/control/service.hpp"

namespace sluice::control {

/// Runs `body` in one write transaction (or joins the open one); a Problem rolls it back.
template <class Body>
Outcome<> in_transaction(Service& service, std::string_view what, Body&& body) {
  Problem told;
  bool refused = false;
  auto done = service.ledger.write([&]() -> Result<> {
    Outcome<> outcome = body();
    if (outcome) return {};
    told = outcome.error();
    refused = true;
    return fail(told.code);
  });
  if (refused) return std::unexpected(told);
  if (!done) return std::unexpected(from_ledger(service, done.error(), what));
  return {};
}

[[nodiscard]] inline Outcome<> note(Service& service, std::string_view action,
                                    std::string_view subject, std::string_view detail) {
  auto done = service.ledger.audit().append(service.actor, action, subject, detail);
  if (!done) return std::unexpected(from_ledger(service, done.error(), "audit log"));
  return {};
}

}  // namespace sluice::control
