#include "certificates.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace sluice::tls {
namespace {

constexpr const char* kNames = "subjectAltName=DNS:good.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1";

// A dNSName "good.test\0.evil.test" of 20 bytes, as DER.
constexpr const char* kNulName =
    "subjectAltName=DER:30:16:82:14:67:6f:6f:64:2e:74:65:73:74:00:2e:65:76:69:6c:2e:74:65:73:74";

}  // namespace

const Certificates& Certificates::get() {
  static const Certificates certificates;
  return certificates;
}

Certificates::Certificates() {
  std::string pattern = (std::filesystem::temp_directory_path() / "sluice-tls-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
  directory_ = pattern;
  write("ca.cnf",
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\npolicy=p\n"
        "default_md=sha256\nunique_subject=no\ncopy_extensions=none\n[p]\ncommonName=supplied\n");
  write("index.txt", "");
  write("serial", "1000\n");

  make_root("ca");
  make_root("other-ca");
  make_root("sha1-root", "-sha1");
  const std::string names = kNames;
  make_leaf("good", names);
  make_leaf("rsa", names, "", "-newkey rsa:2048");
  make_leaf("small-rsa", names, "", "-newkey rsa:1024");
  make_leaf("expired", names, "-startdate 20200101000000Z -enddate 20200201000000Z");
  make_leaf("future", names, "-startdate 20450101000000Z -enddate 20460101000000Z");
  make_leaf("sha1", names, "-md sha1");
  make_leaf("cn-only", "basicConstraints=CA:FALSE");
  make_leaf("mail-only", "subjectAltName=email:a@good.test");
  make_leaf("nul-name", kNulName);
  const std::string ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
  make_leaf("intermediate", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign");
  make_leaf("sha1-intermediate", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign",
            "-md sha1");
  make_leaf("not-an-authority",
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,keyCertSign");
  make_leaf("by-intermediate", names, "", ec, "intermediate");
  make_leaf("by-sha1", names, "", ec, "sha1-intermediate");
  make_leaf("by-sha1-root", names, "", ec, "sha1-root");
  make_leaf("by-leaf", names, "", ec, "not-an-authority");
  run("openssl req -x509 " + ec + " -nodes -keyout self-signed.key -out self-signed.pem -days 30 " +
      "-subj /CN=good.test -addext '" + names + "'");
}

Certificates::~Certificates() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Certificates::run(const std::string& command) const {
  const std::string line = "cd '" + directory_ + "' && { " + command + " ; } >log 2>&1";
  if (std::system(line.c_str()) != 0) {
    std::ifstream log(path("log"));
    const std::string text((std::istreambuf_iterator<char>(log)), {});
    throw std::runtime_error(command + "\n" + text);
  }
}

void Certificates::write(const std::string& file, const std::string& text) const {
  std::ofstream(path(file)) << text;
}

void Certificates::make_root(const std::string& name, const std::string& options) const {
  run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout " + name +
      ".key -out " + name + ".pem -days 30 -subj '/CN=" + name + "' -addext keyUsage=keyCertSign " +
      options);
  run("cp " + name + ".pem " + name + ".leaf");
}

void Certificates::make_leaf(const std::string& name, const std::string& extensions,
                             const std::string& options, const std::string& key,
                             const std::string& issuer) const {
  write(name + ".ext", extensions + "\n");
  const std::string subject = name == "cn-only" || name == "mail-only" ? "good.test" : name;
  run("openssl req " + key + " -nodes -keyout " + name + ".key -out " + name +
      ".csr -subj '/CN=" + subject + "'");
  const std::string dates = options.find("-startdate") == std::string::npos ? " -days 30 " : " ";
  run("openssl ca -batch -notext -config ca.cnf -cert " + issuer + ".pem -keyfile " + issuer +
      ".key -in " + name + ".csr -out " + name + ".leaf -extfile " + name + ".ext" + dates +
      options);
  run("cat " + name + ".leaf > " + name + ".pem");
  if (issuer != "ca") run("cat " + issuer + ".leaf >> " + name + ".pem");
}

}  // namespace sluice::tls
