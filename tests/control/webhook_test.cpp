#include "sluice/control/webhook.hpp"

#include <gtest/gtest.h>

namespace sluice::control {
namespace {

// The example of the Standard Webhooks specification.
TEST(Webhook, SignsAsTheSpecificationDoes) {
  const auto key = webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  ASSERT_TRUE(key) << key.error().text;
  EXPECT_EQ(webhook_signature(*key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
                              R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(Webhook, RefusesSecretsThatProveNothing) {
  for (const char* secret : {"", "short", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ="}) {
    EXPECT_FALSE(webhook_key(secret)) << secret;
  }
  EXPECT_TRUE(webhook_key("0123456789abcdef01234567"));
}

}  // namespace
}  // namespace sluice::control
