#include "sluice/base/key_ring.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice {
namespace {

const std::string kHex(64, 'a');

TEST(KeyRing, ThirtyTwoBytesAreVersionOne) {
  const std::string bytes = "0123456789abcdef0123456789abcdef";
  const auto ring = KeyRing::parse(bytes);
  ASSERT_TRUE(ring);
  ASSERT_EQ(ring->entries().size(), 1U);
  EXPECT_EQ(ring->newest().version, 1U);
  EXPECT_EQ(std::string(ring->newest().key.begin(), ring->newest().key.end()), bytes);
}

TEST(KeyRing, IsReadAsItWasWritten) {
  KeyRing ring;
  for (std::uint8_t i = 1; i <= KeyRing::kMost; ++i) ring.add(Key256{i, 0xf0});
  EXPECT_TRUE(ring.full());
  const auto again = KeyRing::parse(ring.text());
  ASSERT_TRUE(again);
  ASSERT_EQ(again->entries().size(), KeyRing::kMost);
  for (std::size_t i = 0; i < KeyRing::kMost; ++i) {
    EXPECT_EQ(again->entries()[i].version, KeyRing::kMost - i);
    EXPECT_EQ(again->entries()[i].key, (Key256{static_cast<std::uint8_t>(4 - i), 0xf0}));
  }
}

TEST(KeyRing, AVersionIsNotUsedAgain) {
  KeyRing ring;
  ring.add(Key256{1});
  ring.add(Key256{2});
  EXPECT_FALSE(ring.remove(3));
  EXPECT_TRUE(ring.remove(1));
  EXPECT_FALSE(ring.remove(1));
  ring.add(Key256{3});
  ASSERT_EQ(ring.entries().size(), 2U);
  EXPECT_EQ(ring.newest().version, 3U);
  EXPECT_EQ(ring.entries()[1].version, 2U);
  EXPECT_EQ(ring.entries()[1].key, Key256{2});
}

TEST(KeyRing, WhatIsNotExactlyARingIsRefused) {
  const std::string one = "1 " + kHex + "\n";
  for (const std::string& bytes :
       {std::string(), std::string("short"), std::string(33, 'x'), "1 " + kHex, "0 " + kHex + "\n",
        "-1 " + kHex + "\n", "1  " + kHex + "\n", "1 " + kHex + " \n", "x " + kHex + "\n",
        "4294967296 " + kHex + "\n", "1 " + std::string(64, 'A') + "\n", one + one,
        one + "2 " + kHex + "\n", one + "\n",
        "5 " + kHex + "\n4 " + kHex + "\n3 " + kHex + "\n2 " + kHex + "\n" + one}) {
    const auto ring = KeyRing::parse(bytes);
    EXPECT_FALSE(ring) << bytes;
  }
  EXPECT_TRUE(KeyRing::parse(one));
}

TEST(KeyRing, AFileThatOthersMayReadIsRefused) {
  const auto path =
      std::filesystem::temp_directory_path() / ("sluice-key-ring-" + std::to_string(::getpid()));
  std::ofstream(path) << "1 " << kHex << "\n";
  const struct {
    unsigned mode;
    bool alone;  ///< accepted where only the owner may read
    bool group;
  } cases[] = {{0400, true, true},   {0600, true, true},   {0440, false, true},
               {0460, false, false}, {0404, false, false}, {0402, false, false}};
  for (const auto& one : cases) {
    ASSERT_EQ(::chmod(path.c_str(), one.mode), 0);
    std::string message;
    EXPECT_EQ(read_key_ring(path, Readers::nobody, message).has_value(), one.alone) << one.mode;
    EXPECT_EQ(read_key_ring(path, Readers::group, message).has_value(), one.group) << one.mode;
    EXPECT_EQ(message.empty(), one.alone) << message;
  }
  std::filesystem::remove(path);
  std::string message;
  const auto missing = read_key_ring(path, Readers::nobody, message);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_NE(message.find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace sluice
