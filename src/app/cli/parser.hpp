// The command line as data: nouns, verbs, options. CLI11 behind it is heavy to compile and stays in
// one file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sluice/control/problem.hpp"

namespace sluice::cli {

using control::Outcome;
using control::problem;

/// Options that every verb has.
struct Globals {
  std::string config_file;
  bool json = false;
  bool no_wait = false;
};

class Verb {
 public:
  /// A value by place; required.
  Verb& argument(const std::string& name, const std::string& help, std::string& target);
  /// "--name VALUE". Targets live as long as the verb's action.
  Verb& option(const std::string& name, const std::string& help, std::string& target,
               bool required = false);
  Verb& option(const std::string& name, const std::string& help,
               std::optional<std::string>& target);
  Verb& option(const std::string& name, const std::string& help,
               std::optional<std::int64_t>& target);
  Verb& option(const std::string& name, const std::string& help, std::int64_t& target);
  /// May be given more than once.
  Verb& option(const std::string& name, const std::string& help, std::vector<std::string>& target);
  /// "--name" / "--no-name".
  Verb& toggle(const std::string& name, const std::string& help, std::optional<bool>& target);
  Verb& flag(const std::string& name, const std::string& help, bool& target);
  void runs(std::function<Outcome<>()> action);

 private:
  friend class Parser;
  explicit Verb(void* app) : app_(app) {}
  void* app_;  ///< CLI::App
  std::function<Outcome<>()> action_;
};

class Parser {
 public:
  Parser();
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  /// `sluice NOUN VERB`, or `sluice VERB` when `noun` is empty.
  Verb& verb(const std::string& noun, const std::string& name, const std::string& help);
  Globals& globals();
  /// Parses and runs. Problems are one line on stderr. Returns the exit status: 0, 1 (refused,
  /// failed) or 2 (the command line itself is wrong).
  int run(int argc, char** argv);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::cli
