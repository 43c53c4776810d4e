// The files of conf/providers, applied to a ledger in memory and built into a catalog as the
// reconciler does.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "catalog_spec.hpp"
#include "sluice/control/apply.hpp"
#include "sluice/control/secrets.hpp"
#include "sluice/state/catalog.hpp"

namespace sluice::presets {

inline constexpr const char* kVariables[] = {
    "OPENAI_API_KEY",      "ANTHROPIC_API_KEY", "GEMINI_API_KEY",       "XAI_API_KEY",
    "MISTRAL_API_KEY",     "DASHSCOPE_API_KEY", "DEEPSEEK_API_KEY",     "MOONSHOT_API_KEY",
    "ZAI_API_KEY",         "MINIMAX_API_KEY",   "DASHSCOPE_CN_API_KEY", "ZHIPUAI_API_KEY",
    "MOONSHOT_CN_API_KEY", "MINIMAX_CN_API_KEY"};

inline std::vector<std::string> names() {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_PRESETS)) {
    if (entry.path().extension() == ".toml") found.insert(entry.path().stem().string());
  }
  return {found.begin(), found.end()};
}

inline std::string text_of(const std::string& name) {
  std::ifstream file(std::string(SLUICE_PRESETS) + "/" + name + ".toml");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class PresetsTest : public testing::Test {
 protected:
  static constexpr TimeNs kNow = 1'795'824'000 * kSecond;  // 2026-11-28 00:00 UTC

  PresetsTest() {
    std::string message;
    auto opened = ledger::Ledger::open(":memory:", ledger::Access::read_write, clock_, message);
    EXPECT_TRUE(opened) << message;
    ledger_ = std::move(*opened);
    service_ = std::make_unique<control::Service>(
        control::Service{*ledger_, clock_, rng_, &hasher_, &sealer_, {}, "tester"});
    for (const char* variable : kVariables) unsetenv(variable);
  }
  ~PresetsTest() override {
    for (const char* variable : kVariables) unsetenv(variable);
  }

  /// The problem's line, or "".
  std::string apply(const std::string& name) {
    const auto report = control::apply_toml(*service_, text_of(name), name + ".toml");
    if (report) changes_ = report->changes.size();
    return report ? "" : report.error().text;
  }
  void apply_all() {
    for (const char* variable : kVariables) setenv(variable, "sk-0123456789abcdef", 1);
    for (const std::string& name : names()) ASSERT_EQ(apply(name), "");
  }
  std::shared_ptr<const state::Catalog> catalog() {
    const auto snapshot = ledger_->catalog().snapshot();
    reconcile::CatalogInputs inputs;
    inputs.realtime_ns = kNow;
    inputs.generation = 1;
    reconcile::ZoneTable zones("/nowhere");
    const reconcile::CatalogPlan plan = reconcile::plan_catalog(*snapshot, inputs, zones);
    complaints_ = plan.complaints;
    std::string message;
    auto bytes = state::build_catalog(plan.spec, message);
    EXPECT_TRUE(bytes) << message;
    if (!bytes) return nullptr;
    bytes_ = std::move(*bytes);
    auto opened = state::Catalog::view(bytes_);
    EXPECT_TRUE(opened);
    return opened ? *opened : nullptr;
  }
  static const state::ChannelEntry* channel(const state::Catalog& catalog, std::string_view name) {
    for (const state::ChannelEntry& entry : catalog.channels()) {
      if (catalog.text(entry.name) == name) return &entry;
    }
    ADD_FAILURE() << "no channel " << name;
    return nullptr;
  }

  ManualClock clock_;
  SeededRng rng_{7};
  control::SodiumKeyHasher hasher_{control::Key256{1, 2, 3}};
  control::Sealer sealer_{control::Key256{9}};
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<control::Service> service_;
  std::size_t changes_ = 0;
  std::vector<std::string> complaints_;
  std::vector<std::byte> bytes_;
};

}  // namespace sluice::presets
