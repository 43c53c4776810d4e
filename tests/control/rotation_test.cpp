#include "sluice/control/rotation.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "control_fixture.hpp"

namespace sluice::control {
namespace {

class RotationTest : public ControlTest {
 protected:
  RotationTest()
      : directory_(std::filesystem::temp_directory_path() /
                   ("sluice-rotation-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(directory_);
    EXPECT_TRUE(create_missing_secrets(path("pepper"), path("key"), path("pub")));
  }
  ~RotationTest() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string path(const char* name) const { return (directory_ / name).string(); }
  [[nodiscard]] KeyRing ring(const char* name) const {
    auto read = read_ring(path(name));
    EXPECT_TRUE(read) << problem_of(read);
    return read ? *read : KeyRing{};
  }
  void seal_to(const KeyRing::Entry& entry) { sealer_ = Sealer(public_key_of(entry.key)); }
  void add_provider(const char* name, const char* secret) {
    ProviderSettings settings;
    settings.dialect = "openai";
    settings.base_url = "https://api.example.com/v1";
    ASSERT_TRUE(put_provider(*service_, name, settings));
    ASSERT_TRUE(put_provider_key(*service_, name, "main", secret, {}));
  }
  std::filesystem::path directory_;
};

TEST_F(RotationTest, AVersionIsAddedAndTheFileStaysAsTightAsItWas) {
  const KeyRing before = ring("pepper");
  ::chmod(path("pepper").c_str(), 0440);  // the console's group may read it
  const auto after = add_version(path("pepper"), rng_);
  ASSERT_TRUE(after) << problem_of(after);
  EXPECT_EQ(after->newest().version, 2U);
  EXPECT_EQ(ring("pepper"), *after);
  EXPECT_EQ(after->entries()[1], before.newest());
  EXPECT_NE(after->newest().key, before.newest().key);
  struct stat info{};
  ASSERT_EQ(::stat(path("pepper").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0440U);
  EXPECT_FALSE(std::filesystem::exists(path("pepper.next")));
}

TEST_F(RotationTest, AFullRingTakesNoMoreUntilOneIsRetired) {
  for (std::size_t i = 1; i < KeyRing::kMost; ++i) ASSERT_TRUE(add_version(path("pepper"), rng_));
  const auto full = add_version(path("pepper"), rng_);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::conflict);
  ASSERT_TRUE(remove_version(path("pepper"), 1));
  EXPECT_EQ(add_version(path("pepper"), rng_)->newest().version, KeyRing::kMost + 1);
}

TEST_F(RotationTest, TheNewestAndTheUnknownAreNotRemoved) {
  EXPECT_EQ(problem_of(remove_version(path("pepper"), 1)), "version 1 is the newest: rotate first");
  ASSERT_TRUE(add_version(path("pepper"), rng_));
  EXPECT_EQ(remove_version(path("pepper"), 7).error().code, Errc::not_found);
  ASSERT_TRUE(remove_version(path("pepper"), 1));
  EXPECT_EQ(ring("pepper").entries().size(), 1U);
}

TEST_F(RotationTest, CommandsAtOnceLoseNoVersion) {
  const auto add = [this] { EXPECT_TRUE(add_version(path("pepper"), system_rng())); };
  std::thread one(add), two(add), three(add);
  one.join();
  two.join();
  three.join();
  EXPECT_EQ(ring("pepper").entries().size(), 4U);
}

TEST_F(RotationTest, AKilledCommandLeavesNothingInTheWay) {
  std::ofstream(path("pepper.next")) << "half";
  EXPECT_TRUE(add_version(path("pepper"), rng_));
}

TEST_F(RotationTest, ProviderKeysAreSealedToTheNewest) {
  seal_to(ring("key").newest());
  add_provider("one", "sk-first-secret");
  add_provider("two", "sk-second-secret");
  const auto rotated = add_version(path("key"), rng_);
  ASSERT_TRUE(rotated);
  EXPECT_EQ(*count_sealed(*service_, *rotated), (SealedCounts{{1, 2}}));
  EXPECT_EQ(*seal_anew(*service_, *rotated), 2);
  EXPECT_EQ(*count_sealed(*service_, *rotated), (SealedCounts{{2, 2}}));
  EXPECT_EQ(*seal_anew(*service_, *rotated), 0);
  const auto keys = ledger_->catalog().provider_keys(0);
  ASSERT_TRUE(keys && keys->size() == 2);
  EXPECT_EQ(open_sealed(keys->front().sealed, rotated->newest().key).value_or(""),
            "sk-first-secret");
  EXPECT_FALSE(open_sealed(keys->front().sealed, rotated->entries()[1].key));
}

TEST_F(RotationTest, AKeyThatNoVersionOpensStaysAndIsCounted) {
  add_provider("lost", "sk-somewhere-else");  // sealed to the fixture's own key
  const auto rotated = add_version(path("key"), rng_);
  ASSERT_TRUE(rotated);
  EXPECT_EQ(*seal_anew(*service_, *rotated), 0);
  EXPECT_EQ(*count_sealed(*service_, *rotated), (SealedCounts{{0, 1}}));
}

TEST_F(RotationTest, AProviderKeyIsTheSameUnderTheNextPepper) {
  add_provider("one", "sk-first-secret");
  const SodiumKeyHasher next(Key256{9, 9});
  service_->older_hashers = {service_->hasher};
  service_->hasher = &next;
  EXPECT_EQ(*put_provider_key(*service_, "one", "main", "sk-first-secret", {}), Change::none);
  EXPECT_EQ(*put_provider_key(*service_, "one", "main", "sk-other-secret", {}), Change::updated);
}

TEST_F(RotationTest, AKeyThatIsThereUnderAnOldPepperIsNotMadeAgain) {
  ASSERT_TRUE(add_customer(*service_, "acme", {}));
  const std::string secret = "sk-imported-0123456789abcdef";
  ASSERT_TRUE(add_key(*service_, "acme", "first", {}, secret));
  const SodiumKeyHasher next(Key256{9, 9});
  service_->older_hashers = {service_->hasher};
  service_->hasher = &next;
  service_->pepper_version = 2;
  EXPECT_EQ(add_key(*service_, "acme", "second", {}, secret).error().code, Errc::conflict);
  const auto other = add_key(*service_, "acme", "third", {});
  ASSERT_TRUE(other) << problem_of(other);
  EXPECT_EQ(other->key.pepper, 2);
  EXPECT_EQ(find_key(*service_, "acme", "third")->pepper, 2);
  EXPECT_EQ(find_key(*service_, "acme", "first")->pepper, 1);
}

TEST_F(RotationTest, AProviderKeyIsTurnedOffWithoutItsSecret) {
  add_provider("one", "sk-first-secret");
  service_->hasher = nullptr;
  service_->sealer = nullptr;
  EXPECT_EQ(*put_provider_key(*service_, "one", "main", "", false), Change::updated);
  const auto keys = ledger_->catalog().provider_keys(0);
  ASSERT_TRUE(keys && keys->size() == 1);
  EXPECT_FALSE(keys->front().enabled);
}

}  // namespace
}  // namespace sluice::control
