// Lists of models on their way to the ledger: what was written is read, and nothing else.
#include "sluice/state/offers.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "scratch.hpp"

namespace sluice::state {
namespace {

using Names = std::vector<std::string>;

class Offers : public ::testing::Test {
 protected:
  [[nodiscard]] const std::string& directory() const { return scratch.path(); }
  void put(const std::string& name, const std::string& text) {
    std::ofstream(directory() + "/" + name, std::ios::binary) << text;
  }
  Errc error_of(std::uint32_t channel) {
    const auto offer = read_offer(directory(), channel);
    return offer ? Errc::none : offer.error().code;
  }
  ScratchDirectory scratch;
};

TEST_F(Offers, ComeBackAsTheyWereAndTheLastOneCounts) {
  ASSERT_TRUE(write_offer(directory(), {5, false, {"old"}}));
  ASSERT_TRUE(write_offer(directory(), {5, true, {"gpt-x", "vendor/model:free"}}));
  ASSERT_TRUE(write_offer(directory(), {4'000'000'000, true, {}}));
  put("catalog.3", "no offer");
  put("offer.7.new", "being written");
  put("offer.x", "no number");
  auto waiting = offers_waiting(directory(), 100);
  ASSERT_TRUE(waiting);
  std::ranges::sort(*waiting);
  EXPECT_EQ(*waiting, (std::vector<std::uint32_t>{5, 4'000'000'000}));
  EXPECT_EQ(offers_waiting(directory(), 1)->size(), 1U);
  const auto offer = read_offer(directory(), 5);
  ASSERT_TRUE(offer);
  EXPECT_TRUE(offer->complete);
  EXPECT_EQ(offer->models, (Names{"gpt-x", "vendor/model:free"}));
  EXPECT_TRUE(read_offer(directory(), 4'000'000'000)->models.empty());
  remove_offer(directory(), 5);
  EXPECT_EQ(error_of(5), Errc::not_found);
  EXPECT_EQ(offers_waiting(directory(), 100)->size(), 1U);
}

TEST_F(Offers, WhatIsNoNameIsLeftOutAndSaid) {
  for (const std::string& bad :
       {std::string(), std::string("a b"), std::string("a\nb"), std::string("\x1b[31m"),
        std::string("\0", 1), std::string("m\xc3\xa9"), std::string(kOfferNameBytes + 1, 'x')}) {
    ASSERT_TRUE(write_offer(directory(), {5, true, {"m", bad, "n"}}));
    const auto offer = read_offer(directory(), 5);
    ASSERT_TRUE(offer);
    EXPECT_FALSE(offer->complete);
    EXPECT_EQ(offer->models, (Names{"m", "n"}));
  }
}

TEST_F(Offers, AreNoMoreThanFit) {
  ASSERT_TRUE(write_offer(directory(),
                          {5, true, Names(kOfferModels + 1, std::string(kOfferNameBytes, 'x'))}));
  const auto offer = read_offer(directory(), 5);
  ASSERT_TRUE(offer);
  EXPECT_FALSE(offer->complete);
  EXPECT_EQ(offer->models.size(), kOfferModels);
}

TEST_F(Offers, AFileThatNoShardWouldWriteIsCorrupt) {
  const std::string most((kOfferNameBytes + 1) * kOfferModels, 'x');
  std::string many = "partial\n";
  for (std::size_t i = 0; i <= kOfferModels; ++i) many += "m\n";
  for (const std::string& text :
       {std::string(), std::string("complete"), std::string("whole\nm\n"),
        std::string("complete\nm"), std::string("complete\n\n"), std::string("complete\na b\n"),
        many, "complete\n" + most + "x\n"}) {
    put("offer.5", text);
    EXPECT_EQ(error_of(5), Errc::corrupt) << text.substr(0, 20);
  }
  put("elsewhere", "complete\nm\n");
  remove_offer(directory(), 5);
  ASSERT_EQ(symlink((directory() + "/elsewhere").c_str(), (directory() + "/offer.5").c_str()), 0);
  EXPECT_EQ(error_of(5), Errc::io) << "a link is not followed";
  remove_offer(directory(), 5);
  ASSERT_EQ(mkfifo((directory() + "/offer.5").c_str(), 0600), 0);
  EXPECT_EQ(error_of(5), Errc::corrupt) << "and nobody waits for a pipe";
}

}  // namespace
}  // namespace sluice::state
