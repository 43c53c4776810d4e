// Certificates of every kind that the tests need, made once a run with the openssl command.
#pragma once

#include <string>

namespace sluice::tls {

class Certificates {
 public:
  /// The set of this run, in a directory of its own that is removed at the end.
  static const Certificates& get();

  /// Path of a PEM file: "ca.pem", "good.pem", "good.key" …
  [[nodiscard]] std::string path(const std::string& file) const { return directory_ + "/" + file; }

  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

 private:
  Certificates();
  ~Certificates();

  void run(const std::string& command) const;
  void write(const std::string& file, const std::string& text) const;
  void make_root(const std::string& name, const std::string& options = "") const;
  /// A certificate that `issuer` signed, with the issuer's own behind it unless that is the root.
  void make_leaf(const std::string& name, const std::string& extensions,
                 const std::string& options = "",
                 const std::string& key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256",
                 const std::string& issuer = "ca") const;

  std::string directory_;
};

}  // namespace sluice::tls
