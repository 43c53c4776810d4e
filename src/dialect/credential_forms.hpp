// The forms of credentials: what each begins with, and how long what follows must be. Widths as the
// issuers document them or, where they do not, as scanners of repositories (gitleaks, GitHub's
// secret scanning) have them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::dialect {

/// Characters that a token is made of.
enum class Chars : std::uint8_t {
  upper,   ///< A to Z, digits
  alnum,   ///< letters, digits
  word,    ///< and "_"
  url,     ///< and "-": base64url
  dotted,  ///< and "."
  base64,  ///< letters, digits, "+", "/", "="
  hex,     ///< digits, a to f
};

constexpr bool in_class(char c, Chars chars) {
  const bool digit = c >= '0' && c <= '9';
  const bool upper = c >= 'A' && c <= 'Z';
  const bool lower = c >= 'a' && c <= 'z';
  switch (chars) {
    case Chars::upper:
      return digit || upper;
    case Chars::alnum:
      return digit || upper || lower;
    case Chars::word:
      return digit || upper || lower || c == '_';
    case Chars::url:
      return digit || upper || lower || c == '_' || c == '-';
    case Chars::dotted:
      return digit || upper || lower || c == '_' || c == '-' || c == '.';
    case Chars::base64:
      return digit || upper || lower || c == '+' || c == '/' || c == '=';
    case Chars::hex:
      return digit || (c >= 'a' && c <= 'f');
  }
  return false;
}

/// A part of a text; size 0 = none.
struct Match {
  std::size_t offset = 0;
  std::size_t size = 0;
};

struct Form {
  std::string_view prefix;  ///< at least three bytes
  std::string_view kind;
  Chars chars = Chars::alnum;
  std::size_t least = 0;  ///< characters behind the prefix
  std::size_t most = 0;   ///< more than these are something else; 0 = any number
  /// The credential in `text`, which begins with the prefix.
  Match (*match)(const Form& form, std::string_view text) = nullptr;
};

/// A run of the form's characters, of the right length and not just a filler.
Match match_run(const Form& form, std::string_view text);
/// header.payload.signature, the first two of them JSON
Match match_jwt(const Form& form, std::string_view text);
/// From "-----BEGIN … PRIVATE KEY-----" to its end, or to the end of the JSON string.
Match match_pem(const Form& form, std::string_view text);
/// A run of `least` characters behind a name and what stands between a name and its value: the run
/// alone, since quotes of the JSON may stand there.
Match match_named(const Form& form, std::string_view text);
/// "SG.<22>.<43>"
Match match_sendgrid(const Form& form, std::string_view text);

inline constexpr std::string_view kAws = "an AWS access key id";
inline constexpr std::string_view kAwsSecret = "an AWS secret access key";
inline constexpr std::string_view kGitHub = "a GitHub token";
inline constexpr std::string_view kSlack = "a Slack token";
inline constexpr std::string_view kModelKey = "an API key of a model provider or gateway";
inline constexpr std::string_view kStripe = "a Stripe key";

// The longer one of two that begin alike comes first.
inline constexpr Form kForms[] = {
    {"AKIA", kAws, Chars::upper, 16, 16, match_run},
    {"ASIA", kAws, Chars::upper, 16, 16, match_run},
    {"ABIA", kAws, Chars::upper, 16, 16, match_run},
    {"ACCA", kAws, Chars::upper, 16, 16, match_run},
    {"aws_secret_access_key", kAwsSecret, Chars::base64, 40, 40, match_named},
    {"AWS_SECRET_ACCESS_KEY", kAwsSecret, Chars::base64, 40, 40, match_named},
    {"SecretAccessKey", kAwsSecret, Chars::base64, 40, 40, match_named},
    {"AccountKey=", "an Azure storage key", Chars::base64, 86, 88, match_run},
    {"ghp_", kGitHub, Chars::alnum, 36, 0, match_run},
    {"gho_", kGitHub, Chars::alnum, 36, 0, match_run},
    {"ghu_", kGitHub, Chars::alnum, 36, 0, match_run},
    {"ghs_", kGitHub, Chars::alnum, 36, 0, match_run},
    {"ghr_", kGitHub, Chars::alnum, 36, 0, match_run},
    {"github_pat_", kGitHub, Chars::word, 60, 0, match_run},
    {"glpat-", "a GitLab token", Chars::url, 20, 0, match_run},
    {"xoxb-", kSlack, Chars::url, 24, 0, match_run},
    {"xoxp-", kSlack, Chars::url, 24, 0, match_run},
    {"xoxa-", kSlack, Chars::url, 24, 0, match_run},
    {"xoxr-", kSlack, Chars::url, 24, 0, match_run},
    {"xoxs-", kSlack, Chars::url, 24, 0, match_run},
    {"xapp-", kSlack, Chars::url, 24, 0, match_run},
    {"AIza", "a Google API key", Chars::url, 35, 35, match_run},
    {"ya29.", "a Google OAuth token", Chars::url, 24, 0, match_run},
    {"GOCSPX-", "a Google OAuth secret", Chars::url, 28, 28, match_run},
    {"-----BEGIN ", "a private key", Chars::base64, 0, 0, match_pem},
    {"eyJ", "a JSON web token", Chars::url, 0, 0, match_jwt},
    {"sk-ant-", kModelKey, Chars::url, 32, 0, match_run},
    {"sk-proj-", kModelKey, Chars::url, 32, 0, match_run},
    {"sk-svcacct-", kModelKey, Chars::url, 32, 0, match_run},
    {"sk-admin-", kModelKey, Chars::url, 32, 0, match_run},
    {"sk-or-v1-", kModelKey, Chars::hex, 64, 64, match_run},
    {"sk-", kModelKey, Chars::alnum, 32, 0, match_run},
    {"xai-", kModelKey, Chars::alnum, 40, 0, match_run},
    {"gsk_", kModelKey, Chars::alnum, 40, 0, match_run},
    {"pplx-", kModelKey, Chars::alnum, 40, 0, match_run},
    {"hf_", "a Hugging Face token", Chars::alnum, 34, 0, match_run},
    {"npm_", "an npm token", Chars::alnum, 36, 36, match_run},
    {"pypi-AgE", "a PyPI token", Chars::url, 50, 0, match_run},
    {"sk_live_", kStripe, Chars::alnum, 24, 0, match_run},
    {"rk_live_", kStripe, Chars::alnum, 24, 0, match_run},
    {"sk_test_", kStripe, Chars::alnum, 24, 0, match_run},
    {"whsec_", kStripe, Chars::base64, 32, 0, match_run},
    {"SG.", "a SendGrid key", Chars::url, 0, 0, match_sendgrid},
    {"shpat_", "a Shopify token", Chars::hex, 32, 32, match_run},
    {"dop_v1_", "a DigitalOcean token", Chars::hex, 64, 64, match_run},
};

}  // namespace sluice::dialect
