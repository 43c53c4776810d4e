// Credentials are found and masked, what only looks like one is left alone, and JSON stays JSON.
#include "sluice/dialect/credentials.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>
#include <vector>

namespace sluice::dialect {
namespace {

// Put together here: no file may hold what scanners of repositories take for a secret.
std::string join(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += part;
  return out;
}
const std::string kRandom = "a8Kd72bQx0Zr51mVt9Wc3Ye6Uf4Gh7Jn2Lp8Sq0Td5Xv1Bz6Rk3Mw9";
std::string random(std::size_t size) { return kRandom.substr(0, size); }
std::string hex64() { return "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"; }

std::string pem(std::string_view name, std::string_view line_break) {
  const std::string line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
  return join({"-----BEGIN ", name, "-----", line_break, line, line_break, line, line_break,
               "-----END ", name, "-----"});
}

std::vector<std::string> secrets() {
  return {
      join({"AK", "IA", "Z7QX2PLM4KTR9WVB"}),
      join({"AS", "IA", "Z7QX2PLM4KTR9WVB"}),
      join({"gh", "p_", random(36)}),
      join({"gh", "s_", random(40)}),
      join({"github", "_pat_", random(22), "_", kRandom, "abc12"}),
      join({"gl", "pat-", random(20)}),
      join({"xo", "xb-", "123456789012-1234567890123-", random(24)}),
      join({"xa", "pp-1-A012345-", random(24)}),
      join({"AI", "za", random(35)}),
      join({"ya", "29.", random(40)}),
      join({"ey", "JhbGciOiJIUzI1NiJ9", ".", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", ".", random(43)}),
      join({"sk", "-ant-api03-", random(40), "-", random(30), "AA"}),
      join({"sk", "-proj-", random(48)}),
      join({"sk", "-", random(48)}),
      join({"sk", "-or-v1-", hex64()}),
      join({"xa", "i-", random(50)}),
      join({"gs", "k_", random(52)}),
      join({"h", "f_", random(34)}),
      join({"np", "m_", random(36)}),
      join({"sk", "_live_", random(24)}),
      join({"SG", ".", random(22), ".", random(43)}),
      join({"shp", "at_", hex64().substr(0, 32)}),
      pem("RSA PRIVATE KEY", "\\n"),
      pem("PRIVATE KEY", "\\n"),
      pem("OPENSSH PRIVATE KEY", "\\r\\n"),
  };
}

std::string body_with(std::string_view text) {
  return join({R"({"model":"m","messages":[{"role":"user","content":")", text, R"("}]})"});
}

bool is_json(const std::string& text) {
  simdjson::dom::parser parser;
  return parser.parse(simdjson::padded_string(text)).error() == simdjson::SUCCESS;
}

TEST(Credentials, EachKindIsFoundWhereverItStands) {
  for (const std::string& secret : secrets()) {
    for (const std::string_view before : {"", " ", "key=", "\\n", "(", "\\\"", "é"}) {
      // Every place within the blocks of 32 that the filter reads, and at the very end.
      for (std::size_t filler = 0; filler < 34; ++filler) {
        const std::string prefix = join({std::string(filler, '.'), before});
        for (const std::string& text : {join({prefix, secret}), join({prefix, secret, " and on"}),
                                        body_with(join({prefix, secret}))}) {
          const auto found = find_credential(text);
          ASSERT_TRUE(found) << text;
          EXPECT_EQ(text.substr(found->offset, found->size), secret) << text;
          EXPECT_FALSE(found->kind.empty());
        }
      }
    }
  }
}

TEST(Credentials, AnAwsSecretIsFoundByItsName) {
  const std::string secret = join({"wJalrXUtnFEMI/K7MDENG/", "bPxRfiCYzEXq2LoKEY"});
  ASSERT_EQ(secret.size(), 40U);
  for (const std::string_view name : {"aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"}) {
    for (const std::string_view between :
         {"=", " = ", ": ", "=\\\"", "\\\": \\\"", "\":\"", "='"}) {
      std::string text = join({"{\"a\":\"", name, between, secret, "\"}"});
      const auto found = find_credential(text);
      ASSERT_TRUE(found) << text;
      EXPECT_EQ(text.substr(found->offset, found->size), secret) << text;
      EXPECT_EQ(mask_credentials(text), 1U);
      EXPECT_EQ(text, join({"{\"a\":\"", name, between, std::string(40, '*'), "\"}"}));
    }
  }
}

TEST(Credentials, LookAlikesAreLeftAlone) {
  const std::string look_alikes[] = {
      "sk-learn is a library, task-oriented-programming-is-not-a-key-at-all",
      "sk-your-api-key-goes-here-and-nowhere-else-please",
      "risk-0123456789abcdefghijklmnopqrstuvwxyz012345",
      join({"gh", "p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}),
      join({"gh", "p_", random(35)}),
      join({"AK", "IA", "Z7QX2PLM4KTR9WV"}),
      join({"AK", "IA", "Z7QX2PLM4KTR9WVBC"}),
      join({"XAK", "IA", "Z7QX2PLM4KTR9WVB"}),
      join({"AI", "za", random(34)}),
      "AIzawa is a place",
      "eyJhbGciOiJIUzI1NiJ9 is half a token",
      "eyJhbGciOiJIUzI1NiJ9.notjson.signature",
      "-----BEGIN PUBLIC KEY-----\\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\\n-----END PUBLIC KEY-----",
      "-----BEGIN CERTIFICATE-----\\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\\n-----END CERTIFICATE-----",
      "aws_secret_access_key is what the setting is called",
      "xoxb- is what Slack's tokens begin with",
      "SG.short.one",
      "550e8400-e29b-41d4-a716-446655440000",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
      "hf_hub_download(repo_id)",
      "npm_config_registry_is_a_variable_and_no_token_whatsoever",
  };
  for (const std::string& text : look_alikes) {
    const auto found = find_credential(body_with(text));
    EXPECT_FALSE(found) << text << ": " << found->kind;
  }
}

TEST(Credentials, MasksKeepEveryOffsetAndTheJson) {
  std::string all;
  for (const std::string& secret : secrets()) all += secret + " \\\"and\\\" ";
  std::string body = body_with(all);
  const std::string before = body;
  EXPECT_EQ(mask_credentials(body), secrets().size());
  ASSERT_EQ(body.size(), before.size());
  EXPECT_TRUE(is_json(body)) << body;
  for (const std::string& secret : secrets()) EXPECT_EQ(body.find(secret), std::string::npos);
  for (std::size_t i = 0; i < body.size(); ++i) {
    ASSERT_TRUE(body[i] == before[i] || body[i] == '*') << "at " << i;
  }
  EXPECT_EQ(mask_credentials(body), 0U);
}

// A key that is cut off ends with its string, also where that is a string within a string.
TEST(Credentials, APrivateKeyWithoutEndTakesNoMoreThanItsString) {
  const std::string whole = pem("RSA PRIVATE KEY", "\\n");
  for (std::size_t cut = 32; cut < whole.size(); ++cut) {
    std::string start = whole.substr(0, cut);
    if (start.ends_with('\\')) continue;  // no JSON at all
    for (const std::string_view end : {"\"}]}", "\\\" }\"}]}", "\\\\\"}]}"}) {
      std::string body = join({R"({"messages":[{"content":"here: )", start, end});
      ASSERT_TRUE(is_json(body)) << body;
      EXPECT_EQ(mask_credentials(body), 1U) << body;
      EXPECT_TRUE(is_json(body)) << body;
      EXPECT_TRUE(body.ends_with(end)) << body;
    }
  }
}

// It would not be one string any more.
TEST(Credentials, ATitleInTwoStringsIsNone) {
  for (const std::string_view between : {R"(","b":")", R"(\"a\")"}) {
    const std::string body = join({R"({"a":"-----BEGIN )", between, R"(PRIVATE KEY-----"})"});
    ASSERT_TRUE(is_json(body)) << body;
    std::string masked = body;
    EXPECT_EQ(mask_credentials(masked), 0U);
    EXPECT_EQ(masked, body);
  }
}

// 16 KiB are masked of a key that has no end: no character is cut there.
TEST(Credentials, APrivateKeyThatIsTooLongIsMaskedUpToACharacter) {
  for (const std::string_view filler :
       {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\n", "\\\\"}) {
    for (std::size_t shift = 0; shift < 5; ++shift) {
      std::string body =
          join({R"({"a":"-----BEGIN )", "PRIVATE KEY-----", std::string(shift, 'x')});
      while (body.size() < 20'000) body += filler;
      body += "\"}";
      ASSERT_TRUE(is_json(body));
      EXPECT_EQ(mask_credentials(body), 1U);
      EXPECT_TRUE(is_json(body)) << filler << shift;
    }
  }
}

TEST(Credentials, ABodyWithoutAnyIsReadToItsEndAndLeftAlone) {
  std::string text(100'000, 'x');
  for (std::size_t i = 0; i < text.size(); i += 7) text[i] = "skAgx-_e"[i % 8];
  const std::string before = text;
  EXPECT_EQ(mask_credentials(text), 0U);
  EXPECT_EQ(text, before);
  EXPECT_FALSE(find_credential(""));
  EXPECT_FALSE(find_credential("sk"));
}

}  // namespace
}  // namespace sluice::dialect
