#include "sluice/state/catalog.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "mapped_file.hpp"
#include "scratch.hpp"
#include "sluice/state/addresses.hpp"
#include "sluice/state/catalog_builder.hpp"

namespace sluice::state {
namespace {

price::PriceRow price_row(std::uint64_t version, TimeNs from_ns = 0) {
  price::PriceRow row;
  row.version = version;
  row.effective_from_ns = from_ns;
  row.base = {1000, 100, 1250, 2000, 5000, {}};
  return row;
}

std::array<std::uint8_t, 16> v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d};
}

CatalogSpec small_catalog() {
  CatalogSpec spec;
  spec.generation = 12;
  spec.prices = {price_row(20), price_row(10), price_row(30, 1000 * kSecond)};
  ChannelSpec openai;
  openai.id = 7;
  openai.name = "openai";
  openai.host = "API.openai.com";
  openai.base_path = "/v1";
  openai.extra_headers = "X-Team: a\r\n";
  openai.keys = {{70, true, std::string("sealed\0bytes", 12)}, {71, false, "other"}};
  ChannelSpec backup;
  backup.id = 3;
  backup.name = "backup";
  backup.host = "10.0.0.1";
  backup.scheme = Scheme::http;
  backup.port = 8080;
  spec.channels = {openai, backup};
  ModelSpec sol;
  sol.id = 2;
  sol.name = "gpt-sol";
  sol.aliases = {"sluice-fast", "gpt-sol-*", "*-sol-20*"};
  sol.price_version = 10;
  sol.next_price_version = 30;
  sol.candidates = {{3, 20, 1, "sol-backup", 0}, {7, 10, 5, "", 0}};
  ModelSpec luna;
  luna.id = 1;
  luna.name = "gpt-luna";
  luna.context_tokens = 1000;
  ModelSpec opus;
  opus.id = 9;
  opus.name = "claude-opus";
  opus.price_version = 20;
  spec.models = {sol, luna, opus};
  spec.model_sets = {{5, {"gpt-*"}}, {6, {"sluice-fast", "nothing"}}};
  spec.cidr_sets = {{1, {{v4(10, 0, 0, 0), 104, 0, {}}, {v4(10, 9, 0, 0), 112, 1, {}}}},
                    {2, {{v4(192, 168, 1, 128), 121, 1, {}}}}};
  spec.zones = {utc_zone(1'700'000'000, 400)};
  spec.zones.push_back({4, "Europe/Berlin", {{0, 1, 0}, {100, 2, 0}, {200, 3, 0}}, {{0, 50, 0}}});
  spec.groups = {{8, 900, "gold"}};
  spec.route_groups = {{.id = 4, .name = "premium", .model_ids = {9, 2}}};
  return spec;
}

/// Makes the header's hash that of the bytes, as a careful forger would.
void repair_hash(std::vector<std::byte>& bytes) {
  SectionedHeader header;
  std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof(header));
  header.hash = 0;
  const std::uint64_t seed = mix_bytes(std::as_bytes(std::span(&header, 1)));
  header.hash = mix_bytes(std::span(bytes).subspan(sizeof(header)), seed);
  std::memcpy(bytes.data(), &header, sizeof(header));
}

std::vector<std::byte> build(const CatalogSpec& spec) {
  std::string message;
  auto bytes = build_catalog(spec, message);
  EXPECT_TRUE(bytes) << message;
  return bytes ? *bytes : std::vector<std::byte>();
}

TEST(Catalog, RoundTrip) {
  const std::vector<std::byte> bytes = build(small_catalog());
  const auto opened = Catalog::view(bytes);
  ASSERT_TRUE(opened);
  const Catalog& catalog = **opened;
  EXPECT_EQ(catalog.generation(), 12U);
  EXPECT_EQ(catalog.models().size(), 3U);
  const ModelEntry* sol = catalog.find_model("gpt-sol");
  ASSERT_NE(sol, nullptr);
  EXPECT_EQ(sol->id, 2U);
  EXPECT_EQ(catalog.find_model("sluice-fast"), sol);
  EXPECT_EQ(catalog.find_model("gpt-so"), nullptr);
  EXPECT_EQ(catalog.find_model(""), nullptr);
  EXPECT_EQ(catalog.find_model_id(9), catalog.find_model("claude-opus"));
  EXPECT_EQ(catalog.find_model_id(5), nullptr);
  EXPECT_EQ(catalog.find_model("gpt-luna")->context_tokens, 1000);

  const auto candidates = catalog.candidates(*sol);
  ASSERT_EQ(candidates.size(), 2U);
  const ChannelEntry& first = catalog.channel(candidates[0]);
  EXPECT_EQ(first.id, 7U) << "smaller priority first";
  EXPECT_EQ(catalog.text(candidates[0].upstream_model), "gpt-sol");
  EXPECT_EQ(catalog.text(candidates[1].upstream_model), "sol-backup");
  EXPECT_EQ(catalog.text(first.host), "api.openai.com") << "lower case";
  EXPECT_EQ(catalog.text(first.base_path), "/v1");
  EXPECT_EQ(catalog.text(first.extra_headers), "X-Team: a\r\n");
  ASSERT_EQ(catalog.keys(first).size(), 2U);
  EXPECT_EQ(catalog.text(catalog.keys(first)[0].sealed), std::string_view("sealed\0bytes", 12));
  EXPECT_EQ(catalog.keys(first)[1].enabled, 0U);
  EXPECT_EQ(catalog.find_channel_id(3)->port, 8080);
  EXPECT_EQ(catalog.find_channel_id(4), nullptr);
}

TEST(Catalog, PriceInForceChangesAtItsDateAndMissingIsNull) {
  const std::vector<std::byte> bytes = build(small_catalog());
  const auto catalog = Catalog::view(bytes).value();
  const ModelEntry& sol = *catalog->find_model("gpt-sol");
  EXPECT_EQ(catalog->price_of(sol, 1000 * kSecond - 1)->version, 10U);
  EXPECT_EQ(catalog->price_of(sol, 1000 * kSecond)->version, 30U);
  EXPECT_EQ(catalog->price_of(*catalog->find_model("gpt-luna"), 0), nullptr);
  EXPECT_EQ(catalog->find_price(20)->version, 20U);
  EXPECT_EQ(catalog->find_price(25), nullptr);
}

TEST(Catalog, SetsHoldWhatTheirPatternsName) {
  const std::vector<std::byte> bytes = build(small_catalog());
  const auto catalog = Catalog::view(bytes).value();
  const ModelEntry& sol = *catalog->find_model("gpt-sol");
  const ModelEntry& luna = *catalog->find_model("gpt-luna");
  const ModelEntry& opus = *catalog->find_model("claude-opus");
  EXPECT_TRUE(catalog->model_in_set(0, opus));
  EXPECT_TRUE(catalog->model_in_set(5, sol));
  EXPECT_TRUE(catalog->model_in_set(5, luna));
  EXPECT_FALSE(catalog->model_in_set(5, opus));
  EXPECT_TRUE(catalog->model_in_set(6, sol)) << "by alias";
  EXPECT_FALSE(catalog->model_in_set(6, luna));
  EXPECT_FALSE(catalog->model_in_set(77, sol)) << "an unknown set holds nothing";
}

TEST(Catalog, AddressSets) {
  const std::vector<std::byte> bytes = build(small_catalog());
  const auto catalog = Catalog::view(bytes).value();
  EXPECT_TRUE(catalog->address_allowed(0, v4(1, 2, 3, 4)));
  EXPECT_TRUE(catalog->address_allowed(1, v4(10, 1, 2, 3)));
  EXPECT_FALSE(catalog->address_allowed(1, v4(10, 9, 2, 3))) << "denied inside an allowed net";
  EXPECT_FALSE(catalog->address_allowed(1, v4(11, 1, 2, 3))) << "not listed";
  EXPECT_TRUE(catalog->address_allowed(2, v4(192, 168, 1, 127)))
      << "deny list alone allows the rest";
  EXPECT_FALSE(catalog->address_allowed(2, v4(192, 168, 1, 128)));
  EXPECT_FALSE(catalog->address_allowed(2, v4(192, 168, 1, 255)));
  EXPECT_FALSE(catalog->address_allowed(9, v4(1, 1, 1, 1))) << "an unknown set lets nobody in";
}

TEST(Catalog, WindowsFollowTheZonesBoundaries) {
  const std::vector<std::byte> bytes = build(small_catalog());
  const auto catalog = Catalog::view(bytes).value();
  EXPECT_EQ(catalog->windows_at(4, 99 * kSecond).day, 1U);
  EXPECT_EQ(catalog->windows_at(4, 100 * kSecond), (WindowIds{2, 50}));
  EXPECT_EQ(catalog->windows_at(4, 1'000'000 * kSecond).day, 3U) << "after the last: not reset";
  EXPECT_EQ(catalog->windows_at(4, -50 * kSecond).day, 1U);
  // 2023-11-15 is day 19676; an unknown zone is UTC.
  EXPECT_EQ(catalog->windows_at(0, 1'700'006'400 * kSecond), (WindowIds{19'676, 12 * 2023 + 10}));
  EXPECT_EQ(catalog->windows_at(99, 1'700'006'399 * kSecond).day, 19'675U);
}

TEST(Catalog, UtcMonthsBeginOnTheFirst) {
  const ZoneSpec zone = utc_zone(0, 24'000);  // to 2035, leap years included
  std::size_t leap_march = 0;
  for (const Boundary& month : zone.months) {
    if (month.window == 12 * 2024 + 2)
      leap_march = static_cast<std::size_t>(month.start_s / 86'400);
  }
  EXPECT_EQ(leap_march, 19'783U);  // 2024-03-01
  EXPECT_EQ(zone.months.front().window, 12U * 1970);
}

TEST(Catalog, GroupsHaveMultipliersAndUnknownOnesNone) {
  const std::vector<std::byte> bytes = build(small_catalog());
  const auto catalog = Catalog::view(bytes).value();
  EXPECT_EQ(catalog->group_multiplier(0), 1000U);
  EXPECT_EQ(catalog->group_multiplier(8), 900U);
  EXPECT_EQ(catalog->group_multiplier(9), std::nullopt);
}

TEST(Catalog, ManyModelsAreAllFound) {
  CatalogSpec spec = small_catalog();
  for (std::uint32_t i = 100; i < 1100; ++i) {
    ModelSpec model;
    model.id = i;
    model.name = "model-" + std::to_string(i);
    spec.models.push_back(model);
  }
  const std::vector<std::byte> bytes = build(spec);
  const auto catalog = Catalog::view(bytes).value();
  for (std::uint32_t i = 100; i < 1100; ++i) {
    const ModelEntry* model = catalog->find_model("model-" + std::to_string(i));
    ASSERT_NE(model, nullptr);
    EXPECT_EQ(model->id, i);
  }
}

TEST(Catalog, BuilderRefusesWhatWouldHarm) {
  struct Case {
    const char* name;
    std::function<void(CatalogSpec&)> spoil;
  };
  const Case cases[] = {
      {"duplicate model id", [](CatalogSpec& s) { s.models[1].id = 2; }},
      {"duplicate model name", [](CatalogSpec& s) { s.models[1].name = "gpt-sol"; }},
      {"alias equals a name", [](CatalogSpec& s) { s.models[1].aliases = {"claude-opus"}; }},
      {"model name with a line end", [](CatalogSpec& s) { s.models[0].name = "x\r\nHost: y"; }},
      {"empty model name", [](CatalogSpec& s) { s.models[0].name = ""; }},
      {"unknown channel", [](CatalogSpec& s) { s.models[0].candidates[0].channel_id = 99; }},
      {"unknown price", [](CatalogSpec& s) { s.models[0].price_version = 99; }},
      {"incomplete price", [](CatalogSpec& s) { s.prices[0].base.output = price::kNoPrice; }},
      {"price twice", [](CatalogSpec& s) { s.prices[1].version = 20; }},
      {"header injection in host", [](CatalogSpec& s) { s.channels[0].host = "a\r\nb"; }},
      {"user info in host", [](CatalogSpec& s) { s.channels[0].host = "user@host"; }},
      {"empty host", [](CatalogSpec& s) { s.channels[0].host = ""; }},
      {"base path with slash at the end", [](CatalogSpec& s) { s.channels[0].base_path = "/v1/"; }},
      {"base path with query", [](CatalogSpec& s) { s.channels[0].base_path = "/v1?x"; }},
      {"extra header without end", [](CatalogSpec& s) { s.channels[0].extra_headers = "A: b"; }},
      {"framing header",
       [](CatalogSpec& s) { s.channels[0].extra_headers = "Transfer-Encoding: chunked\r\n"; }},
      {"bare line feed in header",
       [](CatalogSpec& s) { s.channels[0].extra_headers = "A: b\nC: d\r\n"; }},
      {"port 0", [](CatalogSpec& s) { s.channels[0].port = 0; }},
      {"free channel by mistake", [](CatalogSpec& s) { s.channels[0].multiplier = 0; }},
      {"group multiplier 0", [](CatalogSpec& s) { s.groups[0].multiplier = 0; }},
      {"no zone 0", [](CatalogSpec& s) { s.zones.erase(s.zones.begin()); }},
      {"boundaries fall", [](CatalogSpec& s) { s.zones[1].days[2].start_s = 50; }},
      {"windows fall", [](CatalogSpec& s) { s.zones[1].days[2].window = 2; }},
      {"set 0", [](CatalogSpec& s) { s.model_sets[0].id = 0; }},
      {"prefix too long", [](CatalogSpec& s) { s.cidr_sets[0].entries[0].prefix = 129; }},
  };
  for (const Case& c : cases) {
    CatalogSpec spec = small_catalog();
    c.spoil(spec);
    std::string message;
    EXPECT_FALSE(build_catalog(spec, message)) << c.name;
    EXPECT_FALSE(message.empty()) << c.name;
    EXPECT_EQ(message.find('\n'), std::string::npos) << c.name;
  }
}

TEST(Catalog, EveryDamagedByteIsFound) {
  const std::vector<std::byte> good = build(small_catalog());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::vector<std::byte> bad = good;
    bad[at] ^= std::byte{0x10};
    ASSERT_EQ(Catalog::view(bad).error().code, Errc::corrupt) << at;
  }
  for (std::size_t bytes = 0; bytes < good.size(); bytes += 8) {
    ASSERT_FALSE(Catalog::view(std::span(good).first(bytes))) << bytes;
  }
}

// A file whose hash is right but whose references lead astray: the checks behind the hash, under
// ASan.
TEST(Catalog, WrongReferencesAreFoundAlthoughTheHashIsRight) {
  const std::vector<std::byte> good = build(small_catalog());
  SeededRng rng(5);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> bad = good;
    // Section places and rows: everything behind the fixed part of the header.
    const std::size_t at = 40 + rng.next_u64() % (bad.size() - 44);
    const std::uint32_t value =
        rng.next_u64() % 2 == 0 ? static_cast<std::uint32_t>(rng.next_u64()) : 0xFFFF'FFF0U;
    std::memcpy(bad.data() + at, &value, 4);
    repair_hash(bad);
    const auto catalog = Catalog::view(bad);
    if (!catalog) {
      ++refused;
      continue;
    }
    for (const ModelEntry& model : (*catalog)->models()) {
      static_cast<void>((*catalog)->find_model((*catalog)->text(model.name)));
      for (const CandidateEntry& candidate : (*catalog)->candidates(model)) {
        const ChannelEntry& channel = (*catalog)->channel(candidate);
        EXPECT_LE((*catalog)->text(channel.host).size(), bad.size());
        EXPECT_LE((*catalog)->keys(channel).size(), bad.size());
      }
      static_cast<void>((*catalog)->model_in_set(5, model));
      static_cast<void>((*catalog)->price_of(model, 0));
    }
    static_cast<void>((*catalog)->windows_at(4, 0));
    static_cast<void>((*catalog)->address_allowed(1, v4(1, 2, 3, 4)));
  }
  EXPECT_GT(refused, 1000);
}

TEST(Catalog, PatternsAreNamesWhereNoNameIsExact) {
  CatalogSpec spec = small_catalog();
  spec.models[2].aliases = {"gpt-sol-2026*", "gpt-*"};
  const std::vector<std::byte> bytes = build(spec);
  const auto catalog = *Catalog::view(bytes);
  EXPECT_EQ(catalog->find_model("gpt-sol")->id, 2U);
  EXPECT_EQ(catalog->find_model("gpt-sol-x")->id, 2U);
  EXPECT_EQ(catalog->find_model("gpt-sol-2026-11")->id, 9U) << "the more exact one";
  EXPECT_EQ(catalog->find_model("gpt-7")->id, 9U);
  EXPECT_EQ(catalog->find_model("a-sol-2025")->id, 2U);
  EXPECT_EQ(catalog->find_model("claude-haiku"), nullptr);
}

TEST(Catalog, AGroupIsANameForModelsInTheirOrder) {
  const std::vector<std::byte> bytes = build(small_catalog());
  const auto catalog = *Catalog::view(bytes);
  const Catalog::Named named = catalog->find_name("premium");
  ASSERT_NE(named.group, nullptr);
  EXPECT_EQ(named.model, nullptr);
  EXPECT_EQ(catalog->find_model("premium"), nullptr);
  const auto models = catalog->models_of(*named.group);
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(catalog->models()[models[0]].id, 9U);
  EXPECT_EQ(catalog->models()[models[1]].id, 2U);
  EXPECT_EQ(catalog->find_name("gpt-sol").group, nullptr);
}

TEST(Catalog, ASetMayNameAGroup) {
  CatalogSpec spec = small_catalog();
  spec.model_sets.push_back({7, {"prem*"}});
  const std::vector<std::byte> bytes = build(spec);
  const auto catalog = *Catalog::view(bytes);
  const RouteGroupEntry& group = *catalog->find_name("premium").group;
  EXPECT_TRUE(catalog->group_in_set(7, group));
  EXPECT_TRUE(catalog->group_in_set(0, group));
  EXPECT_FALSE(catalog->group_in_set(5, group));
  EXPECT_FALSE(catalog->group_in_set(99, group));
  EXPECT_FALSE(catalog->model_in_set(7, *catalog->find_model("gpt-sol")));
}

TEST(Catalog, GroupsThatLeadNowhereAreRefused) {
  std::string message;
  for (const RouteGroupSpec& bad : {RouteGroupSpec{.id = 1, .name = "empty"},
                                    RouteGroupSpec{.id = 1, .name = "astray", .model_ids = {77}},
                                    RouteGroupSpec{.id = 1, .name = "gpt-sol", .model_ids = {2}}}) {
    CatalogSpec spec = small_catalog();
    spec.route_groups = {bad};
    EXPECT_FALSE(build_catalog(spec, message)) << bad.name;
    EXPECT_FALSE(message.empty());
  }
}

TEST(Catalog, FilesAreWrittenWholeAndCheckedAgainstTheirHash) {
  ScratchDirectory scratch;
  const std::vector<std::byte> bytes = build(small_catalog());
  ASSERT_TRUE(write_file(scratch.path(), catalog_file_name(12), bytes));
  const std::string path = scratch.path() + "/catalog.12";
  EXPECT_TRUE(Catalog::open(path, 0));
  EXPECT_TRUE(Catalog::open(path, file_hash(bytes)));
  EXPECT_EQ(Catalog::open(path, file_hash(bytes) + 1).error().code, Errc::corrupt);
  EXPECT_EQ(Catalog::open(path + "x", 0).error().code, Errc::not_found);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(AddressBook, RoundTripAndUnknownHosts) {
  PinnedAddress four{{1, 2, 3, 4}, 4, 0, 443};
  PinnedAddress six{{0x20, 1}, 6, 0, 443};
  const std::vector<AddressSpec> specs = {{"api.openai.com", 443, {four, six}},
                                          {"api.openai.com", 80, {four}},
                                          {"gone.example", 443, {}}};
  const auto bytes = build_addresses(3, specs);
  ASSERT_TRUE(bytes);
  const auto book = AddressBook::view(*bytes);
  ASSERT_TRUE(book);
  EXPECT_EQ((*book)->generation(), 3U);
  ASSERT_EQ((*book)->find("api.openai.com", 443).size(), 2U);
  EXPECT_EQ((*book)->find("api.openai.com", 443)[1], six);
  EXPECT_EQ((*book)->find("api.openai.com", 80).size(), 1U);
  EXPECT_TRUE((*book)->find("gone.example", 443).empty());
  EXPECT_TRUE((*book)->find("api.openai.com", 444).empty());
  for (std::size_t at = 0; at < bytes->size(); ++at) {
    std::vector<std::byte> bad = *bytes;
    bad[at] ^= std::byte{4};
    ASSERT_FALSE(AddressBook::view(bad)) << at;
  }
}

TEST(AddressBook, RefusesBadSpecs) {
  const PinnedAddress good{{1, 2, 3, 4}, 4, 0, 443};
  PinnedAddress odd = good;
  odd.family = 5;
  EXPECT_FALSE(build_addresses(1, std::vector<AddressSpec>{{"a", 443, {odd}}}));
  EXPECT_FALSE(build_addresses(1, std::vector<AddressSpec>{{"a", 443, std::vector(9, good)}}));
  EXPECT_FALSE(build_addresses(1, std::vector<AddressSpec>{{"a", 443, {}}, {"a", 443, {}}}));
  EXPECT_FALSE(build_addresses(1, std::vector<AddressSpec>{{"A", 443, {}}}));
  EXPECT_TRUE(build_addresses(1, {}));
}

}  // namespace
}  // namespace sluice::state
