// Pinned provider addresses: what names resolve to, checked against the SSRF rules, in files of
// their own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalog_spec.hpp"
#include "resolver.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/state/addresses.hpp"
#include "sluice/state/environment.hpp"

namespace sluice::reconcile {

class AddressPublisher {
 public:
  AddressPublisher(state::Environment& environment, const Clock& clock, Lookup lookup,
                   std::vector<Cidr> allow_private);

  /// The hosts that the catalog names. New ones are looked up at once; literal addresses need no
  /// look-up.
  void set_hosts(const std::vector<HostPort>& hosts);

  /// Takes answers, asks again every 30 s, and publishes a file when something differs from the one
  /// in force. Errors: those of the file and of state::Writer; tried again at the next call.
  [[nodiscard]] Result<> step();

  /// A host of the catalog was never answered yet.
  [[nodiscard]] bool waiting() const;
  [[nodiscard]] int fd() const { return resolver_.fd(); }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  struct Host {
    std::vector<IpAddress> addresses;  ///< that may be connected to
    bool literal = false;
    bool answered = false;
    bool complained = false;
  };
  /// Takes the number and file that the shared state names, when they are not the last known.
  [[nodiscard]] Result<> load_present();
  void add_host(const std::string& name);
  void take(const Resolved& answer);
  [[nodiscard]] std::vector<IpAddress> permitted(const std::string& name, Host& host,
                                                 const std::vector<IpAddress>& addresses);
  void complain(const std::string& name, Host& host, const std::string& text);
  [[nodiscard]] std::vector<state::AddressSpec> specs() const;
  [[nodiscard]] Result<> publish();

  state::Environment& environment_;
  const Clock& clock_;
  std::vector<Cidr> allow_private_;
  Resolver resolver_;
  std::vector<HostPort> wanted_;
  std::map<std::string, Host> hosts_;
  std::shared_ptr<const state::AddressBook>
      before_;  ///< of the process before: names keep what they had
  std::uint64_t generation_ = 0;
  TimeNs asked_at_ns_ = 0;
  bool changed_ = false;
};

}  // namespace sluice::reconcile
