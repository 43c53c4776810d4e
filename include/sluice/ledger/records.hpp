// The nouns that the ledger keeps, as plain values. Ids are > 0 and never reused; 0 means "not
// stored yet" or "none". Times are nanoseconds since 1970 UTC. Money is Nanos. Names are unique
// within their kind.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/units.hpp"
#include "sluice/price/row.hpp"

namespace sluice::ledger {

using Id = std::int64_t;

/// A limit that is not set.
inline constexpr std::int64_t kUnlimited = -1;

struct Customer {
  Id id = 0;
  std::string name;
  Id group_id = 1;  ///< price group; 1 = "default"
  std::string note;
  bool enabled = true;
  TimeNs created_ns = 0;
};

/// A prepaid wallet. Its balance is the sum of its entries; nobody writes it.
struct Wallet {
  Id id = 0;
  Id customer_id = 0;
  Nanos overdraft_limit = 0;  ///< ≥ 0
  Nanos budget_total = kUnlimited;
  Nanos budget_day = kUnlimited;
  Nanos budget_month = kUnlimited;
  std::int64_t max_in_flight = kUnlimited;
  std::int64_t requests_per_minute = kUnlimited;
  std::int64_t tokens_per_minute = kUnlimited;
  std::string zone = "UTC";     ///< IANA zone of the wallet's windows
  std::int64_t last_no = 0;     ///< last number handed out to a delta (state-machine.md row 10)
  Nanos balance = 0;            ///< credits − debits of its account, as of the read
  Id group_id = 1;              ///< its customer's, as of the read
  bool enabled = true;          ///< its customer's, as of the read
  std::int64_t generation = 0;  ///< of the last change of its policy
};

enum class OnDisconnect : std::uint8_t { cancel, drain };
enum class OnRevoke : std::uint8_t { finish, cut };
/// What becomes of credentials that a prompt contains.
enum class Credentials : std::uint8_t { pass, mask, refuse };

/// What a client key may do.
struct KeyPolicy {
  std::string models = "*";  ///< comma-separated names; '*' stands for any run of characters
  std::string cidr_allow;    ///< comma-separated CIDRs; empty = every address
  std::string cidr_deny;
  TimeNs expires_ns = 0;  ///< 0 = never
  Nanos budget_total = kUnlimited;
  Nanos budget_day = kUnlimited;
  Nanos budget_month = kUnlimited;
  std::int64_t requests_per_minute = kUnlimited;
  std::int64_t tokens_per_minute = kUnlimited;
  std::int64_t max_in_flight = kUnlimited;
  std::string zone = "UTC";  ///< IANA zone in which days and months begin
  OnDisconnect on_disconnect = OnDisconnect::cancel;
  OnRevoke on_revoke = OnRevoke::finish;
  std::int64_t drain_seconds = 60;  ///< caps of policy drain: the first that is reached cancels
  std::int64_t drain_bytes = 1'048'576;
  Nanos drain_nanos = kNanosPerUsd;
  Nanos excess_max = 0;  ///< what the wallet pays above a hold; 0 = one slice of the model
  bool clamp = false;    ///< lower the output cap to what the balance can pay
  bool may_pin = false;  ///< may choose a channel by suffix or header
  bool reserve_context =
      false;  ///< allows input that is not in the body, by reserving the context window
  Credentials credentials = Credentials::pass;
  friend bool operator==(const KeyPolicy&, const KeyPolicy&) = default;
};

/// A secret that a key had before it was rotated, and is still good for.
struct FormerSecret {
  std::string digest;  ///< as ApiKey::digest
  Id key_id = 0;
  std::string last_chars;
  TimeNs expires_ns = 0;
};

struct ApiKey {
  Id id = 0;
  Id wallet_id = 0;
  std::string name;         ///< unique within the wallet
  std::string digest;       ///< HMAC-SHA-256(pepper, key), 64 lower-case hex digits
  std::int64_t pepper = 1;  ///< version of the pepper that `digest` was made with
  std::string last_chars;   ///< last 4 characters of the key, for people
  bool enabled = true;
  KeyPolicy policy;
  TimeNs created_ns = 0;
  std::int64_t generation = 0;  ///< of the last change; see CatalogBook::generation
};

/// A customer group: what its customers pay against the price row, in thousandths. Group "default"
/// has 1000.
struct Group {
  Id id = 0;
  std::string name;
  std::int64_t multiplier = 1000;
};

struct Provider {
  Id id = 0;
  std::string name;
  std::string dialect;        ///< format of its API: openai, responses, claude or gemini
  std::string base_url;       ///< scheme://host[:port][/path], checked, no trailing slash
  std::string auth;           ///< none, bearer, x-api-key, x-goog-api-key, api-key or query-key
  std::string extra_headers;  ///< "Name: value" lines, each ended by CR LF
  std::string quirks;         ///< comma-separated names of kQuirkNames
  std::string error_classes;  ///< "CODE CLASS" lines, each ended by LF; classes of kErrorClassNames
  bool enabled = true;
};

/// How a provider departs from its format; the position is the bit in the catalog.
inline constexpr std::array<std::string_view, 3> kQuirkNames{
    "reasoning-outside-completion",  ///< completion_tokens leaves reasoning tokens out
    "no-stream-options",             ///< refuses stream_options, reports usage unasked
    "cap-is-max-tokens",             ///< knows max_tokens, not max_completion_tokens
};
/// What a provider's error code may mean: see dialect::ErrorClass.
inline constexpr std::array<std::string_view, 5> kErrorClassNames{"key_bad", "no_money", "rate",
                                                                  "overloaded", "caller"};

/// A provider's API key, sealed to the edge's public key: nobody but the edge can read it.
struct ProviderKey {
  Id id = 0;
  Id provider_id = 0;
  std::string name;         ///< unique within the provider
  std::string sealed;       ///< crypto_box_curve25519xchacha20poly1305_seal, base64
  std::string fingerprint;  ///< HMAC-SHA-256(pepper, key), hex: tells whether a key is the same
  std::string last_chars;
  bool enabled = true;
};

/// A way to a provider.
struct Channel {
  Id id = 0;
  std::string name;
  Id provider_id = 0;
  std::int64_t priority = 0;       ///< smaller is tried first, 0 to 1000
  std::int64_t weight = 1;         ///< share among equals, 1 to 1000
  std::int64_t multiplier = 1000;  ///< the channel's cost against list price, thousandths
  std::string proxy;               ///< http://host:port or socks5://host:port, empty = direct
  std::string proxy_credentials;   ///< "user:password", sealed like a ProviderKey; empty = none
  std::string proxy_fingerprint;   ///< of the credentials, as a ProviderKey's
  std::int64_t connect_timeout_ms = 0;  ///< 0 = the node's default, as the two below
  std::int64_t first_byte_timeout_ms = 0;
  std::int64_t total_timeout_ms = 0;
  bool enabled = true;
};

struct Model {
  Id id = 0;
  std::string name;                  ///< public name
  std::string aliases;               ///< comma-separated further names
  std::string owner;                 ///< `owned_by` of model lists
  std::string formats;               ///< comma-separated client formats, empty = all
  std::int64_t input_margin = 1300;  ///< thousandths on the input estimate (design §12), ≥ 1000
  Tokens context_tokens = 0;         ///< 0 = not known
  Tokens max_output_tokens = 0;      ///< 0 = not known
  std::int64_t first_byte_timeout_ms = 0;
  std::int64_t between_tokens_timeout_ms = 0;
  std::int64_t first_token_timeout_ms = 0;
  std::int64_t total_timeout_ms = 0;
  bool hidden_output = false;  ///< reasons without streaming it: accrues by time
  std::int64_t hidden_tokens_per_s = 100;
  bool retry_after_send = true;
  bool listed = true;
  bool enabled = true;
  TimeNs created_ns = 0;
};

/// A name for several models, of which the first that can be served is used.
struct RouteGroup {
  Id id = 0;
  std::string name;    ///< public; shares one space with the names and aliases of models
  std::string models;  ///< comma-separated names of models, in order of preference
  bool listed = true;
  bool enabled = true;
  TimeNs created_ns = 0;
};

/// Model → channel, with the name that the upstream knows.
struct Route {
  Id model_id = 0;
  Id channel_id = 0;
  std::string upstream_model;          ///< empty = the public name
  std::int64_t priority = -1;          ///< -1 = the channel's
  std::int64_t weight = -1;            ///< -1 = the channel's
  std::int64_t max_output_tokens = 0;  ///< 0 = the model's
  friend bool operator==(const Route&, const Route&) = default;
};

/// One immutable price row. row.version is its id: the price version that holds and records carry.
/// The ledger keeps amounts, bands, windows, tiers, fees and whether it is free; margin, limits and
/// accrual are the model's.
struct Price {
  Id model_id = 0;
  price::PriceRow row;
};

enum class EntryKind : std::uint8_t { credit = 1, debit, charge, excess, loss };

/// One line of the books: `amount` > 0 moves from the debited to the credited account. Append-only.
struct Entry {
  Id id = 0;
  TimeNs at_ns = 0;
  EntryKind kind = EntryKind::credit;
  Id debit_account = 0;
  Id credit_account = 0;
  Nanos amount = 0;
  Id wallet_id = 0;
  Id price_version = 0;        ///< charges: all rows of the entry have it
  std::int64_t batch = 0;      ///< drain batch, 0 for entries that people made
  std::int64_t wallet_no = 0;  ///< delta number, for credits and debits
  std::string note;
};

/// A change that the reconciler has to bring into shared state: row 10.
struct Delta {
  Id wallet_id = 0;
  std::int64_t wallet_no = 0;
  Nanos amount = 0;  ///< signed: negative for a forced debit
};

struct AuditRow {
  Id id = 0;
  TimeNs at_ns = 0;
  std::string actor;    ///< user name of the operator, or "apply FILE"
  std::string action;   ///< "key add"
  std::string subject;  ///< "acme/staging"
  std::string detail;
};

[[nodiscard]] const char* to_string(EntryKind kind);

}  // namespace sluice::ledger
