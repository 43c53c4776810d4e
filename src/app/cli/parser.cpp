#include "parser.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace sluice::cli {

struct Parser::Impl {
  CLI::App app{"Sluice: AI gateway. Writes the ledger; the reconciler publishes to the edge.",
               "sluice"};
  Globals globals;
  std::map<std::string, CLI::App*> nouns;
  std::vector<std::unique_ptr<Verb>> verbs;
};

namespace {

CLI::App& app_of(void* app) { return *static_cast<CLI::App*>(app); }

/// One line, whatever the library or the operating system put into it.
void complain(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::fprintf(stderr, "sluice: %s\n", text.c_str());
}

/// Where a verb is needed and was not given, which there are; empty when it is not that.
std::string missing_verb(CLI::App& app) {
  const std::vector<CLI::App*> given = app.get_subcommands();
  CLI::App& group = given.empty() ? app : *given.front();
  if (!group.get_subcommands().empty()) return {};
  std::string names;
  for (const CLI::App* verb : group.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + verb->get_name();
  }
  if (names.empty()) return {};
  std::string problem = given.empty() ? "" : group.get_name() + ": ";
  const std::vector<std::string> words = app.remaining(true);
  const auto unknown = std::ranges::find_if(words, [](const std::string& word) {
    return !word.starts_with('-');
  });
  problem += unknown == words.end() ? "a verb is missing" : "there is no '" + *unknown + "'";
  return problem + "; there are " + names;
}

}  // namespace

Verb& Verb::argument(const std::string& name, const std::string& help, std::string& target) {
  app_of(app_).add_option(name, target, help)->required();
  return *this;
}
Verb& Verb::option(const std::string& name, const std::string& help, std::string& target,
                   bool required) {
  app_of(app_).add_option(name, target, help)->required(required);
  return *this;
}
Verb& Verb::option(const std::string& name, const std::string& help,
                   std::optional<std::string>& target) {
  app_of(app_).add_option(name, target, help);
  return *this;
}
Verb& Verb::option(const std::string& name, const std::string& help,
                   std::optional<std::int64_t>& target) {
  app_of(app_).add_option(name, target, help);
  return *this;
}
Verb& Verb::option(const std::string& name, const std::string& help, std::int64_t& target) {
  app_of(app_).add_option(name, target, help)->capture_default_str();
  return *this;
}
Verb& Verb::option(const std::string& name, const std::string& help,
                   std::vector<std::string>& target) {
  app_of(app_).add_option(name, target, help)->take_all();
  return *this;
}
Verb& Verb::toggle(const std::string& name, const std::string& help, std::optional<bool>& target) {
  app_of(app_).add_flag_callback("--" + name, [&target] { target = true; }, help);
  app_of(app_).add_flag_callback(
      "--no-" + name, [&target] { target = false; }, "the opposite of --" + name);
  return *this;
}
Verb& Verb::flag(const std::string& name, const std::string& help, bool& target) {
  app_of(app_).add_flag(name, target, help);
  return *this;
}
void Verb::runs(std::function<Outcome<>()> action) { action_ = std::move(action); }

Parser::Parser() : impl_(std::make_unique<Impl>()) {
  CLI::App& app = impl_->app;
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--config", impl_->globals.config_file, "static configuration (TOML)")
      ->envname("SLUICE_CONFIG")
      ->default_val("/etc/sluice/sluice.toml");
  app.add_flag("--json", impl_->globals.json, "one JSON object or array on stdout");
  app.add_flag("--no-wait", impl_->globals.no_wait,
               "do not wait until the change is visible to the edge");
}

Parser::~Parser() = default;

Globals& Parser::globals() { return impl_->globals; }

Verb& Parser::verb(const std::string& noun, const std::string& name, const std::string& help) {
  CLI::App* parent = &impl_->app;
  if (!noun.empty()) {
    CLI::App*& group = impl_->nouns[noun];
    if (group == nullptr) {
      group = impl_->app.add_subcommand(noun, "verbs of " + noun);
      group->require_subcommand(1);
      group->fallthrough();
    }
    parent = group;
  }
  CLI::App* own = parent->add_subcommand(name, help);
  own->fallthrough();
  impl_->verbs.emplace_back(new Verb(own));
  return *impl_->verbs.back();
}

int Parser::run(int argc, char** argv) {
  try {
    impl_->app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return impl_->app.exit(error);  // --help
    const bool lacks = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
    const std::string missing = lacks ? missing_verb(impl_->app) : "";
    complain(missing.empty() ? error.what() : missing);
    return 2;
  }
  for (const auto& verb : impl_->verbs) {
    if (!app_of(verb->app_).parsed()) continue;
    const Outcome<> done = verb->action_();
    if (done) return 0;
    complain(done.error().text);
    return 1;
  }
  return 2;
}

}  // namespace sluice::cli
