#include "sluice/http/fields.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>

namespace sluice::http {
namespace {

TEST(Fields, FindsEachWellKnownNameInAnyCase) {
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const auto field = static_cast<Field>(i);
    std::string name(name_of(field));
    ASSERT_FALSE(name.empty());
    EXPECT_EQ(find_field(name), field) << name;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    EXPECT_EQ(find_field(name), field) << name;
  }
}

TEST(Fields, DoesNotFindOthers) {
  for (const char* name :
       {"", "x", "hos", "hostt", "content_length", "content-lengti", "x-api-kez", "content\rlength",
        "x-api\rkey", "te\r", "a-name-that-is-longer-than-any-known-one"}) {
    EXPECT_EQ(find_field(name), Field::none) << name;
  }
  EXPECT_TRUE(name_of(Field::none).empty());
}

TEST(Fields, KnowsWhatEndsAtThisHop) {
  for (const char* name :
       {"Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate"}) {
    EXPECT_TRUE(is_hop_by_hop(name)) << name;
  }
  for (const char* name : {"Host", "Content-Type", "Authorization", "X-Custom"}) {
    EXPECT_FALSE(is_hop_by_hop(name)) << name;
  }
}

TEST(Fields, ComparesAsciiWithoutCase) {
  EXPECT_TRUE(equal_ignoring_case("Keep-Alive", "keep-ALIVE"));
  EXPECT_FALSE(equal_ignoring_case("close", "closed"));
  // Only letters have a case: "[" and "{" differ by the same bit.
  EXPECT_FALSE(equal_ignoring_case("[", "{"));
}

}  // namespace
}  // namespace sluice::http
