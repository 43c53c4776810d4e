#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "control_fixture.hpp"

namespace sluice::control {
namespace {

class SecretsTest : public testing::Test {
 protected:
  SecretsTest()
      : directory_(std::filesystem::temp_directory_path() /
                   ("sluice-secrets-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(directory_);
  }
  ~SecretsTest() override { std::filesystem::remove_all(directory_); }
  [[nodiscard]] std::string path(const char* name) const { return (directory_ / name).string(); }
  [[nodiscard]] unsigned mode(const char* name) const {
    struct stat info{};
    EXPECT_EQ(::stat(path(name).c_str(), &info), 0);
    return info.st_mode & 0777;
  }
  std::filesystem::path directory_;
};

// RFC 4231 test case 2 has the key "Jefe"; its HMAC equals the one of the key padded with zeros to
// 32 bytes.
TEST(KeyHasher, IsHmacSha256) {
  const SodiumKeyHasher hasher(Key256{'J', 'e', 'f', 'e'});
  EXPECT_EQ(to_hex(hasher.hash("what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(ApiKey, IsWellFormedAndUnlikeAnyOther) {
  std::set<std::string> seen;
  SeededRng rng(3);
  for (int i = 0; i < 200; ++i) {
    const std::string key = make_api_key(rng);
    EXPECT_EQ(key.size(), 52U);
    EXPECT_TRUE(is_well_formed_api_key(key)) << key;
    EXPECT_TRUE(seen.insert(key).second);
  }
}

TEST(ApiKey, ATypoIsSeen) {
  SeededRng rng(3);
  const std::string key = make_api_key(rng);
  for (std::size_t i = 0; i < key.size(); ++i) {
    std::string typo = key;
    typo[i] = typo[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(is_well_formed_api_key(typo)) << i;
  }
  EXPECT_FALSE(is_well_formed_api_key(key + "0"));
  EXPECT_FALSE(is_well_formed_api_key(""));
}

TEST_F(SecretsTest, AreMadeOnceWithTightModes) {
  auto made =
      create_missing_secrets(path("a/pepper"), path("a/sealing.key"), path("a/sealing.pub"));
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_EQ(made->size(), 3U);
  EXPECT_EQ(mode("a/pepper"), 0400U);
  EXPECT_EQ(mode("a/sealing.key"), 0400U);
  EXPECT_EQ(mode("a/sealing.pub"), 0444U);
  EXPECT_EQ(mode("a"), 0700U);
  auto again =
      create_missing_secrets(path("a/pepper"), path("a/sealing.key"), path("a/sealing.pub"));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->empty());
}

TEST_F(SecretsTest, WhatIsSealedOpensWithThePrivateKeyAlone) {
  ASSERT_TRUE(create_missing_secrets(path("p"), path("k"), path("u")));
  const auto public_key = read_public_key(path("u"));
  const auto ring = read_ring(path("k"));
  ASSERT_TRUE(public_key && ring);
  const Key256& secret_key = ring->newest().key;
  const Sealer sealer(*public_key);
  const std::string sealed = sealer.seal("sk-provider-secret");
  EXPECT_EQ(sealed.find("secret"), std::string::npos);
  EXPECT_NE(sealed, sealer.seal("sk-provider-secret"));
  EXPECT_EQ(open_sealed(sealed, secret_key).value_or(""), "sk-provider-secret");
  EXPECT_FALSE(open_sealed(sealed, *public_key));
  std::string damaged = sealed;
  damaged[10] = damaged[10] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(open_sealed(damaged, secret_key));
  EXPECT_FALSE(open_sealed("", secret_key));
}

TEST_F(SecretsTest, FilesThatOthersMayReadOrThatAreShortAreRefused) {
  ASSERT_TRUE(create_missing_secrets(path("p"), path("k"), path("u")));
  ::chmod(path("p").c_str(), 0444);
  EXPECT_EQ(read_ring(path("p")).error().code, Errc::forbidden);
  ::chmod(path("u").c_str(), 0464);
  EXPECT_EQ(read_public_key(path("u")).error().code, Errc::forbidden);
  std::ofstream(path("short")) << "0123";
  EXPECT_EQ(read_public_key(path("short")).error().code, Errc::corrupt);
  EXPECT_EQ(read_public_key(path("none")).error().code, Errc::not_found);
}

TEST_F(SecretsTest, ALostPrivateKeyIsNotReplacedSilently) {
  ASSERT_TRUE(create_missing_secrets(path("p"), path("k"), path("u")));
  std::filesystem::remove(path("k"));
  EXPECT_EQ(create_missing_secrets(path("p"), path("k"), path("u")).error().code, Errc::conflict);
}

}  // namespace
}  // namespace sluice::control
