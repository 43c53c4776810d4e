// Names to addresses, in threads of its own: a resolver that hangs delays nothing but its own name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sluice/reconcile/reconciler.hpp"

namespace sluice::reconcile {

struct Resolved {
  std::string host;
  Result<std::vector<IpAddress>> addresses;
};

/// getaddrinfo(3), TCP, in the order of RFC 6724.
[[nodiscard]] Result<std::vector<IpAddress>> system_lookup(const std::string& host);

class Resolver {
 public:
  explicit Resolver(Lookup lookup);
  /// Does not wait for lookups that are under way; their answers are dropped.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Asks for a name, unless it is being asked already.
  void ask(const std::string& host);
  /// Answers since the last call.
  [[nodiscard]] std::vector<Resolved> take();
  /// Names that were asked and not answered.
  [[nodiscard]] std::size_t open_questions() const;
  /// Readable when there are answers.
  [[nodiscard]] int fd() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  ///< threads keep it alive while a lookup hangs
};

}  // namespace sluice::reconcile
